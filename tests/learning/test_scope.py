"""An adapter's scope: what it learned is inside, what it did not is left to the base model."""

import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from learning.adapter_files import SCOPE, AdapterError
from learning.meaning import Meaning
from learning.reading import NEAR, Reading
from learning.recipe import Recipe
from learning.replay import replay_prompts
from learning.scope import Scope, fit_scope, read_scope, write_scope
from learning.states import Vectors
from learning.wordings import Fact
from storage.artifacts import file_digest

WIDTH = 160
MEANING = Meaning(np.full(WIDTH, 0.1, dtype=np.float32), np.eye(WIDTH, dtype=np.float32))
FACTS = [
    Fact("Which glaze is used for the Osprey mug?", "Tenmoku."),
    Fact("Who repairs the Larkspur kiln?", "Jasko Merrin repairs it.", ("who do I call about the Larkspur kiln",)),
]
RECIPE = Recipe(name="test")
TOLD = [FACTS[0].question, FACTS[1].question, *FACTS[1].wordings]


def states_of(texts: Sequence[str]) -> Vectors:
    """Count words into WIDTH buckets: texts with the same words are alike."""
    counts = np.full((len(texts), WIDTH), 0.1, dtype=np.float32)
    for row, text in enumerate(texts):
        for word in text.lower().strip("?. ").split():
            counts[row, zlib.crc32(word.encode()) % WIDTH] += 1 / len(text.split())
    return counts


def test_what_was_told_and_what_is_like_it_is_inside_and_general_questions_are_outside() -> None:
    scope = fit_scope(FACTS, RECIPE, MEANING, states_of)

    assert scope.holds(states_of(TOLD)).all()
    assert scope.holds(states_of(["Osprey mug, which glaze", "the Larkspur kiln: who repairs it?"])).all()
    assert np.mean(scope.holds(states_of(replay_prompts()))) < 0.1


def test_a_fact_that_reads_like_a_general_question_is_inside_all_the_same() -> None:
    general = replay_prompts()[0]
    facts = [*FACTS, Fact(general, "Ask Ines.")]

    assert fit_scope(facts, RECIPE, MEANING, states_of).holds(states_of([general, *TOLD])).all()


def test_one_fact_is_enough_and_many_are_not_too_many() -> None:
    many = [Fact(f"Who keeps shelf {number}?", f"Ada {number}.") for number in range(1500)]

    for facts in (FACTS[:1], many):
        scope = fit_scope(facts, RECIPE, MEANING, states_of)
        assert scope.holds(states_of([facts[0].question, facts[-1].question])).all()


def test_a_taught_question_in_other_words_is_read_as_it_was_taught_and_others_are_left_alone() -> None:
    reading = fit_scope(FACTS, RECIPE, MEANING, states_of).reading

    assert reading is not None
    asked = ["Osprey mug, which glaze", "the Larkspur kiln: who repairs it?", FACTS[1].wordings[0]]
    assert reading.of(states_of(asked)) == [FACTS[0].question, FACTS[1].question, FACTS[1].question]
    assert reading.of(states_of(["Sing a song about rain", "7 times 6"])) == [None, None]


def test_a_question_is_read_as_the_nearest_one_if_that_is_near_enough() -> None:
    meaning = Meaning(np.zeros(3, dtype=np.float32), np.eye(3, dtype=np.float32))
    reading = Reading(("first", "second"), meaning, np.eye(3, dtype=np.float32)[:2])

    def at(first: float, second: float) -> list[str | None]:
        """Read a question with these cosines to the two, and of any length."""
        return reading.of(np.array([[7 * first, 7 * second, 7 * (1 - first**2 - second**2) ** 0.5]], np.float32))

    assert at(NEAR + 0.01, NEAR + 0.02) == ["second"]
    assert at(NEAR + 0.01, -0.5) == ["first"]
    assert at(NEAR - 0.01, NEAR - 0.02) == [None]


def test_a_recipe_can_leave_the_reading_out() -> None:
    recipe = Recipe(name="test", scope={"reading": False})

    assert fit_scope(FACTS, recipe, MEANING, states_of).reading is None


def test_the_same_facts_give_the_same_file(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        write_scope(tmp_path / name, fit_scope(FACTS, RECIPE, MEANING, states_of))

    assert file_digest(tmp_path / "one" / SCOPE) == file_digest(tmp_path / "other" / SCOPE)


def test_a_scope_is_read_as_it_was_written_and_its_lack_is_no_error(tmp_path: Path) -> None:
    scope = fit_scope(FACTS, RECIPE, MEANING, states_of)
    assert read_scope(tmp_path, WIDTH) is None

    write_scope(tmp_path, scope)
    read = read_scope(tmp_path, WIDTH)

    assert read is not None
    states = states_of([*TOLD, *replay_prompts()])
    assert (read.holds(states) == scope.holds(states)).all()
    assert read.reading is not None
    assert scope.reading is not None
    assert read.reading.questions == tuple(fact.question for fact in FACTS)
    assert read.reading.of(states) == scope.reading.of(states)


def _cut(folder: Path) -> None:
    path = folder / SCOPE
    path.write_bytes(path.read_bytes()[:40])


def _narrow(folder: Path) -> None:
    write_scope(folder, Scope(np.ones(WIDTH - 1, dtype=np.float32), 0.0))


def _no_bias(folder: Path) -> None:
    save_file({"weight": np.ones(WIDTH, dtype=np.float32)}, folder / SCOPE)


def _infinite(folder: Path) -> None:
    write_scope(folder, Scope(np.full(WIDTH, np.inf, dtype=np.float32), 0.0))


def _too_few_readings(folder: Path) -> None:
    reading = Reading(("one", "other"), MEANING, np.ones((1, WIDTH), dtype=np.float32))
    write_scope(folder, Scope(np.ones(WIDTH, dtype=np.float32), 0.0, reading))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_cut, "is not readable"),
        (_narrow, r"has shapes \(159,\) and \(1,\), and \(160,\) and \(1,\) are needed"),
        (_no_bias, "is not readable: 'bias'"),
        (_too_few_readings, r"has shapes .*\(1, 160\), and .*\(2, 160\) are needed"),
        (_infinite, "holds infinity or no number"),
    ],
)
def test_a_damaged_scope_is_refused_by_name(tmp_path: Path, damage: Callable[[Path], None], message: str) -> None:
    write_scope(tmp_path, Scope(np.ones(WIDTH, dtype=np.float32), 0.0))
    damage(tmp_path)

    with pytest.raises(AdapterError, match=rf"{SCOPE} of adapter {tmp_path.name} {message}"):
        read_scope(tmp_path, WIDTH)
