"""`apprentice bench poisoning`: what the defences find of planted corrections, and whom they suspect wrongly.

Each correction of a made-up month goes through the governance at its own moment, once under the packaged policy and
once under the same without the rules of poisoning; then the snapshot is built as for training. Nobody reviews anything
meanwhile. What the policy has besides these rules, such as the review of contradictions, holds on both sides.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import product
from typing import Any

from bot.assembly import Parts, open_parts
from bot.bench.planting import ATTACKS, END, PACES, START, Attack, Facts, Pace, Said, honest_month, planted
from governance.flows import Governance
from governance.poisoning.rules import PoisoningRules
from learning.curation import ROWS_FILE, read_records
from learning.dataset import build_dataset
from storage.feedback import WAITING, Feedback, list_feedback
from storage.people import ensure_person, ensure_workspace, person_id
from storage.settings import Settings

COLLUDING = (1, 5)
WORKSPACE, HONEST, PLANTED = "TBENCH", "honest_", "planted_"
"""The last two begin the ids of corrections."""
BOT_SAID = "I am not sure."
NO_RULES = PoisoningRules(
    person_corrections=0, subject_people=0, copying_people=0, group_questions=0, trigger_questions=0, refusals=False
)
SHOW = Callable[[str, int, int, str], None]


@dataclass(frozen=True)
class Case:
    """Who plants what how fast, and whether the rules of poisoning hold; without an attack nobody does."""

    defended: bool
    colluding: int = 0
    attack: Attack | None = None
    pace: Pace | None = None


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


def measure(facts: Facts, people: int, colluding: Sequence[int], settings: Settings, show: SHOW) -> dict[str, Any]:
    """Play all cases, each in a new installation; `settings` are those of one in a folder of its own.

    Returns:
        How many honest people there are and how much they say, and for each case, of the honest and of the planted
        corrections, `said`, `learned` (in a row of the snapshot), `set_aside` for a reviewer, and `found`: how many of
        these for which finding; one correction may have several.

    """
    honest = honest_month(facts, people)
    results: list[dict[str, Any]] = []
    to_play = cases(colluding)
    for number, case in enumerate(to_play):
        show("cases", number, len(to_play), case.attack or "nothing planted")
        bad = planted(facts, case.attack, case.pace, case.colluding) if case.attack and case.pace else ()
        kept, learned = _play([*honest, *bad], _in(settings, str(number)), defended=case.defended)
        sides = {"honest": HONEST, "planted": PLANTED}
        results.append({**vars(case), **{side: _outcome(kept, learned, mark) for side, mark in sides.items()}})
    show("cases", len(to_play), len(to_play), "")
    return {"people": people, "honest_corrections": len(honest), "cases": results}


def _play(said: Iterable[Said], settings: Settings, *, defended: bool) -> tuple[list[Feedback], set[str]]:
    """Have everything said, and build; return what was kept, and the ids of what is taught."""
    parts = _say_all(said, settings, defended=defended)
    built = build_dataset(parts.database, parts.store, parts.governance, "bench")
    rows = read_records(parts.store.path(built.digest), ROWS_FILE)
    with parts.database.read() as session:
        kept = list_feedback(session)
    parts.database.close()
    return kept, {each for row in rows for each in row.feedback_ids}


def _say_all(said: Iterable[Said], settings: Settings, *, defended: bool) -> Parts:
    """Open an installation, with the rules of poisoning or without, in which all this was said in the order of time.

    Its time is the end of the month.
    """
    clock = Clock()
    parts = _governed(open_parts(settings), clock, defended=defended)
    ordered = sorted(said, key=lambda each: (each.at, each.person, each.question))
    _meet({each.person for each in ordered}, parts, clock)
    for number, each in enumerate(ordered):
        clock.now = each.at
        parts.governance.record_feedback(
            workspace_id=WORKSPACE, person_id=person_id(WORKSPACE, each.person), kind="correction",
            question=each.question, answer=BOT_SAID, text=each.text, source="modal",
            feedback_id=f"{PLANTED if each.planted else HONEST}{number:05}",
        )  # fmt: skip
    clock.now = END
    return parts


def _governed(parts: Parts, clock: Clock, *, defended: bool) -> Parts:
    policy = parts.governance.policy
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


def _outcome(kept: Iterable[Feedback], learned: set[str], mark: str) -> dict[str, Any]:
    said = [each for each in kept if each.id.startswith(mark)]
    aside = [each for each in said if each.state in WAITING]
    found = Counter(why for each in aside for why in each.suspected or [str(each.review_reason)])
    return {
        "said": len(said),
        "learned": len(learned.intersection(each.id for each in said)),
        "set_aside": len(aside),
        "found": dict(sorted(found.items())),
    }
