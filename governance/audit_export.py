"""The audit log as one file that somebody checks without Apprentice: a zip with the script that checks it inside."""

import json
import os
import zipfile
from collections.abc import Iterator
from dataclasses import asdict
from importlib.resources import files
from itertools import islice
from pathlib import Path

from governance.audit import AuditLog
from governance.checkpoints import PUBLIC_KEY, Checkpoint
from governance.errors import AuditLogError
from storage.audit import read_audit_records
from storage.database import Database

CHECKER = "check_audit_log.py"
README = """\
An export of the audit log of Apprentice: {size} records, signed {time}.

Check it with Python 3.11 or later and the package `cryptography`, and nothing of Apprentice:

    unzip -p THIS.zip check_audit_log.py > check_audit_log.py
    python check_audit_log.py THIS.zip --key KEY.pem --checkpoint KEPT.json

Leave --key and --checkpoint out if you have neither. Take the script from a source that you trust, or read it: it is
short. Have KEY.pem handed to you by another way than this file. KEPT.json is a checkpoint that you kept earlier.

records.jsonl             one record a line, as canonical JSON (RFC 8785), in the log's order; `sequence` is from 0.
                          `reason_sha256` is the SHA-256 of what a person wrote; the text itself is not in the log.
leaves.sha256             of each line (without its end) the leaf hash of RFC 6962, section 2.1: SHA-256(0x00 || line),
                          32 bytes each.
checkpoints.jsonl         signed statements: after `size` records the Merkle tree (inner nodes SHA-256(0x01 || left ||
                          right)) had the root `root`; `frontier` are the roots of its perfect subtrees, largest first.
                          `signature` is Ed25519 (base64) over the canonical JSON of all other fields; `key` is the
                          SHA-256 of the raw public key.
audit_ed25519.pub.pem     the public key.
check_audit_log.py        recomputes all of that.
"""


def export_log(audit: AuditLog, database: Database, file: Path) -> Checkpoint:
    """Write everything that is signed to a zip, which replaces `file` when it is whole; return the newest checkpoint.

    What was tampered with is exported as it is: the script inside finds it.

    Raises:
        AuditLogError: nothing is signed yet, or the checkpoint folder was changed.

    """
    checkpoints = audit.checkpoints.kept()
    if not checkpoints:
        raise AuditLogError("nothing is signed yet, so there is nothing to export.")
    newest = checkpoints[max(checkpoints)]
    draft = file.with_name(f".{file.name}.{os.getpid()}.draft")
    try:
        with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.writestr("README.txt", README.format(size=newest.size, time=newest.time))
            archive.writestr(CHECKER, files("governance").joinpath(CHECKER).read_bytes())
            archive.writestr(PUBLIC_KEY, audit.key.public_pem())
            lines = (json.dumps(asdict(checkpoints[size])) + "\n" for size in sorted(checkpoints))
            archive.writestr("checkpoints.jsonl", "".join(lines))
            _write(archive, "records.jsonl", _lines(database, newest.size))
            _write(archive, "leaves.sha256", islice(audit.checkpoints.leaves(), newest.size))
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
    return newest


def _write(archive: zipfile.ZipFile, name: str, parts: Iterator[bytes]) -> None:
    with archive.open(name, "w", force_zip64=True) as target:
        for part in parts:
            target.write(part)


def _lines(database: Database, end: int) -> Iterator[bytes]:
    with database.read() as session:
        for record in read_audit_records(session, 0, end):
            yield record.body.encode() + b"\n"
