import asyncio

from bot.slack import names
from bot.slack.progress import RunProgress
from bot.slack.run_message import progress_line
from governance.flows import Governance
from governance.policy import Policy
from learning.cancelling import sole_training
from learning.pipeline import RunEvent
from storage.people import person_id
from storage.runs import Run, get_run
from tests.bot.slack.conftest import ADA, APPROVALS, MARCUS, PRIYA, Bot, Town, all_done, eventually, find_element


async def test_a_run_is_one_message_that_is_brought_up_to_date(bot: Bot, town: Town) -> None:
    progress = RunProgress(bot.parts, bot.client)

    await progress.show(RunEvent("run_1", "training", "learning 20 facts", step=1, total=10))
    await progress.show(RunEvent("run_1", "training", "learning 20 facts", step=9, total=10))

    (message,) = await town.history(MARCUS, APPROVALS)
    assert "9 of 10" in str(message["blocks"])


async def test_the_plan_of_a_run_stays_in_its_message_while_it_trains(bot: Bot, town: Town) -> None:
    progress = RunProgress(bot.parts, bot.client)
    for event in (
        RunEvent("run_1", "plan", "24 steps, 2,000 MB <at most>", plan={"steps": 24}),
        RunEvent("run_1", "training", "loss 2.00", step=1, total=24),
    ):
        progress.on_event(event)
        await progress.show(event)

    (message,) = await town.history(MARCUS, APPROVALS)
    assert "1 of 24" in str(message["blocks"])
    assert "Plan: 24 steps, 2,000 MB &lt;at most&gt;" in str(message["blocks"])


def test_a_phase_of_unknown_length_has_no_bar() -> None:
    assert progress_line(RunEvent("run_1", "curation", "reading feedback")) == (
        "*Training run* `run_1`: curation. reading feedback"
    )


def test_time_left_is_said_when_it_is_known() -> None:
    assert "about 41 s left" in progress_line(RunEvent("run_1", "training", "", seconds_left=41.2))


async def test_a_run_under_way_can_be_cancelled_in_its_message_which_then_says_who_did(bot: Bot, town: Town) -> None:
    run, progress = await under_way(bot, started_by=ADA), RunProgress(bot.parts, bot.client)
    await progress.show(RunEvent(run, "training", "", step=1, total=10))
    (message,) = await town.history(MARCUS, APPROVALS)
    _, button = find_element(message, names.CANCEL_ACTION)
    assert "cannot be resumed" in button["confirm"]["text"]["text"]

    await town.press(MARCUS, message, names.CANCEL_ACTION)

    (event,) = await all_done(bot, 1)
    assert event.state == "done"
    assert read_run(bot, run).state == "cancelled"
    (message,) = await town.history(MARCUS, APPROVALS)
    assert "Cancelled by Marcus Lindqvist" in str(message["blocks"])
    assert names.CANCEL_ACTION not in str(message["blocks"])
    assert await town.whispers(MARCUS, APPROVALS) == []


async def test_a_run_at_which_a_process_is_at_work_is_said_to_be_stopping_and_then_to_be_cancelled(
    bot: Bot, town: Town
) -> None:
    run, progress = await under_way(bot, started_by=ADA), RunProgress(bot.parts, bot.client)
    event = RunEvent(run, "training", "", step=1, total=10)
    await progress.show(event)
    (message,) = await town.history(MARCUS, APPROVALS)
    with sole_training(bot.parts.settings.run_folder):  # as its pipeline does
        await town.press(ADA, message, names.CANCEL_ACTION)
        await all_done(bot, 1)
    (message,) = await town.history(MARCUS, APPROVALS)
    assert "Ada Lindgren cancelled it; it stops within seconds" in str(message["blocks"])
    assert names.CANCEL_ACTION not in str(message["blocks"])

    bot.parts.governance.finish_run(run, "interrupted", "stopped")  # as its pipeline does
    await progress.show(event)

    (message,) = await town.history(MARCUS, APPROVALS)
    assert "Cancelled by Ada Lindgren" in str(message["blocks"])


async def test_who_neither_started_a_run_nor_approves_adapters_cannot_cancel_it(bot: Bot, town: Town) -> None:
    use_approvers(bot, MARCUS)
    run, progress = await under_way(bot, started_by=ADA), RunProgress(bot.parts, bot.client)
    await progress.show(RunEvent(run, "training", "", step=1, total=10))
    (message,) = await town.history(MARCUS, APPROVALS)

    await town.press(PRIYA, message, names.CANCEL_ACTION)

    (told,) = await eventually(lambda: town.whispers(PRIYA, APPROVALS))
    assert "you did not start this training run" in told
    assert await town.whispers(MARCUS, APPROVALS) == []
    assert read_run(bot, run).state == "running"
    (message, *_) = await town.history(MARCUS, APPROVALS)
    assert names.CANCEL_ACTION in str(message["blocks"])


async def test_the_button_of_a_run_that_has_ended_says_so_and_goes_away(bot: Bot, town: Town) -> None:
    run, progress = await under_way(bot, started_by=ADA), RunProgress(bot.parts, bot.client)
    await progress.show(RunEvent(run, "training", "", step=10, total=10))
    (message,) = await town.history(MARCUS, APPROVALS)
    bot.parts.governance.finish_run(run, "succeeded")

    await town.press(MARCUS, message, names.CANCEL_ACTION)

    (told,) = await eventually(lambda: town.whispers(MARCUS, APPROVALS))
    assert "'succeeded' already" in told
    (message, *_) = await town.history(MARCUS, APPROVALS)
    assert names.CANCEL_ACTION not in str(message["blocks"])


async def test_a_message_follows_its_run_to_the_end_by_itself(bot: Bot, town: Town) -> None:
    run, progress = await under_way(bot, started_by=ADA), RunProgress(bot.parts, bot.client, pause_s=0.02)
    showing = asyncio.create_task(progress.run())
    progress.on_event(RunEvent(run, "training", "", step=10, total=10))
    await eventually(lambda: told_of(town, "10 of 10"))

    bot.parts.governance.finish_run(run, "succeeded")

    await eventually(lambda: told_of(town, "Succeeded"))
    assert not await told_of(town, names.CANCEL_ACTION)
    showing.cancel()


async def told_of(town: Town, what: str) -> bool:
    return what in str(await town.history(MARCUS, APPROVALS))


async def under_way(bot: Bot, started_by: str) -> str:
    """Begin a run that nobody works on; return its id."""
    team = str((await bot.client.auth_test())["team_id"])
    rules = bot.parts.governance
    run = rules.queue_run(started_by=person_id(team, started_by), recipe="tiny", base_digest=bot.parts.base.digest)
    return rules.start_run(run.id, "5" * 64, 1, {}).id


def read_run(bot: Bot, run_id: str) -> Run:
    with bot.parts.database.read() as session:
        return get_run(session, run_id)


def use_approvers(bot: Bot, *approvers: str) -> None:
    """Go on under a policy that names these approvers."""
    rules = bot.parts.governance
    content = rules.policy.model_dump()
    content["approval"] |= {"approvers": list(approvers)}
    changed = Governance(rules.database, Policy.model_validate(content), rules.audit)
    object.__setattr__(bot.parts, "governance", changed)
