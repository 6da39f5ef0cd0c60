"""Who may decide on what is proposed or cancel a run, and what decisions amount to. Pure: reads and writes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from governance.policy import Approval, Policy
from governance.roles import OPERATOR, Action, why_lacking, why_not_meant
from governance.user_groups import EVERYBODY, Principal, UserGroups, is_group, names, troubles
from storage.delegations import Delegation
from storage.policies import PolicyDecision, PolicyVersion
from storage.proposals import Decision, Proposal
from storage.runs import Run

Proposed = Proposal | PolicyVersion
"""What approvers decide on: an adapter that is proposed, or a policy."""


def why_not(policy: Policy, proposed: Proposed, who: Principal, on_behalf_of: str | None = None) -> str:
    """Return why the policy keeps somebody from deciding, with somebody else's vote or their own; "" when it lets.

    Whoever started the run, or wrote more than the policy's share of what it learned from, does not decide at all:
    an approval that does not count towards the quorum would only look like one. Nor does whoever proposed a policy.
    With another's vote that holds for both; an approver only the other one has to be.
    """
    if taken_part := _part_in(policy, proposed, who.id):
        return f"you {taken_part}"
    if on_behalf_of is None:
        action: Action = "decide_on_policy" if isinstance(proposed, PolicyVersion) else "decide"
        return why_lacking(policy, action, who)
    if taken_part := _part_in(policy, proposed, on_behalf_of):
        return f"whoever handed you their vote {taken_part}"
    approvers = policy.approval.approvers
    if not names(approvers, on_behalf_of, who.groups):
        refusal = f"the policy {policy.name!r} does not name whoever handed you their vote as an approver."
        return " ".join([refusal, *troubles(approvers, who.groups)])
    if not policy.approval.delegation_days:
        return f"under the policy {policy.name!r} nobody hands on their vote."
    return why_not_meant(approvers, "approver", who)


def _part_in(policy: Policy, proposed: Proposed, person_id: str) -> str:
    """Say what somebody did that keeps them from judging what came of it, to be put behind who it is; or nothing."""
    if isinstance(proposed, PolicyVersion):
        own = person_id == proposed.proposed_by
        return "proposed this policy, so somebody else has to decide on it." if own else ""
    if person_id == proposed.started_by:
        return "started this training run, so somebody else has to decide on its adapter."
    most, share = policy.approval.max_contributor_share, float(proposed.shares.get(person_id, 0.0))
    if share <= most:
        return ""
    return (
        f"wrote {share:.0%} of the corrections that this adapter learned from; whoever wrote more than {most:.0%} does "
        "not decide on it."
    )


def why_decided(decisions: Sequence[Decision | PolicyDecision], person_id: str, on_behalf_of: str | None) -> str:
    """Return why this person's vote, or the one that they hold, is used up by earlier decisions; or an empty string.

    One human has one vote: who decided has none left, neither their own nor another's, nor has whom they decided for.
    """
    for decision in decisions:
        if decision.person_id == person_id:
            return "you have decided on this proposal already; a decision stands."
        if decision.on_behalf_of == person_id:
            return "whoever held your vote has decided on this proposal for you already; a decision stands."
        if on_behalf_of in decision.people:
            return "the vote that you hold was used on this proposal already; a decision stands."
    return ""


@dataclass(frozen=True)
class Electorate:
    """Who can still decide on what is proposed.

    `named` are those whom the policy names, as it names them: a user group as long as one of its members is left. With
    `anybody`, all others can too, but `excluded` (person ids): whoever started the run, wrote too much of what was
    learned, proposed the policy, or whose vote is used. `delegations` are those by which somebody else can decide in an
    approver's place.
    """

    named: list[str]
    anybody: bool
    excluded: list[str]
    delegations: list[Delegation] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        policy: Policy,
        proposed: Proposed,
        decisions: Sequence[Decision | PolicyDecision],
        groups: UserGroups,
        delegations: Sequence[Delegation] = (),
    ) -> "Electorate":
        """Find those who are left, of the delegations too."""
        taking_part = (
            [proposed.proposed_by]
            if isinstance(proposed, PolicyVersion)
            else [each for each in (proposed.started_by, *proposed.shares) if _part_in(policy, proposed, each)]
        )
        excluded = [*taking_part, *(person for decision in decisions for person in decision.people)]
        approvers = policy.approval.approvers
        named = [each for each in approvers if each != EVERYBODY and _is_left(each, excluded, groups)]
        left = [each for each in delegations if not {each.delegate, each.delegator} & {*excluded}]
        return cls(list(dict.fromkeys(named)), EVERYBODY in approvers, list(dict.fromkeys(excluded)), left)


def _is_left(named: str, excluded: Sequence[str], groups: UserGroups) -> bool:
    """Tell whether anybody whom an entry of the policy names is left; of a group that names nobody now, it is said."""
    if is_group(named):
        members = groups.members(named)
        return not members or not {*members} <= {*excluded}
    return not any(names([named], person, groups) for person in excluded)


def why_not_cancel(policy: Policy, run: Run, who: Principal) -> str:
    """Return why the policy keeps somebody from cancelling the run, or an empty string.

    Unlike a decision on an adapter, this lets nothing go live, so whoever started the run may do it too.
    """
    if who.id == run.started_by or who.id.startswith(OPERATOR):
        return ""
    refusal = why_lacking(policy, "cancel_run", who)
    return f"you did not start this training run, and {refusal}" if refusal else ""


APPROVED = "Approved: the adapter goes live now."


@dataclass(frozen=True)
class Ballot:
    """What the decisions amount to: ended by a rejection, or so many approvals still missing."""

    rejected: bool
    missing: int
    message: str

    @classmethod
    def of(cls, decisions: Sequence[Decision | PolicyDecision], approval: Approval) -> "Ballot":
        """Count decisions of people who were entitled to decide; nobody's name, in either place, counts twice."""
        approvals, used = 0, set[str]()
        for decision in decisions:
            approvals += decision.verdict == "approve" and used.isdisjoint(decision.people)
            used.update(decision.people)
        missing = max(approval.quorum - approvals, 0)
        if any(decision.verdict == "reject" for decision in decisions):
            return cls(rejected=True, missing=missing, message="Rejected: the adapter will not go live.")
        if missing == 0:
            return cls(rejected=False, missing=0, message=APPROVED)
        more = "one more approval is" if missing == 1 else f"{missing} more approvals are"
        return cls(rejected=False, missing=missing, message=f"Your approval is recorded; {more} needed.")
