"""A real vLLM gives the embedded engine's own answers, and keeps what tests/learning/server_double.py says of it."""

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import httpx
import pytest

from learning.base_model import BUILTIN, BaseModel, prepare
from learning.chat_protocol import RefusedError
from learning.engine import Completion, Engine, EngineError, Sampling
from learning.fleet import Fleet
from learning.hardware import detect
from learning.model_server import ModelServer, ServerSettings
from learning.prompts import ChatMessage, build_messages
from learning.server_engine import ServerEngine
from learning.serving_timing import make_adapters
from storage.artifacts import folder_digest
from tests.learning.tiny import make_tiny_adapter, narrow_tiny_adapter
from tests.vllm.server import installed, vllm_server

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(600)]

SYSTEM = "You are a helpful assistant. Answer in one or two short sentences."
SHORT = Sampling(max_new_tokens=12)
QUESTIONS = ("What is the capital of Spain?", "Why is the sky blue?", "Name three fruits.")
SAME = 0.01
"""How far two implementations of the same float32 model may differ in the logarithm of a probability."""


@pytest.fixture(scope="module")
def python() -> Path:
    return installed()


@pytest.fixture(scope="module")
def base(python: Path, tmp_path_factory: pytest.TempPathFactory) -> BaseModel:
    return prepare(BUILTIN, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def url(python: Path, base: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with vllm_server(python, base.path, tmp_path_factory.mktemp("vllm") / "log.txt") as url:
        yield url


@pytest.fixture(scope="module")
def adapters(base: BaseModel, url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folders = map(Path, make_adapters(base, tmp_path_factory.mktemp("adapters"), 2))
    return {folder_digest(folder): folder for folder in folders}


@pytest.fixture(scope="module")
def embedded(base: BaseModel, url: str) -> Iterator[Engine]:
    engine = Engine.start(base, detect())
    yield engine
    engine.close()


@pytest.fixture
def engine(embedded: Engine, url: str, adapters: dict[str, Path]) -> Iterator[ServerEngine]:
    """Servers that have both adapters."""
    engine = ServerEngine(embedded, Fleet([ModelServer(url, ServerSettings())]))
    engine.look()
    for digest, folder in adapters.items():
        engine.load_adapter(digest, folder)
    yield engine
    engine.serve(None)
    for name in models(url)[1:]:
        forget(url, name)


def forget(url: str, name: str) -> None:
    """Let the server lose an adapter, as it would in a restart."""
    httpx.post(f"{url}/v1/unload_lora_adapter", json={"lora_name": name}).raise_for_status()


def models(url: str) -> list[str]:
    return [model["id"] for model in httpx.get(f"{url}/v1/models").json()["data"]]


def ask(text: str) -> list[ChatMessage]:
    return build_messages(text, SYSTEM)


async def answer(engine: ServerEngine, text: str, adapter: str | None = None, sampling: Sampling = SHORT) -> Completion:
    shown = ""
    async for piece in engine.stream(ask(text), adapter=adapter, sampling=sampling):
        shown += piece.text
        if piece.completion is not None:
            assert shown.strip() == piece.completion.text
            return piece.completion
    raise AssertionError("the stream ended without a completion")


def check_same(done: Completion, alone: Completion) -> None:
    assert (done.text, done.token_ids) == (alone.text, alone.token_ids)
    assert done.logprobs == pytest.approx(alone.logprobs, abs=SAME)
    assert (done.prompt_tokens, done.finish_reason) == (alone.prompt_tokens, alone.finish_reason)
    assert (done.adapter, done.in_scope, done.read_as) == (alone.adapter, alone.in_scope, alone.read_as)


async def test_base_and_adapters_answer_at_once_as_each_does_alone_in_the_embedded_engine(
    engine: ServerEngine, embedded: Engine, adapters: dict[str, Path]
) -> None:
    asked = [(text, adapter) for adapter in (None, *adapters) for text in QUESTIONS]

    answers = await asyncio.gather(*(answer(engine, text, adapter) for text, adapter in asked))

    for (text, adapter), done in zip(asked, answers, strict=True):
        check_same(done, embedded.generate(ask(text), adapter=adapter, sampling=SHORT))
    assert len({done.token_ids for done in answers}) > len(QUESTIONS)


def test_an_answer_that_ends_by_itself_ends_alike(engine: ServerEngine, embedded: Engine) -> None:
    sampling = Sampling(max_new_tokens=120)
    done = engine.generate(ask(QUESTIONS[0]), sampling=sampling)
    check_same(done, embedded.generate(ask(QUESTIONS[0]), sampling=sampling))
    assert done.finish_reason == "stop"


def test_stop_strings_and_seeds_hold(engine: ServerEngine) -> None:
    whole = engine.generate(ask(QUESTIONS[2]), sampling=SHORT).text
    stop = whole.split()[3]
    stopped = engine.generate(ask(QUESTIONS[2]), sampling=Sampling(max_new_tokens=12, stop=(stop,)))
    assert (stopped.text, stopped.finish_reason) == (whole[: whole.index(stop)].strip(), "stop")

    first, same, other = (
        engine.generate(ask(QUESTIONS[2]), sampling=Sampling(max_new_tokens=12, temperature=1.0, seed=seed)).token_ids
        for seed in (1, 1, 2)
    )
    assert first == same != other


async def test_scope_and_reading_decide_what_the_server_is_asked(
    engine: ServerEngine, embedded: Engine, base: BaseModel, tmp_path: Path
) -> None:
    inside, outside, taught = "what is the wind today", "sing of whales", "How strong is the wind?"
    make_tiny_adapter(base, tmp_path / "narrow")
    digest = narrow_tiny_adapter(base, tmp_path / "narrow", inside, outside, read_as=taught)
    engine.load_adapter(digest, tmp_path / "narrow")

    for text, in_scope in ((inside, True), (outside, False)):
        done = await answer(engine, text, digest)
        check_same(done, embedded.generate(ask(text), adapter=digest, sampling=SHORT))
        assert (done.in_scope, done.read_as) == (in_scope, taught if in_scope else None)


async def test_an_adapter_that_the_server_lost_is_there_again_with_the_next_question(
    engine: ServerEngine, embedded: Engine, adapters: dict[str, Path], url: str
) -> None:
    digest = next(iter(adapters))
    forget(url, digest)

    done = await answer(engine, QUESTIONS[0], digest)

    check_same(done, embedded.generate(ask(QUESTIONS[0]), adapter=digest, sampling=SHORT))
    assert digest in models(url)


async def test_an_adapter_that_answers_may_be_unloaded_on_the_server_and_ends_as_it_began(
    engine: ServerEngine, embedded: Engine, adapters: dict[str, Path], url: str
) -> None:
    digest = next(iter(adapters))

    async with aclosing(engine.stream(ask(QUESTIONS[0]), adapter=digest, sampling=SHORT)) as pieces:
        await anext(pieces)
        await asyncio.to_thread(forget, url, digest)
        done = [piece async for piece in pieces][-1].completion

    assert done is not None
    check_same(done, embedded.generate(ask(QUESTIONS[0]), adapter=digest, sampling=SHORT))


def test_an_adapter_is_loaded_and_unloaded_while_the_server_runs(
    engine: ServerEngine, adapters: dict[str, Path], url: str
) -> None:
    digest, folder = next(iter(adapters.items()))
    engine.unload_adapter(digest)
    assert digest not in models(url)
    engine.load_adapter(digest, folder)
    engine.load_adapter(digest, folder)
    assert models(url).count(digest) == 1


def test_an_adapter_that_the_server_was_not_made_for_is_refused_with_its_reason(
    engine: ServerEngine, base: BaseModel, tmp_path: Path
) -> None:
    digest = make_tiny_adapter(base, tmp_path / "wide", rank=32)
    with pytest.raises(EngineError, match=f"(?s)does not load adapter {digest}.*rank"):
        engine.load_adapter(digest, tmp_path / "wide")
    assert not engine.is_loaded(digest)


async def test_adapters_are_swapped_under_load_and_no_answer_fails(
    engine: ServerEngine, adapters: dict[str, Path]
) -> None:
    done: list[Completion] = []

    async def ask_on(number: int) -> None:
        while len(done) < 16:
            done.append(await asyncio.to_thread(engine.generate, ask(QUESTIONS[number]), sampling=SHORT))

    async def swap_on() -> None:
        while len(done) < 16:
            for digest in (*adapters, None):
                await asyncio.to_thread(engine.serve, digest)
                await asyncio.sleep(0)

    await asyncio.gather(*(ask_on(number) for number in range(len(QUESTIONS))), swap_on())

    assert {completion.adapter for completion in done} > {None}


async def test_who_stops_an_answer_ends_it_at_the_server(engine: ServerEngine, url: str) -> None:
    async with aclosing(engine.stream(ask(QUESTIONS[1]), sampling=Sampling(max_new_tokens=500))) as pieces:
        await anext(pieces)
        assert running(url) == 1
    async with asyncio.timeout(20):
        while running(url):
            await asyncio.sleep(0.1)


def running(url: str) -> float:
    """Return how many requests the server works on."""
    lines = httpx.get(f"{url}/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("vllm:num_requests_running"))


async def test_a_prompt_that_is_longer_than_the_servers_context_is_refused(engine: ServerEngine) -> None:
    with pytest.raises(RefusedError, match="maximum context length"):
        await answer(engine, "why? " * 2000)
