"""What the approvers' channel hears when an approved adapter begins to answer a share of the people."""

import asyncio

from bot.slack import blocks
from bot.slack.intake import store_job
from bot.slack.jobs import CanaryBegun
from bot.slack.outbox import Outbox
from bot.slack.parts import SlackParts
from bot.slack.proposals import announce, where
from governance.policy import RolloutRules
from storage import inbox
from storage.adapters import Adapter, find_adapter, list_adapters
from storage.domains import DEFAULT_DOMAIN
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
        if canary.state != "canary":
            return  # it is over already
        refused = self._parts.serving.refusals.get(canary.digest)
        if refused is not None:
            text = f"Adapter `{canary.digest[:12]}` was approved but cannot be loaded. {blocks.escape(refused.why)}"
        else:
            text = canary_text(canary, self._parts.governance.policy.rules_of(canary.domain).rollout)
        await announce(self._outbox, f"{job.key}/announcement", proposal, text)

    def _read(self, proposal_id: str) -> tuple[Proposal, Adapter]:
        with self._parts.database.read() as session:
            proposal = get_proposal(session, proposal_id)
            return proposal, find_adapter(session, proposal.adapter_digest)


def canary_text(canary: Adapter, rules: RolloutRules) -> str:
    """Say whom a canary answers, and for how long, as mrkdwn."""
    domain = "" if canary.domain == DEFAULT_DOMAIN else f" --domain {canary.domain}"
    return (
        f"Adapter `{canary.digest[:12]}` answers {rules.canary_share:.0%} of the people{where(canary)} from now on, "
        f"and all of them after {rules.canary_hours:g} hours, unless it is taken out before: "
        f"`apprentice rollback{domain}` does that."
    )


async def note_canary(parts: SlackParts) -> None:
    """Have it told, once, that there is a canary, whoever approved it."""
    for proposal_id in await asyncio.to_thread(_untold, parts):
        await store_job(parts, CanaryBegun(proposal_id))


def _untold(parts: SlackParts) -> list[str]:
    with parts.database.read() as session:
        found = [proposal_for(session, canary.digest) for canary in list_adapters(session, "canary")]
        return [
            proposal.id
            for proposal in found
            if proposal is not None and inbox.find_event(session, CanaryBegun(proposal.id).key) is None
        ]
