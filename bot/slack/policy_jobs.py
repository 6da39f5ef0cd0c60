"""What people decide on a proposed policy in Slack, as jobs. Pure, as `bot.slack.jobs`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from bot.slack.bodies import clicked, explained


@dataclass(frozen=True)
class PolicyVote:
    """A click on Approve, or a submitted reason for a rejection. `delivery` is the action's ts, or the view's id.

    `message_ts` is the message whose button was pressed.
    """

    kind: ClassVar[str] = "policy_vote"
    team: str
    channel: str
    user: str
    version_id: str
    verdict: Literal["approve", "reject"]
    reason: str
    delivery: str
    message_ts: str

    @property
    def key(self) -> str:
        """One click or submission."""
        return f"policy_vote/{self.team}/{self.user}/{self.version_id}/{self.delivery}"

    @property
    def lane(self) -> str:
        """Decisions on a policy are taken one after the other."""
        return self.version_id


@dataclass(frozen=True)
class PolicyWithdrawal:
    """A submitted reason for taking back what one proposed. `delivery` is the view's id."""

    kind: ClassVar[str] = "policy_withdrawal"
    team: str
    channel: str
    user: str
    version_id: str
    reason: str
    delivery: str
    message_ts: str

    @property
    def key(self) -> str:
        """One submission."""
        return f"policy_withdrawal/{self.team}/{self.user}/{self.version_id}/{self.delivery}"

    @property
    def lane(self) -> str:
        """In order with the decisions."""
        return self.version_id


def policy_approval_of(body: Mapping[str, Any]) -> PolicyVote:
    """Read a click on Approve."""
    action = body["actions"][0]
    return PolicyVote(
        version_id=action["value"], verdict="approve", reason="", delivery=action["action_ts"], **clicked(body)
    )


def policy_rejection_of(body: Mapping[str, Any]) -> PolicyVote:
    """Read a submitted reason for a rejection; that it is not empty is checked elsewhere."""
    return PolicyVote(verdict="reject", **explained(body))


def policy_withdrawal_of(body: Mapping[str, Any]) -> PolicyWithdrawal:
    """Read a submitted reason for a withdrawal; that it is not empty is checked elsewhere."""
    return PolicyWithdrawal(**explained(body))
