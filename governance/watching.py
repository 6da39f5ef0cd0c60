"""Whether the newest adapter is judged worse than what would answer without it, and so has to go."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from governance.policy import RollbackRules
from governance.sequential import Counts, evidence_of_higher
from storage.adapters import Adapter, answering_adapter, canary_adapter, last_retired_adapter, serving_adapter
from storage.domains import DEFAULT_DOMAIN
from storage.figures import Judged, judged_answers


@dataclass(frozen=True)
class Comparison:
    """How the answers of two adapters were judged, and the e-value against "the new one is no worse"."""

    new: Judged
    old: Judged
    evidence: float

    def record(self) -> dict[str, Any]:
        """Give the figures as they are kept."""
        return {"new": self.new._asdict(), "old": self.old._asdict(), "evidence": self.evidence}


def compare(session: Session, rules: RollbackRules, now: datetime, domain: str = DEFAULT_DOMAIN) -> Comparison | None:
    """Compare a domain's newest adapter with what would answer there without it; None when nothing is watched.

    Of a domain that the policy names, its own answers are compared; the default one answers for all that have no
    adapter of their own, and so all that it answers counts.
    """
    canary, serving = canary_adapter(session, domain), serving_adapter(session, domain)
    label = domain if domain != DEFAULT_DOMAIN else None
    if canary is not None and canary.canary_since is not None:
        new = judged_answers(session, canary.digest, canary.canary_since, label=label)
        old = judged_answers(session, _digest(answering_adapter(session, domain)), canary.canary_since, label=label)
        return _weighed(rules, new, old)
    since = serving.serving_since if serving else None
    if serving is None or since is None or now > since + timedelta(days=rules.watch_days):
        return None
    earliest = since - timedelta(days=rules.compare_days)
    before = last_retired_adapter(session, domain) or (serving_adapter(session) if label else None)
    new = judged_answers(session, serving.digest, since, label=label)
    return _weighed(rules, new, judged_answers(session, _digest(before), earliest, since, label=label))


def _digest(adapter: Adapter | None) -> str | None:
    return adapter.digest if adapter else None


def _weighed(rules: RollbackRules, new: Judged, old: Judged) -> Comparison:
    evidence = evidence_of_higher(Counts(new.bad, new.answers), Counts(old.bad, old.answers), rules.margin)
    return Comparison(new, old, evidence)


def why_take_out(rules: RollbackRules, seen: Comparison) -> str:
    """Say why the new adapter has to go; empty when the evidence, or the number of people behind it, is not enough."""
    too_few = seen.new.answers < rules.min_answers or seen.new.people < rules.min_people
    if too_few or seen.evidence < 1 / rules.alpha:
        return ""
    return (
        f"Of the {seen.new.answers} answers of this adapter that people judged, {_share(seen.new)} were voted down or "
        f"corrected, by {seen.new.people} people; of the {seen.old.answers} without it, {_share(seen.old)}. Were it no "
        f"worse by more than {rules.margin:.0%}, so much would be seen, at any time, with a probability of "
        f"{1 / seen.evidence:.1g} at most; the policy acts at {rules.alpha:g}."
    )


def _share(judged: Judged) -> str:
    return f"{judged.bad} ({judged.bad / judged.answers:.0%})" if judged.answers else "none"
