"""One commit for the changes of several threads that come together: waiting for the disk is what a commit costs.

Each change has a session and a savepoint of its own inside a shared transaction, so that one which fails takes nothing
of the others with it. Nobody is told that a change stands before the commit that holds it is durable. What has to come
first or last in the transaction, or after its commit, is done once for all of its changes. There is no timer: a change
that comes alone is committed at once.
"""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Generic, TypeVar

from sqlmodel import Session

from storage.database import Database

MEMBERS = 64
"""Changes that one commit holds at most, so that writers of other processes get their turn."""

_DEFERRED = "deferred"
"""Where a session keeps what `defer` was given."""

Row = TypeVar("Row")


def defer(session: Session, row: object) -> None:
    """Leave this to the end of the transaction that a change shares with others; forgotten if the change fails."""
    session.info[_DEFERRED].append(row)


class Frame(Generic[Row]):
    """What is done once for all changes of one commit; here nothing."""

    def begin(self, session: Session) -> None:
        """Come first in the shared transaction; what this raises is raised by the change that came first."""

    def end(self, session: Session, deferred: list[Row]) -> None:
        """Come last in it, with all that its changes deferred; what this raises is raised by each of them."""

    def committed(self) -> None:
        """Come after the commit, before any change is said to stand; must not raise."""


class _Group(Generic[Row]):
    """A transaction under way, and how it ended."""

    def __init__(self, database: Database, frame: Frame[Row]) -> None:
        self._frame = frame
        self.deferred: list[Row] = []
        self.members = 0
        self.ended = threading.Event()
        self.error: BaseException | None = None
        with ExitStack() as opening:
            self._shared = opening.enter_context(database.transaction())
            frame.begin(self._shared)
            self._open = opening.pop_all()

    def session(self) -> Session:
        """Return a new session in a savepoint of the transaction."""
        connection = self._shared.connection()
        session = Session(connection, join_transaction_mode="create_savepoint", expire_on_commit=False)
        session.info[_DEFERRED] = []
        return session

    def commit(self) -> None:
        try:
            with self._open:
                self._frame.end(self._shared, self.deferred)
        except BaseException as error:  # noqa: BLE001 - raised again in every thread whose change it held
            self.error = error

    def tell(self) -> None:
        try:
            if self.error is None:
                self._frame.committed()
        finally:
            self.ended.set()


class GroupCommit(Generic[Row]):
    """Transactions of one database in which the threads of this process take turns; `waiting` of them for theirs."""

    def __init__(self, database: Database, frame: Frame[Row]) -> None:
        self._database = database
        self._frame = frame
        self._turn = threading.Lock()
        self._arrivals = threading.Lock()
        self.waiting = 0
        self._group: _Group[Row] | None = None

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Give a session whose changes are committed when the block ends, or not at all when an exception leaves it.

        Raises:
            Exception: what the commit failed with; then nothing of any change that it held was kept.

        """
        group = self._enter()
        try:
            with group.session() as session, session.begin():
                yield session
            group.deferred += session.info[_DEFERRED]
        finally:
            self._leave()
        group.ended.wait()
        if group.error is not None:
            raise group.error

    def _enter(self) -> _Group[Row]:
        """Wait for the turn, and join the transaction that the one before left open, or begin one."""
        try:
            self._wait_for_turn()
        except BaseException:  # an interrupt: whoever left the transaction open counted on this thread
            self._turn.acquire()
            self._leave()
            raise
        try:
            self._group = self._group or _Group(self._database, self._frame)
        except BaseException:
            self._turn.release()
            raise
        self._group.members += 1
        return self._group

    def _wait_for_turn(self) -> None:
        with self._arrivals:
            self.waiting += 1
        try:
            self._turn.acquire()
        finally:
            with self._arrivals:
                self.waiting -= 1

    def _leave(self) -> None:
        """Give the turn to the next; commit before that unless the next joins, and tell all members after it."""
        try:
            ended = self._commit_if_last()
        finally:
            self._turn.release()
        if ended is not None:
            ended.tell()

    def _commit_if_last(self) -> _Group[Row] | None:
        group = self._group
        if group is None or (group.members < MEMBERS and self.waiting):
            return None
        self._group = None
        group.commit()
        return group
