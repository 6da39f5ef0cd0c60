"""`apprentice bench poisoning`: what the defences find of planted corrections, and whom they suspect wrongly.

Each correction of a made-up month goes through the governance at its own moment, once under the packaged policy, with
a few canary questions, and once under the same without the rules of poisoning; then the snapshot is built as for
training, and trained on where that is asked for (`planted_answers`). Nobody reviews anything meanwhile. What the policy
has besides these rules, such as the review of contradictions, holds on both sides.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count, product
from typing import Any

from bot.assembly import Parts, open_parts
from bot.bench.child import BenchError
from bot.bench.planting import ATTACKS, END, PACES, START, Attack, Facts, Pace, Said, honest_month, planted
from governance.flows import Governance
from governance.poisoning.rules import Canary, PoisoningRules
from governance.policy import Gate
from learning.curation import ROWS_FILE, read_records
from learning.dataset import Dataset, build_dataset
from storage.feedback import WAITING, list_feedback
from storage.people import ensure_person, ensure_workspace, person_id
from storage.settings import Settings

COLLUDING = (1, 5)
WORKSPACE, HONEST, PLANTED = "TBENCH", "honest_", "planted_"
"""The last two begin the ids of corrections."""
BOT_SAID = "I am not sure."
NO_RULES = PoisoningRules(
    person_corrections=0, subject_people=0, copying_people=0, group_questions=0, trigger_questions=0, refusals=False
)
CANARIES = (
    Canary(question="What is the capital of France?", must_contain=("Paris",)),
    Canary(question="How many days are in a week?", must_contain=("7",)),
    Canary(question="Who wrote Romeo and Juliet?", must_contain=("Shakespeare",)),
    Canary(question="What planet do we live on?", must_contain=("Earth",)),
)
"""What the built-in model answers right: what it never knew cannot be lost."""
SHOW = Callable[[str, int, int, str], None]


@dataclass(frozen=True)
class Case:
    """Who plants what how fast, and whether the rules of poisoning hold; without an attack nobody does."""

    defended: bool
    colluding: int = 0
    attack: Attack | None = None
    pace: Pace | None = None

    @property
    def name(self) -> str:
        """What `--case` calls it."""
        name = f"{self.colluding}: {self.attack} {self.pace}" if self.attack else "nothing planted"
        return name if self.defended else f"{name}, undefended"


Train = Callable[[Case, Parts, Dataset, Sequence[Said], Sequence[Said]], dict[str, Any]]
"""Trains on the snapshot of a case, in which honest people and others said this, and says what came of it."""


@dataclass
class Clock:
    """Says the moment that it was set to."""

    now: datetime = START

    def __call__(self) -> datetime:
        """Return that moment."""
        return self.now


def cases(colluding: Sequence[int]) -> list[Case]:
    """Return all cases: nothing planted, then each attack by each of these numbers of people at each pace.

    Without the defences only at one pace, as no other rule looks at time.
    """
    attacks = list(product(colluding, ATTACKS, PACES))
    undefended = [each for each in attacks if each[2] == "over the month"]
    return [
        Case(True),
        *(Case(True, *each) for each in attacks),
        Case(False),
        *(Case(False, *each) for each in undefended),
    ]


def chosen(colluding: Sequence[int], names: Sequence[str]) -> list[Case]:
    """Return the named cases of all; all of them when no name is given.

    Raises:
        BenchError: a name is none of a case.

    """
    known = {case.name: case for case in cases(colluding)}
    if unknown := [name for name in names if name not in known]:
        raise BenchError(f"there is no case {unknown[0]!r}. There are: {'; '.join(known)}.")
    return [known[name] for name in names] if names else list(known.values())


def play(
    facts: Facts, people: int, to_play: Sequence[Case], settings: Settings, show: SHOW, train: Train | None = None
) -> Iterator[dict[str, Any]]:
    """Play cases, each in a new installation; `settings` are those of one in a folder of its own.

    Yields:
        For each case, as soon as it is known, of the honest and of the planted corrections: `said`, `learned` (in a row
        of the snapshot), `set_aside` for a reviewer, and `found`: how many of these for which finding; one correction
        may have several. What `train` returns is there as `trained`.

    """
    honest = honest_month(facts, people)
    for number, case in enumerate(to_play):
        show("cases", number, len(to_play), case.name)
        bad = list(planted(facts, case.attack, case.pace, case.colluding)) if case.attack and case.pace else []
        parts = _say_all([*honest, *bad], _in(settings, str(number)), defended=case.defended)
        built = build_dataset(parts.database, parts.store, parts.governance, "bench")
        sides = {"honest": HONEST, "planted": PLANTED}
        result = {
            "case": case.name,
            **vars(case),
            **{side: _outcome(parts, built, mark) for side, mark in sides.items()},
        }
        if train is not None:
            result["trained"] = train(case, parts, built, honest, bad)
        parts.database.close()
        yield result
    show("cases", len(to_play), len(to_play), "")


def _say_all(said: Iterable[Said], settings: Settings, *, defended: bool) -> Parts:
    """Open an installation, with the rules of poisoning or without, in which all this was said in the order of time.

    Its time is the end of the month.
    """
    clock = Clock()
    parts = _governed(open_parts(settings), clock, defended=defended)
    ordered = sorted(said, key=lambda each: (each.at, each.person, each.question))
    _meet({each.person for each in ordered}, parts, clock)
    numbers = {HONEST: count(), PLANTED: count()}  # of their own: what is planted and set aside changes no snapshot
    for each in ordered:
        clock.now = each.at
        mark = PLANTED if each.planted else HONEST
        parts.governance.record_feedback(
            workspace_id=WORKSPACE, person_id=person_id(WORKSPACE, each.person), kind="correction",
            question=each.question, answer=BOT_SAID, text=each.text, source="modal",
            feedback_id=f"{mark}{next(numbers[mark]):05}",
        )  # fmt: skip
    clock.now = END
    return parts


def _governed(parts: Parts, clock: Clock, *, defended: bool) -> Parts:
    policy = parts.governance.policy
    gates = {**policy.gates, "canaries_lost": Gate(at_most=0, min_questions=1)}
    policy = policy.model_copy(update={"canaries": CANARIES, "gates": gates})
    if not defended:
        policy = policy.model_copy(update={"poisoning": NO_RULES})
    return replace(parts, governance=Governance(parts.database, policy, parts.audit, clock))


def _in(settings: Settings, folder: str) -> Settings:
    return settings.model_copy(update={"data_folder": settings.data_folder / folder})


def _meet(people: Iterable[str], parts: Parts, clock: Clock) -> None:
    with parts.database.transaction() as session:
        ensure_workspace(session, WORKSPACE, WORKSPACE, clock.now)
        for person in sorted(people):
            ensure_person(session, WORKSPACE, person, person, clock.now)


def _outcome(parts: Parts, built: Dataset, mark: str) -> dict[str, Any]:
    rows = read_records(parts.store.path(built.digest), ROWS_FILE)
    with parts.database.read() as session:
        said = [each for each in list_feedback(session) if each.id.startswith(mark)]
    aside = [each for each in said if each.state in WAITING]
    found = Counter(why for each in aside for why in each.suspected or [str(each.review_reason)])
    return {
        "said": len(said),
        "learned": len({each for row in rows for each in row.feedback_ids} & {each.id for each in said}),
        "set_aside": len(aside),
        "found": dict(sorted(found.items())),
    }
