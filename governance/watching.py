"""Whether a domain's newest adapter is worse than what would answer without it, and so has to go."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlmodel import Session

from governance.policy import RollbackRules
from governance.sequential import Counts, evidence_of_higher
from storage.adapters import (
    Adapter,
    answering_adapter,
    last_retired_adapter,
    newest_adapter,
    serving_adapter,
)
from storage.domains import DEFAULT_DOMAIN
from storage.figures import Judged, Worked, judged_answers, worked
from storage.shadows import shadow_answers

NOT_JUDGED = Judged(0, 0, 0)
Trouble = Literal["failed", "slow"]


@dataclass(frozen=True)
class Side:
    """What is known of one of the two adapters: how people judged its answers, and how it worked."""

    judged: Judged
    worked: Worked

    def counts(self, trouble: Trouble) -> Counts:
        """Return how often it was so, of how many attempts (failed) or timed answers (slow)."""
        if trouble == "failed":
            return Counts(self.worked.failed, self.worked.answered + self.worked.failed)
        return Counts(self.worked.slow, self.worked.timed)


@dataclass(frozen=True)
class Comparison:
    """Both sides, and the e-values against "the new one is no worse": as judged, and of how they worked."""

    new: Side
    old: Side
    evidence: float
    troubles: dict[Trouble, float]

    def record(self) -> dict[str, Any]:
        """Give the figures as they are kept."""
        sides = {
            name: {**side.judged._asdict(), "worked": side.worked._asdict()}
            for name, side in (("new", self.new), ("old", self.old))
        }
        return {**sides, "evidence": self.evidence, "evidence_of_trouble": dict(self.troubles)}


def compare(session: Session, rules: RollbackRules, now: datetime, domain: str = DEFAULT_DOMAIN) -> Comparison | None:
    """Compare a domain's newest adapter with what would answer there without it; None when nothing is watched.

    Of a domain that the policy names, its own answers are compared; the default one answers for all that have no
    adapter of their own, and so all that it answers counts.
    """
    newest = newest_adapter(session, domain)
    if newest is None:
        return None
    label = domain if domain != DEFAULT_DOMAIN else None
    if newest.state == "approved":
        return _weighed(rules, *_in_shadow(session, newest, rules.slow_seconds))
    if newest.state == "canary" and newest.canary_since is not None:
        begun, beside = newest.canary_since, answering_adapter(session, domain)
        return _weighed(rules, *(_side(session, rules, each, begun, None, label) for each in (newest, beside)))
    since = newest.serving_since
    if since is None or now > since + timedelta(days=rules.watch_days):
        return None
    before = last_retired_adapter(session, domain) or (serving_adapter(session) if label else None)
    earliest = since - timedelta(days=rules.compare_days)
    new = _side(session, rules, newest, since, None, label)
    return _weighed(rules, new, _side(session, rules, before, earliest, since, label))


def _side(
    session: Session,
    rules: RollbackRules,
    adapter: Adapter | None,
    after: datetime,
    before: datetime | None,
    label: str | None,
) -> Side:
    digest = adapter.digest if adapter else None
    judged = judged_answers(session, digest, after, before, label)
    return Side(judged, worked(session, digest, rules.slow_seconds, after, before, label))


def _in_shadow(session: Session, adapter: Adapter, slow_seconds: float) -> Iterator[Side]:
    """Give both sides of the questions that an adapter in shadow was asked too; of these nobody judged its answers."""
    pairs = shadow_answers(session, adapter.digest)
    failed = sum(bool(shadow.error) for shadow, _ in pairs)
    for usages, failures in (
        ([shadow.usage for shadow, _ in pairs if not shadow.error], failed),
        ([shown.usage for _, shown in pairs], 0),
    ):
        seconds = [float(usage["seconds"]) for usage in usages if "seconds" in usage]
        slow = sum(each > slow_seconds for each in seconds)
        yield Side(NOT_JUDGED, Worked(len(usages), len(seconds), slow, failures))


def _weighed(rules: RollbackRules, new: Side, old: Side) -> Comparison:
    judged, before = (Counts(side.judged.bad, side.judged.answers) for side in (new, old))
    troubles: dict[Trouble, float] = {
        trouble: evidence_of_higher(new.counts(trouble), old.counts(trouble), rules.margin)
        for trouble in ("failed", "slow")
    }
    return Comparison(new, old, evidence_of_higher(judged, before, rules.margin), troubles)


def why_take_out(rules: RollbackRules, seen: Comparison) -> str:
    """Say why the new adapter has to go; empty when the evidence, or the number of people behind it, is not enough."""
    new, old = seen.new.judged, seen.old.judged
    enough = new.answers >= rules.min_answers and new.people >= rules.min_people
    if enough and seen.evidence >= 1 / rules.alpha:
        bad, before = _share(new.bad, new.answers), _share(old.bad, old.answers)
        return (
            f"Of the {new.answers} answers of this adapter that people judged, {bad} were voted down or corrected, by "
            f"{new.people} people; of the {old.answers} without it, {before}. {_how_sure(rules, seen.evidence)}"
        )
    for trouble, evidence in seen.troubles.items():
        if seen.new.counts(trouble).n >= rules.min_answers and evidence >= 1 / rules.alpha:
            return f"{_trouble(rules, seen, trouble)} {_how_sure(rules, evidence)}"
    return ""


def _trouble(rules: RollbackRules, seen: Comparison, trouble: Trouble) -> str:
    new, old = seen.new.counts(trouble), seen.old.counts(trouble)
    what = "could not be answered" if trouble == "failed" else f"took longer than {rules.slow_seconds:g} s"
    return (
        f"Of the {new.n} questions put to this adapter, {_share(new.hits, new.n)} {what}; of the {old.n} without it, "
        f"{_share(old.hits, old.n)}."
    )


def _how_sure(rules: RollbackRules, evidence: float) -> str:
    return (
        f"Were it no worse by more than {rules.margin:.0%}, so much would be seen, at any time, with a probability of "
        f"{1 / evidence:.1g} at most; the policy acts at {rules.alpha:g}."
    )


def _share(hits: int, n: int) -> str:
    return f"{hits} ({hits / n:.0%})" if n else "none"
