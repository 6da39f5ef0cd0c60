"""The slash command: what each person is told, and what comes of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlmodel import select

from bot.slack import names
from bot.slack.progress import RunProgress
from bot.slack.proposals import show_proposal
from learning.pipeline import RunEvent
from storage.audit import read_audit_records
from storage.errors import ApprenticeError
from storage.inbox import InboxEvent
from storage.pauses import Pause
from storage.people import person_id
from storage.runs import Run, list_runs
from tests.bot.slack.conftest import (
    ADA,
    ASK,
    MARCUS,
    PRIYA,
    Bot,
    Message,
    Town,
    all_done,
    eventually,
    interactions,
    jobs_in,
    use_policy,
)
from tests.bot.slack.proposing import corrected, proposed
from tests.bot.slack.test_feedback import feedback, press_vote


async def reply(town: Town, user: str, text: str, channel: str = ASK) -> str:
    """Use the command; return what this person is told then, as text."""
    before = len(await town.whispers(user, channel))
    await town.command(user, text, channel)
    return shown(await town.told(user, channel, before + 1))


def shown(message: Message) -> str:
    return "\n".join(block["text"]["text"] for block in message["blocks"] if "text" in block)


def runs(bot: Bot) -> list[Run]:
    with bot.parts.database.read() as session:
        return list_runs(session)


def actions(bot: Bot) -> list[str]:
    with bot.parts.database.read() as session:
        return [json.loads(record.body)["action"] for record in read_audit_records(session)]


# Help


@pytest.mark.parametrize("text", ["", "help", "  HELP "])
async def test_help_says_what_can_be_asked_to_whoever_asks_and_nobody_else(bot: Bot, town: Town, text: str) -> None:
    told = await reply(town, PRIYA, text)
    assert "`/apprentice my-data`" in told
    assert await town.history(ADA) == []


async def test_an_unknown_command_is_answered_with_what_was_meant(bot: Bot, town: Town) -> None:
    assert "Did you mean `/apprentice status`?" in await reply(town, ADA, "staus")
    assert "&lt;!channel&gt;" in await reply(town, ADA, "<!channel>")


async def test_a_command_is_kept_before_it_is_acknowledged_and_obeyed_by_whoever_works_next(
    connected_bot: Bot, town: Town
) -> None:
    await town.command(ADA, "status")
    assert [job.kind for job in jobs_in(connected_bot, "received")] == ["command"]

    connected_bot.start_worker()
    assert "The base model" in shown(await town.told(ADA))


async def test_where_the_bot_is_not_the_answer_comes_as_a_direct_message(bot: Bot, town: Town) -> None:
    between = (await town.post("dm", user=ADA, **{"with": PRIYA}))["channel"]["id"]
    await town.command(ADA, "status", between)

    direct = await town.dm(ADA)
    (message,) = await eventually(lambda: town.history(ADA, direct))
    assert "The base model" in shown(message)
    assert await town.history(PRIYA, between) == []


# Status


async def test_status_says_what_answers_what_is_due_and_that_nothing_waits(bot: Bot, town: Town) -> None:
    told = await reply(town, ADA, "status")
    assert "The base model." in told
    assert "No training is under way." in told
    assert "The next one is due <!date^" in told
    assert "0 new corrections so far" in told
    assert "*Waiting for approval*\nNothing." in told


async def test_status_tells_of_a_run_a_pause_and_a_proposal_with_links(bot: Bot, town: Town) -> None:
    proposal_id, team = await proposed(bot)
    await show_proposal(bot.client, bot.parts, proposal_id)
    rules = bot.parts.governance
    run = rules.queue_run(started_by="schedule", recipe="tiny", base_digest=bot.parts.base.digest)
    rules.start_run(run.id, "5" * 64, 1, {})
    rules.note_progress(run.id, {"phase": "training", "message": "loss 1.00", "step": 3, "total": 10})
    await RunProgress(bot.parts, bot.client).show(RunEvent(run.id, "training", ""))
    rules.pause_training(person_id(team, MARCUS), 8)

    told = await reply(town, ADA, "status")

    assert "3 of 10" in told
    assert f"<{town.url.rstrip('/')}/?channel=CAPPROVALS&message={bot.parts.run_messages[run.id]}|its message>" in told
    assert "paused* by Marcus Lindqvist, until <!date^" in told
    assert "|The proposal> of adapter" in told


# Ask


async def test_a_question_is_answered_for_its_asker_alone_and_kept_as_private(bot: Bot, town: Town) -> None:
    await town.command(ADA, "ask kite wind")
    told = await town.told(ADA)

    (kept,) = interactions(bot)
    assert (kept.question, kept.private, kept.answer_ts) == ("kite wind", True, "")
    assert kept.asker_id.endswith(f"/{ADA}")
    assert {"type": "markdown", "text": kept.answer} in [
        {key: value for key, value in block.items() if key != "block_id"} for block in told["blocks"]
    ]
    assert await town.history(PRIYA) == []


async def test_a_private_answer_can_be_voted_on_and_corrected(bot: Bot, town: Town) -> None:
    await town.command(ADA, "ask kite wind")
    answer = await town.told(ADA)

    await press_vote(town, ADA, answer, "negative")
    assert "Recorded: a bad answer" in (await town.told(ADA, count=2))["text"]
    async with town.watch(ADA):
        await town.press(ADA, answer, names.CORRECT_ACTION)
        await town.submit(ADA, await town.view(ADA), names.CORRECTION_BLOCK, "Fly it at 12 knots.")
    assert "Your correction counts" in (await town.told(ADA, count=3))["text"]

    assert [(row.kind, row.private, row.text) for row in feedback(bot)] == [
        ("down", True, ""),
        ("correction", True, "Fly it at 12 knots."),
    ]


async def test_what_somebody_asked_in_private_is_not_shown_to_the_model_with_the_next_question(
    bot: Bot, town: Town
) -> None:
    for user in (ADA, PRIYA):
        await town.command(user, "ask kite wind")
        await town.told(user)
    first, second = interactions(bot)
    assert first.usage["prompt_tokens"] == second.usage["prompt_tokens"]


async def test_ask_without_a_question_says_how(bot: Bot, town: Town) -> None:
    assert "Write your question behind it" in await reply(town, ADA, "ask")
    assert interactions(bot) == []


async def test_a_question_whose_process_died_before_it_noted_the_end_is_not_answered_anew(bot: Bot, town: Town) -> None:
    await town.command(ADA, "ask kite wind")
    await all_done(bot, 1)
    await bot.stop_worker()
    with bot.parts.database.transaction() as session:
        event = session.exec(select(InboxEvent)).one()
        event.state = "received"
        session.add(event)

    bot.start_worker()

    again = await town.told(ADA, count=2)
    (kept,) = interactions(bot)
    assert kept.answer in str(again["blocks"])


# My data


async def test_my_data_counts_what_is_kept_and_names_whom_to_ask_for_erasure(bot: Bot, town: Town) -> None:
    answer = await town.answer(await town.mention(ADA, "kite wind"))
    await press_vote(town, ADA, answer, "positive")
    await town.told(ADA)
    await corrected(bot, ADA)

    told = await reply(town, ADA, "my-data")

    assert "1 question with" in told
    assert "1 vote: 1 for good answers, 0 for bad ones" in told
    assert "1 correction: 1 accepted" in told
    assert "adapters that learned from your corrections: none" in told
    message = await town.told(ADA)
    assert "To have yours erased" in str(message["blocks"])
    assert "<#CAPPROVALS>" in str(message["blocks"])


async def test_my_data_names_the_adapters_that_learned_from_me(bot: Bot, town: Town) -> None:
    await proposed(bot)
    assert "(proposed)" in await reply(town, PRIYA, "my-data")


async def test_somebody_new_is_told_that_nothing_is_kept(bot: Bot, town: Town) -> None:
    assert "you have not asked, voted or corrected yet" in await reply(town, MARCUS, "my data")


async def test_my_data_is_sent_as_a_direct_message_with_my_own_rows_only(bot: Bot, town: Town) -> None:
    await town.command(PRIYA, "ask spool fabric")
    await town.command(ADA, "ask kite wind")
    await all_done(bot, 2)
    await corrected(bot, ADA, private=True, text="On the <26th>.")
    await reply(town, ADA, "my-data")

    await town.press(ADA, await town.told(ADA, count=2), names.SEND_DATA_ACTION)

    direct = await town.dm(ADA)
    (sent,) = await eventually(lambda: town.history(ADA, direct))
    assert "kite wind" in shown(sent)
    assert "On the &lt;26th&gt;." in shown(sent)
    assert "spool" not in shown(sent)


# Train


@pytest.fixture
async def trainer(bot: Bot) -> AsyncIterator[Bot]:
    """The bot; a run that the test began is stopped at the end."""
    yield bot

    async def stopped() -> bool:
        bot.parts.training.interrupt()
        return all(run.state not in {"queued", "running"} for run in await asyncio.to_thread(runs, bot))

    await eventually(stopped)


async def test_training_is_started_by_whoever_asks_and_says_on_what(trainer: Bot, town: Town) -> None:
    correction = await corrected(trainer)

    told = await reply(town, ADA, "train")

    (run,) = runs(trainer)
    assert run.started_by == person_id(correction.workspace_id, ADA)
    assert f"`{run.id}` has begun, on 1 new correction" in told
    assert "somebody other than you approves it" in told


async def test_without_anything_new_no_training_is_started(bot: Bot, town: Town) -> None:
    assert "Nothing is new" in await reply(town, ADA, "train")
    assert runs(bot) == []


async def test_while_a_run_is_under_way_none_is_started_and_its_message_is_pointed_to(bot: Bot, town: Town) -> None:
    await corrected(bot)
    rules = bot.parts.governance
    run = rules.queue_run(started_by="schedule", recipe="tiny", base_digest=bot.parts.base.digest)
    await RunProgress(bot.parts, bot.client).show(RunEvent(run.id, "training", ""))

    told = await reply(town, ADA, "train")

    assert f"`{run.id}` is under way already" in told
    assert f"message={bot.parts.run_messages[run.id]}|its message>" in told
    assert [each.id for each in runs(bot)] == [run.id]


@pytest.mark.parametrize("command", ["train", "pause", "resume"])
async def test_who_may_not_approve_may_not_steer_training_either(bot: Bot, town: Town, command: str) -> None:
    await corrected(bot)
    use_policy(bot, approval={"approvers": [MARCUS]})
    assert "does not let you start, pause or resume training" in await reply(town, ADA, command)
    assert runs(bot) == []
    assert "training.paused" not in actions(bot)


# Pause


async def test_a_pause_keeps_runs_from_beginning_until_it_is_resumed(bot: Bot, town: Town) -> None:
    await corrected(bot)

    assert "until somebody resumes it" in await reply(town, MARCUS, "pause")
    assert "Marcus Lindqvist paused training" in await reply(town, ADA, "train")
    await bot.parts.training.train_if_due()
    with pytest.raises(ApprenticeError, match="paused training"):
        await bot.parts.training.begin("demo")
    assert runs(bot) == []

    assert "Training is resumed" in await reply(town, ADA, "resume")
    assert "Training is paused" not in await reply(town, ADA, "status")
    assert "training is not paused" in await reply(town, ADA, "resume")
    assert [action for action in actions(bot) if action.startswith("training")] == [
        "training.paused",
        "training.resumed",
    ]


async def test_a_pause_of_some_hours_ends_by_itself(bot: Bot, town: Town) -> None:
    assert "Training is paused until <!date^" in await reply(town, ADA, "pause 2 hours")
    with bot.parts.database.transaction() as session:
        pause = session.exec(select(Pause)).one()
        assert pause.ends_at is not None
        assert pause.ends_at - pause.paused_at == timedelta(hours=2)
        pause.ends_at = pause.paused_at
        session.add(pause)

    assert "Training is paused" not in await reply(town, ADA, "status")


@pytest.mark.parametrize(("hours", "says"), [("soon", "Write the hours as a number"), ("99999", "at most 8,760")])
async def test_a_pause_of_no_length_that_makes_sense_is_refused(bot: Bot, town: Town, hours: str, says: str) -> None:
    assert says in await reply(town, ADA, f"pause {hours}")
    assert "*Training is paused*" not in await reply(town, ADA, "status")
