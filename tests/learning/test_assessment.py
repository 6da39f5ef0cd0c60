"""Which base model is recommended, and the reason that is given."""

import pytest

from learning.assessment import Asked, Assessed, AssessError, Given, Speed, Training, recommend
from learning.assessor import AskJob, Fetched, ask
from learning.model_files import NOT_STATED, ModelFiles


def model(
    name: str,
    right: int,
    of: int = 20,
    *,
    seconds: float = 1.0,
    licence: str = "mit",
    fits: bool | None = True,
) -> Assessed:
    answers = [Given(kind="general", question=f"{at}?", answer="", right=at < right) for at in range(of)]
    asked = Asked(
        device="cpu", dtype="float32", parameters=1, weights_mb=1, peak_mb=400, peak_device_mb=400, free_mb=9_000,
        speed=Speed(answers=6, seconds_per_answer=seconds, seconds_to_first_token=0.1, tokens_per_second=9,
                    tokens_per_second_at_once=20),
        answers=answers,
    )  # fmt: skip
    files = ModelFiles(licence=licence, parameters=1, context_length=None, chat_template=True)
    training = Training(facts=20, steps=44, fits=fits, needed_mb=1_200)
    return Assessed(model=name, files=files, asked=asked, training=training)


def test_right_answers_come_first_however_slow_they_are() -> None:
    advice = recommend([model("quick", 10, seconds=0.1), model("wise", 16, seconds=9.0)])

    assert advice.model == "wise"
    assert "wise answers 16 of 20 general questions right, the next best, quick, 10." in advice.reason
    assert "need 1,200 MB of 9,000 MB free" in advice.reason


def test_of_models_that_differ_by_one_question_the_fastest_is_recommended() -> None:
    advice = recommend([model("wise", 16, seconds=2.0), model("quick", 15, seconds=1.0), model("dull", 9, seconds=0.1)])

    assert advice.model == "quick"
    assert "differ by 5% or less it is the fastest with 1.00 s an answer (wise with 16 and 2.00 s)" in advice.reason


@pytest.mark.parametrize(
    ("best", "exclusion"),
    [
        (model("best", 20, licence=NOT_STATED), "its licence is not stated"),
        (model("best", 20, fits=False), "training does not fit into the memory that is free"),
        (model("best", 20, fits=None), "its training could not be measured"),
        (Assessed(model="best", problem="it is damaged."), "could not be measured"),
    ],
)
def test_a_model_that_cannot_be_used_is_left_out_however_much_it_knows(best: Assessed, exclusion: str) -> None:
    advice = recommend([best, model("other", 3)])

    assert advice.model == "other"
    assert advice.reason.endswith(f"Left out: best ({exclusion}).")


def test_no_model_is_recommended_that_knows_nothing() -> None:
    advice = recommend([model("empty", 0)])

    assert advice.model is None
    assert "it answered no general question right" in advice.reason


def test_a_difference_that_may_be_chance_is_called_so_with_what_would_settle_it() -> None:
    assert "not enough evidence of a difference" in recommend([model("a", 10), model("b", 8)]).evidence
    assert "more, going the same way, would show one" in recommend([model("a", 10), model("b", 8)]).evidence
    assert recommend([model("a", 18), model("b", 8)]).evidence.endswith("more right (p = 0.002).")


def test_a_model_larger_than_the_memory_is_not_even_loaded() -> None:
    files = ModelFiles(licence="mit", parameters=10**15, context_length=None, chat_template=True)
    job = AskJob(
        base="huge", model=Fetched(path="nowhere", digest="", files=files), system_prompt="", questions=(),
        max_new_tokens=1, threads=1, dtype="auto",
    )  # fmt: skip

    with pytest.raises(AssessError, match=r"its weights alone need .* MB, and .* MB are free\. Stop other programs"):
        ask(job, lambda *_: None)
