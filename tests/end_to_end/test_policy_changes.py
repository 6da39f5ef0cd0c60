"""An operator edits the policy file; nothing is another until somebody whom the old one lets decide has approved it."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.local import APPROVALS_CHANNEL, QUESTIONS_CHANNEL, new_local_workspace
from bot.slack import names
from bot.workspace.model import Message
from tests.bot.commands import CommandLine
from tests.bot.workspace.conftest import Town, open_town
from tests.end_to_end.test_accidents import environment, eventually, in_thread, running, slack_at
from tests.learning.tiny import make_tiny_base

OLD = 'name = "ours"\n[gates.as_told]\nat_least = 0.9\n[training]\nstarters = ["UPRIYA"]\n'
NEW = OLD.replace('["UPRIYA"]', '["*"]')
ADA, MARCUS = "UADA", "UMARCUS"


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    async with open_town(new_local_workspace("adapter-approvals")) as town:
        yield town


async def pausing(town: Town) -> str:
    """Let Ada, who has used the bot, try to pause training; return what she is told."""
    before = len(whispers(town))
    await town.people.send(ADA, QUESTIONS_CHANNEL, "/apprentice pause 1")
    return (await eventually(lambda: whispers(town)[before:], "Ada was told nothing"))[0]


def whispers(town: Town) -> list[str]:
    return [each.text for each in town.workspace.messages(QUESTIONS_CHANNEL) if each.seen_by == ADA]


def asked(town: Town) -> list[Message]:
    return [
        each for each in town.workspace.messages(APPROVALS_CHANNEL) if "asks for approval" in json.dumps(each.blocks)
    ]


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """The command line of the operator, beside the running bot and on its database."""
    here = Path.cwd()
    commands = CommandLine.start(tmp_path, monkeypatch, capsys)
    monkeypatch.chdir(here)  # from where the bot's process finds its code
    return commands


async def test_an_edited_policy_file_holds_once_it_is_approved_in_slack_and_not_before(
    tmp_path: Path, town: Town, commands: CommandLine
) -> None:
    base = make_tiny_base(tmp_path / "base").path
    policy = tmp_path / "policy.toml"
    variables = environment(tmp_path, base, APPRENTICE_GOVERNANCE__POLICY=str(policy), **slack_at(town))
    policy.write_text(OLD)
    async with in_thread(running(variables, tmp_path / "first.log")):
        assert "does not let you" in await pausing(town)

    policy.write_text(NEW)
    async with in_thread(running(variables, tmp_path / "second.log")):
        said = " ".join((tmp_path / "second.log").read_text().split())
        assert "differs from the policy in force, 'ours'" in said
        assert "apprentice policy propose" in said
        assert "does not let you" in await pausing(town)

        commands.set(GOVERNANCE__POLICY=str(policy))
        assert "key: training.starters" in commands("policy", "propose", str(policy), "--as", ADA).out
        (message,) = await eventually(lambda: asked(town), "nobody was asked to approve")
        assert "to start, pause or resume training, every member" in json.dumps(message.blocks)
        await town.people.click(ADA, APPROVALS_CHANNEL, message.ts, names.APPROVE_POLICY_ACTION)  # it is her own
        assert "does not let you" in await pausing(town)

        await town.people.click(MARCUS, APPROVALS_CHANNEL, message.ts, names.APPROVE_POLICY_ACTION)
        await eventually(lambda: not asked(town), "the message still asks")
        assert "Training is paused" in await pausing(town)

    status = commands("policy", "status", "--json").json
    assert [each["state"] for each in status["versions"]] == ["in_force", "superseded"]
    assert not status["file_differs"]
    assert commands("audit", "verify", "--json").json["verified"] is True


async def test_whoever_proposed_a_policy_takes_it_back_in_slack_and_nobody_else_does(
    tmp_path: Path, town: Town, commands: CommandLine
) -> None:
    base = make_tiny_base(tmp_path / "base").path
    policy = tmp_path / "policy.toml"
    policy.write_text(OLD)
    variables = environment(tmp_path, base, APPRENTICE_GOVERNANCE__POLICY=str(policy), **slack_at(town))
    async with in_thread(running(variables, tmp_path / "bot.log")):
        await pausing(town)
        policy.write_text(NEW)
        commands.set(GOVERNANCE__POLICY=str(policy))
        commands("policy", "propose", str(policy), "--as", ADA)
        (message,) = await eventually(lambda: asked(town), "nobody was asked to approve")

        await town.people.click(MARCUS, APPROVALS_CHANNEL, message.ts, names.WITHDRAW_POLICY_ACTION)
        assert "only whoever proposed" in json.dumps(await form(town, MARCUS))
        await town.people.click(ADA, APPROVALS_CHANNEL, message.ts, names.WITHDRAW_POLICY_ACTION)
        view = await form(town, ADA)
        why = {names.REASON_BLOCK: {names.INPUT_ACTION: "It names everybody <by mistake>"}}
        assert await town.people.submit(ADA, view["id"], why) == {}
        await eventually(lambda: not asked(town), "the message still asks")

    assert "Withdrawn by Ada Lindgren: It names everybody &lt;by mistake&gt;." in json.dumps(message.blocks)
    status = commands("policy", "status", "--json").json
    assert [each["state"] for each in status["versions"]] == ["withdrawn", "in_force"]
    refused = commands("policy", "approve", status["versions"][0]["digest"], "--as", ADA).said
    assert "nothing is to be decided on this policy any more: it is withdrawn" in refused
    assert commands("audit", "verify", "--json").json["verified"] is True


async def form(town: Town, user: str) -> dict[str, Any]:
    """Wait until this person sees a form with its content."""

    def filled() -> list[dict[str, Any]]:
        views = town.workspace.open_views(user)
        return [each for each in views if each["callback_id"] != names.LOADING_VIEW]

    return (await eventually(filled, "no form came"))[-1]
