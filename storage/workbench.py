"""A temporary SQLite file in which a snapshot is put together, so that memory stays small whatever the feedback.

It sorts and groups; what the texts mean is none of its business. Bodies are JSON that the caller writes and reads.
"""

import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

CACHE_KIB = 32 * 1024
"""Pages held in memory; sorting takes about as much again."""
Holder = Literal["person", "group", "topic"]

_TABLES = """
CREATE TABLE said (words BLOB NOT NULL, at TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE block (block BLOB NOT NULL, word TEXT NOT NULL, words BLOB NOT NULL, PRIMARY KEY (block, word, words))
  WITHOUT ROWID;
CREATE TABLE leader (words BLOB PRIMARY KEY, leader BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE record (
  id INTEGER PRIMARY KEY, place TEXT NOT NULL, question BLOB NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL,
  at TEXT NOT NULL, person TEXT, topic TEXT NOT NULL DEFAULT '', capped INTEGER NOT NULL, team TEXT, dropped TEXT);
CREATE TABLE backer (record INTEGER NOT NULL, person TEXT NOT NULL, PRIMARY KEY (record, person)) WITHOUT ROWID;
CREATE TABLE together (person TEXT PRIMARY KEY, leader TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE term (word TEXT NOT NULL, record INTEGER NOT NULL);
CREATE TABLE frequency (word TEXT PRIMARY KEY, rows INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE near (gist BLOB NOT NULL, question BLOB NOT NULL, PRIMARY KEY (gist, question)) WITHOUT ROWID;
CREATE TABLE held_out (question BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE left_out (id TEXT NOT NULL, rule TEXT NOT NULL, reason TEXT NOT NULL);
"""


def _over(rule: str, holder: str, turns: str, counted: str) -> str:
    """Return the statement that drops by a rule what each holder has over its share; values of `turns` take turns."""
    return f"""
UPDATE record SET dropped = '{rule}' WHERE id IN (
  SELECT id FROM (
    SELECT id, ROW_NUMBER() OVER (PARTITION BY {holder} ORDER BY turn, at, place, id) AS number FROM (
      SELECT id, {holder}, at, place, ROW_NUMBER() OVER (PARTITION BY {holder}, {turns} ORDER BY at, place, id) AS turn
      FROM record WHERE capped = ? AND {counted} AND dropped IS NULL))
  WHERE number > ?)
"""  # noqa: S608 - columns of this module


_OVER = {
    "person": _over("person_share", "person", "topic", "person IS NOT NULL"),
    "group": _over("group_share", "team", "topic", "team IS NOT NULL"),
    "topic": _over("topic_share", "topic", "person", "topic <> '' AND person IS NOT NULL"),
}
_HELD = {
    "person": "SELECT person, COUNT(*) FROM record WHERE capped = ? AND dropped IS NULL GROUP BY person",
    "group": "SELECT team, COUNT(*) FROM record WHERE capped = ? AND dropped IS NULL GROUP BY team",
    "topic": """
SELECT CASE WHEN person IS NOT NULL THEN NULLIF(topic, '') END AS holder, COUNT(*)
FROM record WHERE capped = ? AND dropped IS NULL GROUP BY holder
""",
}


class SaidRow(NamedTuple):
    """One piece of feedback: the digest of its question's words, when, its id, and the rest as JSON."""

    words: bytes
    at: str
    id: str
    body: str


class RecordRow(NamedTuple):
    """One record of a question. `person` is whoever alone stands behind it, `team` the group of which all are who do.

    `capped` names the balance it counts in.

    Records with `capped = 0` follow the first one of their question: they are dropped when that is.
    """

    place: str
    question: bytes
    kind: str
    body: str
    at: str
    person: str | None
    capped: int
    team: str | None


class KeptRow(NamedTuple):
    """A record as it is read back; `dropped` is the rule that took it out, `held_out` the side of its question."""

    question: bytes
    kind: str
    body: str
    topic: str
    dropped: str | None
    held_out: bool


