"""What the engine promises whoever asks it: the model's own words, whatever else runs at the same time."""

import asyncio
import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, closing
from functools import cache
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from learning.base_model import BaseModel
from learning.engine import Completion, Engine, EngineError, Sampling
from learning.hardware import Hardware
from learning.prefixes import common
from learning.prompts import ChatMessage, build_messages
from learning.residency import SHARE
from tests.learning.tiny import (
    TINY_ADAPTER_BYTES,
    make_tiny_adapter,
    make_tiny_base,
    narrow_tiny_adapter,
    plain_generate,
)

SYSTEM = "You answer questions about kites, in one short sentence."
NEW = 24
SHORT = Sampling(max_new_tokens=NEW)
LONG = Sampling(max_new_tokens=200)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> BaseModel:
    return make_tiny_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def adapters(base: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three adapters of different ranks: digest -> folder."""
    root = tmp_path_factory.mktemp("adapters")
    return {make_tiny_adapter(base, root / str(rank), rank, rank): root / str(rank) for rank in (2, 4, 8)}


@pytest.fixture
def engine(base: BaseModel) -> Iterator[Engine]:
    engine = Engine.start(base, Hardware("cpu", "float32", 1, 1 << 30, "test"), max_batch=8)
    yield engine
    engine.close()


@pytest.fixture
def loaded(engine: Engine, adapters: dict[str, Path]) -> Engine:
    for digest, folder in adapters.items():
        engine.load_adapter(digest, folder)
    return engine


def start(base: BaseModel, room_for: int) -> Engine:
    """Start an engine with memory for so many adapters as `make_tiny_adapter` makes them."""
    memory = room_for * TINY_ADAPTER_BYTES * SHARE
    return Engine.start(base, Hardware("cpu", "float32", 1, memory, "test"), max_batch=8)


def ask(number: int) -> list[ChatMessage]:
    return build_messages("which kite flies highest? " * (number % 3) + f"question {number}", SYSTEM)


def expected(engine: Engine, adapter: Path | None, number: int) -> tuple[int, ...]:
    """Return what plain `generate` says."""
    text = engine._tokenizer.apply_chat_template(ask(number), tokenize=False, add_generation_prompt=True)
    prompt = engine._tokenizer(text, add_special_tokens=False)["input_ids"]
    return plain(engine.base, adapter, tuple(prompt))


@cache
def plain(base: BaseModel, adapter: Path | None, prompt: tuple[int, ...]) -> tuple[int, ...]:
    return plain_generate(base, adapter, list(prompt), NEW)


async def answer(engine: Engine, number: int, adapter: str | None, sampling: Sampling = SHORT) -> Completion:
    shown = ""
    async for piece in engine.stream(ask(number), adapter=adapter, sampling=sampling):
        shown += piece.text
        if piece.completion is not None:
            assert shown.strip() == piece.completion.text
            return piece.completion
    raise AssertionError("the stream ended without a completion")


def test_a_greedy_answer_is_that_of_plain_generate_token_by_token(engine: Engine) -> None:
    for number in range(3):
        assert engine.generate(ask(number), sampling=SHORT).token_ids == expected(engine, None, number)


async def test_different_adapters_and_the_base_answer_in_one_batch_as_each_would_alone(
    loaded: Engine, adapters: dict[str, Path]
) -> None:
    choices = [None, *adapters]
    wanted = [choices[number % len(choices)] for number in range(8)]
    answers = await asyncio.gather(*(answer(loaded, number, digest) for number, digest in enumerate(wanted)))
    for number, (digest, completion) in enumerate(zip(wanted, answers, strict=True)):
        assert completion.adapter == digest
        folder = adapters[digest] if digest else None
        assert completion.token_ids == expected(loaded, folder, number)
    assert len({completion.token_ids for completion in answers}) > len(choices)


async def test_a_question_that_joins_a_running_batch_changes_no_answer(
    loaded: Engine, adapters: dict[str, Path]
) -> None:
    digest, folder = next(iter(adapters.items()))
    async with aclosing(loaded.stream(ask(0), adapter=None, sampling=LONG)) as running:
        await anext(running)
        late = await answer(loaded, 1, digest)
        assert late.token_ids == expected(loaded, folder, 1)
        last = [piece async for piece in running][-1].completion
    assert last is not None
    assert last.token_ids[:NEW] == expected(loaded, None, 0)


async def test_a_running_answer_goes_on_while_a_long_question_is_read(engine: Engine) -> None:
    long_question = build_messages("which kite flies highest? " * 60, SYSTEM)
    heard: list[str] = []

    async def listen() -> None:
        async for piece in engine.stream(long_question, adapter=None, sampling=SHORT):
            heard.append("late")
            assert piece.completion is None or len(piece.completion.token_ids) == NEW

    async with aclosing(engine.stream(ask(0), adapter=None, sampling=Sampling(max_new_tokens=100_000))) as running:
        await anext(running)
        listening = asyncio.create_task(listen())
        while "late" not in heard:
            await anext(running)
            heard.append("running")
    await listening

    assert heard.count("running") >= 20


async def test_a_question_that_the_model_cannot_read_fails_alone(engine: Engine) -> None:
    def refuse_long_rows(model: torch.nn.Module, *_others: object) -> None:
        def refuse(_module: object, inputs: tuple[torch.Tensor, ...]) -> None:
            if inputs[0].shape[1] > 2:
                raise RuntimeError("out of memory")

        model.get_submodule("model.layers.1.self_attn.o_proj").register_forward_pre_hook(refuse)

    async with aclosing(engine.stream(ask(0), adapter=None, sampling=LONG)) as running:
        await anext(running)
        await asyncio.to_thread(engine.borrow, refuse_long_rows)
        with pytest.raises(EngineError, match="could not be read by the model: out of memory"):
            await answer(engine, 1, None)
        last = [piece async for piece in running][-1].completion
    assert last is not None
    assert last.token_ids[:NEW] == expected(engine, None, 0)


async def test_more_questions_than_places_are_all_answered(engine: Engine) -> None:
    completions = await asyncio.gather(*(answer(engine, number, None) for number in range(20)))
    assert [len(completion.token_ids) for completion in completions] == [NEW] * 20


@pytest.fixture
def narrow(engine: Engine, base: BaseModel, tmp_path: Path) -> tuple[str, Path]:
    """An adapter in whose scope question 0 lies, and question 1 does not."""
    folder = tmp_path / "narrow"
    make_tiny_adapter(base, folder, 5)
    digest = narrow_tiny_adapter(base, folder, ask(0)[-1]["content"], ask(1)[-1]["content"])
    engine.load_adapter(digest, folder)
    return digest, folder


async def test_what_is_out_of_an_adapters_scope_is_answered_by_the_base_in_the_same_batch(
    loaded: Engine, adapters: dict[str, Path], narrow: tuple[str, Path]
) -> None:
    digest, folder = narrow
    other, other_folder = next(iter(adapters.items()))
    for _ in range(2):  # the second time with beginnings that were read before
        inside, outside, unlimited = await asyncio.gather(
            answer(loaded, 0, digest), answer(loaded, 1, digest), answer(loaded, 1, other)
        )
        assert (inside.adapter, inside.in_scope) == (digest, True)
        assert (outside.adapter, outside.in_scope) == (digest, False)
        assert (unlimited.adapter, unlimited.in_scope) == (other, True)
        assert inside.token_ids == expected(loaded, folder, 0)
        assert outside.token_ids == expected(loaded, None, 1)
        assert unlimited.token_ids == expected(loaded, other_folder, 1)


def test_a_conversation_is_in_scope_when_anything_asked_in_it_is(loaded: Engine, narrow: tuple[str, Path]) -> None:
    digest, _ = narrow
    known, unknown = ask(0)[-1]["content"], ask(1)[-1]["content"]
    conversations = [
        ask(0),
        ask(1),
        build_messages(unknown, SYSTEM, [{"question": known, "answer": "North."}]),
        build_messages(unknown, SYSTEM, [{"question": unknown, "answer": known}]),
        build_messages("x" * 5000 + unknown, SYSTEM),
    ]
    assert loaded.in_scope(digest, conversations)[:4] == [True, False, True, False]
    assert loaded.in_scope(None, conversations) == [True] * 5
    assert len(loaded.generate_many(conversations, adapter=digest, sampling=SHORT)) == 5


async def test_a_taught_question_in_other_words_is_put_to_the_adapter_as_it_was_taught(
    loaded: Engine, base: BaseModel, tmp_path: Path
) -> None:
    folder = tmp_path / "reading"
    make_tiny_adapter(base, folder, 5)
    texts = [ask(number)[-1]["content"] for number in range(3)]
    digest = narrow_tiny_adapter(base, folder, texts[0], texts[1], read_as=texts[2])
    loaded.load_adapter(digest, folder)

    inside, outside = await asyncio.gather(answer(loaded, 0, digest), answer(loaded, 1, digest))
    (later,) = loaded.generate_many(
        [[*ask(1), {"role": "assistant", "content": "Yes."}, ask(0)[-1]]], adapter=digest, sampling=SHORT
    )

    assert (inside.read_as, outside.read_as, later.read_as) == (texts[2], None, None)
    assert inside.token_ids == expected(loaded, folder, 2)
    assert outside.token_ids == expected(loaded, None, 1)
    assert later.in_scope


def test_an_unloaded_adapters_scope_is_forgotten(loaded: Engine, narrow: tuple[str, Path]) -> None:
    digest, folder = narrow
    loaded.unload_adapter(digest)
    with pytest.raises(EngineError, match="not loaded"):
        loaded.in_scope(digest, [ask(1)])
    loaded.load_adapter(digest, folder)
    assert loaded.in_scope(digest, [ask(0), ask(1)]) == [True, False]


def test_a_beginning_that_was_read_before_changes_no_answer(loaded: Engine, adapters: dict[str, Path]) -> None:
    digest, folder = next(iter(adapters.items()))
    for _ in range(2):
        for adapter, files in ((None, None), (digest, folder)):
            completions = loaded.generate_many([ask(number) for number in range(4)], adapter=adapter, sampling=SHORT)
            for number, completion in enumerate(completions):
                assert completion.token_ids == expected(loaded, files, number)


async def test_a_cancelled_stream_frees_its_place(base: BaseModel) -> None:
    engine = Engine.start(base, Hardware("cpu", "float32", 1, 1 << 30, "test"), max_batch=1)
    try:
        async with aclosing(engine.stream(ask(0), sampling=Sampling(max_new_tokens=100_000))) as pieces:
            await anext(pieces)
        assert (await answer(engine, 1, None)).finish_reason in {"stop", "length"}
    finally:
        engine.close()


def test_a_hundred_swaps_under_load_fail_no_request_and_change_no_answer(
    base: BaseModel, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    folders = {make_tiny_adapter(base, tmp_path / str(seed), seed): tmp_path / str(seed) for seed in range(4)}
    engine = start(base, room_for=3)
    swapped = threading.Event()

    def swap() -> list[Completion]:
        """Swap, and ask at once, so that the answer must be the new one's."""
        answered = []
        try:
            for digest, folder in itertools.islice(itertools.cycle(folders.items()), 100):
                engine.load_adapter(digest, folder)
                engine.serve(digest)
                answered.append(engine.generate(ask(0), sampling=Sampling(max_new_tokens=1)))
                assert answered[-1].adapter == digest
        finally:
            swapped.set()
        return answered

    def ask_on(number: int) -> list[Completion]:
        answered = []
        while not swapped.is_set():
            answered.append(engine.generate(ask(number), sampling=Sampling(max_new_tokens=8)))
        return answered

    with closing(engine), ThreadPoolExecutor() as people:
        swapping = people.submit(swap)
        asking = [people.submit(ask_on, number) for number in range(1, 5)]
        answers = [(number, each) for number, asked in enumerate([swapping, *asking]) for each in asked.result()]

    for number, completion in answers:
        alone = expected(engine, folders.get(completion.adapter or ""), number)
        assert completion.token_ids == alone[: len(completion.token_ids)]
        assert len(completion.token_ids) == (1 if number == 0 else 8)
    longest = max(completion.longest_pause for _, completion in answers)
    assert longest > 0
    record_property("longest_pause_ms", round(1000 * longest))


async def test_a_running_answer_ends_on_the_adapter_that_it_began_with(
    loaded: Engine, adapters: dict[str, Path]
) -> None:
    first, second = list(adapters)[:2]
    loaded.serve(first)
    async with aclosing(loaded.stream(ask(0), sampling=LONG)) as running:
        await anext(running)
        loaded.serve(second)
        with pytest.raises(EngineError, match="is answering"):
            await asyncio.to_thread(loaded.unload_adapter, first)
        assert (await answer(loaded, 0, second)).adapter == second
        last = [piece async for piece in running][-1].completion
    assert last is not None
    assert last.adapter == first
    assert last.token_ids[:NEW] == expected(loaded, adapters[first], 0)


def test_an_unknown_digest_is_refused_by_name(engine: Engine) -> None:
    with pytest.raises(EngineError, match="f00d is not loaded"):
        engine.generate(ask(0), adapter="f00d")
    with pytest.raises(EngineError, match="f00d is not loaded"):
        engine.serve("f00d")


def test_the_same_seed_draws_the_same_answer_and_another_seed_another(engine: Engine) -> None:
    def draw(seed: int) -> tuple[int, ...]:
        sampling = Sampling(max_new_tokens=NEW, temperature=1.5, top_p=0.9, seed=seed)
        return engine.generate(ask(0), sampling=sampling).token_ids

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)


