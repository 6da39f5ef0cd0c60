"""`apprentice doctor`: looks at everything that must be in order, and says what to do about what is not."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from http.client import HTTPException
from pathlib import Path
from typing import Literal

import psutil
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

from bot.slack.manifest import EVENTS_PATH, INSTALL_PATH
from bot.slack.refusals import error_code
from bot.slack.token_cipher import check_keys
from bot.slack.tokens import needed_tokens, token_problems, token_remedy
from governance.membership import group_warnings
from governance.policy import Policy, load_policy
from governance.policy_versions import policy_in_force, why_not_in_force
from learning.scheduler import parse_schedule
from storage.database import Database
from storage.errors import ApprenticeError
from storage.outbox import count_unsent
from storage.records import utc_now
from storage.settings import Settings, SlackSettings, WebSettings, load_settings

SLACK_PATIENCE_S = 10
LONG_WAIT = timedelta(minutes=10)
"""For a message to Slack: longer than a rate limit takes, or a restart."""
MIN_FREE_DISK = 2 * 1024**3
MIN_MEMORY = 3 * 1024**3
"""Bytes; training the built-in model peaks near 2.5 GB."""


@dataclass(frozen=True)
class Check:
    """One finding; `remedy` is empty when all is well."""

    name: str
    state: Literal["ok", "warning", "failed"]
    detail: str
    remedy: str = ""


def examine(config: Path | None) -> Iterator[Check]:
    """Yield one finding after the other; without readable settings only that finding."""
    try:
        settings = load_settings(config)
    except ApprenticeError as error:
        yield Check("configuration", "failed", str(error), "Mend the setting that it names.")
        return
    source = config or Path("apprentice.toml")
    yield Check("configuration", "ok", str(source) if source.exists() else "defaults (no apprentice.toml here)")
    checks: tuple[Callable[[Settings], Check], ...] = (_database, _policy, _schedule, _model, _memory, _disk)
    yield from _slack(settings)
    for check in checks:
        yield check(settings)
    yield from _servers(settings)
    yield from _outbox(settings)
    yield from _user_groups(settings)


def _slack(settings: Settings) -> Iterator[Check]:
    """Check each token by itself, and ask Slack about them once all can be right."""
    if settings.slack.mode == "local":
        yield Check("slack", "ok", "local workspace; no tokens needed")
        return
    slack = settings.slack
    problems = token_problems(slack)
    for name, problem in problems.items():
        yield Check("slack", "failed", f"slack.{name} {problem}", token_remedy(name))
    if problems:
        return
    client = WebClient(base_url=slack.api_url, timeout=SLACK_PATIENCE_S)
    if "bot_token" in needed_tokens(slack):
        yield _ask_slack("bot_token", lambda: _sign_in(client, slack.bot_token.get_secret_value()))
    else:
        yield _installing(slack)
    if slack.mode == "socket":
        yield _ask_slack("app_token", lambda: _open_socket(client, slack.app_token.get_secret_value()))
    else:
        yield _address(settings.web)


def _installing(slack: SlackSettings) -> Check:
    try:
        check_keys(slack.token_key.get_secret_value())
    except ApprenticeError as error:
        return Check("slack", "failed", str(error), "Correct slack.token_key, or leave it out.")
    return Check("slack", "ok", f"workspaces install the app at {INSTALL_PATH}")


def _address(web: WebSettings) -> Check:
    """Say where Slack's requests are expected, and warn when only this machine can send any."""
    detail = f"requests are expected at {web.host}:{web.port}{EVENTS_PATH}"
    if web.host in {"127.0.0.1", "localhost", "::1"}:
        remedy = (
            "Slack sends to https:// addresses only: let a proxy on this machine forward one to it, or set web.host. "
            "`apprentice manifest --http https://ADDRESS` makes the app's manifest."
        )
        return Check("slack", "warning", f"{detail}, which only this machine reaches", remedy)
    return Check("slack", "ok", detail)


def _ask_slack(name: str, call: Callable[[], str]) -> Check:
    try:
        return Check("slack", "ok", call())
    except SlackApiError as error:
        return Check("slack", "failed", f"Slack refuses slack.{name}: {error_code(error)}", token_remedy(name))
    except (SlackClientError, OSError, HTTPException) as error:
        return Check("slack", "failed", f"Slack cannot be reached: {error}", "Check the network and slack.api_url.")


def _sign_in(client: WebClient, token: str) -> str:
    answer = client.auth_test(token=token)
    return f"signed in to {answer['team']} as {answer['user']}"


def _open_socket(client: WebClient, token: str) -> str:
    client.apps_connections_open(app_token=token)
    return "Socket Mode may be opened"


def _database(settings: Settings) -> Check:
    try:
        database = Database(settings.database_url)
        database.check_connection()
        current, head = database.revisions()
    except ApprenticeError as error:
        return Check("database", "failed", str(error), "Start it, or correct database.url.")
    detail = f"{database.url.render_as_string(hide_password=True)}, schema {current or 'empty'}"
    if current == head:
        return Check("database", "ok", detail)
    return Check("database", "warning", detail, "Run `apprentice db upgrade`.")


