"""What somebody who owns the database can do to the audit log, past the guard of the database itself."""

import json
import random
from collections.abc import Callable

from sqlalchemy import Connection, text

from governance.audit import AuditLog, LogEntry
from governance.merkle import leaf_hash
from storage.audit import lock_audit_log
from storage.database import Database
from storage.records import utc_now

SIZE = 7
CREATED_AT = 3
Row = tuple[int, str, str, object]
Tampering = Callable[[list[Row], int], list[Row]]


def entry(number: int) -> LogEntry:
    return LogEntry("T1/U1", "test.wrote", f"thing-{number}", utc_now())


def write(log: AuditLog, database: Database, count: int = SIZE) -> None:
    for number in range(count):
        with database.transaction() as session:
            lock_audit_log(session)
            log.append(session, entry(number))
        log.sign(database, utc_now())


def read_rows(database: Database) -> list[Row]:
    with database.engine.connect() as connection:
        query = "SELECT sequence, body, leaf_hash, created_at FROM audit_record ORDER BY sequence"
        return [tuple(row) for row in connection.execute(text(query))]


def replace_rows(database: Database, rows: list[Row]) -> None:
    """Do what an owner of the database can: switch the triggers off, and write whatever they like."""
    with database.engine.begin() as connection:
        _disable_triggers(connection)
        connection.execute(text("DELETE FROM audit_record"))
        for row in rows:
            values = dict(zip("sblc", row, strict=True))
            connection.execute(text("INSERT INTO audit_record VALUES (:s, :b, :l, :c)"), values)


def put_row(database: Database, row: Row) -> None:
    """Overwrite one row, once the triggers are off."""
    change = text("UPDATE audit_record SET body = :b, leaf_hash = :l, created_at = :c WHERE sequence = :s")
    with database.engine.begin() as connection:
        connection.execute(change, dict(zip("sblc", row, strict=True)))


def _disable_triggers(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("ALTER TABLE audit_record DISABLE TRIGGER ALL"))
        return
    names = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars().all()
    for name in names:
        connection.execute(text(f"DROP TRIGGER {name}"))


def consistent(sequence: int, body: str, created_at: object, **changes: object) -> Row:
    """A forged row that contradicts itself nowhere: its body names its place, and its hash is that of its body."""
    content = json.loads(body) | {"sequence": sequence} | changes
    forged = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return sequence, forged, leaf_hash(forged.encode()).hex(), created_at


def renumbered(rows: list[Row]) -> list[Row]:
    return [consistent(place, row[1], row[3]) for place, row in enumerate(rows)]


def edit(rows: list[Row], at: int) -> list[Row]:
    rows[at] = (at, rows[at][1].replace("thing-", "other-"), *rows[at][2:])
    return rows


def edit_and_rehash(rows: list[Row], at: int) -> list[Row]:
    rows[at] = consistent(at, rows[at][1], rows[at][3], actor="T1/SOMEBODY_ELSE")
    return rows


def edit_hash(rows: list[Row], at: int) -> list[Row]:
    rows[at] = (*rows[at][:2], "00" * 32, rows[at][3])
    return rows


def edit_time(rows: list[Row], at: int) -> list[Row]:
    rows[at] = (*rows[at][:3], "2020-01-01 00:00:00.000000")
    return rows


def edit_to_nonsense(rows: list[Row], at: int) -> list[Row]:
    rows[at] = (at, "no JSON", leaf_hash(b"no JSON").hex(), rows[at][3])
    return rows


def remove(rows: list[Row], at: int) -> list[Row]:
    return rows[:at] + rows[at + 1 :]


def remove_and_renumber(rows: list[Row], at: int) -> list[Row]:
    return renumbered(remove(rows, at))


def insert_and_renumber(rows: list[Row], at: int) -> list[Row]:
    extra = consistent(at, rows[at][1], rows[at][3], object="planted")
    return renumbered([*rows[:at], extra, *rows[at:]])


def swap(rows: list[Row], at: int) -> list[Row]:
    """Move a record's content to the next place (the last one's to the place before it)."""
    low = min(at, len(rows) - 2)
    first, second = rows[low], rows[low + 1]
    rows[low], rows[low + 1] = (low, *second[1:]), (low + 1, *first[1:])
    return rows


def swap_and_renumber(rows: list[Row], at: int) -> list[Row]:
    return renumbered(swap(rows, at))


def truncate(rows: list[Row], at: int) -> list[Row]:
    return rows[:at]


TAMPERINGS: list[Tampering] = [
    edit,
    edit_and_rehash,
    edit_hash,
    edit_time,
    edit_to_nonsense,
    remove,
    remove_and_renumber,
    insert_and_renumber,
    swap,
    swap_and_renumber,
    truncate,
]


def first_bad(tampering: Tampering, place: int) -> int:
    """The first record that is wrong after a tampering at a place."""
    return min(place, SIZE - 2) if "swap" in tampering.__name__ else place


def changed_at_random(row: Row, choose: random.Random) -> Row:
    """Change one character of one column; of two edited bodies, one has its hash mended.

    Of a time only digits: SQLite takes any character between them, and reads the same time.
    """
    values = [str(value) for value in row]
    column = choose.choice([1, 2, 3])
    old = values[column]
    at = choose.choice([at for at, letter in enumerate(old) if column != CREATED_AT or letter.isdigit()])
    alphabet = "0123456789" if column == CREATED_AT else '0123456789abcdef"{}: '
    values[column] = old[:at] + choose.choice(alphabet.replace(old[at], "")) + old[at + 1 :]
    if column == 1 and choose.random() < 1 / 2:
        values[2] = leaf_hash(values[1].encode()).hex()
    return row[0], values[1], values[2], values[3]