class Workbench:
    """The tables of one build; `open_workbench` makes one and removes it afterwards."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def add_said(self, rows: Iterable[SaidRow]) -> None:
        """Keep feedback."""
        self._connection.executemany("INSERT INTO said VALUES (?, ?, ?, ?)", rows)

    def add_blocks(self, rows: Iterable[tuple[bytes, str, bytes]]) -> None:
        """Keep (block, word, words): questions of one block may be the same."""
        self._connection.executemany("INSERT OR IGNORE INTO block VALUES (?, ?, ?)", rows)

    def shared_blocks(self) -> Iterator[tuple[bytes, str, bytes]]:
        """Give the blocks that several questions share, sorted, the words within them too."""
        yield from self._connection.execute(
            "SELECT block, word, words FROM block WHERE block IN"
            " (SELECT block FROM block GROUP BY block HAVING COUNT(*) > 1) ORDER BY block, word, words"
        )

    def set_leaders(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Keep which question stands for another one: (words, leader)."""
        self._connection.executemany("INSERT INTO leader VALUES (?, ?)", rows)

    def said_by_question(self) -> Iterator[tuple[bytes, bytes, str, str, str]]:
        """Give (question, words, at, id, body) of all feedback, a question at a time, in the order of its time."""
        yield from self._connection.execute(
            "SELECT COALESCE(leader.leader, said.words) AS question, said.words, said.at, said.id, said.body"
            " FROM said LEFT JOIN leader ON leader.words = said.words ORDER BY question, said.at, said.id"
        )

    def add_record(self, row: RecordRow, terms: Iterable[str] = (), backers: Iterable[str] = ()) -> None:
        """Keep a record, the words that may be its topic, and the people who stand behind it together."""
        number = self._connection.execute(
            "INSERT INTO record (place, question, kind, body, at, person, capped, team)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row,
        ).lastrowid  # fmt: skip
        self._connection.executemany("INSERT INTO term VALUES (?, ?)", ((term, number) for term in terms))
        self._connection.executemany("INSERT INTO backer VALUES (?, ?)", ((number, person) for person in backers))

    def add_near(self, question: bytes, gists: Iterable[bytes]) -> None:
        """Keep what a question is about, roughly; questions that share any of it are near each other."""
        self._connection.executemany("INSERT OR IGNORE INTO near VALUES (?, ?)", ((gist, question) for gist in gists))

    def hold_out(self, question: bytes) -> None:
        """Put a question on the side that is not trained on."""
        self._connection.execute("INSERT INTO held_out VALUES (?)", (question,))

    def part_sides(self, max_sharing: int) -> int:
        """Take back what is held out near a trained question, and what is near that; return how many questions.

        What more than `max_sharing` questions share makes none of them near.
        """
        run = self._connection.execute
        run(
            "CREATE TABLE shared AS SELECT near.question, near.gist FROM near JOIN"
            " (SELECT gist FROM near GROUP BY gist HAVING COUNT(*) BETWEEN 2 AND ?) USING (gist)", (max_sharing,)
        )  # fmt: skip
        run("CREATE INDEX shared_gist ON shared (gist)")
        taken = 0
        while count := run(
            "DELETE FROM held_out WHERE question IN (SELECT one.question FROM shared AS one JOIN shared AS other"
            " USING (gist) WHERE one.question IN held_out AND other.question NOT IN held_out)"
        ).rowcount:
            taken += count
        return taken

    def leave_out(self, rows: Iterable[tuple[str, str, str]]) -> None:
        """Keep (feedback id, rule, reason)."""
        self._connection.executemany("INSERT INTO left_out VALUES (?, ?, ?)", rows)

    def set_topics(self, max_rows: int) -> None:
        """Give each record the term that most records share, but no more than `max_rows`; the first in the alphabet."""
        run = self._connection.execute
        run("INSERT INTO frequency SELECT word, COUNT(*) FROM term GROUP BY word HAVING COUNT(*) BETWEEN 2 AND ?",
            (max_rows,))  # fmt: skip
        run(
            "UPDATE record SET topic = best.word FROM ("
            " SELECT record, word, ROW_NUMBER() OVER (PARTITION BY record ORDER BY rows DESC, word) AS number"
            " FROM term JOIN frequency USING (word)) AS best WHERE best.record = record.id AND best.number = 1"
        )

    def shared_by_pairs(self, least: int) -> dict[tuple[str, str], int]:
        """Count the records behind which two people stand together, for those who do so in at least so many."""
        pairs = self._connection.execute(
            "SELECT one.person, other.person, COUNT(*) FROM backer AS one JOIN backer AS other USING (record)"
            " WHERE one.person < other.person GROUP BY one.person, other.person HAVING COUNT(*) >= ?", (least,)
        )  # fmt: skip
        return {(one, other): count for one, other, count in pairs}

    def said_by_each(self) -> dict[str, int]:
        """Count the records of any balance behind which each person stands, alone or with others."""
        return dict(
            self._connection.execute(
                "SELECT person, COUNT(*) FROM (SELECT person FROM record WHERE person IS NOT NULL AND capped > 0"
                " UNION ALL SELECT person FROM backer) GROUP BY person"
            )
        )

    def count_as_one(self, people: Iterable[tuple[str, str]]) -> None:
        """Let the records of people, given as (person, leader), count as those of their leaders.

        So do those behind which only people of one leader stand.
        """
        run = self._connection.execute
        self._connection.executemany("INSERT INTO together VALUES (?, ?)", people)
        run("UPDATE record SET person = together.leader FROM together WHERE together.person = record.person")
        run(
            "UPDATE record SET person = own.leader FROM ("
            " SELECT record, MIN(leader) AS leader FROM backer LEFT JOIN together USING (person) GROUP BY record"
            " HAVING COUNT(leader) = COUNT(*) AND MIN(leader) = MAX(leader)) AS own WHERE own.record = record.id"
        )

    def held(self, holder: Holder, capped: int) -> dict[str | None, int]:
        """Count the records of one balance that each holder has for itself; None: those of nobody alone."""
        return dict(self._connection.execute(_HELD[holder], (capped,)))

    def drop_over(self, holder: Holder, capped: int, most: int) -> None:
        """Drop what a holder has beyond `most`: the other kind of holder in turn, the oldest first, is kept."""
        self._connection.execute(_OVER[holder], (capped, most))

    def drop_followers(self) -> None:
        """Drop the records that follow a dropped one."""
        self._connection.execute(
            "UPDATE record SET dropped = first.dropped FROM record AS first"
            " WHERE record.capped = 0 AND first.capped > 0 AND first.dropped IS NOT NULL"
            " AND first.question = record.question AND first.place = record.place"
        )

    def sort_records(self) -> int:
        """Prepare for reading by place; return how many records there are, dropped ones too."""
        self._connection.execute("CREATE INDEX record_place ON record (place, question, id)")
        return int(self._connection.execute("SELECT COUNT(*) FROM record").fetchone()[0])

    def records(self) -> Iterator[KeptRow]:
        """Give all records, a question at a time, in the order of places."""
        rows = self._connection.execute(
            "SELECT question, kind, body, topic, dropped, question IN held_out FROM record ORDER BY place, question, id"
        )
        yield from map(KeptRow._make, rows)

    def all_left_out(self) -> Iterator[tuple[str, str, str]]:
        """Give (feedback id, rule, reason), sorted."""
        yield from self._connection.execute("SELECT id, rule, reason FROM left_out ORDER BY id, rule, reason")


@contextmanager
def open_workbench() -> Iterator[Workbench]:
    """Have an empty workbench in the folder for temporary files."""
    with (
        tempfile.TemporaryDirectory(prefix="apprentice-curation-") as folder,
        closing(sqlite3.connect(Path(folder) / "workbench.db", isolation_level=None)) as connection,
    ):
        # Nothing here outlives the build, so nothing has to reach the disk.
        for pragma in ("journal_mode=OFF", "synchronous=OFF", f"cache_size=-{CACHE_KIB}", "temp_store=FILE"):
            connection.execute(f"PRAGMA {pragma}")
        connection.executescript(_TABLES)
        connection.execute("BEGIN")
        yield Workbench(connection)
