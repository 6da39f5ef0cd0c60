"""Proofs for who has no access to the log: that it holds a record, and that it only grew since an older checkpoint.

`check_audit_log.py` checks both without the rest of Apprentice.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from governance.audit import AuditLog
from governance.checkpoints import Checkpoint
from governance.errors import AuditLogError
from governance.merkle import (
    Frontier,
    consistency_path,
    inclusion_path,
    leaf_hash,
    root_from_proof,
    roots_from_consistency,
)
from storage.audit import find_audit_record
from storage.database import Database


@dataclass(frozen=True)
class InclusionProof:
    """Proves that `body` is record `sequence` of the log whose root the checkpoint signs (hashes in hex)."""

    sequence: int
    body: str
    path: list[str]
    checkpoint: Checkpoint
    public_key: str


@dataclass(frozen=True)
class ConsistencyProof:
    """Proves that the log of the newer checkpoint begins with that of the older one (hashes in hex)."""

    path: list[str]
    older: Checkpoint
    newer: Checkpoint
    public_key: str


def prove_inclusion(audit: AuditLog, database: Database, sequence: int) -> InclusionProof:
    """Return the proof that a record is in the log as it was last signed.

    Raises:
        AuditLogError: the record is not there, not signed yet, or not the one that was signed.

    """
    newest = audit.checkpoints.latest()
    if newest is None or not 0 <= sequence < newest.size:
        raise AuditLogError(f"record {sequence} is not among the {newest.size if newest else 0} that are signed.")
    with database.read() as session:
        record = find_audit_record(session, sequence)
    if record is None:
        raise AuditLogError(f"record {sequence} was removed. Run `apprentice audit verify`.")
    path = inclusion_path(sequence, newest.size, _leaves(audit, 0, newest))
    root = root_from_proof(sequence, newest.size, leaf_hash(record.body.encode()), path)
    if root.hex() != newest.root:
        raise AuditLogError(f"record {sequence} is not the one that was signed. Run `apprentice audit verify`.")
    return InclusionProof(sequence, record.body, [node.hex() for node in path], newest, audit.key.public_pem())


def prove_consistency(audit: AuditLog, older: Checkpoint) -> ConsistencyProof:
    """Return the proof that the log as it was last signed begins with the log that an older checkpoint signed.

    Raises:
        AuditLogError: it does not, so the log was rewritten or put back since.

    """
    newest = audit.checkpoints.latest()
    if newest is None or newest.size < older.size or older.size < 1:
        size = newest.size if newest else 0
        raise AuditLogError(
            f"{size} records are signed, and the checkpoint has {older.size}: nothing leads from one to the other."
        )
    path = consistency_path(frontier_of(older), newest.size, _leaves(audit, older.size, newest))
    check_consistency(older, newest, path)
    return ConsistencyProof([node.hex() for node in path], older, newest, audit.key.public_pem())


def check_consistency(older: Checkpoint, newer: Checkpoint, path: list[bytes]) -> None:
    """Check a consistency proof (RFC 6962, section 2.1.2) between two checkpoints; `older` has at least one record.

    Raises:
        AuditLogError: it does not hold.

    """
    found = roots_from_consistency(older.size, newer.size, bytes.fromhex(older.root), path)
    if [root.hex() for root in found] != [older.root, newer.root]:
        raise AuditLogError(
            f"the log of {newer.size} records does not begin with that of {older.size}, which was signed before. "
            "Run `apprentice audit verify`."
        )


def frontier_of(checkpoint: Checkpoint) -> Frontier:
    """Return the tree that a checkpoint signs.

    Raises:
        AuditLogError: its subtrees are not those of its root.

    """
    try:
        tree = Frontier(checkpoint.size, [bytes.fromhex(peak) for peak in checkpoint.frontier])
    except ValueError as error:
        raise AuditLogError(f"the checkpoint of {checkpoint.size} records contradicts itself: {error}") from error
    if tree.root().hex() != checkpoint.root:
        raise AuditLogError(f"the checkpoint of {checkpoint.size} records contradicts itself: its subtrees, its root.")
    return tree


def as_json(proof: InclusionProof | ConsistencyProof) -> dict[str, Any]:
    """Return a proof in the form that `check_audit_log.py` reads."""
    return asdict(proof)


def _leaves(audit: AuditLog, start: int, newest: Checkpoint) -> Iterator[bytes]:
    """Give the leaf hashes beside the checkpoints; what is proved with them is held against the signed root."""
    yield from islice(audit.checkpoints.leaves(start), newest.size - start)
    raise AuditLogError(
        f"{audit.checkpoints.folder} lost leaf hashes, without which nothing is proved. Restore it from a backup."
    )
