"""A change of policy: proposed, decided on as the policy in force asks for, and in force in the same transaction.

Whoever may propose one can change nothing by that, so anybody may who can reach this. One rejection ends a proposal. It
is bound to the policy in force when it was made: once another one is, it is void, because that may ask for other
approvals.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from governance.approvals import Electorate
from governance.errors import NotEntitledError, ProposalClosedError
from governance.ledger import SYSTEM, Ledger, digests_of
from governance.policy import Policy
from governance.policy_approval import (
    Asked,
    PolicyBallot,
    approvals_asked,
    expiry_days,
    reminder_hours,
    why_never,
)
from governance.policy_check import check_policy
from governance.policy_versions import policy_of
from governance.reasons import check_reason
from governance.reminders import Reminder, due_reminder
from governance.user_groups import Principal, UserGroups, read_groups
from governance.voting import cast_vote, electorate_of, why_not_vote
from storage.errors import ConfigurationError, IllegalStateError
from storage.people import get_person
from storage.policies import (
    PolicyDecision,
    PolicyState,
    PolicyVersion,
    decisions_on_version,
    digest_in_force,
    find_version,
    get_version,
    list_versions,
    version_in_force,
)
from storage.proposals import Verdict
from storage.records import new_id
from storage.user_groups import list_user_groups


@dataclass(frozen=True)
class PolicyOutcome:
    """What a decision led to; `message` tells it to whoever decided."""

    version: PolicyVersion
    message: str


@dataclass(frozen=True)
class PolicyCase:
    """A version of the policy, and what is asked for and was decided.

    `policy` is what it says, `old` the one that it was to replace (None: it was the first), `people` are those who
    decided, by id, with the user groups as they were last read: a vote that is cast does not lapse while Slack is away.
    """

    version: PolicyVersion
    policy: Policy
    old: Policy | None
    asked: Asked
    decisions: Sequence[PolicyDecision]
    people: Mapping[str, Principal]

    @property
    def ballot(self) -> PolicyBallot:
        """What the decisions amount to."""
        return PolicyBallot.of(self.version, self.decisions, self.people, self.asked)


def read_policy_case(session: Session, version: PolicyVersion) -> PolicyCase:
    """Read all about a version of the policy."""
    policy = policy_of(version)
    old = policy_of(find_version(session, version.under_digest)) if version.under_digest else None
    decisions = decisions_on_version(session, version.id)
    groups = UserGroups(list_user_groups(session))
    voters = [get_person(session, each.person_id) for each in decisions]
    people = {each.id: Principal(each.id, each.standing, groups) for each in voters}
    asked = approvals_asked(old, policy) if old is not None else {}
    return PolicyCase(version, policy, old, asked, decisions, people)


def electorates_of(session: Session, case: PolicyCase, now: datetime) -> dict[str, Electorate]:
    """Find who can still decide in each domain in which approvals are missing."""
    return {domain: electorate_of(session, case.asked[domain], case.version, now) for domain in case.ballot.missing}


class PolicyChanges:
    """Proposes policies and decides on them."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def follow(self) -> None:
        """Take over the policy in force, if another process has changed it."""
        self._ledger.follow_policy()

    def put_first_in_force(self, adopted_by: str) -> bool:
        """Put the policy that this process was given in force where none ever was; return whether that was done.

        There is nobody yet whom a policy would ask, so it is adopted by the operator who starts the process.
        """
        with self._ledger.database.read() as session:
            if digest_in_force(session) is not None:
                return False
        with self._ledger.changes() as session:
            if digest_in_force(session) is not None:
                return False
            version = self._new(self._ledger.policy, adopted_by, "", self._ledger.clock())
            self._close(session, version, "in_force", adopted_by, "adopted at the first start")
        return True

    def propose(self, policy: Policy, proposed_by: str, reason: str = "") -> PolicyVersion:
        """Ask for the approval of a policy; `proposed_by` is a person's id, or an operator's.

        Raises:
            ConfigurationError: it contradicts itself.
            IllegalStateError: no policy is in force yet, this one is, or it is proposed already.
            NotEntitledError: who proposes it is needed to decide on it.
            ReasonTooLongError: longer than is kept.

        """
        reason = check_reason(reason, "propose a policy", required=False)
        if found := check_policy(policy).contradictions:
            raise ConfigurationError(" ".join(["the policy contradicts itself.", *found]))
        with self._ledger.changes() as session:
            current = self._ledger.policy
            _check_proposable(session, policy, current)
            asked = approvals_asked(current, policy)
            now = self._ledger.clock()
            if refusal := why_never(asked, proposed_by, read_groups(session, now)):
                raise NotEntitledError(refusal)
            version = self._new(policy, proposed_by, reason, now + timedelta(days=expiry_days(asked)))
            version.under_digest = current.digest
            session.add(version)
            bound_to = digests_of(version)
            self._ledger.record(session, "policy.proposed", version.id, bound_to, actor=proposed_by, reason=reason)
        return version

    def may_decide(self, version_id: str, person_id: str) -> str:
        """Return why this person may not decide on a proposed policy; empty when they may."""
        with self._ledger.database.read() as session:
            version = get_version(session, version_id)
            if closed := self._why_closed(version, digest_in_force(session)):
                return closed
            case = read_policy_case(session, version)
            return why_not_vote(session, [*case.asked.values()], version, person_id, self._ledger.clock())

    def decide(self, version_id: str, person_id: str, verdict: Verdict, reason: str = "") -> PolicyOutcome:
        """Count one person's decision, and do what follows from it in the same transaction.

        Raises:
            ReasonRequiredError: rejected without a reason.
            ReasonTooLongError: longer than is kept.
            NotEntitledError: the policy in force does not let this person decide, or they proposed it.
            AlreadyDecidedError: this person, or whose vote they hold, has decided before.
            ProposalClosedError: decided, expired or void; a proposal that turns out to be so is closed here.

        """
        reason = check_reason(reason, f"{verdict} a policy", required=verdict == "reject")
        with self._ledger.changes() as session:
            version = get_version(session, version_id)
            closed = self._close_if_stale(session, version)
            outcome = None if closed else self._count(session, version, person_id, verdict, reason)
        if outcome is None:
            raise ProposalClosedError(closed)
        self._ledger.follow_policy()
        self._ledger.keep_checkpoint()
        return outcome

    def may_withdraw(self, version_id: str, person_id: str) -> str:
        """Return why this person may not withdraw a proposed policy; empty when they may."""
        with self._ledger.database.read() as session:
            version = get_version(session, version_id)
            return _why_not_withdraw(version, person_id) or self._why_closed(version, digest_in_force(session))

    def withdraw(self, version_id: str, person_id: str, reason: str) -> PolicyVersion:
        """Take a proposed policy back, at the request of whoever proposed it; done before, nothing changes.

        Raises:
            NotEntitledError: somebody else proposed it.
            ProposalClosedError: decided, expired or void; a proposal that turns out to be so is closed here.
            ReasonRequiredError: no reason is given.
            ReasonTooLongError: longer than is kept.

        """
        reason = check_reason(reason, "withdraw a policy")
        with self._ledger.changes() as session:
            version = get_version(session, version_id)
            if refusal := _why_not_withdraw(version, person_id):
                raise NotEntitledError(refusal)
            if version.state == "withdrawn":
                return version
            closed = self._close_if_stale(session, version)
            if not closed:
                version.withdrawn_reason = reason
                self._close(session, version, "withdrawn", person_id, reason)
        if closed:
            raise ProposalClosedError(closed)
        self._ledger.keep_checkpoint()
        return version

    def due_reminders(self) -> list[Reminder]:
        """Return the reminders that are due now; `storage.policies.note_version_reminded` notes that one was given."""
        with self._ledger.database.read() as session:
            cases = [read_policy_case(session, each) for each in list_versions(session, "proposed")]
        now = self._ledger.clock()
        found = ((each.version.id, due_reminder(each.version, reminder_hours(each.asked), now)) for each in cases)
        return [Reminder("policy", version_id, hours) for version_id, hours in found if hours is not None]

    def close_stale(self) -> list[PolicyVersion]:
        """Close the proposed policies that are past their time, or void; return those that were closed."""
        with self._ledger.database.read() as session:
            if not list_versions(session, "proposed"):
                return []
        with self._ledger.changes() as session:
            return [each for each in list_versions(session, "proposed") if self._close_if_stale(session, each)]

    def _new(self, policy: Policy, proposed_by: str, reason: str, expires_at: datetime) -> PolicyVersion:
        return PolicyVersion(
            id=new_id("pol"),
            digest=policy.digest,
            name=policy.name,
            content=policy.canonical,
            state="proposed",
            proposed_by=proposed_by,
            reason=reason,
            created_at=self._ledger.clock(),
            expires_at=expires_at,
        )

    def _count(
        self, session: Session, version: PolicyVersion, person_id: str, verdict: Verdict, reason: str
    ) -> PolicyOutcome:
        asked = read_policy_case(session, version).asked
        cast_vote(self._ledger, session, [*asked.values()], version, person_id, verdict, reason)
        ballot = read_policy_case(session, version).ballot
        if ballot.rejected:
            self._close(session, version, "rejected", person_id)
        elif not ballot.missing:
            self._put_in_force(session, version, person_id)
        return PolicyOutcome(version, ballot.message)

    def _put_in_force(self, session: Session, version: PolicyVersion, actor: str) -> None:
        current = version_in_force(session)
        if current is not None:
            self._ledger.move(session, current, "superseded", actor=actor)
        self._close(session, version, "in_force", actor)

    def _close(
        self, session: Session, version: PolicyVersion, state: PolicyState, actor: str, reason: str = ""
    ) -> None:
        version.decided_at = self._ledger.clock()
        self._ledger.move(session, version, state, actor=actor, reason=reason)

    def _close_if_stale(self, session: Session, version: PolicyVersion) -> str:
        why = self._why_closed(version, digest_in_force(session))
        if why and version.state == "proposed":
            late = version.expires_at <= self._ledger.clock()
            self._close(session, version, "expired" if late else "void", SYSTEM)
        return why

    def _why_closed(self, version: PolicyVersion, in_force: str | None) -> str:
        if version.state != "proposed":
            return f"nothing is to be decided on this policy any more: it is {version.state.replace('_', ' ')}."
        if version.expires_at <= self._ledger.clock():
            return "this proposal has expired without enough decisions. `apprentice policy propose` makes a new one."
        if version.under_digest != in_force:
            return "this proposal is void: another policy came in force since. Propose it again if it is still wanted."
        return ""


def _why_not_withdraw(version: PolicyVersion, person_id: str) -> str:
    if version.proposed_by == person_id:
        return ""
    return "only whoever proposed this policy can withdraw it; those who decide on it can reject it."


def _check_proposable(session: Session, policy: Policy, current: Policy) -> None:
    """Refuse what cannot be proposed.

    Raises:
        IllegalStateError: the message says what to do instead.

    """
    if digest_in_force(session) is None:
        raise IllegalStateError(
            "no policy is in force yet, so there is nothing to change. The first start of `apprentice up` puts the one "
            "in force that governance.policy names."
        )
    if policy.canonical == current.canonical:
        raise IllegalStateError(f"this policy is in force already ({current.digest[:12]}).")
    for version in list_versions(session, "proposed"):
        if (version.digest, version.under_digest) == (policy.digest, current.digest):
            raise IllegalStateError(
                f"this policy is proposed already ({version.digest[:12]}), until {version.expires_at:%Y-%m-%d %H:%M} "
                "UTC. `apprentice policy approve` and `reject` decide on it."
            )
