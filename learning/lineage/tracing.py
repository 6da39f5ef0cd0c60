"""Finds what an id, a digest or the place of a row stands for, and traces it."""

from collections.abc import Callable, Collection
from functools import partial
from typing import Any, get_args

from sqlmodel import Session

from learning.lineage.back import Back
from learning.lineage.forward import Forward
from learning.lineage.lines import Lines
from learning.lineage.nodes import Direction, Node, Trace
from learning.lineage.rows import Part, row_at
from storage.adapters import Adapter, list_adapters
from storage.artifacts import ArtifactStore
from storage.datasets import DatasetSnapshot, list_snapshots
from storage.errors import NotFoundError
from storage.feedback import Feedback
from storage.interactions import Interaction
from storage.people import Person
from storage.runs import Run

MIN_DIGEST = 6
BOTH: tuple[Direction, ...] = get_args(Direction)
Found = tuple[Node, Callable[[], list[Node]], Callable[[], list[Node]]]
"""What was asked about, and what says where it comes from and what it led to."""


def trace(
    session: Session,
    store: ArtifactStore,
    what: str | Interaction,
    *,
    limit: int | None = 10,
    directions: Collection[Direction] = BOTH,
) -> Trace:
    """Trace whatever has this id, or an answer that was found already.

    Args:
        session: reads the database.
        store: has the files of data sets.
        what: an id; a digest, which may be cut short to six characters; such a digest, "/rows/" and the number of a row
            (or pairs, thumbs, left_out).
        limit: of what is many so many are shown, and how many more there are (None: all).
        directions: where it comes from ("back"), what it led to ("forward"), or both.

    Raises:
        NotFoundError: nothing has that id, or several digests begin so.

    """
    node, back, forward = _Tracer(session, store, limit).find(what)
    return Trace(node, back() if "back" in directions else None, forward() if "forward" in directions else None)


class _Tracer:
    def __init__(self, session: Session, store: ArtifactStore, limit: int | None) -> None:
        self._session = session
        self._lines = Lines(session, store, limit)
        self._back, self._forward = Back(self._lines), Forward(self._lines)

    def find(self, what: str | Interaction) -> Found:
        if isinstance(what, Interaction):
            return self._answer(what)
        looks: tuple[tuple[type[Any], Callable[[Any], Found]], ...] = (
            (Interaction, self._answer), (Feedback, self._feedback), (Run, self._run), (Person, self._person),
        )  # fmt: skip
        for kind, found in looks:
            if (row := self._session.get(kind, what)) is not None:
                return found(row)
        digest, _, place = what.partition("/")
        return self._row(digest, place, what) if place else self._by_digest(digest)

    def _answer(self, row: Interaction) -> Found:
        return self._lines.answer(row), partial(self._back.answer, row), partial(self._forward.answer, row)

    def _feedback(self, row: Feedback) -> Found:
        return self._lines.feedback(row), partial(self._back.feedback, row), partial(self._forward.feedback, row)

    def _run(self, row: Run) -> Found:
        return self._lines.run(row), partial(self._back.run, row), partial(self._forward.run, row)

    def _person(self, row: Person) -> Found:
        return self._lines.person(row), list, partial(self._forward.person, row)

    def _adapter(self, row: Adapter) -> Found:
        return self._lines.adapter(row), partial(self._back.adapter, row), partial(self._forward.adapter, row)

    def _data_set(self, row: DatasetSnapshot) -> Found:
        return self._lines.data_set(row), partial(self._back.data_set, row), partial(self._forward.data_set, row)

    def _by_digest(self, digest: str) -> Found:
        adapters = [each for each in list_adapters(self._session) if _begins(each.digest, digest)]
        snapshots = self._snapshots(digest)
        if len(adapters) + len(snapshots) != 1:
            raise _not_found(digest, len(adapters) + len(snapshots))
        return self._adapter(adapters[0]) if adapters else self._data_set(snapshots[0])

    def _row(self, digest: str, place: str, what: str) -> Found:
        part, _, number = place.partition("/")
        snapshots = self._snapshots(digest)
        if part not in get_args(Part) or not number.isdecimal() or not snapshots:
            raise _not_found(what, 0)
        if len(snapshots) > 1:
            raise _not_found(digest, len(snapshots))
        (snapshot,) = snapshots
        try:
            row = row_at(self._lines.folder(snapshot.digest), part, int(number))  # type: ignore[arg-type]
        except (OSError, ValueError, TypeError) as error:
            raise NotFoundError(f"the rows of data set {snapshot.digest} cannot be read: {error}.") from error
        if row is None:
            raise NotFoundError(f"data set {snapshot.digest} has no {place}; {part} are counted from 1.")
        forward = partial(self._forward.data_row, snapshot, row)
        return self._lines.row(snapshot.digest, row), partial(self._back.data_row, row), forward

    def _snapshots(self, digest: str) -> list[DatasetSnapshot]:
        return [each for each in list_snapshots(self._session) if _begins(each.digest, digest)]


def _begins(digest: str, beginning: str) -> bool:
    return len(beginning) >= MIN_DIGEST and digest.startswith(beginning)


def _not_found(what: str, matches: int) -> NotFoundError:
    problem = f"{matches} digests begin with" if matches else "nothing is called"
    return NotFoundError(
        f"{problem} {what}. Give the id of an answer, adapter, run, data set, feedback or person, or the place of a "
        "row such as 3f9a0c12d4e5/rows/12."
    )
