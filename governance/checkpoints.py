"""Signed checkpoints of the audit log, kept in a folder outside the database.

The folder holds every leaf hash so far (`leaves.sha256`, 32 bytes each), the newest signed checkpoint (`latest.json`)
and the older ones that were kept (`checkpoint-<size>.json`). A checkpoint's signature covers the tree's size and root,
so it also vouches for the leaf hashes: with them, the first record that differs can be named.
"""

import base64
import json
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from filelock import FileLock

from governance.errors import AuditLogError
from governance.merkle import Frontier

PRIVATE_KEY = "audit_ed25519.pem"
PUBLIC_KEY = "audit_ed25519.pub.pem"
LATEST = "latest.json"
LEAVES = "leaves.sha256"
HASH_LENGTH = 32


@dataclass(frozen=True)
class Checkpoint:
    """A signed statement of the log at one moment: its size, its Merkle root, and its perfect subtrees (hex)."""

    size: int
    root: str
    time: str
    frontier: list[str]
    key: str
    signature: str = ""

    def signed_bytes(self) -> bytes:
        """Return what the signature is over: everything but itself, as canonical JSON (RFC 8785)."""
        content = asdict(self)
        del content["signature"]
        return rfc8785.dumps(content)


class SigningKey:
    """The Ed25519 key that signs checkpoints; made on first use, readable by its owner only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def private(self) -> Ed25519PrivateKey:
        """Return the private key, making the pair if there is none yet."""
        path = self.folder / PRIVATE_KEY
        if not path.exists():
            self._create(path)
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise AuditLogError(f"{path} can be read by other users. Run `chmod 600 {path}`.")
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise AuditLogError(f"{path} is not an Ed25519 key. Restore it from a backup.")
        return key

    def public(self) -> Ed25519PublicKey:
        """Return the public key.

        Raises:
            AuditLogError: there is none; verifying never makes one.

        """
        path = self.folder / PUBLIC_KEY
        if not path.exists():
            raise AuditLogError(f"{path} is missing, so no checkpoint can be checked. Restore it from a backup.")
        key = serialization.load_pem_public_key(path.read_bytes())
        if not isinstance(key, Ed25519PublicKey):
            raise AuditLogError(f"{path} is not an Ed25519 key. Restore it from a backup.")
        return key

    def public_pem(self) -> str:
        """Return the public key as PEM, to be handed to who checks the log."""
        pem = self.public().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        return pem.decode()

    def _create(self, path: Path) -> None:
        """Make the pair; when two processes do so at once, the one that publishes first wins."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = Ed25519PrivateKey.generate()
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        with FileLock(self.folder / ".lock"):
            if path.exists():
                return
            public = key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            write_durably(self.folder / PUBLIC_KEY, public)
            write_durably(path, secret)


def fingerprint(key: Ed25519PublicKey) -> str:
    """Return SHA-256, in hex, of the 32 raw bytes of a public key."""
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return sha256(raw).hexdigest()


