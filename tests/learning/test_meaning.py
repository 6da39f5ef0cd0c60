"""What tells the meanings of questions apart: learned from paraphrases, kept, and never from a benchmark's own."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from learning.base_model import BUILTIN, prepare
from learning.evaluation import read_benchmark
from learning.meaning import SHIPPED_FILE, Meaning, fit_meaning, load_meaning, paraphrases, question_states, unit
from learning.states import Vectors
from learning.wordings import WORD

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
WORDINGS = 5


def made_up_states(questions: int, seed: int) -> tuple[Vectors, list[int]]:
    """Return states of which 4 dimensions say the question, faintly, and 12 the wording, loudly."""
    source = np.random.default_rng(seed)
    asked = [question for question in range(questions) for _ in range(WORDINGS)]
    said = source.normal(size=(questions, 4))[asked]
    states = np.concatenate([said, source.normal(size=(len(asked), 12)) * 3], axis=1)
    return (states @ np.linalg.qr(np.random.default_rng(0).normal(size=(16, 16)))[0]).astype(np.float32), asked


def nearest_share(vectors: Vectors, asked: Sequence[int]) -> float:
    """Return how often the nearest other vector, by cosine, is of the same question."""
    cosines = unit(vectors) @ unit(vectors).T
    np.fill_diagonal(cosines, -2)
    return float(np.mean([asked[at] == asked[near] for at, near in enumerate(cosines.argmax(axis=1))]))


def test_what_was_learned_from_some_questions_tells_others_apart() -> None:
    meaning = fit_meaning(*made_up_states(200, seed=1))
    states, asked = made_up_states(20, seed=2)

    assert nearest_share(states, asked) < 0.2
    assert nearest_share(Meaning(meaning.mean, meaning.directions[:, :4]).of(states), asked) > 0.5


def bucket_states(texts: Sequence[str]) -> Vectors:
    """Count letters."""
    return np.array([[text.count(chr(letter)) + 0.1 for letter in range(97, 123)] for text in texts], np.float32)


@pytest.fixture
def fitted() -> list[str]:
    """Of which base models paraphrases were read."""
    return []


@pytest.fixture
def load(tmp_path: Path, fitted: list[str]) -> Callable[[str], Meaning]:
    """Load the directions of a base model that has this digest."""

    def note(digest: str, done: int, total: int) -> None:
        assert done < total == sum(len(wordings) for wordings in paraphrases())
        if not done:
            fitted.append(digest)

    return lambda digest: load_meaning(digest, tmp_path, bucket_states, partial(note, digest))


def test_it_is_learned_once_for_each_base_model(load: Callable[[str], Meaning], fitted: list[str]) -> None:
    first, second, _ = load("a" * 64), load("a" * 64), load("b" * 64)

    assert fitted == ["a" * 64, "b" * 64]
    assert (first.mean == second.mean).all()
    assert (first.directions == second.directions).all()


def test_a_damaged_file_is_learned_anew(load: Callable[[str], Meaning], fitted: list[str], tmp_path: Path) -> None:
    load("a" * 64)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:100])

    load("a" * 64)
    load("a" * 64)

    assert len(fitted) == 2


def words(text: str) -> tuple[str, ...]:
    """Return a text's words, to compare texts by."""
    return tuple(WORD.findall(text.lower()))


def test_each_question_has_several_wordings_and_no_wording_comes_twice() -> None:
    texts = [words(text) for wordings in paraphrases() for text in wordings]

    assert min(len(wordings) for wordings in paraphrases()) >= 4
    assert len(set(texts)) == len(texts) > 10_000


@pytest.mark.parametrize("path", sorted(BENCHMARKS.glob("*.json")), ids=lambda path: path.stem)
def test_nothing_that_a_benchmark_asks_is_among_the_paraphrases(path: Path) -> None:
    known = {words(text) for wordings in paraphrases() for text in wordings}
    asked = [text for fact in read_benchmark(path).facts for text in (fact.question, *fact.paraphrases)]

    assert [text for text in asked if words(text) in known] == []


@pytest.mark.slow
def test_what_is_shipped_is_what_the_built_in_model_gives(tmp_path: Path) -> None:
    base = prepare(BUILTIN, tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(base.path)
    model = AutoModelForCausalLM.from_pretrained(base.path, dtype=torch.float32).eval()
    shipped = load_meaning(base.digest, tmp_path, bucket_states, lambda *_: pytest.fail("nothing is shipped for it"))

    with torch.inference_mode():
        texts = [text for wordings in paraphrases() for text in wordings]
        states = question_states(model, tokenizer, texts)
    asked = [at for at, wordings in enumerate(paraphrases()) for _ in wordings]
    fitted, some = fit_meaning(states, asked), states[:200]

    cosines = unit(shipped.of(some)) @ unit(shipped.of(some)).T
    assert cosines == pytest.approx(unit(fitted.of(some)) @ unit(fitted.of(some)).T, abs=0.01)
    assert SHIPPED_FILE.stat().st_size < 700_000
