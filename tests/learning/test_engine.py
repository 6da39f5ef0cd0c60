"""What the engine promises whoever asks it: the model's own words, whatever else runs at the same time."""

import asyncio
import json
import struct
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from learning.adapter_files import CONFIG, MANIFEST, WEIGHTS, AdapterError
from learning.base_model import BaseModel
from learning.engine import Completion, Engine, EngineError, Sampling
from learning.hardware import Hardware
from learning.prompts import ChatMessage, build_messages
from tests.learning.tiny import make_tiny_adapter, make_tiny_base, narrow_tiny_adapter, plain_generate

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


def ask(number: int) -> list[ChatMessage]:
    return build_messages("which kite flies highest? " * (number % 3) + f"question {number}", SYSTEM)


def expected(engine: Engine, adapter: Path | None, number: int) -> tuple[int, ...]:
    text = engine._tokenizer.apply_chat_template(ask(number), tokenize=False, add_generation_prompt=True)
    prompt = engine._tokenizer(text, add_special_tokens=False)["input_ids"]
    return plain_generate(engine.base, adapter, prompt, NEW)


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


async def test_a_hundred_swaps_under_load_lose_no_request(loaded: Engine, adapters: dict[str, Path]) -> None:
    digests = list(adapters)

    async def swap() -> None:
        for number in range(100):
            await asyncio.to_thread(loaded.unload_adapter, digests[number % 2])
            await asyncio.to_thread(loaded.load_adapter, digests[number % 2], adapters[digests[number % 2]])
            loaded.serve(digests[2] if number % 2 else None)

    swapping = asyncio.create_task(swap())
    answered: list[Completion] = []
    while not swapping.done():
        answered += await asyncio.gather(
            *(asyncio.to_thread(loaded.generate, ask(n), sampling=SHORT) for n in range(4))
        )
    await swapping
    for completion in answered:
        assert completion.adapter in {None, digests[2]}
    for adapter in (None, digests[2]):
        said = {completion.token_ids for completion in answered if completion.adapter == adapter}
        assert said <= {expected(loaded, adapters[adapter] if adapter else None, number) for number in range(4)}


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
    assert len(completion.logprobs) == len(completion.token_ids)
    assert all(logprob <= 0 for logprob in completion.logprobs)


def test_a_closed_engine_says_so(base: BaseModel) -> None:
    engine = Engine.start(base, Hardware("cpu", "float32", 1, 1 << 30, "test"))
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.generate(ask(0))


def _cut(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-100])


def _drop_manifest(folder: Path) -> None:
    (folder / MANIFEST).unlink()


def _add_pickle(folder: Path) -> None:
    (folder / "adapter_model.bin").write_bytes(b"\x80\x04.")


def _other_base(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest | {"base_digest": "0" * 64}))


def _other_rank(folder: Path) -> None:
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(config | {"r": 3}))


def _dora(folder: Path) -> None:
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(config | {"use_dora": True}))


def _half_a_layer(folder: Path) -> None:
    tensors = load_file(folder / WEIGHTS)
    del tensors[next(name for name in tensors if "lora_B" in name)]
    save_file(tensors, folder / WEIGHTS)


def _drop_config(folder: Path) -> None:
    (folder / CONFIG).unlink()


def _no_alpha(folder: Path) -> None:
    config = json.loads((folder / CONFIG).read_text())
    del config["lora_alpha"]
    (folder / CONFIG).write_text(json.dumps(config))


def _list_for_config(folder: Path) -> None:
    (folder / CONFIG).write_text("[]")


def _odd_header(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(struct.pack("<Q", 10) + b'{"x": 1}  ')


def _overlapping_tensors(folder: Path) -> None:
    content = (folder / WEIGHTS).read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    last = max((name for name in header if name != "__metadata__"), key=lambda name: header[name]["data_offsets"])
    first = next(entry for entry in header.values() if entry.get("data_offsets", [1])[0] == 0)
    first["data_offsets"] = header[last]["data_offsets"]
    forged = json.dumps(header).encode().ljust(length)
    (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(forged)) + forged + content[8 + length :])


def _not_a_number(folder: Path) -> None:
    tensors = load_file(folder / WEIGHTS)
    next(iter(tensors.values()))[0, 0] = float("nan")
    save_file(tensors, folder / WEIGHTS)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_cut, "cut short"),
        (lambda folder: (folder / WEIGHTS).write_bytes(b""), "not a whole safetensors file"),
        (_drop_config, "adapter_config.json missing"),
        (_no_alpha, "names no lora_alpha"),
        (_list_for_config, "names no rank"),
        (_odd_header, "not a whole safetensors file"),
        (_overlapping_tensors, "is not readable"),
        (_not_a_number, "holds infinity or no number"),
        (_drop_manifest, "manifest.json missing"),
        (_add_pickle, "adapter_model.bin"),
        (_other_base, "was trained on base model"),
        (_other_rank, "has shape"),
        (_dora, "use_dora"),
        (_half_a_layer, "lacks the A or the B"),
    ],
)
def test_a_damaged_adapter_is_refused_by_name_and_the_engine_goes_on(
    engine: Engine, base: BaseModel, tmp_path: Path, damage: object, message: str
) -> None:
    before = engine.generate(ask(0), sampling=SHORT).token_ids
    digest = make_tiny_adapter(base, tmp_path / "adapter")
    assert callable(damage)
    damage(tmp_path / "adapter")
    with pytest.raises(AdapterError, match=message):
        engine.load_adapter(digest, tmp_path / "adapter")
    with pytest.raises(EngineError, match="not loaded"):
        engine.serve(digest)
    assert engine.generate(ask(0), sampling=SHORT).token_ids == before


def test_the_least_recently_used_adapter_makes_room(base: BaseModel, engine: Engine, tmp_path: Path) -> None:
    digests = [make_tiny_adapter(base, tmp_path / str(seed), seed, 1) for seed in range(9)]
    for seed, digest in enumerate(digests[:8]):
        engine.load_adapter(digest, tmp_path / str(seed))
    engine.serve(digests[0])
    engine.load_adapter(digests[8], tmp_path / "8")
    with pytest.raises(EngineError, match="not loaded"):
        engine.generate(ask(0), adapter=digests[1])
    assert engine.generate(ask(0), sampling=SHORT).adapter == digests[0]
