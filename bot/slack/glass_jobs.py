"""The jobs about adapters that went live by break-glass: somebody is told, and presses buttons. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from bot.slack import names
from bot.slack.bodies import clicked


@dataclass(frozen=True)
class GlassBroken:
    """Somebody broke the glass, and another person, in the workspace `team`, is to be told."""

    kind: ClassVar[str] = "glass_broken"
    team: str
    glass_id: str

    @property
    def key(self) -> str:
        """Told once, whoever notices it first."""
        return f"glass_broken/{self.glass_id}"

    @property
    def lane(self) -> str:
        """Whatever is done about one is done one after the other."""
        return self.glass_id


@dataclass(frozen=True)
class GlassAnswer:
    """A click on one of the two buttons of that message, whose ts is `message_ts`."""

    kind: ClassVar[str] = "glass_answer"
    team: str
    channel: str
    user: str
    glass_id: str
    wish: Literal["seen", "undo"]
    message_ts: str
    action_ts: str

    @property
    def key(self) -> str:
        """One click."""
        return f"glass_answer/{self.team}/{self.user}/{self.glass_id}/{self.action_ts}"

    @property
    def lane(self) -> str:
        """After the message."""
        return self.glass_id


def glass_answer_of(body: Mapping[str, Any]) -> GlassAnswer:
    """Read a click on one of the buttons."""
    action = body["actions"][0]
    wish: Literal["seen", "undo"] = "undo" if action["action_id"] == names.GLASS_UNDO_ACTION else "seen"
    return GlassAnswer(glass_id=action["value"], wish=wish, action_ts=action["action_ts"], **clicked(body))
