"""Slack's two tokens: what can be told of them without asking Slack, and where each is found."""

from storage.errors import ConfigurationError
from storage.settings import SlackSettings

PREFIXES = {"bot_token": "xoxb-", "app_token": "xapp-"}
WHERE = {
    "bot_token": "the app's page at api.slack.com, OAuth & Permissions, Bot User OAuth Token",
    "app_token": "the app's page at api.slack.com, Basic Information, App-Level Tokens (scope connections:write)",
}


def check_tokens(settings: SlackSettings) -> None:
    """Refuse tokens that cannot be right, without asking Slack.

    Raises:
        ConfigurationError: one is missing, or begins as no such token does; the token is not repeated in the message.

    """
    for name, problem in token_problems(settings).items():
        raise ConfigurationError(f"slack.{name} {problem}. {token_remedy(name)}")


def token_problems(settings: SlackSettings) -> dict[str, str]:
    """Say of each token that cannot be right what is wrong with it; the token is not repeated."""
    problems = {}
    for name, prefix in PREFIXES.items():
        token = getattr(settings, name).get_secret_value()
        if not token:
            problems[name] = "is not set"
        elif not token.startswith(prefix) or token == prefix or not token.isascii() or not token.isprintable():
            problems[name] = f"is not a token that begins with {prefix}"
    return problems


def token_remedy(name: str) -> str:
    """Say where a token is found and where it is set."""
    return f"Copy it from {WHERE[name]}, and set it in apprentice.toml or as APPRENTICE_SLACK__{name.upper()}."