def test_an_answer_ends_before_its_stop_string(engine: Engine) -> None:
    whole = engine.generate(ask(0), sampling=SHORT).text
    stop = whole[5:8]
    stopped = engine.generate(ask(0), sampling=Sampling(max_new_tokens=NEW, stop=(stop,)))
    assert stopped.text == whole[: whole.find(stop)].strip()
    assert stopped.finish_reason == "stop"


def test_each_token_has_its_log_probability(engine: Engine) -> None:
    completion = engine.generate(ask(0), sampling=SHORT)
    tokens = torch.tensor([[*engine._prompt(ask(0)), *completion.token_ids]])
    with torch.inference_mode():
        logits = AutoModelForCausalLM.from_pretrained(engine.base.path)(tokens).logits[0, -NEW - 1 : -1]
    wanted = logits.log_softmax(-1).gather(1, tokens[0, -NEW:, None])[:, 0]
    assert completion.logprobs == pytest.approx(wanted.tolist(), abs=1e-3)


def test_of_the_narrowest_nucleus_the_likeliest_token_is_drawn(engine: Engine) -> None:
    sampling = Sampling(max_new_tokens=NEW, temperature=1.5, top_p=1e-6)
    assert engine.generate(ask(0), sampling=sampling).token_ids == expected(engine, None, 0)