def _readable(settings: Settings) -> Database | None:
    """Open the database; None where it cannot be read, which has a finding of its own."""
    try:
        database = Database(settings.database_url)
        database.check_connection()
        database.check_schema()
    except ApprenticeError:
        return None
    return database


def _outbox(settings: Settings) -> Iterator[Check]:
    """Say how many messages wait for Slack."""
    database = _readable(settings)
    if database is None:
        return
    with database.read() as session:
        count, oldest = count_unsent(session)
    if oldest is None:
        yield Check("outbox", "ok", "no message waits for Slack")
        return
    waits = utc_now() - oldest
    detail = f"messages that wait for Slack: {count}, the oldest for {waits.total_seconds() / 60:.0f} minutes"
    if waits < LONG_WAIT:
        yield Check("outbox", "ok", detail)
    else:
        yield Check("outbox", "warning", detail, "Start `apprentice up`, or look in its log for what Slack answers.")


def _user_groups(settings: Settings) -> Iterator[Check]:
    """Say which of the user groups that the policy in force names name somebody; nothing where it names none."""
    database = _readable(settings)
    if database is None:
        return
    try:
        policy = load_policy(settings.governance.policy)
        with database.read() as session:
            policy = policy_in_force(session, policy)
            found = group_warnings(session, policy, utc_now())
    except ApprenticeError:  # which has a finding of its own
        return
    remedy = "Put people into the group in Slack, or have another policy approved."
    yield from (Check("user groups", "warning", sentence, remedy) for sentence in found if policy.user_groups)
    if policy.user_groups and not found:
        yield Check("user groups", "ok", f"{len(policy.user_groups)} that the policy names were read from Slack")


def _policy(settings: Settings) -> Check:
    try:
        policy = load_policy(settings.governance.policy)
    except ApprenticeError as error:
        return Check("policy", "failed", str(error), "Mend the policy file.")
    try:
        difference = _policy_difference(settings, policy)
    except ApprenticeError as error:
        return Check("policy", "failed", str(error), "Do that first: nothing starts before.")
    if difference:
        return Check("policy", "warning", difference, "Have the change approved, or put the file back.")
    return Check("policy", "ok", f"{settings.governance.policy}, digest {policy.digest[:12]}")


def _policy_difference(settings: Settings, configured: Policy) -> str:
    database = _readable(settings)
    if database is None:
        return ""
    with database.read() as session:
        in_force = policy_in_force(session, configured)
    return why_not_in_force(configured, settings.governance.policy, in_force)


def _schedule(settings: Settings) -> Check:
    if not settings.training.schedule:
        return Check("schedule", "ok", "training only on demand")
    try:
        parse_schedule(settings.training.schedule)
    except ApprenticeError as error:
        return Check("schedule", "failed", str(error), "Correct training.schedule.")
    return Check("schedule", "ok", f"{settings.training.schedule} (UTC)")


def _model(settings: Settings) -> Check:
    from learning.base_model import locate  # noqa: PLC0415 - keeps --help fast

    try:
        where = locate(settings.model.base, settings.cache_folder)
    except ApprenticeError as error:
        return Check("model", "failed", str(error), "Correct model.base.")
    return Check("model", "ok", f"{settings.model.base}: {where}")


def _servers(settings: Settings) -> Iterator[Check]:
    """Ask each server that answers people, where servers do, what it is good for."""
    if settings.inference.engine == "embedded":
        yield Check("inference", "ok", "the embedded engine answers")
        return
    from bot.engines import open_servers  # noqa: PLC0415 - keeps --help fast
    from learning.chat_protocol import ServerError  # noqa: PLC0415
    from learning.model_server import HOW_TO_LOAD  # noqa: PLC0415

    try:
        servers = open_servers(settings.inference)
    except ApprenticeError as error:
        yield Check("inference", "failed", str(error), 'Name a server, or set inference.engine to "embedded".')
        return
    for server in servers:
        try:
            state = server.look()
        except ServerError:
            yield Check("inference", "failed", server.describe(), "Start it, or correct inference.urls.")
        else:
            remedy = "" if state.loads_adapters else f"Only the base model answers there. {HOW_TO_LOAD}."
            yield Check("inference", "warning" if remedy else "ok", server.describe(), remedy)


def _memory(settings: Settings) -> Check:  # noqa: ARG001 - all checks are called alike
    from learning.hardware import detect  # noqa: PLC0415

    hardware = detect()
    free = psutil.virtual_memory().available
    detail = (
        f"{hardware.device}, {hardware.dtype_name}, {hardware.threads} threads, {free / 1024**3:.1f} GB memory free"
    )
    if free < MIN_MEMORY:
        return Check(
            "hardware", "warning", detail, "Training the built-in model needs 3 GB; stop other programs first."
        )
    return Check("hardware", "ok", detail)


def _disk(settings: Settings) -> Check:
    folder = next(
        path for path in [settings.data_folder.absolute(), *settings.data_folder.absolute().parents] if path.exists()
    )
    free = shutil.disk_usage(folder).free
    detail = f"{free / 1024**3:.1f} GB free at {folder}"
    if free < MIN_FREE_DISK:
        return Check("disk", "warning", detail, "Make room, or set data_folder to another disk.")
    return Check("disk", "ok", detail)
