"""The whole bot in one process: what it takes care of besides its parts."""

import gc
from pathlib import Path

from bot.service import running
from storage.settings import InferenceSettings, ModelSettings, Settings
from tests.learning.tiny import make_tiny_base


async def test_answers_do_not_wait_while_python_looks_through_all_that_the_start_left_behind(tmp_path: Path) -> None:
    settings = Settings(
        data_folder=tmp_path / "data",
        cache_folder=tmp_path / "cache",
        model=ModelSettings(base=str(make_tiny_base(tmp_path).path)),
        inference=InferenceSettings(threads=1),
    ).apart(tmp_path / "data")

    async with running(settings):
        assert gc.get_freeze_count() > len(gc.get_objects())
    assert gc.get_freeze_count() == 0
