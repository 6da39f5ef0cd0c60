"""The one way to change a state: check that the move is legal, make it, and record it, all in one transaction."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sqlmodel import Session

from governance.audit import AuditLog, LogEntry, text_digest
from governance.policy import Policy
from governance.policy_versions import policy_in_force
from governance.states import Kind, check_move
from storage.adapters import Adapter
from storage.audit import lock_audit_log
from storage.break_glass import BreakGlass
from storage.database import Database
from storage.errors import ApprenticeError
from storage.feedback import Feedback
from storage.group_commit import Frame, GroupCommit, defer
from storage.policies import PolicyVersion
from storage.proposals import Proposal
from storage.records import Clock
from storage.runs import Run

log = logging.getLogger(__name__)

SYSTEM = "system"
"""The actor of what follows from rules alone, such as an expiry."""

Digests = Mapping[str, str | None]
Stated = Adapter | Proposal | BreakGlass | Run | Feedback | PolicyVersion
"""What has a state."""


class _Logged(Frame[LogEntry]):
    """Lets one process at a time change what the log tells of, writes the records of all changes, and signs them.

    `policy` is the one in force as a change of this commit last read it; None where the next one has to.
    """

    def __init__(self, database: Database, audit: AuditLog, clock: Clock) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self.policy: Policy | None = None

    def begin(self, session: Session) -> None:
        lock_audit_log(session)
        self.policy = None  # it may be another process that committed last

    def end(self, session: Session, deferred: list[LogEntry]) -> None:
        self._audit.append(session, *deferred)

    def committed(self) -> None:
        with _keeping_what_is_committed():
            self._audit.sign(self._database, self._clock())


class Ledger:
    """Changes states and records them, under the policy in force. Writers take turns, so each sees one true state.

    `policy` is the one in force when this process last looked, and the one that was given until there is one.
    """

    def __init__(self, database: Database, policy: Policy, audit: AuditLog, clock: Clock) -> None:
        self.database = database
        self.policy = policy
        self.audit = audit
        self.clock = clock
        self._commit = _Logged(database, audit, clock)
        self._commits = GroupCommit(database, self._commit)

    @contextmanager
    def changes(self) -> Iterator[Session]:
        """Give a transaction in which this is the log's only writer, and sign the log once it is committed.

        In it `policy` is the one in force, whichever process put that there.
        """
        with self._commits.transaction() as session:
            if self._commit.policy is None:
                self._commit.policy = policy_in_force(session, self.policy)
            self.policy = self._commit.policy
            yield session

    def follow_policy(self) -> None:
        """Take over the policy in force, if another process has changed it."""
        with self.database.read() as session:
            self.policy = policy_in_force(session, self.policy)

    def move(self, session: Session, row: Stated, state: str, *, actor: str, reason: str = "") -> None:
        """Put a row into a state.

        Raises:
            IllegalStateError: the state machine has no such move.

        """
        kind = _kind_of(row)
        check_move(kind, row.state, state)
        row.state = state
        if isinstance(row, PolicyVersion):
            self._commit.policy = None
        session.add(row)
        session.flush()  # in this order: the database allows one serving adapter at any moment
        object_id = row.digest if isinstance(row, Adapter) else row.id
        self.record(session, f"{kind}.{state}", object_id, digests_of(row), actor=actor, reason=reason)

    def record(
        self, session: Session, action: str, object_id: str, digests: Digests, *, actor: str, reason: str = ""
    ) -> None:
        """Add an audit record to a change; it names the policy in force."""
        known = {name: digest for name, digest in digests.items() if digest}
        bound_to = {"policy": self.policy.digest} | known
        defer(session, LogEntry(actor, action, object_id, self.clock(), bound_to, reason))

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
