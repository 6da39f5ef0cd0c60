import random
import re

from hypothesis import given
from hypothesis import strategies as st

from learning.wordings import Fact, Wordings

FACTS = [
    Fact("Where is the kiln?", "The kiln is in hall Ember."),
    Fact("Who fires the glaze kiln on Sundays?", "Ines fires the glaze kiln on Sundays."),
    Fact("How long do we keep clay samples?", "Clay samples are kept for 400 days."),
]


def drawn(index: int, count: int = 200) -> list[str]:
    source = random.Random(3)
    wordings = Wordings(FACTS)
    return [wordings.draw(index, source) for _ in range(count)]


def test_wordings_differ_from_the_question_and_from_each_other() -> None:
    assert len(set(drawn(2))) > 100


def test_no_wording_gives_the_answer_away() -> None:
    assert not any(re.search(r"\bEmber\b", wording, re.IGNORECASE) for wording in drawn(0))
    assert not any("ines" in re.findall(r"\w+", wording.lower()) for wording in drawn(1))
    assert not any("400" in wording for wording in drawn(2))


def test_equal_random_states_give_equal_wordings() -> None:
    assert drawn(1) == drawn(1)


@given(st.text(max_size=60), st.text(max_size=60), st.integers(0, 2**32))
def test_any_text_whatever_gets_some_wording(question: str, answer: str, seed: int) -> None:
    wording = Wordings([Fact(question, answer), *FACTS]).draw(0, random.Random(seed))

    assert isinstance(wording, str)
