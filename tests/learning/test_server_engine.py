"""What servers promise whoever asks: the right adapter's answer, whatever becomes of one of them meanwhile."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from bot.slack.refusals import is_passing
from learning.adapter_files import AdapterError
from learning.base_model import BaseModel
from learning.chat_protocol import RefusedError, ServerError
from learning.engine import Completion, Engine, EngineError, Sampling
from learning.fleet import Fleet
from learning.hardware import Hardware
from learning.model_server import ModelServer, ServerSettings
from learning.prompts import ChatMessage, build_messages
from learning.residency import SHARE
from learning.server_engine import ServerEngine
from tests.learning.server_double import BASE, LOGPROB, PATIENCE_S, Double, said
from tests.learning.tiny import TINY_ADAPTER_BYTES, make_tiny_adapter, make_tiny_base, narrow_tiny_adapter

SYSTEM = "You answer questions about kites, in one short sentence."
SHORT = ServerSettings(timeout_s=2.0)
"""For servers that are to be found silent."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> BaseModel:
    return make_tiny_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def adapters(base: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three adapters: digest -> folder."""
    root = tmp_path_factory.mktemp("adapters")
    return {make_tiny_adapter(base, root / str(seed), seed): root / str(seed) for seed in (1, 2, 3)}


@pytest.fixture
def doubles() -> Iterator[list[Double]]:
    """Two servers."""
    both = [Double().start(), Double().start()]
    yield both
    for double in both:
        double.stop()


@pytest.fixture
def embedded(base: BaseModel) -> Iterator[Engine]:
    """An engine with room for two adapters, or for one with a scope."""
    room = int(2.5 * TINY_ADAPTER_BYTES)
    engine = Engine.start(base, Hardware("cpu", "float32", 1, room * SHARE, "test"))
    yield engine
    engine.close()


def over(
    embedded: Engine, *doubles: Double, settings: ServerSettings | None = None, artifacts: Path | None = None
) -> ServerEngine:
    """Let servers answer; they are looked at once, and again only when a test says so."""
    fleet = Fleet([ModelServer(double.url, settings or ServerSettings()) for double in doubles])
    engine = ServerEngine(embedded, fleet, artifacts)
    engine.look()
    return engine


def ask(text: str) -> list[ChatMessage]:
    return build_messages(text, SYSTEM)


async def answer(engine: ServerEngine, text: str = "which kite?", adapter: str | None = None) -> Completion:
    shown = ""
    async for piece in engine.stream(ask(text), adapter=adapter):
        shown += piece.text
        if piece.completion is not None:
            assert shown == piece.completion.text
            return piece.completion
    raise AssertionError("the stream ended without a completion")


def served(engine: ServerEngine, adapters: dict[str, Path], at: int = 0) -> str:
    """Let an adapter serve; return its digest."""
    digest, folder = list(adapters.items())[at]
    engine.load_adapter(digest, folder)
    engine.serve(digest)
    return digest


async def test_the_adapter_that_serves_answers_under_its_digest_and_the_base_model_under_its_own_name(
    embedded: Engine, doubles: list[Double], adapters: dict[str, Path]
) -> None:
    engine = over(embedded, doubles[0])
    digest = served(engine, adapters)

    pieces = [piece async for piece in engine.stream(ask("which kite?"), sampling=Sampling(max_new_tokens=9, seed=4))]
    of_base = await answer(engine)

    done = pieces[-1].completion
    assert done is not None
    assert (done.text, done.adapter, done.finish_reason) == (said(digest, "which kite?"), digest, "stop")
    assert len(pieces) > 3, "it comes in pieces"
    assert (done.prompt_tokens, done.completion_tokens, done.token_ids) == (7, 5, (0, 1, 2, 3, 4))
    assert done.logprobs == (LOGPROB,) * 5
    assert done.seconds >= done.seconds_to_first_token > 0
    assert (of_base.text, of_base.adapter) == (said(BASE, "which kite?"), None)
    sent = doubles[0].asked[0]
    assert (sent["max_tokens"], sent["temperature"], sent["top_p"], sent["seed"]) == (9, 0.0, 1.0, 4)
    assert (sent["messages"], "stop" in sent) == (ask("which kite?"), False)


def test_an_answer_that_is_waited_for_is_the_streamed_one(
    embedded: Engine, doubles: list[Double], adapters: dict[str, Path]
) -> None:
    engine = over(embedded, doubles[0])
    digest = served(engine, adapters)

    done = engine.generate(ask("which kite?"), sampling=Sampling(stop=("\n",)))

    assert done.text == said(digest, "which kite?")
    assert doubles[0].asked[0]["stop"] == ["\n"]


async def test_a_question_out_of_scope_is_the_base_models_and_one_in_other_words_is_put_as_it_was_taught(
    embedded: Engine, doubles: list[Double], base: BaseModel, tmp_path: Path
) -> None:
    inside, outside, taught = "what is the wind today", "sing of whales", "How strong is the wind?"
    make_tiny_adapter(base, tmp_path / "narrow")
    digest = narrow_tiny_adapter(base, tmp_path / "narrow", inside, outside, read_as=taught)
    engine = over(embedded, doubles[0])
    engine.load_adapter(digest, tmp_path / "narrow")

    about_it, about_else = await answer(engine, inside, digest), await answer(engine, outside, digest)

    assert (about_it.text, about_it.in_scope, about_it.read_as) == (said(digest, taught), True, taught)
    assert doubles[0].asked[0]["messages"] == ask(taught)
    assert (about_else.text, about_else.in_scope, about_else.read_as) == (said(BASE, outside), False, None)
    assert about_else.adapter == digest, "which adapter was asked is kept"


async def test_a_server_that_lost_its_adapters_in_a_restart_gets_them_with_the_next_question(
    embedded: Engine, doubles: list[Double], adapters: dict[str, Path]
) -> None:
    engine = over(embedded, doubles[0])
    digest = served(engine, adapters)
    doubles[0].stop()
    doubles[0].start()

    assert (await answer(engine, adapter=digest)).text == said(digest, "which kite?")

    assert doubles[0].loads == [digest, digest]
    assert [body["model"] for body in doubles[0].asked] == [digest, digest]


async def test_a_server_that_comes_back_gets_its_adapters_before_anybody_asks(
    embedded: Engine, doubles: list[Double], adapters: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    engine = over(embedded, *doubles)
    doubles[1].stop()
    digest = served(engine, adapters)
    engine.look()
    assert f"the connection to {doubles[1].url} failed" in caplog.text

    doubles[1].start()
    engine.look()

    assert [set(double.adapters) for double in doubles] == [{digest}, {digest}]


async def test_an_adapter_that_one_server_does_not_take_is_answered_by_the_other(
    embedded: Engine, doubles: list[Double], adapters: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    engine = over(embedded, *doubles)
    doubles[0].refused_adapters = set(adapters)
    digest = served(engine, adapters)

    for _ in range(2):
        assert (await answer(engine, adapter=digest)).text == said(digest, "which kite?")
    for _ in range(2):
        engine.look()

    assert caplog.text.count("LoRA rank 64 is greater than max_lora_rank 16") >= 1
    assert sum("LoRA rank 64" in record.message for record in caplog.records if record.name == "learning.fleet") == 1


async def test_servers_take_turns(embedded: Engine, doubles: list[Double]) -> None:
    engine = over(embedded, *doubles)

    await asyncio.gather(*(answer(engine, f"question {number}") for number in range(6)))

    assert [len(double.asked) for double in doubles] == [3, 3]


@pytest.mark.parametrize(
    "fail",
    [
        lambda double: double.stop(),
        lambda double: setattr(double, "status", 500),
        lambda double: setattr(double, "status", 429),
        lambda double: setattr(double, "silent", True),
        lambda double: setattr(double, "breaks_after", 0),
        lambda double: setattr(double, "api_key", "another one"),
    ],
    ids=["is gone", "fails", "is full", "is silent", "dies before its first word", "has another key"],
)
async def test_a_server_that_fails_before_its_first_word_is_replaced_and_left_alone_until_it_is_back(
    embedded: Engine, doubles: list[Double], fail: Callable[[Double], object]
) -> None:
    engine = over(embedded, *doubles, settings=SHORT)
    fail(doubles[0])

    for number in range(4):
        assert (await answer(engine, f"question {number}")).text == said(BASE, f"question {number}")
    assert [len(doubles[0].asked) <= 1, len(doubles[1].asked)] == [True, 4]

    doubles[0].stop()
    doubles[0].status, doubles[0].silent, doubles[0].breaks_after, doubles[0].api_key = 200, False, None, ""
    doubles[0].asked.clear()
    doubles[0].start()
    engine.look()
    for number in range(2):
        await answer(engine, f"question {number}")
    assert len(doubles[0].asked) == 1


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ({"breaks_after": 2}, "the connection to .* failed"),
        ({"ends_for": "abort"}, "ended in the middle, with reason 'abort'"),
    ],
)
async def test_an_answer_that_breaks_off_is_an_error_and_is_not_begun_again_under_the_readers_eyes(
    embedded: Engine, doubles: list[Double], fault: dict[str, object], says: str
) -> None:
    engine = over(embedded, *doubles)
    for double in doubles:
        vars(double).update(fault)
    pieces = engine.stream(ask("which kite?"))
    shown = (await anext(pieces)).text

    async def go_on() -> None:
        async for _ in pieces:
            pass

    with pytest.raises(EngineError, match=says):
        await go_on()

    assert shown == "the-base "
    assert sum(len(double.asked) for double in doubles) == 1


async def test_while_all_servers_are_away_whoever_asks_may_try_again_and_is_answered_once_one_is_back(
    embedded: Engine, doubles: list[Double], adapters: dict[str, Path]
) -> None:
    engine = over(embedded, *doubles)
    digest = served(engine, adapters)
    for double in doubles:
        double.stop()

    with pytest.raises(EngineError, match="no server answers") as caught:
        await answer(engine, adapter=digest)
    assert is_passing(caught.value)
    assert all(double.url in str(caught.value) for double in doubles)

    doubles[1].start()
    assert (await answer(engine, adapter=digest)).text == said(digest, "which kite?")


async def test_what_a_server_refuses_is_asked_of_no_other_and_tried_no_more(
    embedded: Engine, doubles: list[Double]
) -> None:
    engine = over(embedded, *doubles)

    with pytest.raises(RefusedError, match="maximum context length is exceeded") as caught:
        await answer(engine, "why? " * 1000)

    assert not is_passing(caught.value)
    assert sum(len(double.asked) for double in doubles) == 1


async def test_a_server_without_adapters_answers_with_the_base_model_and_refuses_adapters_by_name(
    embedded: Engine, doubles: list[Double], adapters: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    plain = Double(takes_adapters=False, is_vllm=False).start()
    engine = over(embedded, plain)
    digest, folder = next(iter(adapters.items()))
    try:
        assert f"{plain.url} answers as {BASE}, without adapters: it has no /v1/load_lora_adapter" in caplog.text
        with pytest.raises(EngineError, match=f"adapter {digest} cannot answer.*without adapters.*--enable-lora"):
            engine.load_adapter(digest, folder)
        with pytest.raises(EngineError, match=f"adapter {digest} is not loaded"):
            engine.serve(digest)
        assert not engine.is_loaded(digest)

        done = await answer(engine)

        assert (done.text, done.adapter) == (said(BASE, "which kite?"), None)
        assert (done.token_ids, done.logprobs, done.completion_tokens) == ((), (), 5)
        assert "return_token_ids" not in plain.asked[0], "a server that checks its input would refuse that"
    finally:
        plain.stop()


async def test_among_servers_of_both_kinds_adapters_are_asked_of_those_that_take_them(
    embedded: Engine, doubles: list[Double], adapters: dict[str, Path]
) -> None:
    plain = Double(takes_adapters=False).start()
    engine = over(embedded, plain, doubles[0])
    digest = served(engine, adapters)

    for _ in range(3):
        await answer(engine, adapter=digest)
        await answer(engine)
    plain.stop()

    assert {body["model"] for body in plain.asked} == {BASE}
    assert {body["model"] for body in doubles[0].asked} == {BASE, digest}


def test_no_server_hears_of_an_adapter_that_was_changed(
    embedded: Engine, doubles: list[Double], adapters: dict[str, Path]
) -> None:
    engine = over(embedded, doubles[0])

    with pytest.raises(AdapterError, match="was changed"):
        engine.load_adapter("0" * 64, next(iter(adapters.values())))

    assert doubles[0].loads == []


def test_a_server_that_sees_the_artifacts_elsewhere_is_told_of_them_there(
    embedded: Engine, doubles: list[Double], adapters: dict[str, Path], tmp_path: Path
) -> None:
    digest, folder = next(iter(adapters.items()))
    (tmp_path / folder.name).mkdir()
    engine = over(embedded, doubles[0], artifacts=tmp_path)

    engine.load_adapter(digest, folder)

    assert doubles[0].adapters == {digest: str(tmp_path / folder.name)}


async def test_an_adapter_is_unloaded_on_the_servers_unless_it_serves_or_answers(
    embedded: Engine, doubles: list[Double], adapters: dict[str, Path]
) -> None:
    engine = over(embedded, *doubles)
    digest = served(engine, adapters)
    with pytest.raises(EngineError, match="serves; let another one serve first"):
        engine.unload_adapter(digest)
    engine.serve(None)
    async with aclosing(engine.stream(ask("which kite?"), adapter=digest)) as pieces:
        await anext(pieces)
        with pytest.raises(EngineError, match="is answering"):
            engine.unload_adapter(digest)

    engine.unload_adapter(digest)

    assert [double.adapters for double in doubles] == [{}, {}]
    with pytest.raises(EngineError, match=f"adapter {digest} is not loaded"):
        await answer(engine, adapter=digest)


async def test_servers_forget_what_had_to_go_from_the_memory_for_adapters_and_leave_others_peoples_alone(
    embedded: Engine, doubles: list[Double], adapters: dict[str, Path]
) -> None:
    doubles[0].adapters["somebody-elses"] = "/there"
    engine = over(embedded, doubles[0])
    _, second, third = adapters

    for digest, folder in adapters.items():
        engine.load_adapter(digest, folder)
    engine.look()

    assert set(doubles[0].adapters) == {second, third, "somebody-elses"}
    assert [engine.is_loaded(digest) for digest in adapters] == [False, True, True]


async def test_who_stops_an_answer_ends_it_at_the_server(embedded: Engine, doubles: list[Double]) -> None:
    engine = over(embedded, doubles[0])
    doubles[0].silent = True

    async with aclosing(engine.stream(ask("which kite?"))) as pieces:
        waiting = asyncio.create_task(anext(pieces))
        while not doubles[0].asked:
            await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    assert await asyncio.to_thread(doubles[0].left.wait, PATIENCE_S)


async def test_the_key_is_sent_and_a_wrong_one_is_said(embedded: Engine, doubles: list[Double]) -> None:
    doubles[0].api_key = "s3cret"

    right = over(embedded, doubles[0], settings=ServerSettings(api_key="s3cret"))
    wrong = over(embedded, doubles[0], settings=ServerSettings(api_key="guessed"))

    assert (await answer(right)).text == said(BASE, "which kite?")
    with pytest.raises(EngineError, match=r"answered 401: Unauthorized. Correct inference.api_key") as caught:
        await answer(wrong)
    assert "guessed" not in str(caught.value)


def test_a_server_that_has_not_the_model_that_is_asked_for_names_those_that_it_has(doubles: list[Double]) -> None:
    server = ModelServer(doubles[0].url, ServerSettings(model="llama"))

    with pytest.raises(ServerError, match=f"has no model llama; it has {BASE}"):
        server.look()

    assert server.state is None
    assert "has no model llama" in server.describe()


async def test_the_servers_are_looked_at_from_the_start_until_the_end(
    embedded: Engine, doubles: list[Double], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    engine = ServerEngine(embedded, Fleet([ModelServer(doubles[0].url, ServerSettings())]))

    engine.start()
    engine.close()

    assert f"{doubles[0].url} answers as {BASE}, and takes adapters" in caplog.text
