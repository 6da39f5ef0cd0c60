"""The whole product with a server that answers, in place of its own engine."""

from pathlib import Path

import httpx
import pytest

from bot.demo.company import read_handbook
from bot.demo.script import ask_all
from bot.service import running
from storage.errors import ConfigurationError
from storage.settings import InferenceSettings, ModelSettings, Settings
from tests.learning.server_double import BASE, Double, said
from tests.learning.tiny import make_tiny_base


def quietly(*_: object) -> None:
    """Show no progress."""


def settings_for(folder: Path, **inference: object) -> Settings:
    """Return settings in which servers answer and the tiny model does all else."""
    settings = Settings(
        data_folder=folder / "data",
        cache_folder=folder / "cache",
        model=ModelSettings(base=str(make_tiny_base(folder).path)),
    ).apart(folder / "data")
    return settings.model_copy(update={"inference": InferenceSettings(engine="vllm", threads=1, **inference)})


async def test_people_are_answered_by_the_server_that_the_settings_name(tmp_path: Path) -> None:
    double = Double(api_key="s3cret").start()
    (fact,) = read_handbook()[:1]
    settings = settings_for(tmp_path, urls=f"{double.url}/v1", api_key="s3cret")

    async with running(settings) as service:
        answers = [answered.answer for answered, _ in await ask_all(service, [fact], quietly, "")]
        async with httpx.AsyncClient() as client:
            page = (await client.get(service.url)).text
    double.stop()

    assert answers == [said(BASE, fact.question), said(BASE, fact.in_other_words)]
    assert f"{double.url} answers as {BASE}, and takes adapters" in page
    assert {body["max_tokens"] for body in double.asked} == {settings.inference.max_new_tokens}


async def test_a_start_without_any_server_named_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"inference.urls names no server. Set it to one, such as http"):
        async with running(settings_for(tmp_path)):
            pass
