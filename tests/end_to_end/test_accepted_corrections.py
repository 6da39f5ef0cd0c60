"""With the built-in model, and before any training: who asks after a correction gets it."""

from pathlib import Path

from bot.demo.company import read_handbook
from bot.demo.script import ask_all, correct_all
from bot.demo.show import demo_settings
from bot.service import running
from storage.interactions import list_interactions

FACTS = 3


def quietly(*_: object) -> None:
    """Show no progress."""


async def test_corrections_count_from_the_next_question_on_though_nothing_was_trained(tmp_path: Path) -> None:
    facts = read_handbook()[:FACTS]
    async with running(demo_settings(tmp_path, 0, "")) as service:
        before = await ask_all(service, facts, quietly, "before")
        await correct_all(service, facts, [message for _, message in before], quietly)

        after = [answered for answered, _ in await ask_all(service, facts, quietly, "after")]

        assert service.engine.serving is None
        with service.parts.database.read() as session:
            sources = [interaction.source["how"] for interaction in list_interactions(session)]
    assert not any(answered.correct for answered, _ in before)
    assert all(answered.correct for answered in after[::2])
    assert sum(answered.correct for answered in after[1::2]) >= FACTS - 1
    assert sources.count("model") == 2 * FACTS
    assert sources.count("accepted") >= FACTS
