"""Who decides on a change of policy: whoever the policy in force lets decide on the adapters that it concerns. Pure.

What the default domain asks for is always asked for. A domain with rules of its own is asked too where the change
would make any difference to it, so that nobody loosens the rules of a domain without those who decide there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from governance.approvals import Ballot, why_not
from governance.policy import Policy
from governance.user_groups import EVERYBODY, Principal, UserGroups, count_people, people_in_words
from storage.domains import DEFAULT_DOMAIN
from storage.policies import PolicyDecision, PolicyVersion

Asked = Mapping[str, Policy]
"""The rules of the policy in force whose approvals are asked for, by domain."""


def approvals_asked(old: Policy, new: Policy) -> dict[str, Policy]:
    """Return the rules of the policy in force for each domain that the change concerns, the default one first.

    A domain that asks for the same approvals as one before it is not named.
    """
    asked = {DEFAULT_DOMAIN: old.rules_of(DEFAULT_DOMAIN)}
    for domain in old.domains:
        rules = old.rules_of(domain)
        asked_before = any(rules.approval == each.approval for each in asked.values())
        if not asked_before and (domain not in new.domains or _differs(old, new, domain)):
            asked[domain] = rules
    return asked


def _differs(old: Policy, new: Policy, domain: str) -> bool:
    left, right = (each.rules_of(domain).model_dump(exclude={"name", "domains"}) for each in (old, new))
    return left != right


def expiry_days(asked: Asked) -> int:
    """Return how long a proposed policy is open: as the most impatient domain has it."""
    return min(rules.approval.expiry_days for rules in asked.values())


def reminder_hours(asked: Asked) -> list[float]:
    """Return how many hours before a proposed policy expires those are reminded who decide: as any domain has it."""
    return sorted({hours for rules in asked.values() for hours in rules.approval.remind_hours_before})


def why_never(asked: Asked, proposed_by: str, groups: UserGroups) -> str:
    """Return why nobody's decisions can ever be enough when this person proposes, or an empty string."""
    for domain, rules in asked.items():
        left = count_people(rules.approval.approvers, groups, but=proposed_by)
        if left is not None and left < rules.approval.quorum:
            return (
                f"{_of(domain, rules, groups)}, and whoever proposes a policy does not decide on it: only "
                f"{left} would be left. Let somebody else propose it."
            )
    return ""


def counts(rules: Policy, version: PolicyVersion, decision: PolicyDecision, who: Principal) -> bool:
    """Tell whether somebody's decision counts by the rules of a domain, as their own vote or the one they held."""
    votes = {None, decision.on_behalf_of}
    return any(not why_not(rules, version, who, whose) for whose in votes)


@dataclass(frozen=True)
class PolicyBallot:
    """What the decisions amount to: ended by a rejection, or so many approvals missing, by domain."""

    rejected: bool
    missing: Mapping[str, int]

    @classmethod
    def of(
        cls, version: PolicyVersion, decisions: Sequence[PolicyDecision], people: Mapping[str, Principal], asked: Asked
    ) -> "PolicyBallot":
        """Count in each domain the decisions of those who may decide there; `people` has them by id."""
        ballots = {
            domain: Ballot.of(
                [each for each in decisions if counts(rules, version, each, people[each.person_id])], rules.approval
            )
            for domain, rules in asked.items()
        }
        missing = {domain: ballot.missing for domain, ballot in ballots.items() if ballot.missing}
        return cls(any(ballot.rejected for ballot in ballots.values()), missing)

    @property
    def message(self) -> str:
        """Tell people what the decisions amount to."""
        if self.rejected:
            return "Rejected: the policy in force holds on."
        if not self.missing:
            return "Approved: the policy is in force now."
        return f"Your approval is recorded. {missing_text(self.missing)}"


def missing_text(missing: Mapping[str, int]) -> str:
    """Say how many approvals are missing, and in which domains."""
    parts = [f"{count}" + ("" if domain == DEFAULT_DOMAIN else f" in {domain}") for domain, count in missing.items()]
    return f"Approvals missing: {', '.join(parts)}."


def asked_text(asked: Asked) -> str:
    """Say how many approvals are needed, and whose."""
    return " ".join(f"{_of(domain, rules)}." for domain, rules in asked.items())


def _of(domain: str, rules: Policy, groups: UserGroups = UserGroups()) -> str:  # noqa: B008 - it is frozen
    approvers = rules.approval.approvers
    who = "any member" if EVERYBODY in approvers else people_in_words(approvers, groups)
    place = "" if domain == DEFAULT_DOMAIN else f" in {domain}"
    return f"Approvals needed{place}: {rules.approval.quorum}, of {who}"
