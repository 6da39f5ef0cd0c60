"""What is known of a base model after it was assessed, and which of several is recommended, in words. Pure."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from governance.gates import Metric
from learning.evaluation.questions import Kind
from learning.evaluation.statistics import PairedTest, paired_test, share
from learning.model_files import NOT_STATED, ModelFiles
from storage.errors import ApprenticeError

KINDS: tuple[Kind, ...] = ("general", "as_told", "in_other_words")
TIE_SHARE = 0.05
"""Shares of right answers that differ by this or less, or by one question, count as equal, and speed decides."""


class AssessError(ApprenticeError):
    """A base model cannot be assessed; the message says why and what to do."""


class Given(BaseModel):
    """A model's answer to one question."""

    kind: Kind
    question: str
    answer: str
    right: bool


class Speed(BaseModel):
    """How fast answers came, prompt included: over `answers` one after the other, and with several at once."""

    answers: int
    seconds_per_answer: float
    seconds_to_first_token: float
    tokens_per_second: float
    tokens_per_second_at_once: float


class Asked(BaseModel):
    """What asking showed. Memory in MB (2**20 bytes): the weights', the most that the process held, and what was free.

    `peak_device_mb` and `free_mb` are of the memory in which the model lives: the GPU's, where there is one.
    """

    device: str
    dtype: str
    parameters: int
    weights_mb: float
    peak_mb: float
    peak_device_mb: float
    free_mb: float
    speed: Speed
    answers: list[Given]

    def rights(self, kind: Kind) -> list[bool]:
        """Say for each question of one kind, in their order, whether it was answered right."""
        return [given.right for given in self.answers if given.kind == kind]

    def share(self, kind: Kind) -> Metric:
        """Return the share of right answers to one kind of question."""
        return share(self.rights(kind))


class Training(BaseModel):
    """Whether LoRA training fits beside the bot that answers, and what `facts` corrections would take.

    Fitting compares what both processes held at most, `needed_mb`, with what was free before. None: not measured, and
    `problem` says why. `seconds` is a whole run's: start, `steps` steps at the measured pace, scope and saving.
    """

    facts: int
    steps: int
    fits: bool | None
    needed_mb: float | None = None
    seconds_per_step: float | None = None
    seconds: float | None = None
    problem: str = ""


class Assessed(BaseModel):
    """One model; `problem` says why it cannot be used and what to do, and is empty where it can."""

    model: str
    problem: str = ""
    files: ModelFiles | None = None
    asked: Asked | None = None
    training: Training | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return everything for JSON, with the shares of right answers that follow from the answers."""
        shares = {kind: vars(self.asked.share(kind)) for kind in KINDS} if self.asked else None
        return {**self.model_dump(mode="json"), "shares": shares}

    @property
    def exclusion(self) -> str:
        """Why it is not recommended whatever it answers; empty where nothing speaks against it."""
        if self.problem or self.asked is None or self.files is None:
            return "could not be measured"
        if self.training is None or self.training.fits is None:
            return "its training could not be measured"
        if not self.training.fits:
            return "training does not fit into the memory that is free"
        if self.files.licence == NOT_STATED:
            return "its licence is not stated"
        return "" if any(self.asked.rights("general")) else "it answered no general question right"


class Recommendation(BaseModel):
    """The model that fits this machine and task best, or None, and the reason in words.

    `evidence` compares it with the next best by an exact paired test on the same general questions.
    """

    model: str | None
    reason: str
    evidence: str = ""


def recommend(models: Sequence[Assessed]) -> Recommendation:
    """Recommend by right answers to general questions among those that fit and state a licence; speed breaks ties."""
    usable = [(model, model.asked) for model in models if model.asked is not None and not model.exclusion]
    left_out = "".join(f" Left out: {model.model} ({model.exclusion})." for model in models if model.exclusion)
    if not usable:
        return Recommendation(model=None, reason=f"None of them can be recommended.{left_out}")
    ranked = sorted(usable, key=lambda pair: (-pair[1].share("general").value, _pace(pair[1])))
    most = ranked[0][1].share("general")
    bound = max(TIE_SHARE, 1 / most.n) + 1e-9
    tied = [pair for pair in ranked if most.value - pair[1].share("general").value <= bound]
    best, asked = min(tied, key=lambda pair: _pace(pair[1]))
    others = [pair for pair in ranked if pair[0] is not best]
    lines = [
        f"{best.model} {_answers_words(asked)}{_why(asked, tied, others, bound)}.",
        f"It fits: answering and training together need {_needed(best):,.0f} MB of {asked.free_mb:,.0f} MB free.",
        f"Its licence is stated: {best.files.licence if best.files else NOT_STATED}.",
    ]
    evidence = _evidence(asked, *others[0]) if others else ""
    return Recommendation(model=best.model, reason=" ".join(lines) + left_out, evidence=evidence)


def _pace(asked: Asked) -> float:
    return asked.speed.seconds_per_answer


def _needed(model: Assessed) -> float:
    return (model.training.needed_mb if model.training else None) or 0.0


def _answers_words(asked: Asked) -> str:
    rights = asked.rights("general")
    return f"answers {sum(rights)} of {len(rights)} general questions right"


def _why(
    asked: Asked, tied: Sequence[tuple[Assessed, Asked]], others: Sequence[tuple[Assessed, Asked]], bound: float
) -> str:
    if not others:
        return " and is the only one that can be used"
    if len(tied) == 1:
        return f", the next best, {others[0][0].model}, {sum(others[0][1].rights('general'))}"
    rivals = ", ".join(
        f"{model.model} with {sum(other.rights('general'))} and {_pace(other):.2f} s"
        for model, other in tied
        if other is not asked
    )
    return (
        f"; among those that differ by {bound:.0%} or less it is the fastest with {_pace(asked):.2f} s an answer "
        f"({rivals})"
    )


def _evidence(asked: Asked, model: Assessed, other: Asked) -> str:
    test = paired_test("general", other.rights("general"), asked.rights("general"))
    against = f"Against {model.model}, on the same {test.n} general questions:"
    if test.enough:
        return f"{against} {'more' if test.gained > test.lost else 'fewer'} right (p = {test.p_value:.3f})."
    return f"{against} not enough evidence of a difference (p = {test.p_value:.2f}){_more(test)}."


def _more(test: PairedTest) -> str:
    return "" if test.needed is None else f"; about {test.needed} more, going the same way, would show one"
