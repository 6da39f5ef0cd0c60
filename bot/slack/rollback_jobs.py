"""The wish of somebody in Slack to take an adapter out, as a job. Pure, as `bot.slack.jobs`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from bot.slack.bodies import explained


@dataclass(frozen=True)
class RollbackRequest:
    """A submitted reason for taking out the adapter of a proposal. `delivery` is the view's id.

    `message_ts` is the message whose button was pressed.
    """

    kind: ClassVar[str] = "rollback_request"
    team: str
    channel: str
    user: str
    proposal_id: str
    reason: str
    delivery: str
    message_ts: str

    @property
    def key(self) -> str:
        """One submission."""
        return f"rollback_request/{self.team}/{self.user}/{self.proposal_id}/{self.delivery}"

    @property
    def lane(self) -> str:
        """Its own: nothing that is told of the adapter holds it up."""
        return f"rollback_request/{self.proposal_id}"


def rollback_request_of(body: Mapping[str, Any]) -> RollbackRequest:
    """Read a submitted reason for a rollback; that it is not empty is checked elsewhere."""
    return RollbackRequest(**explained(body))