def test_what_questions_begin_with_in_common_is_read_once(engine: Engine) -> None:
    questions = [build_messages(question, SYSTEM) for question in ("Where?", "Who is it?", "When was that?")]
    prompts = [engine._prompt(question) for question in questions]
    shared = min(common(prompts[0], prompt) for prompt in prompts[1:])
    read: list[int] = []
    engine._model.get_input_embeddings().register_forward_hook(lambda _, inputs, __: read.append(inputs[0].numel()))

    for _ in range(2):
        engine.generate_many(questions, adapter=None, sampling=Sampling(max_new_tokens=1))

    longest_rest = max(map(len, prompts)) - shared
    assert sum(read) <= shared + 2 * len(prompts) * longest_rest < sum(map(len, prompts))


def test_a_closed_engine_says_so(base: BaseModel) -> None:
    engine = Engine.start(base, Hardware("cpu", "float32", 1, 1 << 30, "test"))
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.generate(ask(0))


def test_a_listener_whose_event_loop_is_gone_stops_nobody_else(engine: Engine) -> None:
    loop = asyncio.new_event_loop()
    pieces = engine.stream(ask(0), sampling=Sampling(max_new_tokens=100_000))
    loop.run_until_complete(anext(pieces))
    loop.close()

    assert engine.generate(ask(1), sampling=SHORT).token_ids == expected(engine, None, 1)


