"""Changes of several threads share one commit, and nothing else."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlmodel import Session, col, select

from storage.database import Database
from storage.errors import ApprenticeError
from storage.group_commit import Frame, GroupCommit, defer
from storage.people import Workspace, ensure_workspace
from storage.records import utc_now

THREADS = 8


class Meeting:
    """Holds the first change open until all the others wait for their turn, so that they share its commit."""

    def __init__(self, commits: GroupCommit[str]) -> None:
        self._commits = commits
        self._first = threading.Event()

    def run(self, changes: list[Callable[[Session], None]]) -> list[BaseException | None]:
        """Make all changes together; return what each raised."""
        with ThreadPoolExecutor(len(changes)) as pool:
            first = pool.submit(self._lead, changes[0], len(changes) - 1)
            self._first.wait()
            others = [pool.submit(self._change, change) for change in changes[1:]]
            return [done.exception() for done in (first, *others)]

    def _lead(self, change: Callable[[Session], None], others: int) -> None:
        with self._commits.transaction() as session:
            self._first.set()
            while self._commits.waiting < others:
                threading.Event().wait(0.001)
            change(session)

    def _change(self, change: Callable[[Session], None]) -> None:
        with self._commits.transaction() as session:
            change(session)


def adding(name: str, error: BaseException | None = None) -> Callable[[Session], None]:
    def change(session: Session) -> None:
        ensure_workspace(session, name, name, utc_now())
        if error is not None:
            raise error

    return change


def names(database: Database) -> list[str]:
    with database.read() as session:
        return list(session.exec(select(Workspace.id).order_by(col(Workspace.id))))


def commits_of(database: Database) -> list[int]:
    counted: list[int] = []
    event.listen(database.engine, "commit", lambda _connection: counted.append(1))
    return counted


def test_changes_that_come_together_share_one_commit_and_all_stand(database: Database) -> None:
    counted = commits_of(database)
    said = Meeting(GroupCommit(database, Frame())).run([adding(f"T{number}") for number in range(THREADS)])
    assert said == [None] * THREADS
    assert names(database) == [f"T{number}" for number in range(THREADS)]
    assert len(counted) == 1


def test_a_change_that_comes_alone_is_committed_at_once(database: Database) -> None:
    counted = commits_of(database)
    commits = GroupCommit(database, Frame())
    for number in range(2):
        with commits.transaction() as session:
            adding(f"T{number}")(session)
        assert len(counted) == number + 1
    assert names(database) == ["T0", "T1"]


@pytest.mark.parametrize("failing", range(4))
def test_a_change_that_fails_takes_nothing_of_the_others_with_it(database: Database, failing: int) -> None:
    problem = ApprenticeError("no")
    said = Meeting(GroupCommit(database, Frame())).run(
        [adding(f"T{number}", problem if number == failing else None) for number in range(4)]
    )
    assert [error is problem for error in said] == [number == failing for number in range(4)]
    assert names(database) == [f"T{number}" for number in range(4) if number != failing]


def test_what_the_database_refuses_in_one_change_leaves_the_others(database: Database) -> None:
    def twice(session: Session) -> None:
        moment = utc_now()
        session.add_all(
            [Workspace(id="T9", name="a", created_at=moment), Workspace(id="T9", name="b", created_at=moment)]
        )

    said = Meeting(GroupCommit(database, Frame())).run([adding("T0"), twice, adding("T1")])
    assert [error is None for error in said] == [True, False, True]
    assert names(database) == ["T0", "T1"]


def test_when_the_commit_fails_every_change_that_it_held_is_told_so(database: Database) -> None:
    def fail(connection: object) -> None:
        raise OSError(28, "No space left on device")

    event.listen(database.engine, "commit", fail)
    said = Meeting(GroupCommit(database, Frame())).run([adding(f"T{number}") for number in range(3)])
    event.remove(database.engine, "commit", fail)
    assert [type(error) for error in said] == [OSError] * 3
    assert names(database) == []


def test_after_a_failed_commit_the_next_change_is_made(database: Database) -> None:
    commits = GroupCommit(database, Frame())

    def fail(connection: object) -> None:
        raise OSError(28, "No space left on device")

    event.listen(database.engine, "commit", fail)
    with pytest.raises(OSError, match="No space"), commits.transaction() as session:
        adding("T0")(session)
    event.remove(database.engine, "commit", fail)
    with commits.transaction() as session:
        adding("T1")(session)
    assert names(database) == ["T1"]


def test_a_database_that_cannot_be_opened_leaves_the_turn_to_the_next(
    tmp_path: Path, sqlite_database: Database
) -> None:
    away = Database(f"sqlite:///{tmp_path / 'folder' / 'there.db'}")
    (tmp_path / "folder").rmdir()
    commits = GroupCommit(away, Frame())
    for _ in range(2):
        with pytest.raises(Exception, match="unable to open"), commits.transaction():
            pass


class Told(Frame[str]):
    """Writes down what it is told, and whether it was committed by then; `failing` is what raises."""

    def __init__(self, database: Database, failing: str = "") -> None:
        self.said: list[object] = []
        self._failing = failing
        self._commits = commits_of(database)

    def begin(self, session: Session) -> None:
        self._note("begin", len(names_in(session)))

    def end(self, session: Session, deferred: list[str]) -> None:
        self._note("end", len(names_in(session)), *deferred)

    def committed(self) -> None:
        self._note("committed", len(self._commits))

    def _note(self, step: str, *what: object) -> None:
        self.said.append((step, *what))
        if step == self._failing:
            raise ApprenticeError(step)


def names_in(session: Session) -> list[str]:
    return list(session.exec(select(Workspace.id)))


def deferring(name: str, error: BaseException | None = None) -> Callable[[Session], None]:
    def change(session: Session) -> None:
        defer(session, f"of {name}")
        adding(name, error)(session)

    return change


def test_what_frames_a_commit_is_done_once_for_all_of_its_changes(database: Database) -> None:
    told = Told(database)
    said = Meeting(GroupCommit(database, told)).run([deferring("T0"), deferring("T1", ApprenticeError()), adding("T2")])
    assert [error is None for error in said] == [True, False, True]
    assert told.said == [("begin", 0), ("end", 2, "of T0"), ("committed", 1)]


def test_a_change_that_the_database_refuses_at_its_end_defers_nothing(database: Database) -> None:
    told = Told(database)
    commits = GroupCommit(database, told)

    def twice(session: Session) -> None:
        deferring("T9")(session)
        session.add(Workspace(id="T9", name="b", created_at=utc_now()))  # refused when the session is flushed

    said = Meeting(commits).run([twice, deferring("T0")])
    assert [error is None for error in said] == [False, True]
    assert told.said[1] == ("end", 1, "of T0")


def test_when_a_commit_cannot_be_begun_the_next_change_is_made(database: Database) -> None:
    told = Told(database, failing="begin")
    commits = GroupCommit(database, told)
    with pytest.raises(ApprenticeError, match="begin"), commits.transaction():
        pass
    told._failing = ""
    with commits.transaction() as session:
        adding("T0")(session)
    assert names(database) == ["T0"]


def test_when_what_comes_last_fails_every_change_is_told_so_and_none_stands(database: Database) -> None:
    told = Told(database, failing="end")
    said = Meeting(GroupCommit(database, told)).run([deferring("T0"), deferring("T1")])
    assert [str(error) for error in said] == ["end", "end"]
    assert names(database) == []
    assert [step for step, *_ in map(tuple, told.said)] == ["begin", "end"]


def test_no_change_is_said_to_stand_before_what_follows_the_commit_is_done(database: Database) -> None:
    signed = threading.Event()

    class Slow(Frame[str]):
        def committed(self) -> None:
            signed.wait()

    commits = GroupCommit(database, Slow())
    with ThreadPoolExecutor(2) as pool:
        meeting = pool.submit(Meeting(commits).run, [adding("T0"), adding("T1")])
        while names(database) != ["T0", "T1"]:
            threading.Event().wait(0.001)
        assert not meeting.done()
        signed.set()
        assert meeting.result() == [None, None]
