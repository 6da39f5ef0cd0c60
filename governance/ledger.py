"""The one way to change a state: check that the move is legal, make it, and record it, all in one transaction."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sqlmodel import Session

from governance.audit import AuditLog, text_digest
from governance.policy import Policy
from governance.policy_versions import policy_in_force
from governance.states import Kind, check_move
from storage.adapters import Adapter
from storage.audit import lock_audit_log
from storage.break_glass import BreakGlass
from storage.database import Database
from storage.errors import ApprenticeError
from storage.feedback import Feedback
from storage.group_commit import GroupCommit
from storage.policies import PolicyVersion, digest_in_force
from storage.proposals import Proposal
from storage.records import Clock
from storage.runs import Run

log = logging.getLogger(__name__)

SYSTEM = "system"
"""The actor of what follows from rules alone, such as an expiry."""

Digests = Mapping[str, str | None]
Stated = Adapter | Proposal | BreakGlass | Run | Feedback | PolicyVersion
"""What has a state."""


class Ledger:
    """Changes states and records them, under the policy in force. Writers take turns, so each sees one true state."""

    def __init__(self, database: Database, policy: Policy, audit: AuditLog, clock: Clock) -> None:
        self.database = database
        self._known = policy, policy.digest  # which is made anew whenever a policy is asked for it
        self.audit = audit
        self.clock = clock
        self._commits = GroupCommit(database)

    @property
    def policy(self) -> Policy:
        """The policy in force when this process last looked, and the one that was given until there is one."""
        return self._known[0]

    @contextmanager
    def changes(self) -> Iterator[Session]:
        """Give a transaction in which this is the log's only writer, and sign the log once it is committed.

        In it `policy` is the one in force, whichever process put that there.
        """
        with self._commits.transaction() as session:
            lock_audit_log(session)
            self._look(session)
            yield session
        with _keeping_what_is_committed():
            self.audit.sign(self.database, self.clock())

    def follow_policy(self) -> None:
        """Take over the policy in force, if another process has changed it."""
        with self.database.read() as session:
            self._look(session)

    def _look(self, session: Session) -> None:
        policy, digest = self._known
        if digest_in_force(session) not in {None, digest}:
            policy = policy_in_force(session, policy)
            self._known = policy, policy.digest

    def move(self, session: Session, row: Stated, state: str, *, actor: str, reason: str = "") -> None:
        """Put a row into a state.

        Raises:
            IllegalStateError: the state machine has no such move.

        """
        kind = _kind_of(row)
        check_move(kind, row.state, state)
        row.state = state
        session.add(row)
        session.flush()  # in this order: the database allows one serving adapter at any moment
        object_id = row.digest if isinstance(row, Adapter) else row.id
        self.record(session, f"{kind}.{state}", object_id, digests_of(row), actor=actor, reason=reason)

    def record(
        self, session: Session, action: str, object_id: str, digests: Digests, *, actor: str, reason: str = ""
    ) -> None:
        """Add an audit record; it names the policy in force."""
        known = {name: digest for name, digest in digests.items() if digest}
        self.audit.append(
            session,
            actor=actor,
            action=action,
            object_id=object_id,
            digests={"policy": self._known[1]} | known,
            reason=reason,
            now=self.clock(),
        )

    def keep_checkpoint(self) -> None:
        """Keep a signed checkpoint of this moment for good."""
        with _keeping_what_is_committed():
            self.audit.checkpoint(self.database, self.clock())


def digests_of(row: Stated) -> Digests:
    """Return what identifies the content of a row, or what it is bound to."""
    if isinstance(row, Feedback):
        said = [row.id, row.kind, row.question, row.answer, row.text, *([row.reason] if row.reason else [])]
        return {"content": text_digest("\0".join(said))}
    if isinstance(row, Proposal):
        return {
            "adapter": row.adapter_digest,
            "dataset": row.dataset_digest,
            "report": row.report_digest,
            "policy": row.policy_digest,
        }
    if isinstance(row, BreakGlass):
        return {
            "adapter": row.adapter_digest,
            "dataset": row.dataset_digest,
            "report": row.report_digest,
            "proposed_under": row.policy_digest,
            "proposal": row.proposal_id,
        }
    if isinstance(row, PolicyVersion):
        return {"version": row.digest}
    digests = {"base": row.base_digest, "parent": row.parent_digest, "dataset": row.snapshot_digest}
    return digests | {"report": row.report_digest} if isinstance(row, Adapter) else digests


def _kind_of(row: Stated) -> Kind:
    kinds: dict[type, Kind] = {
        Adapter: "adapter",
        Proposal: "proposal",
        BreakGlass: "break_glass",
        Run: "run",
        Feedback: "feedback",
        PolicyVersion: "policy",
    }
    return kinds[type(row)]


@contextmanager
def _keeping_what_is_committed() -> Iterator[None]:
    """Log a failure to sign instead of raising it: the change stands, and raising would make the caller repeat it."""
    try:
        yield
    except (ApprenticeError, OSError):
        log.exception("the audit log could not be signed; `apprentice audit verify` tells more")
