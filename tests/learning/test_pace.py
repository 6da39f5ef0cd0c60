"""Passes with prompts hold fewer tokens where they take long, and more again where they do not."""

from learning.pace import SHORT_S, Pace

USUAL_S = 0.1


def paced(*seconds: float, usual: float = USUAL_S) -> int:
    """Return how many of 20 tokens are left after passes with prompts that took so many seconds."""
    pace = Pace(20)
    for _ in range(50):
        pace.note(usual, with_prompts=False)
    for each in seconds:
        pace.note(each, with_prompts=True)
    return pace.tokens


def test_it_begins_with_all_of_them() -> None:
    assert Pace(20).tokens == 20


def test_a_pass_that_takes_much_longer_than_one_without_prompts_means_fewer() -> None:
    assert paced(1.2 * USUAL_S) == 20
    assert paced(1.4 * USUAL_S) == 10
    assert paced(1.4 * USUAL_S, 1.4 * USUAL_S) == 5


def test_a_short_pass_is_never_too_long() -> None:
    assert paced(0.9 * SHORT_S, usual=SHORT_S / 10) == 20
    assert paced(1.1 * SHORT_S, usual=SHORT_S / 10) == 10


def test_some_short_passes_bring_back_what_a_long_one_took() -> None:
    assert 10 < paced(2 * USUAL_S, *[USUAL_S] * 2) < 20
    assert paced(2 * USUAL_S, *[USUAL_S] * 10) == 20


def test_at_least_one_token_is_left() -> None:
    assert paced(*[10.0] * 100) == 1


def test_what_is_usual_follows_the_machine() -> None:
    pace = Pace(20)
    for seconds in (*[USUAL_S] * 50, *[3 * USUAL_S] * 50):
        pace.note(seconds, with_prompts=False)
    pace.note(3.5 * USUAL_S, with_prompts=True)
    assert pace.tokens == 20
