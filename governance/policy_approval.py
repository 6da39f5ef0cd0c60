"""Who decides on a change of policy: whoever the policy in force lets decide on the adapters that it concerns. Pure.

What the default domain asks for is always asked for. A domain with rules of its own is asked too where the change
would make any difference to it, so that nobody loosens the rules of a domain without those who decide there.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from governance.approvals import Ballot
from governance.policy import Approval, Policy, names
from governance.roles import why_not_meant
from storage.domains import DEFAULT_DOMAIN
from storage.people import Person
from storage.policies import PolicyDecision

Asked = Mapping[str, Approval]
"""What the policy in force asks for, by domain."""


def approvals_asked(old: Policy, new: Policy) -> dict[str, Approval]:
    """Return what the policy in force asks for in each domain that the change concerns, the default one first.

    A domain that asks for the same as one before it is not named.
    """
    asked = {DEFAULT_DOMAIN: old.approval}
    for domain in old.domains:
        approval = old.rules_of(domain).approval
        if approval not in asked.values() and (domain not in new.domains or _differs(old, new, domain)):
            asked[domain] = approval
    return asked


def _differs(old: Policy, new: Policy, domain: str) -> bool:
    left, right = (each.rules_of(domain).model_dump(exclude={"name", "domains"}) for each in (old, new))
    return left != right


def expiry_days(asked: Asked) -> int:
    """Return how long a proposed policy is open: as the most impatient domain has it."""
    return min(approval.expiry_days for approval in asked.values())


def why_never(asked: Asked, proposed_by: str) -> str:
    """Return why nobody's decisions can ever be enough when this person proposes, or an empty string."""
    for domain, approval in asked.items():
        left = {each for each in approval.approvers if not names([each], proposed_by)}
        if "*" not in approval.approvers and len(left) < approval.quorum:
            return (
                f"{_of(domain, approval)}, and whoever proposes a policy does not decide on it: only {len(left)} would "
                "be left. Let somebody else propose it."
            )
    return ""


def why_not_decide(asked: Asked, proposed_by: str, person: Person) -> str:
    """Return why a person may not decide on a policy that somebody proposed, or an empty string."""
    if person.id == proposed_by:
        return "you proposed this policy, so somebody else has to decide on it."
    refusals = [_why_not(approval, person) for approval in asked.values()]
    return "" if "" in refusals else refusals[0]


def _why_not(approval: Approval, person: Person) -> str:
    if not names(approval.approvers, person.id):
        return "the policy in force does not name you as an approver of what this one changes."
    return why_not_meant(approval.approvers, "approver", person.id, person.standing)


@dataclass(frozen=True)
class PolicyBallot:
    """What the decisions amount to: ended by a rejection, or so many approvals missing, by domain."""

    rejected: bool
    missing: Mapping[str, int]

    @classmethod
    def of(cls, decisions: Sequence[PolicyDecision], people: Mapping[str, Person], asked: Asked) -> "PolicyBallot":
        """Count in each domain the decisions of those who may decide there; `people` has them by id."""
        ballots = {
            domain: Ballot.of([each for each in decisions if not _why_not(approval, people[each.person_id])], approval)
            for domain, approval in asked.items()
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


def asked_text(asked: Asked, call: Callable[[str], str] = str) -> str:
    """Say how many approvals are needed, and whose; `call` gives the name under which somebody is called."""
    return " ".join(f"{_of(domain, approval, call)}." for domain, approval in asked.items())


def _of(domain: str, approval: Approval, call: Callable[[str], str] = str) -> str:
    who = "any member" if "*" in approval.approvers else ", ".join(map(call, approval.approvers))
    place = "" if domain == DEFAULT_DOMAIN else f" in {domain}"
    return f"Approvals needed{place}: {approval.quorum}, of {who}"
