"""A user group of the workspace approves adapters, or takes them out; who left it in Slack decides no more."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from bot.assembly import Parts, open_parts
from bot.local import APPROVALS_CHANNEL, new_local_workspace
from bot.slack import names
from bot.workspace.model import Message, UserGroup
from governance.gates import Metric
from learning.base_model import BaseModel
from learning.evaluation import Report, write_report
from storage.adapters import serving_adapter
from storage.audit import read_audit_records
from storage.people import ensure_person, ensure_workspace
from storage.proposals import get_proposal
from storage.records import utc_now
from storage.settings import GovernanceSettings, Settings
from tests.bot.slack.tiny import write_tiny_adapter
from tests.bot.workspace.conftest import Town, open_town
from tests.end_to_end.test_accidents import environment, eventually, in_thread, running, slack_at
from tests.end_to_end.test_policy_changes import form
from tests.learning.tiny import make_tiny_base

ADA, PRIYA, MARCUS = "UADA", "UPRIYA", "UMARCUS"
TEAM = "TLOCAL"


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    async with open_town(new_local_workspace("adapter-approvals")) as town:
        yield town


def policy_naming(group: UserGroup, file: Path, key: str = "[approval]\napprovers") -> Path:
    file.write_text(f'name = "ours"\n[gates.as_told]\nat_least = 0.9\n{key} = ["{group.id}"]\n')
    return file


def propose(parts: Parts, base: BaseModel, snapshot: str, *, tuned: bool) -> str:
    """Propose an adapter that nobody of the group has made, as a command line beside the running bot would."""
    with parts.database.transaction() as session:
        ensure_workspace(session, TEAM, "Northwind Kites", utc_now())
        for user in (ADA, PRIYA, MARCUS):
            ensure_person(session, TEAM, user, user, utc_now())
    rules = parts.governance
    digest = parts.store.publish(lambda folder: write_tiny_adapter(folder, base, tuned=tuned))
    said = Report(snapshot_digest=snapshot, metrics={}, before={}, tests=(), changes=(), answers=())
    report = parts.store.publish(partial(write_report, said))
    run = rules.queue_run(started_by="schedule", recipe="tiny", base_digest=base.digest)
    rules.start_run(run.id, snapshot, 1, {})
    rules.register_adapter(run.id, digest, base.digest, None, snapshot)
    rules.finish_run(run.id, "succeeded")
    rules.record_evaluation(digest, report, {"as_told": Metric(value=0.95, n=20, low=0.8, high=1.0)})
    return rules.propose(digest, {}).id


def asks(town: Town, action: str = names.APPROVE_ACTION) -> list[Message]:
    """Return the messages in which something can be approved, or done by another button."""
    return [each for each in town.workspace.messages(APPROVALS_CHANNEL) if action in str(each.blocks)]


def told(town: Town, user: str) -> list[str]:
    return [each.text for each in town.workspace.messages(APPROVALS_CHANNEL) if each.seen_by == user]


def state(parts: Parts, proposal_id: str) -> str:
    with parts.database.read() as session:
        return get_proposal(session, proposal_id).state


def log(parts: Parts) -> str:
    with parts.database.read() as session:
        return "\n".join(each.body for each in read_audit_records(session))


async def test_a_user_group_approves_and_who_was_taken_out_of_it_is_refused_the_next_time(
    tmp_path: Path, town: Town
) -> None:
    base = make_tiny_base(tmp_path / "base")
    approvers = town.people.create_user_group(ADA, "approvers", "Approvers of adapters", [MARCUS, PRIYA])
    policy = policy_naming(approvers, tmp_path / "policy.toml")
    variables = environment(tmp_path, base.path, APPRENTICE_GOVERNANCE__POLICY=str(policy), **slack_at(town))
    async with in_thread(running(variables, tmp_path / "up.log")):
        settings = Settings(data_folder=tmp_path / "data", governance=GovernanceSettings(policy=str(policy)))
        parts = open_parts(settings)
        first = propose(parts, base, "5" * 64, tuned=True)
        (message,) = await eventually(lambda: asks(town), "nobody was asked to approve")
        assert f"Who can decide: <!subteam^{approvers.id}>." in str(message.blocks)
        await town.people.click(ADA, APPROVALS_CHANNEL, message.ts, names.APPROVE_ACTION)
        (refusal,) = await eventually(lambda: told(town, ADA), "Ada was told nothing")
        assert f"It names: the user group @approvers ({approvers.id})." in refusal
        await town.people.click(MARCUS, APPROVALS_CHANNEL, message.ts, names.APPROVE_ACTION)
        await eventually(lambda: state(parts, first) == "approved", "Marcus could not approve")

        town.people.set_user_group(ADA, approvers.id, [PRIYA])
        await eventually(lambda: f'"left":"{TEAM}/{MARCUS}"' in log(parts), "the log does not say that Marcus left")
        second = propose(parts, base, "6" * 64, tuned=False)
        (message,) = await eventually(lambda: asks(town), "nobody was asked to approve the second")
        await town.people.click(MARCUS, APPROVALS_CHANNEL, message.ts, names.APPROVE_ACTION)
        (refusal,) = await eventually(lambda: told(town, MARCUS), "Marcus was told nothing")
        assert "it does not name you as an approver" in refusal
        assert f"It names: the user group @approvers ({approvers.id})." in refusal
        assert state(parts, second) == "open"

        await town.people.click(PRIYA, APPROVALS_CHANNEL, message.ts, names.APPROVE_ACTION)
        await eventually(lambda: state(parts, second) == "approved", "Priya could not approve")
        await eventually(lambda: parts.audit.verify(parts.database).verified, "the log cannot be verified")


async def test_an_operator_of_a_user_group_takes_the_adapter_out_by_a_button_and_nobody_else_does(
    tmp_path: Path, town: Town
) -> None:
    base = make_tiny_base(tmp_path / "base")
    operators = town.people.create_user_group(ADA, "operators", "On duty", [PRIYA])
    policy = policy_naming(operators, tmp_path / "policy.toml", "[roles]\noperators")
    variables = environment(tmp_path, base.path, APPRENTICE_GOVERNANCE__POLICY=str(policy), **slack_at(town))
    async with in_thread(running(variables, tmp_path / "up.log")):
        settings = Settings(data_folder=tmp_path / "data", governance=GovernanceSettings(policy=str(policy)))
        parts = open_parts(settings)
        propose(parts, base, "5" * 64, tuned=True)
        (message,) = await eventually(lambda: asks(town), "nobody was asked to approve")
        assert not asks(town, names.ROLL_BACK_ACTION)
        await town.people.click(MARCUS, APPROVALS_CHANNEL, message.ts, names.APPROVE_ACTION)
        await eventually(lambda: asks(town, names.ROLL_BACK_ACTION), "the message has no button")
        digest = serving(parts)

        await town.people.click(MARCUS, APPROVALS_CHANNEL, message.ts, names.ROLL_BACK_ACTION)
        (refusal,) = await eventually(lambda: told(town, MARCUS), "Marcus was told nothing")
        assert f"It names: the user group @operators ({operators.id})." in refusal
        assert not town.workspace.open_views(MARCUS)

        await town.people.click(PRIYA, APPROVALS_CHANNEL, message.ts, names.ROLL_BACK_ACTION)
        view = await form(town, PRIYA)
        assert f"adapter `{digest[:12]}`" in str(view["blocks"])
        assert "the base model answers" in str(view["blocks"])
        why = {names.REASON_BLOCK: {names.INPUT_ACTION: "The <refund> limit is wrong."}}
        assert await town.people.submit(PRIYA, view["id"], why) == {}
        await eventually(lambda: not asks(town, names.ROLL_BACK_ACTION), "the message still has the button")
        await eventually(lambda: announced(town), "the channel was told nothing")

        assert serving(parts) == ""
        assert "It was rolled back by Priya Raman. The &lt;refund&gt; limit is wrong." in str(message.blocks)
        assert len(announced(town)) == 1
        await eventually(lambda: parts.audit.verify(parts.database).verified, "the log cannot be verified")


def serving(parts: Parts) -> str:
    with parts.database.read() as session:
        found = serving_adapter(session)
        return found.digest if found else ""


def announced(town: Town) -> list[str]:
    """Return what all were told of a rollback."""
    return [each.text for each in town.workspace.messages(APPROVALS_CHANNEL) if "answers again" in each.text]
