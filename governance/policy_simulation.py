"""How past adapters would have fared under another policy: which would have been proposed, and which approved.

The decisions are those that people took then; what they would have decided otherwise nobody knows. Who may not decide
under the other policy is left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from governance.approvals import Ballot, why_not
from governance.gates import GateResult, Metric, combine, judge
from governance.policy import Policy
from governance.user_groups import Principal, UserGroups
from storage.adapters import Adapter
from storage.proposals import Decision, Proposal

Outcome = Literal["rejected by its gates", "rejected", "approved", "not enough approvals"]


@dataclass(frozen=True)
class Simulated:
    """What would have become of an adapter, and why; `then` is the state that it has."""

    adapter: str
    domain: str
    then: str
    outcome: Outcome
    why: str


def simulate(
    policy: Policy,
    adapter: Adapter,
    metrics: Mapping[str, Metric],
    proposal: Proposal | None,
    decisions: Sequence[Decision],
    groups: UserGroups,
) -> Simulated:
    """Say how an adapter would have fared; `metrics` are those of its report, `decisions` those on its proposal.

    Who is in a user group is what was last read.
    """
    rules = policy.rules_of(adapter.domain)
    results = judge(rules, metrics)
    if combine(results, rules.evidence) == "reject":
        return _simulated(adapter, "rejected by its gates", _gates_against(results))
    if proposal is None:
        return _simulated(adapter, "not enough approvals", "it was never proposed, so nobody decided.")
    refusals = {
        each.id: why_not(rules, proposal, Principal(each.person_id, groups=groups.as_last_read), each.on_behalf_of)
        for each in decisions
    }
    counted = [decision for decision in decisions if not refusals[decision.id]]
    left_out = [f"{each.person_id}: {refusals[each.id]}" for each in decisions if refusals[each.id]]
    ballot = Ballot.of(counted, rules.approval)
    why = f"{len(counted)} of {len(decisions)} decisions count, {rules.approval.quorum} approvals are needed."
    why = " ".join([why, *(f"Not counted is {each}" for each in left_out)])
    if ballot.rejected:
        return _simulated(adapter, "rejected", why)
    return _simulated(adapter, "approved" if ballot.missing == 0 else "not enough approvals", why)


def _simulated(adapter: Adapter, outcome: Outcome, why: str) -> Simulated:
    return Simulated(adapter.digest, adapter.domain, adapter.state, outcome, why)


def _gates_against(results: Sequence[GateResult]) -> str:
    return " ".join(result.explanation for result in results if result.verdict != "passed")
