"""What the approvers' channel hears when an approved adapter begins to answer a share of the people."""

import asyncio

from bot.slack import blocks
from bot.slack.intake import store_job
from bot.slack.jobs import CanaryBegun
from bot.slack.outbox import Outbox
from bot.slack.parts import SlackParts
from bot.slack.proposals import announce
from governance.policy import RolloutRules
from storage import inbox
from storage.adapters import Adapter, canary_adapter
from storage.proposals import Proposal, get_proposal, proposal_for


class CanaryDesk:
    """Tells of canaries, in the thread of the proposal."""

    def __init__(self, parts: SlackParts, outbox: Outbox) -> None:
        self._parts = parts
        self._outbox = outbox

    async def tell(self, job: CanaryBegun) -> None:
        """Let the engine follow, and tell the channel whom the adapter answers, and until when."""
        await self._parts.serving.sync()
        proposal, canary = await asyncio.to_thread(self._read, job.proposal_id)
        if canary is None or canary.digest != proposal.adapter_digest:
            return  # it is over already
        refused = self._parts.serving.refused_canary
        if refused is not None and refused.digest == canary.digest:
            text = f"Adapter `{canary.digest[:12]}` was approved but cannot be loaded. {blocks.escape(refused.why)}"
        else:
            text = canary_text(canary, self._parts.governance.policy.rollout)
        await announce(self._outbox, f"{job.key}/announcement", proposal, text)

    def _read(self, proposal_id: str) -> tuple[Proposal, Adapter | None]:
        with self._parts.database.read() as session:
            return get_proposal(session, proposal_id), canary_adapter(session)


def canary_text(canary: Adapter, rules: RolloutRules) -> str:
    """Say whom a canary answers, and for how long, as mrkdwn."""
    return (
        f"Adapter `{canary.digest[:12]}` answers {rules.canary_share:.0%} of the people from now on, and all of them "
        f"after {rules.canary_hours:g} hours, unless it is taken out before: `apprentice rollback` does that."
    )


async def note_canary(parts: SlackParts) -> None:
    """Have it told, once, that there is a canary, whoever approved it."""
    proposal_id = await asyncio.to_thread(_untold, parts)
    if proposal_id is not None:
        await store_job(parts, CanaryBegun(proposal_id))


def _untold(parts: SlackParts) -> str | None:
    with parts.database.read() as session:
        canary = canary_adapter(session)
        proposal = proposal_for(session, canary.digest) if canary is not None else None
        if proposal is None or inbox.find_event(session, CanaryBegun(proposal.id).key) is not None:
            return None
        return proposal.id
