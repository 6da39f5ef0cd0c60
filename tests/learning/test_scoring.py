"""Scores of given answers, against plain forward passes of transformers with PEFT's own adapter."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from learning.base_model import BaseModel
from learning.encoding import Encoder
from learning.engine import Engine, EngineError, Sampling
from learning.evaluation.subjects import EngineSubject
from learning.hardware import detect
from learning.prompts import Exchange, build_messages
from tests.learning.tiny import make_tiny_adapter, make_tiny_base, narrow_tiny_adapter

SYSTEM = "Be brief."
EXCHANGES = [
    Exchange(question=f"Where is kite {number}{'?' * (number % 3)}", answer="In hall Ember." * (1 + number % 4))
    for number in range(19)
]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[BaseModel, Path, str]:
    folder = tmp_path_factory.mktemp("tiny")
    base = make_tiny_base(folder)
    return base, folder / "adapter", make_tiny_adapter(base, folder / "adapter")


@pytest.fixture(scope="module")
def engine(tiny: tuple[BaseModel, Path, str]) -> Iterator[Engine]:
    base, folder, digest = tiny
    engine = Engine.start(base, detect(1))
    engine.load_adapter(digest, folder)
    yield engine
    engine.close()


def subject(engine: Engine, adapter: str | None, folder: Path, *fixed: str) -> EngineSubject:
    return EngineSubject(engine, adapter, SYSTEM, folder, fixed, "phase", lambda *_: None)


def plain_logprobs(engine: Engine, model: Any, exchange: Exchange) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the log-probabilities (answer tokens, vocabulary) of one exchange alone, and the answer's tokens."""
    encoder = Encoder(engine._tokenizer, SYSTEM)
    row = encoder.row(exchange["question"], exchange["answer"])
    tokens = torch.tensor([[*encoder.prefix(), *row.prompt, *row.completion]])
    with torch.inference_mode():
        logits = model(input_ids=tokens).logits[0, -len(row.completion) - 1 : -1]
    return torch.log_softmax(logits.float(), dim=-1), torch.tensor(row.completion)


def test_likelihoods_are_those_of_plain_forward_passes(
    engine: Engine, tiny: tuple[BaseModel, Path, str], tmp_path: Path
) -> None:
    base, folder, digest = tiny
    plain = AutoModelForCausalLM.from_pretrained(base.path).eval()
    tuned = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base.path), folder).eval()

    for adapter, model in ((None, plain), (digest, tuned)):
        expected = []
        for exchange in EXCHANGES:
            logprobs, targets = plain_logprobs(engine, model, exchange)
            expected.append(float(logprobs.gather(1, targets[:, None]).mean()))
        assert subject(engine, adapter, tmp_path).likelihoods(EXCHANGES) == pytest.approx(expected, abs=1e-4)


def test_divergence_is_that_from_the_base_model_and_nothing_for_the_base_itself(
    engine: Engine, tiny: tuple[BaseModel, Path, str], tmp_path: Path
) -> None:
    base, folder, digest = tiny
    plain = AutoModelForCausalLM.from_pretrained(base.path).eval()
    tuned = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base.path), folder).eval()
    expected = []
    for exchange in EXCHANGES:
        before, _ = plain_logprobs(engine, plain, exchange)
        after, _ = plain_logprobs(engine, tuned, exchange)
        expected.append(float((before.exp() * (before - after)).sum(dim=-1).mean()))

    assert subject(engine, digest, tmp_path).divergences(EXCHANGES) == pytest.approx(expected, rel=1e-3)
    assert subject(engine, None, tmp_path).divergences(EXCHANGES) == pytest.approx([0.0] * len(EXCHANGES), abs=1e-6)
    assert min(expected) > 0.01


def test_what_is_out_of_scope_is_scored_as_it_is_served(engine: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    make_tiny_adapter(engine.base, folder, 7)
    questions = [exchange["question"] for exchange in EXCHANGES]
    digest = narrow_tiny_adapter(engine.base, folder, questions[0], questions[1])
    engine.load_adapter(digest, folder)
    inside = engine.in_scope(digest, [build_messages(question, SYSTEM) for question in questions])
    assert {True, False} == set(inside)

    base = subject(engine, None, tmp_path).likelihoods(EXCHANGES)
    served = subject(engine, digest, tmp_path).likelihoods(EXCHANGES)
    moved = subject(engine, digest, tmp_path).divergences(EXCHANGES)

    assert [score == pytest.approx(plain, abs=1e-4) for score, plain in zip(served, base, strict=True)] == [
        not held for held in inside
    ]
    assert [score > 1e-3 for score in moved] == inside


def test_scoring_leaves_answers_as_they_were(engine: Engine, tiny: tuple[BaseModel, Path, str], tmp_path: Path) -> None:
    questions = [build_messages(exchange["question"], SYSTEM) for exchange in EXCHANGES[:3]]

    def answers(adapter: str | None) -> list[tuple[int, ...]]:
        return [each.token_ids for each in engine.generate_many(questions, adapter=adapter, sampling=Sampling(12))]

    before = answers(None), answers(tiny[2])
    subject(engine, tiny[2], tmp_path).divergences(EXCHANGES)

    assert (answers(None), answers(tiny[2])) == before


def test_only_fixed_questions_are_remembered_and_are_not_asked_again(engine: Engine, tmp_path: Path) -> None:
    asked: list[int] = []
    examined = EngineSubject(
        engine, None, SYSTEM, tmp_path, {"What is ice?"}, "phase", lambda _what, _done, total: asked.append(total)
    )

    first = examined.answer(["What is ice?", "What does Ada earn?"])
    again = examined.answer(["What is ice?"])

    assert set(asked) == {2}
    assert (again[0].text, again[0].tokens, again[0].seconds) == (first[0].text, first[0].tokens, None)
    assert first[0].seconds is not None
    kept = "".join(path.read_text() for path in tmp_path.iterdir())
    assert "What is ice?" in kept
    assert "Ada" not in kept


def test_answers_of_another_model_or_prompt_are_not_taken_for_this_ones(
    engine: Engine, tiny: tuple[BaseModel, Path, str], tmp_path: Path
) -> None:
    fixed = "What is ice?"
    subject(engine, None, tmp_path, fixed).answer([fixed])

    (other,) = subject(engine, tiny[2], tmp_path, fixed).answer([fixed])

    assert other.seconds is not None


def test_a_damaged_memory_of_answers_is_made_anew(engine: Engine, tmp_path: Path) -> None:
    fixed = "What is ice?"
    first = subject(engine, None, tmp_path, fixed).answer([fixed])
    for path in tmp_path.iterdir():
        path.write_text("[1, 2")

    again = subject(engine, None, tmp_path, fixed).answer([fixed])

    assert again[0].text == first[0].text


def test_an_adapter_that_is_not_loaded_cannot_be_scored(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="not loaded"):
        subject(engine, "f" * 64, tmp_path).likelihoods(EXCHANGES)


def test_what_hears_of_progress_can_stop_an_evaluation(engine: Engine, tmp_path: Path) -> None:
    def stop(*_: object) -> None:
        raise EngineError("enough")

    stopped = EngineSubject(engine, None, SYSTEM, tmp_path, (), "phase", stop)
    with pytest.raises(EngineError, match="enough"):
        stopped.answer(["What is ice?"])
    with pytest.raises(EngineError, match="enough"):
        stopped.likelihoods(EXCHANGES)
