"""What people ask for themselves, as jobs: the slash command, their data, their settings. Pure, as `bot.slack.jobs`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from bot.slack import names


@dataclass(frozen=True)
class Command:
    """What somebody wrote behind the slash command, as Slack sent it; `refused` says why they get no answer to it."""

    kind: ClassVar[str] = "command"
    team: str
    channel: str
    user: str
    text: str
    trigger_id: str
    refused: str = ""

    @property
    def key(self) -> str:
        """A trigger belongs to one use of the command."""
        return f"command/{self.team}/{self.user}/{self.trigger_id}"

    @property
    def lane(self) -> str:
        """Commands of one person are obeyed one after the other."""
        return f"command/{self.user}"


@dataclass(frozen=True)
class DataRequest:
    """A click on the button that sends people what is kept about them."""

    kind: ClassVar[str] = "data_request"
    team: str
    user: str
    action_ts: str

    @property
    def key(self) -> str:
        """One click."""
        return f"data_request/{self.team}/{self.user}/{self.action_ts}"

    @property
    def lane(self) -> str:
        """As the person's commands."""
        return f"command/{self.user}"


@dataclass(frozen=True)
class NewsChoice:
    """The choice, on the home tab, whether one is told when one's corrections go live."""

    kind: ClassVar[str] = "news_choice"
    team: str
    user: str
    wanted: bool
    action_ts: str

    @property
    def key(self) -> str:
        """One click."""
        return f"news_choice/{self.team}/{self.user}/{self.action_ts}"

    @property
    def lane(self) -> str:
        """In order with the openings of the home tab, which both draw it."""
        return f"opened/{self.user}"


def command_of(body: Mapping[str, Any]) -> Command:
    """Read a use of the slash command."""
    return Command(
        team=body["team_id"],
        channel=body["channel_id"],
        user=body["user_id"],
        text=body.get("text") or "",
        trigger_id=body["trigger_id"],
    )


def data_request_of(body: Mapping[str, Any]) -> DataRequest:
    """Read a click on the button, which is in a message or on the home tab."""
    return DataRequest(body["team"]["id"], body["user"]["id"], body["actions"][0]["action_ts"])


def news_choice_of(body: Mapping[str, Any]) -> NewsChoice:
    """Read a change of the box on the home tab."""
    action = body["actions"][0]
    wanted = any(option["value"] == names.NEWS_WANTED for option in action["selected_options"])
    return NewsChoice(body["team"]["id"], body["user"]["id"], wanted, action["action_ts"])
