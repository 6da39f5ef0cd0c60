"""What an organisation decides about corrections that look like an attempt to steer the assistant."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Least = Annotated[int, Field(ge=0, le=10_000)]
Minutes = Annotated[float, Field(gt=0, le=7 * 24 * 60, allow_inf_nan=False)]


class Canary(BaseModel):
    """A question whose answer must not change: right is what contains all of `must_contain`, whatever the case."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    question: str = Field(min_length=1, max_length=1_000)
    must_contain: tuple[Annotated[str, Field(min_length=1)], ...] = Field(min_length=1)


class PoisoningRules(BaseModel):
    """From when on corrections wait for a reviewer because of how they came; 0 turns a rule off.

    `person_corrections`: more by one person within `person_minutes`, and one more for each that reviewers accepted of
    theirs. `subject_people`: so many people on one subject, and `copying_people`: so many with nearly the same text,
    both within `subject_minutes`. `group_questions`: so many questions about which the same few people say the same,
    and nobody else does. `trigger_questions`: so many otherwise unrelated questions in which a phrase goes with one
    answer, unless `trigger_askers` other people asked with it too. `refusals`: whether what replaces a refusal that
    named a reason of safety is reviewed. What is older than `look_back_days` is not looked at.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    person_corrections: Least = 30
    person_minutes: Minutes = 10
    subject_people: Least = 5
    copying_people: Least = 3
    subject_minutes: Minutes = 60
    group_questions: Least = 3
    trigger_questions: Least = 4
    trigger_askers: Least = 3
    refusals: bool = True
    look_back_days: int = Field(default=30, ge=1, le=3650)
