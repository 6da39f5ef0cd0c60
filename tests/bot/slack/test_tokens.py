import pytest
from pydantic import SecretStr

from bot.slack.tokens import check_tokens
from storage.errors import ConfigurationError
from storage.settings import SlackSettings

GOOD_BOT, GOOD_APP = "xoxb-1-made-up", "xapp-1-made-up"


def settings(bot: str = GOOD_BOT, app: str = GOOD_APP) -> SlackSettings:
    return SlackSettings(mode="socket", bot_token=SecretStr(bot), app_token=SecretStr(app))


def for_http(secret: str) -> SlackSettings:
    return SlackSettings(mode="http", bot_token=SecretStr(GOOD_BOT), signing_secret=SecretStr(secret))


@pytest.mark.parametrize("given", [settings(), for_http("8f742231b10e8888abcd99yyyzzz85a5")])
def test_tokens_of_the_right_kind_are_taken(given: SlackSettings) -> None:
    check_tokens(given)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (settings(bot=""), "slack.bot_token is not set"),
        (settings(app=""), "slack.app_token is not set"),
        (settings(bot=GOOD_APP), "slack.bot_token is not a token that begins with xoxb-"),
        (settings(app=GOOD_BOT), "slack.app_token is not a token that begins with xapp-"),
        (for_http(""), "slack.signing_secret is not set"),
        (for_http("two made-up words"), "slack.signing_secret has characters of no secret"),
    ],
)
def test_a_wrong_token_is_named_with_the_place_to_find_it_and_never_repeated(given: SlackSettings, name: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        check_tokens(given)
    assert name in str(refusal.value)
    assert "api.slack.com" in str(refusal.value)
    assert "made-up" not in str(refusal.value)
