"""An adapter as one file to hand on: a zip of its files, card and bill of materials, signed over their digests.

Signed with the installation's Ed25519 key, which also signs the audit log's checkpoints and never leaves the machine.
`manifest.json` is an in-toto statement with the SHA-256 of each file, as canonical JSON (RFC 8785).
"""

import base64
import binascii
import hashlib
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from governance.checkpoints import SigningKey, fingerprint
from storage.errors import ApprenticeError

STATEMENT = "manifest.json"
SIGNATURE = "manifest.sig"
KEY = "signer.pub.pem"
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can hold; files get it, so that the same content gives the same bytes."""
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE = "https://apprentice.example/bundle/v1"


class BundleError(ApprenticeError):
    """A bundle is not what was signed."""


@dataclass(frozen=True)
class Signed:
    """A bundle that is as it was signed: the adapter's digest, how many files, and the SHA-256 of the signer's key."""

    adapter: str
    files: int
    key: str


def write_bundle(file: Path, adapter: str, contents: dict[str, bytes], key: SigningKey) -> None:
    """Write a zip of these files (name -> content), signed; it replaces `file` when it is whole."""
    statement: dict[str, Any] = {
        "_type": STATEMENT_TYPE,
        "predicateType": PREDICATE,
        "subject": [{"name": adapter, "digest": {"sha256": adapter}}],
        "predicate": {
            "resources": [
                {"name": name, "algorithm": "sha256", "digest": hashlib.sha256(contents[name]).hexdigest()}
                for name in sorted(contents)
            ]
        },
    }
    message = rfc8785.dumps(statement)
    signature = base64.b64encode(key.private().sign(message))
    draft = file.with_name(f".{file.name}.draft")
    try:
        with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive:
            own = {STATEMENT: message, SIGNATURE: signature, KEY: key.public_pem().encode()}
            for name, content in sorted({**contents, **own}.items()):
                archive.writestr(zipfile.ZipInfo(name, EPOCH), content, zipfile.ZIP_DEFLATED)
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)


def verify_bundle(file: Path, key: Path | None = None) -> Signed:
    """Check every file of a bundle against the signed statement.

    Without `key` (PEM) only the key that lies in the bundle vouches for it: compare its fingerprint with the one you
    were given.

    Raises:
        BundleError: it is no bundle, the signature does not hold, or a file is missing, was added or changed.

    """
    try:
        with zipfile.ZipFile(file) as archive:
            contents = {name: archive.read(name) for name in archive.namelist()}
        message, signature = contents.pop(STATEMENT), base64.b64decode(contents.pop(SIGNATURE), validate=True)
        inside = contents.pop(KEY)
        public = load_pem_public_key(key.read_bytes() if key else inside)
        statement = json.loads(message)
        resources = {each["name"]: each["digest"] for each in statement["predicate"]["resources"]}
        adapter = str(statement["subject"][0]["digest"]["sha256"])
    except (OSError, zipfile.BadZipFile, KeyError, IndexError, TypeError, ValueError, binascii.Error) as error:
        raise BundleError(f"{file} is no bundle of an adapter, or was damaged: {error}.") from error
    if not isinstance(public, Ed25519PublicKey):
        raise BundleError(f"{file} is not signed with an Ed25519 key.")
    try:
        public.verify(signature, message)
    except InvalidSignature as error:
        raise BundleError(
            f"the list of files in {file} is not signed with the key {fingerprint(public)[:16]}."
        ) from error
    for name in sorted({*resources, *contents}):
        if name not in contents:
            raise BundleError(f"{name} is missing from {file}.")
        if resources.get(name) != hashlib.sha256(contents[name]).hexdigest():
            raise BundleError(f"{name} in {file} is not the one that was signed.")
    return Signed(adapter, len(resources), fingerprint(public))
