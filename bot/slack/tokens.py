"""Slack's tokens and secrets: what can be told of them without asking Slack, and where each is found."""

from pydantic import SecretStr

from storage.errors import ConfigurationError
from storage.settings import SlackSettings

PREFIXES = {"bot_token": "xoxb-", "app_token": "xapp-"}
WHERE = {
    "bot_token": "the app's page at api.slack.com, OAuth & Permissions, Bot User OAuth Token",
    "app_token": "the app's page at api.slack.com, Basic Information, App-Level Tokens (scope connections:write)",
    "signing_secret": "the app's page at api.slack.com, Basic Information, App Credentials, Signing Secret",
    "client_id": "the app's page at api.slack.com, Basic Information, App Credentials, Client ID",
    "client_secret": "the app's page at api.slack.com, Basic Information, App Credentials, Client Secret",
}


def check_tokens(settings: SlackSettings) -> None:
    """Refuse tokens and secrets that cannot be right, without asking Slack.

    Raises:
        ConfigurationError: one is missing, or begins as no such token does; the token is not repeated in the message.

    """
    for name, problem in token_problems(settings).items():
        raise ConfigurationError(f"slack.{name} {problem}. {token_remedy(name)}")


def needed_tokens(settings: SlackSettings) -> tuple[str, ...]:
    """Name the tokens and secrets that this way to reach Slack needs."""
    if settings.mode == "local":
        return ()
    if settings.mode == "socket":
        return ("bot_token", "app_token")
    if settings.client_id or settings.client_secret.get_secret_value():
        return ("signing_secret", "client_id", "client_secret")
    return ("bot_token", "signing_secret")


def token_problems(settings: SlackSettings) -> dict[str, str]:
    """Say of each needed token that cannot be right what is wrong with it; the token is not repeated."""
    problems = {}
    for name in needed_tokens(settings):
        value, prefix = getattr(settings, name), PREFIXES.get(name, "")
        token = value.get_secret_value() if isinstance(value, SecretStr) else value
        if not token:
            problems[name] = "is not set"
        elif not token.startswith(prefix) or token == prefix or not _is_plain(token):
            problems[name] = f"is not a token that begins with {prefix}" if prefix else "has characters of no secret"
    return problems


def token_remedy(name: str) -> str:
    """Say where a token is found and where it is set."""
    return f"Copy it from {WHERE[name]}, and set it in apprentice.toml or as APPRENTICE_SLACK__{name.upper()}."


def _is_plain(token: str) -> bool:
    return token.isascii() and token.isprintable() and " " not in token
