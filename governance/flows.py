"""Everything that changes the state of feedback, runs, adapters and proposals, each change with its audit record.

Slack, the web console and the command line all call these functions; none of them knows the rules by itself.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlmodel import Session

from governance.approvals import APPROVED, Ballot, why_not_cancel
from governance.audit import AuditLog
from governance.break_glass import Confirmation, break_glass, confirm, note_seen, take_out_unconfirmed, undo
from governance.channels import check_settings, settings_digest
from governance.comparing import choose, own_comparison
from governance.delegation import delegate_vote, revoke_delegation
from governance.erasure import ErasedPerson, enforce_retention, erase_person, let_go, stop_runs
from governance.errors import NotEntitledError, ProposalClosedError, TrainingPausedError
from governance.gates import GateResult, Metric, combine, judge
from governance.ledger import SYSTEM, Ledger, digests_of
from governance.membership import Listed, group_warnings, groups_named, keep_user_groups
from governance.pausing import end_of_pause, why_paused
from governance.people import why_no_feedback, why_not_set
from governance.pinning import Subject, lift_pin, set_pin
from governance.policy import Policy
from governance.policy_changes import PolicyChanges
from governance.promotion import (
    close,
    close_if_stale,
    go_on,
    is_due,
    live_adapter,
    promote,
    roll_back,
    take_out,
    when_live,
    why_closed,
)
from governance.reasons import check_reason
from governance.reminders import Reminder, due_reminder
from governance.review import contest, read_related, review_reason, why_not_review, why_not_waiting
from governance.roles import Action, why_lacking
from governance.screening import screen, screen_stored
from governance.suspicion import suspect
from governance.user_groups import UserGroups, read_groups, read_principal
from governance.voting import cast_vote, why_not_vote
from governance.watching import Comparison, compare, why_take_out
from governance.withdrawal import why_not_withdraw, withdraw
from governance.workspaces import install, uninstall
from storage.adapters import Adapter, find_adapter, list_adapters
from storage.break_glass import BreakGlass
from storage.channels import ChannelSettings, channel_settings, set_channel
from storage.comparisons import BlindComparison, Preferred
from storage.database import Database
from storage.datasets import DatasetSnapshot
from storage.delegations import Delegation
from storage.domains import DEFAULT_DOMAIN
from storage.errors import IllegalStateError
from storage.feedback import (
    IMPORTED,
    Feedback,
    FeedbackKind,
    accepted_by_others,
    check_correction,
    check_vote_reason,
    feedback_with_ids,
    get_feedback,
    unchecked,
)
from storage.installations import Installation
from storage.interactions import Interaction
from storage.pauses import TRAINING, Pause, current_pause, lift_pause, put_pause
from storage.people import get_person
from storage.pins import Pin
from storage.proposals import Decision, Proposal, Verdict, decisions_on, get_proposal, list_proposals
from storage.records import Clock, new_id, utc_now
from storage.runs import ACTIVE, Run, get_run
from storage.user_groups import list_user_groups

RunEnd = Literal["failed", "cancelled", "interrupted", "succeeded"]


@dataclass(frozen=True)
class Outcome:
    """What a decision led to. `missing` counts the approvals that are still needed; `message` tells it to people."""

    proposal: Proposal
    decisions: list[Decision]
    promoted: bool
    message: str
    missing: int


class Governance:
    """The rules of one installation. Writers take turns, so every method sees and leaves one consistent state."""

    def __init__(self, database: Database, policy: Policy, audit: AuditLog, clock: Clock = utc_now) -> None:
        self.database = database
        self.audit = audit
        self.clock = clock
        self._ledger = Ledger(database, policy, audit, clock)
        self.policies = PolicyChanges(self._ledger)

    @property
    def policy(self) -> Policy:
        """The policy in force; the one that was given until there is one."""
        return self._ledger.policy

    # Roles

    def check_role(self, action: Action, person_id: str) -> None:
        """Check that somebody has the role which an action needs that is done elsewhere.

        Raises:
            NotEntitledError: they have not.

        """
        with self.database.read() as session:
            self._check_role(session, action, person_id)

    # Workspaces

    def install_workspace(self, installation: Installation) -> None:
        """Keep the installation of the app in a workspace, in place of an earlier one."""
        install(self._ledger, installation)

    def uninstall_workspace(self, workspace_id: str, at: datetime) -> None:
        """Forget an installation, unless it is newer than the removal at that time, and close what waits there."""
        uninstall(self._ledger, workspace_id, at)

    # User groups

    def user_groups_to_read(self) -> frozenset[str]:
        """Return the user groups that the policy in force or a proposed one names; else those kept, which are to go."""
        with self.database.read() as session:
            return groups_named(session, self.policy) or frozenset(each.id for each in list_user_groups(session))

    def keep_user_groups(self, workspace_id: str, listed: Mapping[str, Listed], begun_at: datetime) -> None:
        """Keep what was read of a workspace's user groups, as `membership.keep_user_groups` says."""
        keep_user_groups(self._ledger, workspace_id, listed, begun_at)

    def user_group_warnings(self) -> list[str]:
        """Say what is wrong with the user groups that the policy in force names, a sentence each."""
        with self.database.read() as session:
            return group_warnings(session, self.policy, self.clock())

    # Feedback

    def record_feedback(
        self,
        *,
        workspace_id: str,
        person_id: str,
        kind: FeedbackKind,
        question: str,
        answer: str,
        source: str,
        text: str = "",
        reason: str | None = None,
        interaction_id: str | None = None,
        private: bool = False,
        domain: str = DEFAULT_DOMAIN,
        feedback_id: str | None = None,
    ) -> Feedback:
        """Keep a vote, a correction whose new answer is `text`, or that `text` is preferred over `answer`.

        The policy, and the settings of the channel where the answer was given, say whether it needs a review first.
        What the policy says of personal data and secrets is done to its texts before anything is kept.

        `reason` says what is wrong with an answer that is voted down; it is one of `VoteReason`. `domain` is the label
        of the channel in which it was said.

        Raises:
            InvalidFeedbackError: an empty or over-long correction, or a reason that this vote cannot have.
            NotEntitledError: the policy does not let this person's feedback count.

        """
        feedback = Feedback(
            id=feedback_id or new_id("fb"),
            workspace_id=workspace_id,
            interaction_id=interaction_id,
            person_id=person_id,
            kind=kind,
            question=question,
            answer=answer,
            text=check_correction(text) if kind == "correction" else text if kind == "preference" else "",
            reason=check_vote_reason(kind, reason),
            source=source,
            private=private,
            domain=domain,
            state="received",
            created_at=self.clock(),
        )
        with self._ledger.changes() as session:
            self._keep(session, feedback)
        return feedback

    def record_preference(
        self, comparison_id: str, person_id: str, preferred: Preferred
    ) -> tuple[BlindComparison, bool]:
        """Keep which of two answers a person preferred; who has chosen before keeps to that.

        Returns:
            The comparison, and whether what they said still counts.

        Raises:
            NotFoundError: the comparison is not there any more.
            NotEntitledError: it was shown to somebody else, or the policy does not let this person's feedback count.

        """
        with self._ledger.changes() as session:
            comparison = own_comparison(session, comparison_id, person_id)
            if comparison.preferred is None:
                self._check_role(session, "compare", person_id)
                for feedback in choose(session, comparison, preferred, self.clock()):
                    self._keep(session, feedback)
            said = feedback_with_ids(session, comparison.feedback_ids)
            return comparison, all(feedback.state == "accepted" for feedback in said)

    def withdraw_feedback(self, feedback_id: str, person_id: str) -> list[Feedback]:
        """Take back what this person said: a vote together with their earlier ones on that answer, or one correction.

        What was said of two answers with one choice is taken back as one.

        Returns:
            What is taken back by this, the named feedback last; what was taken back before stays as it is.

        Raises:
            IllegalStateError: it was erased.
            NotEntitledError: somebody else said it.

        """
        with self._ledger.changes() as session:
            feedback = get_feedback(session, feedback_id)
            if refusal := why_not_withdraw(feedback, person_id):
                raise NotEntitledError(refusal)
            return withdraw(self._ledger, session, feedback)

    def contest_feedback(self, contested: Iterable[tuple[Sequence[str], Sequence[str]]]) -> int:
        """Send accepted corrections that contradict each other to review; return how many were sent.

        `contested` has the ids that disagree on one question, and those of what a reviewer accepted there before, which
        stays in force. What is no longer accepted is left as it is.
        """
        with self._ledger.changes() as session:
            return sum(contest(self._ledger, session, ids, stands) for ids, stands in contested)

    def may_review(self, feedback_id: str, person_id: str) -> str:
        """Return why this person may not decide on the correction; empty when they may."""
        with self.database.read() as session:
            feedback = get_feedback(session, feedback_id)
            others = read_related(session, feedback)
            refusal = self._why_not_review(session, feedback, others, person_id)
        return refusal or why_not_waiting(feedback)

    def review_feedback(self, feedback_id: str, reviewer_id: str, accept: bool, reason: str = "") -> Feedback:  # noqa: FBT001
        """Accept or decline a correction that waits for review.

        Raises:
            IllegalStateError: it does not wait for review.
            NotEntitledError: the policy does not name this reviewer, or the correction, or one that it contradicts or
                was found with, is the reviewer's own.
            ReasonRequiredError: declined without a reason.
            ReasonTooLongError: longer than is kept.

        """
        reason = check_reason(reason, "decline a correction", required=not accept)
        with self._ledger.changes() as session:
            feedback = get_feedback(session, feedback_id)
            others = read_related(session, feedback)
            if refusal := self._why_not_review(session, feedback, others, reviewer_id):
                raise NotEntitledError(refusal)
            if too_late := why_not_waiting(feedback):
                raise IllegalStateError(too_late)
            feedback.reviewed_by, feedback.reviewed_at = reviewer_id, self.clock()
            feedback.reviewer_reason = reason or None
            state = "accepted" if accept else "declined"
            self._ledger.move(session, feedback, state, actor=reviewer_id, reason=reason)
        return feedback

    def look_for_poisoning(self) -> int:
        """Send to review what looks like an attempt to steer the assistant; return how many corrections that are.

        Each new correction is looked at with those before it as it comes; this is for what came from a file.
        """
        with self._ledger.changes() as session:
            return suspect(self._ledger, session)

    def screen_stored(self, at_once: int = 500) -> int:
        """Look for personal data in accepted feedback that these rules have not seen; return how much there was."""
        seen = 0
        while True:
            with self._ledger.changes() as session:
                batch = unchecked(session, self.policy.privacy.stamp, at_once)
                screen_stored(self._ledger, session, batch)
            seen += len(batch)
            if len(batch) < at_once:
                return seen

    # Channels

    def may_set_channel(self, person_id: str) -> str:
        """Return why this person may not change the settings of a channel that they are in; empty when they may."""
        with self.database.read() as session:
            get_person(session, person_id)
            return why_not_set(self.policy, read_principal(session, person_id, self.clock()))

    def change_channel(self, workspace_id: str, channel: str, settings: ChannelSettings, person_id: str) -> bool:
        """Put settings of a channel into force; return whether they differ from those before.

        The audit record has the digests of both; the settings themselves are kept with who set them.

        Raises:
            InvalidChannelSettingsError: something in them is not possible.
            NotEntitledError: the policy does not let this person change them.

        """
        check_settings(settings)
        with self._ledger.changes() as session:
            get_person(session, person_id)
            if refusal := why_not_set(self.policy, read_principal(session, person_id, self.clock())):
                raise NotEntitledError(refusal)
            before = channel_settings(session, workspace_id, channel)
            if settings == before:
                return False
            set_channel(session, workspace_id, channel, settings, person_id, self.clock())
            digests = {"before": settings_digest(before), "after": settings_digest(settings)}
            self._ledger.record(session, "channel.changed", f"{workspace_id}/{channel}", digests, actor=person_id)
        return True

    # Erasing

    def erase_person(self, person_id: str, actor: str) -> ErasedPerson:
        """Erase what a person said and asked; `learning.erasure` follows with snapshots, reports and adapters.

        Raises:
            NotFoundError: there is no such person.
            NotEntitledError: the policy does not name `actor` as an operator.

        """
        with self._ledger.changes() as session:
            self._check_role(session, "erase_person", actor)
            return erase_person(self._ledger, session, person_id, actor)

    def enforce_retention(self) -> int:
        """Erase the texts whose time is over by the policy; return how many."""
        return enforce_retention(self._ledger)

    def let_go(self, adapter_digests: Iterable[str], snapshots: Iterable[str]) -> list[Adapter]:
        """Do what the policy says to adapters that learned from erased people, and stop runs on these snapshots.

        Those that nobody is answered by are let go first, so that none of them is put back in place of one that is.
        """
        with self._ledger.changes() as session:
            stop_runs(self._ledger, session, snapshots)
            adapters = [find_adapter(session, digest) for digest in adapter_digests]
            ordered = sorted(adapters, key=lambda each: each.state in {"serving", "canary"})
            return [let_go(self._ledger, session, each.digest) for each in ordered]

    # Data sets and runs

    def register_snapshot(self, digest: str, row_count: int, manifest: dict[str, Any], actor: str) -> DatasetSnapshot:
        """Note a published snapshot; one that is known already stays as it is."""
        with self._ledger.changes() as session:
            known = session.get(DatasetSnapshot, digest)
            if known is not None:
                return known
            snapshot = DatasetSnapshot(digest=digest, row_count=row_count, manifest=manifest, created_at=self.clock())
            session.add(snapshot)
            self._ledger.record(session, "dataset.built", digest, {"dataset": digest}, actor=actor)
        return snapshot

    def queue_run(
        self,
        *,
        started_by: str,
        recipe: str,
        base_digest: str,
        parent_digest: str | None = None,
        domain: str = DEFAULT_DOMAIN,
    ) -> Run:
        """Note that somebody, or the schedule, asked for a training run of a domain's adapter.

        Raises:
            TrainingPausedError: somebody paused training.

        """
        run = Run(
            id=new_id("run"),
            state="queued",
            started_by=started_by,
            recipe=recipe,
            domain=domain,
            base_digest=base_digest,
            parent_digest=parent_digest,
            created_at=self.clock(),
        )
        with self._ledger.changes() as session:
            if paused := why_paused(session, self.clock()):
                raise TrainingPausedError(paused)
            session.add(run)
            self._ledger.record(session, "run.queued", run.id, digests_of(run), actor=started_by)
        return run

    def start_run(self, run_id: str, snapshot_digest: str, row_count: int, manifest: dict[str, Any]) -> Run:
        """Note that training begins on a snapshot, which is registered when it is new."""
        with self._ledger.changes() as session:
            run = get_run(session, run_id)
            if session.get(DatasetSnapshot, snapshot_digest) is None:
                session.add(
                    DatasetSnapshot(
                        digest=snapshot_digest, row_count=row_count, manifest=manifest, created_at=self.clock()
                    )
                )
                session.flush()
            run.snapshot_digest, run.started_at = snapshot_digest, self.clock()
            self._ledger.move(session, run, "running", actor=run.started_by)
        return run

    def resume_run(self, run_id: str) -> Run:
        """Note that an interrupted run goes on."""
        with self._ledger.changes() as session:
            run = get_run(session, run_id)
            if run.state != "interrupted":
                raise IllegalStateError(f"run {run_id} is '{run.state}'; only an interrupted run can be resumed.")
            self._ledger.move(session, run, "running", actor=run.started_by)
        return run

    def note_progress(self, run_id: str, progress: dict[str, Any]) -> None:
        """Keep the latest progress of a run, for whoever looks; this is not a change of state."""
        with self.database.transaction() as session:
            run = get_run(session, run_id)
            run.progress = progress
            session.add(run)

    def keep_curve(self, run_id: str, curve: list[list[float]]) -> None:
        """Keep the run's loss by step, for when its folder is lost; this is not a change of state."""
        with self.database.transaction() as session:
            run = get_run(session, run_id)
            run.curve = curve
            session.add(run)

    def cancel_run(self, run_id: str, actor: str, reason: str = "") -> Run:
        """Ask that a run be stopped for good; asked again, nothing changes.

        One that is `interrupted` is cancelled by this. The state of any other follows with `finish_run`, when whoever
        works on it has stopped.

        Raises:
            IllegalStateError: the run has ended.
            NotEntitledError: the policy names neither this person nor everybody, and somebody else started the run.
            ReasonTooLongError: longer than is kept.

        """
        reason = check_reason(reason, "cancel a run", required=False)
        with self._ledger.changes() as session:
            run = get_run(session, run_id)
            rules = self.policy.rules_of(run.domain)
            if refusal := why_not_cancel(rules, run, read_principal(session, actor, self.clock())):
                raise NotEntitledError(refusal)
            if run.state not in ACTIVE:
                raise IllegalStateError(f"run {run_id} is '{run.state}' already, so it cannot be cancelled.")
            if run.cancelled_by is None:
                run.cancelled_by, run.cancel_reason = actor, reason
                self._ledger.record(
                    session, "run.cancel_requested", run.id, digests_of(run), actor=actor, reason=reason
                )
            if run.state == "interrupted":
                self._end(session, run, "cancelled", "")
            session.add(run)
        return run

    def finish_run(self, run_id: str, state: RunEnd, error: str = "") -> Run:
        """Note how a run ended; the log holds only the digest of `error`.

        What was to be cancelled and did not succeed before it stopped is `cancelled`, whatever `state` says.
        """
        with self._ledger.changes() as session:
            run = get_run(session, run_id)
            self._end(session, run, state, error)
        return run

    # Pauses

    def may_start_training(self, person_id: str) -> str:
        """Return why this person may not start training, or why nobody may at present; empty when they may."""
        with self.database.read() as session:
            refusal = self._why_lacking(session, "start_training", person_id)
            return refusal or why_paused(session, self.clock())

    def pause_training(self, actor: str, hours: float | None = None) -> Pause:
        """Let no training begin for so many hours (None: until it is resumed); a run under way goes on.

        Raises:
            NotEntitledError: the policy does not let this person do that.
            PauseLengthError: a pause of that length is not possible.

        """
        now = self.clock()
        with self._ledger.changes() as session:
            self._check_role(session, "pause_training", actor)
            ends_at = end_of_pause(now, hours)
            pause = put_pause(session, actor, now, ends_at)
            until = f"until {ends_at.isoformat()}" if ends_at else "until it is resumed"
            self._ledger.record(session, "training.paused", TRAINING, {}, actor=actor, reason=until)
        return pause

    def resume_training(self, actor: str) -> None:
        """End the pause of training.

        Raises:
            NotEntitledError: the policy does not let this person do that.
            IllegalStateError: training is not paused.

        """
        with self._ledger.changes() as session:
            self._check_role(session, "resume_training", actor)
            pause = current_pause(session, self.clock())
            if pause is None:
                raise IllegalStateError("training is not paused.")
            lift_pause(session, pause)
            self._ledger.record(session, "training.resumed", TRAINING, {}, actor=actor)

    # Adapters

    def register_adapter(
        self, run_id: str, digest: str, base_digest: str, parent_digest: str | None, snapshot_digest: str
    ) -> Adapter:
        """Note the adapter that a run made; the same run may say so again after an interruption.

        An adapter of a run that was cancelled, or failed, before anything was decided becomes that of this run.

        Raises:
            IllegalStateError: another run made this very adapter before.

        """
        with self._ledger.changes() as session:
            run = get_run(session, run_id)
            known = session.get(Adapter, digest)
            if known is not None:
                if known.run_id == run_id or self._adopted(session, known, run):
                    return known
                raise IllegalStateError(
                    f"run {run_id} made adapter {digest[:12]} again, which run {known.run_id} had made and which is "
                    f"'{known.state}' by now. Add feedback, or change the recipe, before training again."
                )
            adapter = Adapter(
                digest=digest,
                state="candidate",
                domain=run.domain,
                run_id=run_id,
                base_digest=base_digest,
                parent_digest=parent_digest,
                snapshot_digest=snapshot_digest,
                created_at=self.clock(),
            )
            run.adapter_digest = digest
            session.add_all([adapter, run])
            self._ledger.record(
                session, "adapter.candidate", digest, {**digests_of(adapter), "run": run_id}, actor=SYSTEM
            )
        return adapter

    def record_evaluation(
        self, adapter_digest: str, report_digest: str, metrics: Mapping[str, Metric]
    ) -> list[GateResult]:
        """Judge a candidate by its report; a failed gate (or an undecided one, if the policy says so) rejects it."""
        with self._ledger.changes() as session:
            adapter = find_adapter(session, adapter_digest)
            rules = self.policy.rules_of(adapter.domain)
            results = judge(rules, metrics)
            adapter.report_digest = report_digest
            adapter.gates = [asdict(result) for result in results]
            self._ledger.move(session, adapter, "evaluated", actor=SYSTEM)
            if combine(results, rules.evidence) == "reject":
                self._ledger.move(session, adapter, "rejected", actor=SYSTEM)
        return results

    def propose(self, adapter_digest: str, shares: Mapping[str, float]) -> Proposal:
        """Ask people to decide on an evaluated adapter. `shares`: person id -> share (0 to 1) of its corrections."""
        now = self.clock()
        with self._ledger.changes() as session:
            adapter = find_adapter(session, adapter_digest)
            run = get_run(session, adapter.run_id) if adapter.run_id else None
            if run is not None and run.cancelled_by is not None:
                raise IllegalStateError(f"run {run.id} is to be cancelled, so nothing of it is proposed.")
            self._ledger.move(session, adapter, "proposed", actor=SYSTEM)
            proposal = Proposal(
                id=new_id("prop"),
                adapter_digest=adapter.digest,
                dataset_digest=adapter.snapshot_digest or "",
                report_digest=adapter.report_digest or "",
                policy_digest=self.policy.digest,
                started_by=run.started_by if run else "",
                shares=dict(shares),
                state="open",
                created_at=now,
                expires_at=now + timedelta(days=self.policy.rules_of(adapter.domain).approval.expiry_days),
            )
            session.add(proposal)
            self._ledger.record(session, "proposal.open", proposal.id, digests_of(proposal), actor=SYSTEM)
        return proposal

    # Decisions

    def may_decide(self, proposal_id: str, person_id: str) -> str:
        """Return why this person may not decide on the proposal; empty when they may."""
        with self.database.read() as session:
            proposal = get_proposal(session, proposal_id)
            if closed := why_closed(session, proposal, self.policy.digest, self.clock()):
                return closed
            return why_not_vote(session, [self._rules(session, proposal)], proposal, person_id, self.clock())

    def decide(self, proposal_id: str, person_id: str, verdict: Verdict, reason: str = "") -> Outcome:
        """Count one person's decision, and do what follows from it in the same transaction.

        Whoever is no approver, and holds the vote of one, decides in that one's name.
        One rejection ends the proposal; approvals promote the adapter when the policy's quorum is reached.

        Raises:
            ReasonRequiredError: rejected without a reason.
            ReasonTooLongError: longer than is kept.
            NotEntitledError: this person may not decide on this proposal.
            AlreadyDecidedError: this person, or whose vote they hold, has decided before.
            ProposalClosedError: decided, expired or void; a proposal that turns out to be so is closed here.

        """
        reason = check_reason(reason, f"{verdict} an adapter", required=verdict == "reject")
        with self._ledger.changes() as session:
            proposal = get_proposal(session, proposal_id)
            closed = close_if_stale(self._ledger, session, proposal)
            outcome = None if closed else self._count(session, proposal, person_id, verdict, reason)
        if outcome is None:
            raise ProposalClosedError(closed)
        self._ledger.keep_checkpoint()
        return outcome

    def advance_rollout(self) -> None:
        """Take each adapter in shadow or canary to its next stage once its time is over."""
        with self.database.read() as session:
            if not self._due(session):
                return
        with self._ledger.changes() as session:
            for adapter in self._due(session):
                go_on(self._ledger, session, adapter, SYSTEM)
        self._ledger.keep_checkpoint()

    def _due(self, session: Session) -> list[Adapter]:
        new = list_adapters(session, "approved", "canary")
        return [adapter for adapter in new if is_due(self._ledger, session, adapter)]

    def rollback(
        self, actor: str, reason: str, domain: str = DEFAULT_DOMAIN, *, adapter_digest: str = ""
    ) -> Adapter | None:
        """Take a domain's newest adapter out; return the one that answers everybody there then (None: the base model).

        The newest is the one in shadow or the canary, if there is one; else the serving one, in whose place the one
        before it is put back. `adapter_digest` names one that is taken out instead, whatever its domain, or none is.

        Raises:
            IllegalStateError: the domain has no adapter that answers, or the named one does not answer any more.
            NotEntitledError: the policy does not name `actor` as an operator.
            ReasonRequiredError: no reason is given.
            ReasonTooLongError: longer than is kept.

        """
        reason = check_reason(reason, "roll back")
        with self._ledger.changes() as session:
            self._check_role(session, "roll_back", actor)
            if adapter_digest:
                previous = take_out(self._ledger, session, live_adapter(session, adapter_digest), actor, reason)
            else:
                previous = roll_back(self._ledger, session, actor, reason, domain)
        self._ledger.keep_checkpoint()
        return previous

    def take_out_if_worse(self) -> str:
        """Roll the newest adapter of each domain back when the policy says so of what people said of its answers.

        Returns:
            Why, or "" when all may stay.

        The figures and the rollback are one transaction: another promotion cannot come in between.

        """
        with self.database.read() as session:  # without the turn of a writer, which is seldom needed
            domains = sorted({adapter.domain for adapter in list_adapters(session, "approved", "canary", "serving")})
            worse = [domain for domain in domains if self._seen_worse(session, domain)[0]]
        return " ".join(filter(None, map(self._take_out_if_worse, worse)))

    def _take_out_if_worse(self, domain: str) -> str:
        with self._ledger.changes() as session:
            reason, seen = self._seen_worse(session, domain)
            if reason and seen:
                roll_back(self._ledger, session, SYSTEM, reason, domain, seen.record())
        if reason:
            self._ledger.keep_checkpoint()
        return reason

    def _seen_worse(self, session: Session, domain: str) -> tuple[str, Comparison | None]:
        """Return why a domain's newest adapter has to go, "" when it may stay, and what that rests on."""
        rules = self.policy.rules_of(domain).rollback
        seen = compare(session, rules, self.clock(), domain) if rules.automatic else None
        return (why_take_out(rules, seen) if seen else ""), seen

    def expire_proposals(self) -> list[Proposal]:
        """Close the open proposals that are past their time, or void; return those that were closed."""
        with self.database.read() as session:
            if not list_proposals(session, "open"):
                return []
        with self._ledger.changes() as session:
            proposals = list_proposals(session, "open")
            return [proposal for proposal in proposals if close_if_stale(self._ledger, session, proposal)]

    def due_reminders(self) -> list[Reminder]:
        """Return the reminders that are due now; `storage.proposals.note_reminded` notes that one was given."""
        now = self.clock()
        with self.database.read() as session:
            proposals = [(each, self._rules(session, each).approval) for each in list_proposals(session, "open")]
        found = ((each.id, due_reminder(each, rules.remind_hours_before, now)) for each, rules in proposals)
        return [Reminder("adapter", proposal_id, hours) for proposal_id, hours in found if hours is not None]

    # Break-glass

    def break_glass(self, proposal_id: str, person_id: str, reason: str) -> tuple[BreakGlass, str]:
        """Promote without a quorum, as `break_glass.break_glass` says."""
        return break_glass(self._ledger, proposal_id, person_id, reason)

    def confirm_break_glass(self, glass_id: str, person_id: str) -> Confirmation:
        """Count an approval given afterwards, as `break_glass.confirm` says."""
        return confirm(self._ledger, glass_id, person_id)

    def note_break_glass_seen(self, glass_id: str, person_id: str) -> BreakGlass:
        """Note that somebody has seen it, as `break_glass.note_seen` says."""
        return note_seen(self._ledger, glass_id, person_id)

    def undo_break_glass(self, glass_id: str, person_id: str) -> BreakGlass:
        """Take its adapter out again, as `break_glass.undo` says."""
        return undo(self._ledger, glass_id, person_id)

    def take_out_unconfirmed(self) -> list[str]:
        """Take out what was not confirmed in time, as `break_glass.take_out_unconfirmed` says."""
        return take_out_unconfirmed(self._ledger)

    # Delegation

    def delegate_vote(self, delegator: str, delegate: str, ends_at: datetime, reason: str) -> Delegation:
        """Hand an approver's vote to somebody, as `delegation.delegate_vote` says."""
        return delegate_vote(self._ledger, delegator, delegate, ends_at, reason)

    def revoke_delegation(self, delegator: str) -> None:
        """Take a vote back, as `delegation.revoke_delegation` says."""
        revoke_delegation(self._ledger, delegator)

    # Pins

    def pin(self, subject: Subject, adapter: str, *, actor: str, reason: str, days: float) -> Pin:
        """Pin a person or a channel to an adapter, or the base model, as `pinning.set_pin` says."""
        return set_pin(self._ledger, subject, adapter, actor=actor, reason=reason, days=days)

    def unpin(self, subject_id: str, actor: str) -> None:
        """End a pin, as `pinning.lift_pin` says."""
        lift_pin(self._ledger, subject_id, actor)

    # Inside

    def _keep(self, session: Session, feedback: Feedback) -> None:
        """Accept feedback that was just received, or have it reviewed; refuse it if the policy does.

        What the policy says of personal data and secrets is done to its texts first. What looks like an attempt to
        steer the assistant, now that this came, is sent to review.
        """
        if refusal := why_no_feedback(self.policy, get_person(session, feedback.person_id)):
            raise NotEntitledError(refusal)
        trusted_here = _settings_where_answered(session, feedback.interaction_id).trusted
        before = accepted_by_others(session, [feedback.person_id]).get(feedback.person_id, 0)
        groups = read_groups(session, self.clock()) if self.policy.feedback.trusted else UserGroups()
        feedback.review_reason = review_reason(self.policy.feedback, feedback, groups, trusted_here, before)
        state = "pending_review" if feedback.review_reason else "accepted"
        screen(feedback, self.policy.privacy)
        if feedback.set_aside:
            state, feedback.review_reason = "quarantined", "personal_data"
        self._ledger.move(session, feedback, state, actor=feedback.person_id)
        if feedback.kind == "correction" and feedback.source != IMPORTED:
            suspect(self._ledger, session)

    def _end(self, session: Session, run: Run, state: RunEnd, error: str) -> None:
        actor = SYSTEM
        if run.cancelled_by is not None and state != "succeeded":
            if run.state == "cancelled":  # noted by whoever asked, who found nobody at work
                return
            state, error, actor = "cancelled", run.cancel_reason or "", run.cancelled_by
        run.error = error
        run.finished_at = None if state == "interrupted" else self.clock()
        self._ledger.move(session, run, state, actor=actor, reason=error)

    def _adopted(self, session: Session, adapter: Adapter, run: Run) -> bool:
        """Give `run` the adapter that a run left which came to nothing; return whether it was such a one."""
        maker = get_run(session, adapter.run_id) if adapter.run_id else None
        came_to_nothing = maker is not None and maker.state in {"cancelled", "failed"}
        if not came_to_nothing or adapter.state not in {"candidate", "evaluated"}:
            return False
        adapter.run_id, run.adapter_digest = run.id, adapter.digest
        session.add_all([adapter, run])
        bound_to = {**digests_of(adapter), "run": run.id}
        self._ledger.record(session, "adapter.adopted", adapter.digest, bound_to, actor=SYSTEM)
        return True

    def _rules(self, session: Session, proposal: Proposal) -> Policy:
        return self.policy.rules_of(find_adapter(session, proposal.adapter_digest).domain)

    def _why_not_review(self, session: Session, feedback: Feedback, others: Sequence[Feedback], person_id: str) -> str:
        return why_not_review(self.policy, feedback, others, read_principal(session, person_id, self.clock()))

    def _why_lacking(self, session: Session, action: Action, person_id: str) -> str:
        return why_lacking(self.policy, action, read_principal(session, person_id, self.clock()))

    def _check_role(self, session: Session, action: Action, person_id: str) -> None:
        if refusal := self._why_lacking(session, action, person_id):
            raise NotEntitledError(refusal)

    def _count(self, session: Session, proposal: Proposal, person_id: str, verdict: Verdict, reason: str) -> Outcome:
        rules = self._rules(session, proposal)
        cast_vote(self._ledger, session, [rules], proposal, person_id, verdict, reason)
        decisions = decisions_on(session, proposal.id)
        ballot, promoted = Ballot.of(decisions, rules.approval), False
        if ballot.rejected:
            close(self._ledger, session, proposal, "rejected", person_id)
        elif ballot.missing == 0:
            promoted = promote(self._ledger, session, proposal, person_id)
        message = ballot.message
        if message == APPROVED and not promoted:
            adapter = find_adapter(session, proposal.adapter_digest)
            message = f"Approved: the adapter {when_live(self._ledger, session, adapter)}"
        return Outcome(proposal, decisions, promoted, message, ballot.missing)


def _settings_where_answered(session: Session, interaction_id: str | None) -> ChannelSettings:
    """Return the settings of the channel in which an answer was given; the defaults when it was given nowhere."""
    about = session.get(Interaction, interaction_id) if interaction_id else None
    return channel_settings(session, about.workspace_id, about.channel) if about else ChannelSettings()