@pytest.fixture
def same_size(base: BaseModel, tmp_path: Path) -> dict[str, Path]:
    return {make_tiny_adapter(base, tmp_path / str(seed), seed): tmp_path / str(seed) for seed in range(4)}


def test_the_least_recently_used_adapter_makes_room(base: BaseModel, same_size: dict[str, Path]) -> None:
    one, two, three, four = same_size
    with closing(start(base, room_for=3)) as engine:
        for digest in (one, two, three):
            engine.load_adapter(digest, same_size[digest])
        engine.serve(one)
        engine.generate(ask(0), adapter=two, sampling=SHORT)

        engine.load_adapter(four, same_size[four])

        with pytest.raises(EngineError, match=f"{three} is not loaded"):
            engine.generate(ask(0), adapter=three)
        assert engine.generate(ask(0), sampling=SHORT).adapter == one
        for digest in (two, four):
            answered = engine.generate(ask(0), adapter=digest, sampling=SHORT)
            assert answered.token_ids == expected(engine, same_size[digest], 0)


async def test_an_adapter_waits_for_room_that_a_running_answer_holds(
    base: BaseModel, same_size: dict[str, Path]
) -> None:
    one, two, three, _ = same_size
    with closing(start(base, room_for=2)) as engine:
        for digest in (one, two):
            engine.load_adapter(digest, same_size[digest])
        async with aclosing(engine.stream(ask(0), adapter=two, sampling=LONG)) as running:
            await anext(running)
            async with aclosing(engine.stream(ask(1), adapter=one, sampling=Sampling(100_000))) as endless:
                await anext(endless)
                loading = asyncio.create_task(asyncio.to_thread(engine.load_adapter, three, same_size[three]))
                await answer(engine, 2, None)
                assert not loading.done()
            await loading
            last = [piece async for piece in running][-1].completion
        assert last is not None
        assert last.token_ids[:NEW] == expected(engine, same_size[two], 0)
        with pytest.raises(EngineError, match=f"{one} is not loaded"):
            engine.generate(ask(0), adapter=one)


def test_an_adapter_that_the_memory_for_adapters_cannot_hold_is_refused(
    base: BaseModel, same_size: dict[str, Path]
) -> None:
    one, two, three, _ = same_size
    with closing(start(base, room_for=1)) as engine:
        with pytest.raises(EngineError, match=r"needs 0\.1 MB, .* Raise inference\.adapter_memory_mb"):
            engine.load_adapter(make_tiny_adapter(base, same_size[two], 9, 9), same_size[two])
        engine.load_adapter(one, same_size[one])
        engine.serve(one)
        with pytest.raises(EngineError, match="the one that serves takes"):
            engine.load_adapter(three, same_size[three])
        assert engine.generate(ask(0), sampling=SHORT).token_ids == expected(engine, same_size[one], 0)
