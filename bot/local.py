"""The local workspace of `apprentice up` without Slack: who is in it, and the app that its bot is."""

from pathlib import Path

from pydantic import SecretStr

from bot.slack.manifest import read_manifest
from bot.workspace.seed import AppDefinition, Channel, Member, load_workspace, make_workspace
from bot.workspace.state import Workspace
from storage.settings import SlackSettings

LOCAL_BOT_TOKEN = SecretStr("xoxb-local-apprentice")
LOCAL_APP_TOKEN = SecretStr("xapp-local-apprentice")

ASKER = Member("UADA", "ada", "Ada Lindgren", "Customer care")
EXPERT = Member("UPRIYA", "priya", "Priya Raman", "Workshop lead, knows the handbook")
APPROVER = Member("UMARCUS", "marcus", "Marcus Lindqvist", "Head of operations, approves changes")
MEMBERS = (ASKER, EXPERT, APPROVER)
QUESTIONS_CHANNEL = "CASK"
APPROVALS_CHANNEL = "CAPPROVALS"
REVIEWS_CHANNEL = "CREVIEWS"
EVERYBODY = tuple(member.id for member in MEMBERS)


def app_definition() -> AppDefinition:
    """Return the app as its manifest describes it, with the tokens of the local workspace."""
    manifest = read_manifest()
    return AppDefinition(
        name=manifest.name,
        bot_token=LOCAL_BOT_TOKEN.get_secret_value(),
        app_token=LOCAL_APP_TOKEN.get_secret_value(),
        scopes=manifest.scopes,
        events=manifest.events,
        shortcuts=tuple((shortcut.callback_id, shortcut.name) for shortcut in manifest.shortcuts),
        commands=manifest.commands,
    )


def new_local_workspace(approvers_channel: str, reviewers_channel: str = "") -> Workspace:
    """Make a small workspace with a channel for questions, one for approvals, and one for reviews if it has a name."""
    reviews = reviewers_channel not in {"", approvers_channel}
    return make_workspace(
        team_name="Northwind Kites",
        members=MEMBERS,
        channels=(
            Channel(QUESTIONS_CHANNEL, "ask-apprentice", EVERYBODY),
            Channel(APPROVALS_CHANNEL, approvers_channel, EVERYBODY),
            *([Channel(REVIEWS_CHANNEL, reviewers_channel, EVERYBODY)] if reviews else []),
        ),
        app=app_definition(),
    )


def open_local_workspace(data_folder: Path, slack: SlackSettings) -> Workspace:
    """Open the workspace that the data folder keeps, or begin one there."""
    file = data_folder / "workspace.json"
    if file.exists():
        workspace = load_workspace(file, app_definition())
    else:
        workspace = new_local_workspace(slack.approvers_channel, slack.reviews_in)
    workspace.persist(file)
    return workspace
