"""What the approvers' channel hears when an approved adapter begins in shadow, or to answer a share of the people."""

import asyncio

from bot.slack import blocks
from bot.slack.intake import store_job
from bot.slack.jobs import Stage, StageBegun
from bot.slack.outbox import Outbox
from bot.slack.parts import SlackParts
from bot.slack.proposals import announce, where
from governance.policy import RolloutRules
from storage import inbox
from storage.adapters import Adapter, find_adapter, list_adapters
from storage.domains import DEFAULT_DOMAIN
from storage.proposals import Proposal, get_proposal, proposal_for


def stage_of(adapter: Adapter) -> Stage | None:
    """Return the stage that an adapter is in: waiting for the end of a freeze, in shadow, or a canary."""
    if adapter.state == "approved":
        return "shadow" if adapter.shadow_since else "frozen"
    return "canary" if adapter.state == "canary" else None


class StageDesk:
    """Tells of the stages of a rollout, in the thread of the proposal."""

    def __init__(self, parts: SlackParts, outbox: Outbox) -> None:
        self._parts = parts
        self._outbox = outbox

    async def tell(self, job: StageBegun) -> None:
        """Let the engine follow, and tell the channel what the adapter answers, and until when."""
        await self._parts.serving.sync()
        proposal, adapter = await asyncio.to_thread(self._read, job.proposal_id)
        if stage_of(adapter) != job.stage:
            return  # it is over already
        refused = self._parts.serving.refusals.get(adapter.digest)
        if refused is not None:
            text = f"Adapter `{adapter.digest[:12]}` was approved but cannot be loaded. {blocks.escape(refused.why)}"
        else:
            text = stage_text(adapter, self._parts.governance.policy.rules_of(adapter.domain).rollout)
        await announce(self._outbox, f"{job.key}/announcement", proposal, text)

    def _read(self, proposal_id: str) -> tuple[Proposal, Adapter]:
        with self._parts.database.read() as session:
            proposal = get_proposal(session, proposal_id)
            return proposal, find_adapter(session, proposal.adapter_digest)


def stage_text(adapter: Adapter, rules: RolloutRules) -> str:
    """Say what an adapter in shadow, or whom a canary answers, and for how long, as mrkdwn."""
    domain = "" if adapter.domain == DEFAULT_DOMAIN else f" --domain {adapter.domain}"
    unless = f"unless it is taken out before: *Roll back* at its proposal, or `apprentice rollback{domain}`, does that."
    name = f"Adapter `{adapter.digest[:12]}`"
    if stage_of(adapter) == "frozen":
        return f"{name} was approved and waits until the freeze is over, {unless}"
    if stage_of(adapter) == "shadow":
        return (
            f"{name} answers {rules.shadow_share:.0%} of the questions{where(adapter)} from now on, unseen: "
            f"`apprentice figures {adapter.digest[:12]} --shadow` shows what. It goes on after {rules.shadow_hours:g} "
            f"hours, {unless}"
        )
    return (
        f"{name} answers {rules.canary_share:.0%} of the people{where(adapter)} from now on, and all of them after "
        f"{rules.canary_hours:g} hours, {unless}"
    )


async def note_stages(parts: SlackParts) -> None:
    """Have it told, once each, that an adapter is in shadow or a canary, whoever approved it."""
    for job in await asyncio.to_thread(_untold, parts):
        await store_job(parts, job)


def _untold(parts: SlackParts) -> list[StageBegun]:
    with parts.database.read() as session:
        adapters = list_adapters(session, "approved", "canary")
        found = [(proposal_for(session, adapter.digest), stage_of(adapter)) for adapter in adapters]
        told = [StageBegun(proposal.id, stage) for proposal, stage in found if proposal and stage]
        return [job for job in told if inbox.find_event(session, job.key) is None]
