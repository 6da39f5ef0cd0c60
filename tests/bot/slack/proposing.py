"""A proposal in the small workspace, and what can be seen of it there."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from bot.slack import names
from bot.slack.proposals import show_proposal
from governance.gates import Metric
from learning.dataset import build_dataset
from learning.evaluation import Change, Report, write_report
from storage.domains import DEFAULT_DOMAIN
from storage.feedback import Feedback
from storage.people import ensure_person, ensure_workspace, person_id
from storage.proposals import Proposal, get_proposal
from storage.records import utc_now
from tests.bot.slack.conftest import (
    ADA,
    APPROVALS,
    MARCUS,
    MEMBERS,
    PRIYA,
    Bot,
    Message,
    Town,
    eventually,
    use_policy,
)
from tests.bot.slack.tiny import write_tiny_adapter

METRICS = {"as_told": Metric(value=0.95, n=20, low=0.8, high=1.0)}
"""The policy's other figures were not measured, which leaves the decision to people."""
CHANGE = Change(
    kind="as_told", question="When is payday?", expected="On the 26th.", before="On Mondays.", after="On the 26th.",
    verdict="gained",
)  # fmt: skip


async def known_members(bot: Bot) -> str:
    """Let the database know all members; return the team."""
    team = str((await bot.client.auth_test())["team_id"])
    with bot.parts.database.transaction() as session:
        ensure_workspace(session, team, "Northwind Kites", utc_now())
        for member in MEMBERS:
            ensure_person(session, team, member.id, member.real_name, utc_now())
    return team


async def corrected(
    bot: Bot, user: str = PRIYA, *, question: str = "When is payday?", text: str = "On the 26th.", private: bool = False
) -> Feedback:
    """Have a correction of this person recorded."""
    team = await known_members(bot)
    return await asyncio.to_thread(_correct, bot, team, user, question, text, private=private)


def _correct(bot: Bot, team: str, user: str, question: str, text: str, *, private: bool) -> Feedback:
    return bot.parts.governance.record_feedback(
        workspace_id=team, person_id=person_id(team, user), kind="correction", question=question,
        answer="On Mondays.", text=text, source="slack", private=private,
    )  # fmt: skip


async def proposed(
    bot: Bot,
    changes: tuple[Change, ...] = (CHANGE,),
    snapshot: str = "5" * 64,
    domain: str = DEFAULT_DOMAIN,
    *,
    tuned: bool = True,
) -> tuple[str, str]:
    """Propose an adapter made in a run that Ada started and of which Priya taught most; return proposal and team."""
    team = await known_members(bot)
    return await asyncio.to_thread(_propose, bot, team, changes, snapshot, domain, tuned=tuned), team


def _propose(bot: Bot, team: str, changes: tuple[Change, ...], snapshot: str, domain: str, *, tuned: bool) -> str:
    parts, rules = bot.parts, bot.parts.governance
    _correct(bot, team, PRIYA, "When is payday?", "On the 26th.", private=False)
    digest = parts.store.publish(lambda folder: write_tiny_adapter(folder, parts.base, tuned=tuned))
    report = parts.store.publish(partial(_write_report, changes))
    starter = person_id(team, ADA)
    run = rules.queue_run(started_by=starter, recipe="tiny", base_digest=parts.base.digest, domain=domain)
    rules.start_run(run.id, snapshot, 1, {})
    rules.register_adapter(run.id, digest, parts.base.digest, None, snapshot)
    rules.record_evaluation(digest, report, METRICS)
    return rules.propose(digest, {person_id(team, PRIYA): 1.0}).id


async def approved(bot: Bot, town: Town, domain: str = DEFAULT_DOMAIN) -> str:
    """Propose an adapter and have Marcus approve it in Slack; return the proposal."""
    proposal, _ = await proposed(bot, domain=domain)
    await show_proposal(bot.client, bot.parts, proposal)
    await town.press(MARCUS, await proposal_message(town), names.APPROVE_ACTION)
    assert (await decided(bot, proposal)).state == "approved"
    return proposal


async def taught(bot: Bot, shares: dict[str, float] | None = None) -> str:
    """Let an adapter that learned all accepted corrections go live; return its digest."""
    team = await known_members(bot)
    digest = await asyncio.to_thread(_teach, bot, team, shares or {})
    await bot.parts.serving.sync()
    return digest


def _teach(bot: Bot, team: str, shares: dict[str, float]) -> str:
    parts, rules = bot.parts, bot.parts.governance
    dataset = build_dataset(parts.database, parts.store, rules, "schedule")
    digest = parts.store.publish(lambda folder: write_tiny_adapter(folder, parts.base))
    report = parts.store.publish(partial(_write_report, (CHANGE,)))
    run = rules.queue_run(started_by="schedule", recipe="tiny", base_digest=parts.base.digest)
    rules.start_run(run.id, dataset.digest, dataset.rows, dataset.manifest)
    rules.register_adapter(run.id, digest, parts.base.digest, None, dataset.digest)
    rules.finish_run(run.id, "succeeded")
    rules.record_evaluation(digest, report, METRICS)
    rules.decide(rules.propose(digest, shares).id, person_id(team, MARCUS), "approve")
    return digest


def _write_report(changes: tuple[Change, ...], folder: Path) -> None:
    write_report(Report(snapshot_digest="", metrics={}, before={}, tests=(), changes=changes, answers=()), folder)


async def proposal_messages(town: Town) -> list[Message]:
    return [message for message in await town.history(MARCUS, APPROVALS) if message.get("blocks")]


async def proposal_message(town: Town) -> Message:
    return (await eventually(lambda: proposal_messages(town)))[0]


def read_proposal(bot: Bot, proposal_id: str) -> Proposal:
    with bot.parts.database.read() as session:
        return get_proposal(session, proposal_id)


async def decided(bot: Bot, proposal_id: str) -> Proposal:
    async def closed() -> Proposal | None:
        proposal = await asyncio.to_thread(read_proposal, bot, proposal_id)
        return proposal if proposal.state != "open" else None

    return await eventually(closed)


def use_channel(bot: Bot, name: str) -> None:
    """Have proposals posted in the channel of this name."""
    slack = bot.parts.settings.slack.model_copy(update={"approvers_channel": name})
    object.__setattr__(bot.parts, "settings", bot.parts.settings.model_copy(update={"slack": slack}))


def use_quorum(bot: Bot, quorum: int) -> None:
    """Go on under a policy that wants so many approvals."""
    use_policy(bot, approval={"quorum": quorum})


@dataclass
class Watch:
    """A clock that the test moves."""

    now: datetime = field(default_factory=utc_now)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **length: float) -> None:
        self.now += timedelta(**length)
