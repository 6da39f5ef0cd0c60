"""One commit for the changes of several threads that come together: waiting for the disk is what a commit costs.

Each change has a session and a savepoint of its own inside a shared transaction, so that one which fails takes nothing
of the others with it. Nobody is told that a change stands before the commit that holds it is durable. There is no
timer: a change that comes alone is committed at once.
"""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from sqlalchemy import Connection
from sqlmodel import Session

from storage.database import Database

MEMBERS = 64
"""Changes that one commit holds at most, so that writers of other processes get their turn."""


class _Group:
    """A transaction under way, and how it ended."""

    def __init__(self, database: Database) -> None:
        self._open = ExitStack()
        self.connection: Connection = self._open.enter_context(database.transaction()).connection()
        self.members = 0
        self.ended = threading.Event()
        self.error: BaseException | None = None

    def commit(self) -> None:
        try:
            self._open.close()
        except BaseException as error:  # noqa: BLE001 - raised again in every thread whose change it held
            self.error = error
        self.ended.set()


class GroupCommit:
    """Transactions of one database in which the threads of this process take turns; `waiting` of them for theirs."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turn = threading.Lock()
        self._arrivals = threading.Lock()
        self.waiting = 0
        self._group: _Group | None = None

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Give a session whose changes are committed when the block ends, or not at all when an exception leaves it.

        Raises:
            Exception: what the commit failed with; then nothing of any change that it held was kept.

        """
        group = self._enter()
        try:
            with _session(group.connection) as session, session.begin():
                yield session
        finally:
            self._leave()
        group.ended.wait()
        if group.error is not None:
            raise group.error

    def _enter(self) -> _Group:
        """Wait for the turn, and join the transaction that the one before left open, or begin one."""
        try:
            self._wait_for_turn()
        except BaseException:  # an interrupt: whoever left the transaction open counted on this thread
            with self._turn:
                self._end_if_last()
            raise
        try:
            self._group = self._group or _Group(self._database)
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
        try:
            self._end_if_last()
        finally:
            self._turn.release()

    def _end_if_last(self) -> None:
        group = self._group
        if group is not None and (group.members >= MEMBERS or not self.waiting):
            self._group = None
            group.commit()


def _session(connection: Connection) -> Session:
    return Session(connection, join_transaction_mode="create_savepoint", expire_on_commit=False)