class CheckpointFolder:
    """Reads and extends the checkpoint folder; processes that extend it take turns."""

    def __init__(self, folder: Path, key: SigningKey) -> None:
        self.folder = folder
        self.key = key

    def latest(self) -> Checkpoint | None:
        """Return the newest checkpoint, its signature checked; None when nothing was ever signed here."""
        path = self.folder / LATEST
        if not path.exists():
            if any(self.folder.glob("checkpoint-*.json")) or (self.folder / LEAVES).exists():
                raise AuditLogError(f"{path} was removed. Restore the folder from a backup.")
            return None
        return self.read(path)

    def kept(self, *others: Path) -> dict[int, Checkpoint]:
        """Return all checkpoints by size, those in `others` too; every signature is checked.

        Raises:
            AuditLogError: one is not signed, is not the one that its name says, or contradicts another.

        """
        newest = self.latest()
        found = {newest.size: newest} if newest else {}
        paths = sorted(self.folder.glob("checkpoint-*.json"))
        for path in [*paths, *others]:
            checkpoint = self.read(path)
            if path in paths and path.name != _name(checkpoint):
                raise AuditLogError(f"{path} holds the checkpoint of {checkpoint.size} records: it was exchanged.")
            if found.setdefault(checkpoint.size, checkpoint).root != checkpoint.root:
                raise AuditLogError(
                    f"{path} has another root for {checkpoint.size} records than {self.folder}: the log was rewritten."
                )
        return found

    def leaves(self, start: int = 0) -> Iterator[bytes]:
        """Give the leaf hashes that were written next to the checkpoints, in order, from place `start` on."""
        path = self.folder / LEAVES
        if not path.exists():
            return
        with path.open("rb") as file:
            file.seek(start * HASH_LENGTH)
            while len(leaf := file.read(HASH_LENGTH)) == HASH_LENGTH:
                yield leaf

    def lock(self) -> FileLock:
        """Return the lock that whoever extends the folder holds."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return FileLock(self.folder / ".lock", timeout=60)

    def extend(self, previous: Checkpoint | None, leaves: Iterable[bytes], now: datetime) -> Checkpoint:
        """Add leaf hashes to those of `previous` and sign the new tree; call with the lock held."""
        frontier = (
            Frontier(previous.size, [bytes.fromhex(peak) for peak in previous.frontier]) if previous else Frontier()
        )
        self._append_leaves(frontier, leaves)
        checkpoint = self._sign(frontier, now)
        write_durably(self.folder / LATEST, _as_json(checkpoint))
        return checkpoint

    def keep(self, checkpoint: Checkpoint) -> Path:
        """Write a checkpoint under its size, so that later ones do not replace it."""
        path = self.folder / _name(checkpoint)
        if not path.exists():
            write_durably(path, _as_json(checkpoint))
        return path

    def _append_leaves(self, frontier: Frontier, leaves: Iterable[bytes]) -> None:
        descriptor = os.open(self.folder / LEAVES, os.O_RDWR | os.O_CREAT, 0o644)
        with os.fdopen(descriptor, "r+b") as file:
            if os.fstat(descriptor).st_size < frontier.size * HASH_LENGTH:
                raise AuditLogError(f"{self.folder / LEAVES} was cut short. Restore the folder from a backup.")
            file.truncate(frontier.size * HASH_LENGTH)  # what a killed process wrote and never signed
            file.seek(0, os.SEEK_END)
            for leaf in leaves:
                file.write(leaf)
                frontier.append(leaf)
            file.flush()
            os.fsync(descriptor)

    def _sign(self, frontier: Frontier, now: datetime) -> Checkpoint:
        key = self.key.private()
        unsigned = Checkpoint(
            size=frontier.size,
            root=frontier.root().hex(),
            time=format_time(now),
            frontier=[peak.hex() for peak in frontier.peaks],
            key=fingerprint(key.public_key()),
        )
        signature = base64.b64encode(key.sign(unsigned.signed_bytes())).decode()
        return Checkpoint(**{**asdict(unsigned), "signature": signature})

    def read(self, path: Path) -> Checkpoint:
        """Return the checkpoint in a file, its signature checked."""
        public = self.key.public()
        try:
            checkpoint = Checkpoint(**json.loads(path.read_text("utf-8")))
            public.verify(base64.b64decode(checkpoint.signature, validate=True), checkpoint.signed_bytes())
        except (ValueError, TypeError, rfc8785.CanonicalizationError, InvalidSignature) as error:
            raise AuditLogError(
                f"checkpoint {path} is not signed with the key {fingerprint(public)[:16]}: it was changed, or is of "
                "another installation. Restore it from a backup."
            ) from error
        return checkpoint


def format_time(moment: datetime) -> str:
    """Return a moment in UTC as RFC 3339 with microseconds, for example `2026-01-31T12:00:00.000000Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def write_durably(path: Path, content: bytes) -> None:
    """Write a file, mode 0600, so that after a crash either the old or the new content is there, whole."""
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _name(checkpoint: Checkpoint) -> str:
    return f"checkpoint-{checkpoint.size:012d}.json"


def _as_json(checkpoint: Checkpoint) -> bytes:
    return json.dumps(asdict(checkpoint), indent=1).encode() + b"\n"
