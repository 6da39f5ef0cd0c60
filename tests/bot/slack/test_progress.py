from bot.slack.progress import RunProgress, progress_line
from learning.pipeline import RunEvent
from tests.bot.slack.conftest import APPROVALS, MARCUS, Bot, Town


async def test_a_run_is_one_message_that_is_brought_up_to_date(bot: Bot, town: Town) -> None:
    progress = RunProgress(bot.parts, bot.client)

    await progress.show(RunEvent("run_1", "training", "learning 20 facts", step=1, total=10))
    await progress.show(RunEvent("run_1", "training", "learning 20 facts", step=9, total=10))

    (message,) = await town.history(MARCUS, APPROVALS)
    assert "9 of 10" in str(message["blocks"])


def test_a_phase_of_unknown_length_has_no_bar() -> None:
    assert progress_line(RunEvent("run_1", "curation", "reading feedback")) == (
        "*Training run* `run_1`: curation. reading feedback"
    )


def test_time_left_is_said_when_it_is_known() -> None:
    assert "about 41 s left" in progress_line(RunEvent("run_1", "training", "", seconds_left=41.2))
