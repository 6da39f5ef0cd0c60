"""Who may decide on a proposal, start or cancel a run, and what decisions amount to. Pure: reads and writes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

from governance.policy import Approval, Policy, names
from storage.policies import PolicyDecision
from storage.proposals import Decision, Proposal
from storage.runs import Run

OPERATOR = "operator:"
"""How the id begins of whoever uses the command line; no person's does. They could end the process as well."""


def why_not(policy: Policy, proposal: Proposal, person_id: str) -> str:
    """Return why the policy keeps this person from deciding, or an empty string.

    Whoever started the run, or wrote more than the policy's share of what it learned from, does not decide at all:
    an approval that does not count towards the quorum would only look like one.
    """
    if person_id == proposal.started_by:
        return "you started this training run, so somebody else has to decide on its adapter."
    share = float(proposal.shares.get(person_id, 0.0))
    if share > policy.approval.max_contributor_share:
        return (
            f"you wrote {share:.0%} of the corrections that this adapter learned from; whoever wrote more than "
            f"{policy.approval.max_contributor_share:.0%} does not decide on it."
        )
    if not names(policy.approval.approvers, person_id):
        return f"the policy {policy.name!r} does not name you as an approver."
    return ""


@dataclass(frozen=True)
class Electorate:
    """Who can still decide on a proposal.

    `named` are those whom the policy names, as it names them; with `anybody`, all others can too, but `excluded`
    (person ids): whoever started the run, wrote too much of what was learned, or has decided.
    """

    named: list[str]
    anybody: bool
    excluded: list[str]

    @classmethod
    def of(cls, policy: Policy, proposal: Proposal, decisions: Sequence[Decision]) -> "Electorate":
        """Find those who are left."""
        most = policy.approval.max_contributor_share
        wrote = [person for person, share in proposal.shares.items() if float(share) > most]
        excluded = [proposal.started_by, *wrote, *(decision.person_id for decision in decisions)]
        approvers = policy.approval.approvers
        named = [each for each in approvers if each != "*" and not any(names([each], person) for person in excluded)]
        return cls(list(dict.fromkeys(named)), "*" in approvers, list(dict.fromkeys(excluded)))


def why_not_cancel(policy: Policy, run: Run, person_id: str) -> str:
    """Return why the policy keeps this person from cancelling the run, or an empty string.

    Unlike a decision on an adapter, this lets nothing go live, so whoever started the run may do it too.
    """
    if person_id == run.started_by or person_id.startswith(OPERATOR):
        return ""
    if names(policy.approval.approvers, person_id):
        return ""
    return f"you did not start this training run, and the policy {policy.name!r} does not name you as an approver."


def why_not_start(policy: Policy, person_id: str) -> str:
    """Return why the policy keeps this person from starting training, pausing and resuming it, or an empty string."""
    starters = policy.training.starters or policy.approval.approvers
    if person_id.startswith(OPERATOR) or names(starters, person_id):
        return ""
    return f"the policy {policy.name!r} does not let you start, pause or resume training."


APPROVED = "Approved: the adapter goes live now."


@dataclass(frozen=True)
class Ballot:
    """What the decisions amount to: ended by a rejection, or so many approvals still missing."""

    rejected: bool
    missing: int
    message: str

    @classmethod
    def of(cls, decisions: Sequence[Decision | PolicyDecision], approval: Approval) -> "Ballot":
        """Count decisions, one a person; all of them are of people who were entitled to decide."""
        approvals = sum(decision.verdict == "approve" for decision in decisions)
        missing = max(approval.quorum - approvals, 0)
        if approvals < len(decisions):
            return cls(rejected=True, missing=missing, message="Rejected: the adapter will not go live.")
        if missing == 0:
            return cls(rejected=False, missing=0, message=APPROVED)
        more = "one more approval is" if missing == 1 else f"{missing} more approvals are"
        return cls(rejected=False, missing=missing, message=f"Your approval is recorded; {more} needed.")
