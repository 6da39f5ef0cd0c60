"""Check an export of Apprentice's audit log, or a proof from it, without Apprentice: Python and `cryptography` suffice.

    python check_audit_log.py EXPORT.zip|PROOF.json [--key PUBLIC_KEY.pem] [--checkpoint CHECKPOINT.json]

Exit status 0: it holds. 1: it does not; the first bad record is named. Give --key the public key that you were handed
in another way than this file: without it, only the key that lies in the file vouches for it. Give --checkpoint one that
you kept: then a log that was rewritten since is found, even if its owner signed it anew.
"""

import argparse
import base64
import hashlib
import json
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

LEAF, NODE = b"\x00", b"\x01"


def tree_hash(*parts: bytes) -> bytes:
    """RFC 6962, section 2.1: SHA-256, over 0x00 and a leaf, or over 0x01 and two nodes."""
    return hashlib.sha256(b"".join(parts)).digest()


def root_of(peaks: list[bytes]) -> bytes:
    """Return the root of a tree that is given as the roots of its perfect subtrees, largest first."""
    node = peaks[-1]
    for peak in reversed(peaks[:-1]):
        node = tree_hash(NODE, peak, node)
    return node


def split(size: int) -> int:
    """Return the largest power of two below `size`: so many leaves are left of the root."""
    return 1 << (size - 1).bit_length() - 1


def root_of_inclusion(index: int, size: int, leaf: bytes, path: list[bytes]) -> bytes:
    """RFC 6962, section 2.1.1, from the root down."""
    if size == 1 and not path:
        return leaf
    *lower, sibling = path
    if index < split(size):
        return tree_hash(NODE, root_of_inclusion(index, split(size), leaf, lower), sibling)
    return tree_hash(NODE, sibling, root_of_inclusion(index - split(size), size - split(size), leaf, lower))


def roots_of_consistency(old: int, new: int, known: bytes | None, path: list[bytes]) -> tuple[bytes, bytes]:
    """RFC 6962, section 2.1.2, from the root down; `known` is the old root as long as it is a part of the proof."""
    if old == new:
        (node,) = [*path, known] if known else path
        return node, node
    *lower, sibling = path
    if old <= split(new):
        first, second = roots_of_consistency(old, split(new), known, lower)
        return first, tree_hash(NODE, second, sibling)
    first, second = roots_of_consistency(old - split(new), new - split(new), None, lower)
    return tree_hash(NODE, sibling, first), tree_hash(NODE, sibling, second)


def signed(checkpoint: dict[str, Any], key: Ed25519PublicKey) -> dict[str, Any]:
    """Return the checkpoint if it is signed; of ASCII text and integers, this JSON is the canonical one (RFC 8785)."""
    content = {name: value for name, value in checkpoint.items() if name != "signature"}
    try:
        message = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
        key.verify(base64.b64decode(checkpoint["signature"], validate=True), message)
    except (InvalidSignature, ValueError, KeyError) as error:
        raise ValueError(f"the checkpoint of {checkpoint.get('size')} records is not signed with this key") from error
    return checkpoint


def check_inclusion(proof: dict[str, Any], path: list[bytes], key: Ed25519PublicKey) -> str:
    """Check that the log that the checkpoint signs has this record at this place."""
    newest, place, body = signed(proof["checkpoint"], key), proof["sequence"], proof["body"]
    if not 0 <= place < newest["size"] or json.loads(body)["sequence"] != place:
        raise ValueError(f"the record is not number {place} of {newest['size']}")
    if root_of_inclusion(place, newest["size"], tree_hash(LEAF, body.encode()), path).hex() != newest["root"]:
        raise ValueError(f"record {place} is not the one that was signed")
    return f"record {place} is in the log of {newest['size']} records"


def check_consistency(proof: dict[str, Any], path: list[bytes], key: Ed25519PublicKey) -> str:
    """Check that the newer checkpoint's log begins with the older one's."""
    older, newer = signed(proof["older"], key), signed(proof["newer"], key)
    if not 1 <= older["size"] <= newer["size"]:
        raise ValueError(f"the newer checkpoint has {newer['size']} records, the older one {older['size']}")
    found = roots_of_consistency(older["size"], newer["size"], bytes.fromhex(older["root"]), path)
    if [node.hex() for node in found] != [older["root"], newer["root"]]:
        raise ValueError(f"the log of {newer['size']} records does not begin with that of {older['size']}")
    return f"the log of {newer['size']} records begins with that of {older['size']}, unchanged"


def check_export(archive: zipfile.ZipFile, kept: list[dict[str, Any]], key: Ed25519PublicKey) -> str:
    """Check every record against the leaf hashes, and these against every checkpoint."""
    roots: dict[int, set[str]] = {}
    for each in [json.loads(line) for line in archive.read("checkpoints.jsonl").splitlines()] + kept:
        roots.setdefault(signed(each, key)["size"], set()).add(each["root"])
    leaves, peaks, place, good = archive.read("leaves.sha256"), list[bytes](), 0, 0
    for line in archive.open("records.jsonl"):
        node, size = tree_hash(LEAF, line.removesuffix(b"\n")), place
        if node != leaves[32 * place : 32 * place + 32] or json.loads(line)["sequence"] != place:
            raise ValueError(f"record {place} is not the one that was signed")
        while size & 1:
            node, size = tree_hash(NODE, peaks.pop(), node), size >> 1
        peaks.append(node)
        place += 1
        if place in roots and roots[place] != {root_of(peaks).hex()}:
            raise ValueError(f"one of records {good} to {place - 1} is not the one that was signed")
        good = place if place in roots else good
    if place != max(roots) or len(leaves) != 32 * place:
        raise ValueError(
            f"{place} records are there, {max(roots)} were signed: record {min(place, max(roots))} is wrong"
        )
    return f"{place} records, as they were signed, with Merkle root {root_of(peaks).hex()}"


def main() -> None:
    """Read the arguments, check, and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--key", type=Path)
    parser.add_argument("--checkpoint", type=Path, action="append", default=[])
    given = parser.parse_args()
    try:
        archive = zipfile.ZipFile(given.file) if zipfile.is_zipfile(given.file) else None
        proof = {} if archive else json.loads(given.file.read_bytes())
        inside = archive.read("audit_ed25519.pub.pem") if archive else proof["public_key"].encode()
        key = load_pem_public_key(given.key.read_bytes() if given.key else inside)
        if not isinstance(key, Ed25519PublicKey):
            raise ValueError("the key is not an Ed25519 key")  # noqa: TRY004, TRY301 - one way out
        kept = [json.loads(path.read_bytes()) for path in given.checkpoint]
        path = [bytes.fromhex(node) for node in proof.get("path", [])]
        check = check_inclusion if "body" in proof else check_consistency
        said = check_export(archive, kept, key) if archive else check(proof, path, key)
    except (ValueError, LookupError, TypeError, OSError, zipfile.BadZipFile, zlib.error) as error:
        sys.exit(f"NOT VERIFIED: {error}")
    trust = "the one given" if given.key else "found in the file itself: compare it with the one that you were given"
    sys.stdout.write(f"Verified: {said}.\nThe key is {hashlib.sha256(key.public_bytes_raw()).hexdigest()}, {trust}.\n")


if __name__ == "__main__":
    main()
