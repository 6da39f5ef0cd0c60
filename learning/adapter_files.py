"""An adapter's folder: what may be in it, what its manifest says, and the checks before it touches the engine.

An adapter is `adapter_model.safetensors`, PEFT's `adapter_config.json`, our `manifest.json`, where it has a scope
`scope.safetensors` (learning/scope.py), and nothing else. Its digest is that of the folder (storage.artifacts), so the
artifact store checks the content; the checks here are of fit.
"""

import json
import struct
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from storage.errors import ApprenticeError

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
MANIFEST = "manifest.json"
SCOPE = "scope.safetensors"
MAX_RANK = 256
MAX_WEIGHT_BYTES = 4 * 1024**3
MAX_HEADER_BYTES = 64 * 1024**2


class AdapterError(ApprenticeError):
    """An adapter's files are not what they must be; the engine was not touched."""


class AdapterManifest(BaseModel):
    """What an adapter was made from; digests in hex. `start_digest`: the adapter that it began as a copy of."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_digest: str
    snapshot_digest: str
    recipe: str
    recipe_digest: str
    rank: int
    seed: int
    parent_digest: str | None = None
    start_digest: str | None = None


def write_manifest(folder: Path, manifest: AdapterManifest) -> None:
    """Write `manifest.json` into an adapter's folder."""
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=1), encoding="utf-8")


def check_adapter(folder: Path, base_digest: str, base_shapes: dict[str, tuple[int, int]]) -> AdapterManifest:
    """Check that the folder holds an adapter that fits this base model, reading only headers.

    Args:
        folder: the adapter's folder.
        base_digest: digest of the base model in the engine.
        base_shapes: (out, in) of each linear layer of the base model by its module name.

    Raises:
        AdapterError: a file is missing, unknown or unreadable; wrong base model, rank or shape; it says which.

    """
    _check_names(folder)
    manifest = read_manifest(folder)
    if manifest.base_digest != base_digest:
        raise AdapterError(
            f"adapter in {folder.name} was trained on base model {manifest.base_digest[:12]}, "
            f"the engine runs {base_digest[:12]}. Set model.base to the former, or train again."
        )
    rank = _read_rank(folder)
    if not 1 <= rank <= MAX_RANK:
        raise AdapterError(f"adapter in {folder.name} has rank {rank}; allowed are 1 to {MAX_RANK}.")
    _check_shapes(folder, rank, base_shapes)
    return manifest


def _check_names(folder: Path) -> None:
    names = {path.name for path in folder.iterdir()}
    expected = {WEIGHTS, CONFIG, MANIFEST}
    if missing := sorted(expected - names):
        raise AdapterError(f"adapter in {folder.name} is incomplete: {', '.join(missing)} missing. Train again.")
    if unknown := sorted(names - expected - {SCOPE}):
        raise AdapterError(
            f"adapter in {folder.name} holds {', '.join(unknown)}, which no adapter needs. Nothing of it is loaded."
        )


def read_manifest(folder: Path) -> AdapterManifest:
    """Read `manifest.json` of an adapter's folder.

    Raises:
        AdapterError: it is missing or no manifest.

    """
    try:
        return AdapterManifest.model_validate_json((folder / MANIFEST).read_bytes())
    except ValidationError as error:
        raise AdapterError(f"{MANIFEST} of adapter {folder.name} is not readable: {error}") from error


def _read_rank(folder: Path) -> int:
    try:
        return int(json.loads((folder / CONFIG).read_text(encoding="utf-8"))["r"])
    except (ValueError, KeyError, TypeError) as error:
        raise AdapterError(f"{CONFIG} of adapter {folder.name} names no rank: {error}") from error


def _check_shapes(folder: Path, rank: int, base_shapes: dict[str, tuple[int, int]]) -> None:
    for name, entry in _read_header(folder / WEIGHTS).items():
        if name == "__metadata__":
            continue
        module, _, part = name.removeprefix("base_model.model.").rpartition(".lora_")
        if module not in base_shapes or part not in {"A.weight", "B.weight"}:
            raise AdapterError(f"adapter {folder.name}: tensor {name} fits no linear layer of the base model.")
        out_features, in_features = base_shapes[module]
        expected = [rank, in_features] if part == "A.weight" else [out_features, rank]
        if entry.get("shape") != expected:
            raise AdapterError(
                f"adapter {folder.name}: tensor {name} has shape {entry.get('shape')}, {expected} is needed."
            )


def _read_header(path: Path) -> dict[str, Any]:
    """Read a safetensors header: 8 bytes of length, little-endian, then JSON."""
    if path.stat().st_size > MAX_WEIGHT_BYTES:
        raise AdapterError(f"{path} is larger than {MAX_WEIGHT_BYTES} bytes; it is not loaded.")
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0  # noqa: PLR2004
        if not 0 < length <= MAX_HEADER_BYTES:
            raise AdapterError(f"{path} is not a whole safetensors file. Train again.")
        try:
            header: dict[str, Any] = json.loads(file.read(length))
            ends = [int(entry["data_offsets"][1]) for name, entry in header.items() if name != "__metadata__"]
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            raise AdapterError(f"{path} is not a whole safetensors file: {error}. Train again.") from error
    if path.stat().st_size != 8 + length + max(ends, default=0):
        raise AdapterError(f"{path} was cut short: it lacks a part of its tensors. Train again.")
    return header
