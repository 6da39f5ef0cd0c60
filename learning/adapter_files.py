"""An adapter's folder: what may be in it, what its manifest says, and the checks before it touches the engine.

An adapter is `adapter_model.safetensors`, PEFT's `adapter_config.json`, our `manifest.json`, where it has a scope
`scope.safetensors` (learning/scope.py), and nothing else: no pickle, no code. Its digest is that of the folder
(storage.artifacts). Sizes are looked at before any content is read, and the digest before any content is parsed.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator
from safetensors import SafetensorError, safe_open

from storage.artifacts import folder_digest
from storage.errors import ApprenticeError

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
MANIFEST = "manifest.json"
SCOPE = "scope.safetensors"
PREFIX = "base_model.model."
"""What PEFT writes before the name of the base model's module."""
MAX_RANK = 256
UNUSUAL = (
    "use_dora", "use_qalora", "use_bdlora", "rank_pattern", "alpha_pattern", "fan_in_fan_out", "lora_bias",
    "layers_pattern", "layer_replication", "modules_to_save", "exclude_modules", "target_parameters",
    "trainable_token_indices", "alora_invocation_tokens", "arrow_config",
)  # fmt: skip
"""What makes an adapter of PEFT's something else than a product of two matrices beside each named layer."""
MAX_BYTES = {CONFIG: 1 << 20, MANIFEST: 1 << 20, SCOPE: 64 << 20}
"""Bytes of these files at most; those of the weights follow from the base model (`_most_bytes`)."""
MAX_HEADER_BYTES = 16 << 20
"""A header takes about 150 bytes a tensor: this is enough for 100,000 tensors."""
DTYPES = ("F32", "F16", "BF16")
"""What safetensors calls the dtypes that are read."""
LAYER = re.compile(r"\.(\d+)\.")
"""Where a module's name has its layer's number; the first match counts, as in PEFT."""

Shapes = Mapping[str, tuple[int, int]]
"""(out, in) of each linear layer of the base model, by its module name."""
Parsed = TypeVar("Parsed", bound=BaseModel)


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


class LoraForm(BaseModel):
    """What PEFT's `adapter_config.json` says of the form of the matrices, where the engine computes it.

    `target_modules` are the last parts of module names; `layers_to_transform` are the layers' numbers, None for all.
    """

    model_config = ConfigDict(frozen=True)

    r: Annotated[int, Field(strict=True, ge=1, le=MAX_RANK)]
    lora_alpha: FiniteFloat
    target_modules: Annotated[tuple[str, ...], Field(min_length=1)]
    layers_to_transform: tuple[int, ...] | None = None
    use_rslora: bool = False

    @model_validator(mode="before")
    @classmethod
    def _is_plain(cls, data: object) -> object:
        known = data if isinstance(data, dict) else {}
        unusual = [name for name in UNUSUAL if known.get(name)] + ["bias"] * (known.get("bias", "none") != "none")
        if unusual:
            raise ValueError(f"the engine does not compute {', '.join(unusual)}")
        return data

    @property
    def scale(self) -> float:
        """What B A is multiplied by: alpha / r, or alpha / sqrt(r) for rank-stabilized LoRA (arXiv 2312.03732)."""
        return self.lora_alpha / (math.sqrt(self.r) if self.use_rslora else self.r)

    def targets(self, module: str) -> bool:
        """Whether a module of this name has an adapter."""
        named = any(module == target or module.endswith(f".{target}") for target in self.target_modules)
        layer = LAYER.search(module)
        return named and (self.layers_to_transform is None or bool(layer and int(layer[1]) in self.layers_to_transform))


@dataclass(frozen=True)
class CheckedAdapter:
    """An adapter whose files fit a base model. `numbers`: how many its matrices hold; `scope_bytes`: of its scope."""

    digest: str
    folder: Path
    form: LoraForm
    numbers: int
    scope_bytes: int


def check_adapter(
    folder: Path, digest: str, base_digest: str, base_shapes: Shapes, rest: Callable[[], object] = lambda: None
) -> CheckedAdapter:
    """Check that the folder holds the adapter of this digest and that it fits this base model, by headers alone.

    `rest` is called after each megabyte that is read for the digest, and between the parts of what follows: a
    millisecond in which Python does nothing else.

    Raises:
        AdapterError: a file is missing, unknown, too large or unreadable, or digest, base model, rank, layers or shapes
            are wrong; it says which.

    """
    _check_names(folder)
    _check_sizes(folder, _most_bytes(base_shapes))
    if (found := folder_digest(folder, rest)) != digest:
        raise AdapterError(
            f"adapter {digest} was changed: what is in its folder has digest {found}. Restore it from a backup."
        )
    manifest = read_manifest(folder)
    if manifest.base_digest != base_digest:
        raise AdapterError(
            f"adapter in {folder.name} was trained on base model {manifest.base_digest[:12]}, "
            f"the engine runs {base_digest[:12]}. Set model.base to the former, or train again."
        )
    form = _parse(folder, CONFIG, LoraForm)
    if form.r != manifest.rank:
        raise AdapterError(
            f"adapter {folder.name} has rank {form.r} in {CONFIG} and {manifest.rank} in {MANIFEST}. Train again."
        )
    numbers = _check_tensors(folder, form, base_shapes, rest)
    rest()
    scope = folder / SCOPE
    return CheckedAdapter(digest, folder, form, numbers, scope.stat().st_size if scope.exists() else 0)


def read_manifest(folder: Path) -> AdapterManifest:
    """Read `manifest.json` of an adapter's folder.

    Raises:
        AdapterError: it is missing or no manifest.

    """
    return _parse(folder, MANIFEST, AdapterManifest)


def _parse(folder: Path, name: str, model: type[Parsed]) -> Parsed:
    try:
        return model.model_validate_json((folder / name).read_bytes())
    except OSError as error:
        raise AdapterError(f"{name} of adapter {folder.name} is not readable: {error.strerror}.") from error
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}".removeprefix(": ") for each in error.errors()]
        raise AdapterError(f"{name} of adapter {folder.name} is not readable: {'; '.join(problems)}.") from error


def _check_names(folder: Path) -> None:
    if not folder.is_dir():
        raise AdapterError(f"{folder} is no folder of an adapter. Restore it from a backup, or train again.")
    names = {path.name for path in folder.iterdir()}
    expected = {WEIGHTS, CONFIG, MANIFEST}
    if missing := sorted(expected - names):
        raise AdapterError(f"adapter in {folder.name} is incomplete: {', '.join(missing)} missing. Train again.")
    if unknown := sorted(names - expected - {SCOPE}):
        raise AdapterError(
            f"adapter in {folder.name} holds {', '.join(unknown)}, which no adapter needs. Nothing of it is loaded."
        )


def _check_sizes(folder: Path, most_of_weights: int) -> None:
    for path in sorted(folder.iterdir()):
        if path.is_symlink() or not path.is_file():
            raise AdapterError(f"{path.name} of adapter {folder.name} is no plain file. Nothing of it is loaded.")
        size, most = path.stat().st_size, MAX_BYTES.get(path.name, most_of_weights)
        if size > most:
            raise AdapterError(f"{path.name} of adapter {folder.name} has {size} bytes; at most {most} are read.")
        if path.name in {WEIGHTS, SCOPE} and (length := _header_length(path)) > MAX_HEADER_BYTES:
            raise AdapterError(
                f"{path.name} of adapter {folder.name} has a header of {length} bytes. It is not loaded."
            )


def _header_length(path: Path) -> int:
    """Return how long the header says that it is: a safetensors file begins with that, in 8 bytes."""
    with path.open("rb") as file:
        return int.from_bytes(file.read(8), "little")


def _most_bytes(base_shapes: Shapes) -> int:
    """Return how large the weights of an adapter of this base model can be: every layer, the highest rank, float32."""
    return MAX_HEADER_BYTES + 4 * MAX_RANK * sum(map(sum, base_shapes.values()))


def _check_tensors(folder: Path, form: LoraForm, base_shapes: Shapes, rest: Callable[[], object]) -> int:
    """Check that the header has exactly the tensors that the form asks for; return how many numbers they hold."""
    found = _read_header(folder)
    rest()
    wanted = _wanted(folder.name, form, base_shapes)
    rest()
    if unknown := found.keys() - wanted.keys():
        raise AdapterError(
            f"adapter {folder.name}: tensor {min(unknown)} fits no linear layer of the base model that {CONFIG} names."
        )
    if missing := wanted.keys() - found.keys():
        raise AdapterError(f"adapter {folder.name} lacks tensor {min(missing)}. Train again.")
    for name, (shape, dtype) in found.items():
        if shape != wanted[name]:
            raise AdapterError(f"adapter {folder.name}: tensor {name} has shape {shape}, {wanted[name]} is needed.")
        if dtype not in DTYPES:
            raise AdapterError(f"adapter {folder.name}: tensor {name} is of {dtype}; {', '.join(DTYPES)} are read.")
    return sum(map(math.prod, wanted.values()))


def _wanted(name: str, form: LoraForm, base_shapes: Shapes) -> dict[str, list[int]]:
    """Return the shape of each tensor that an adapter of this form has on this base model."""
    for target in form.target_modules:
        if not any(module == target or module.endswith(f".{target}") for module in base_shapes):
            raise AdapterError(f"adapter {name}: the base model has no linear layer {target}, which {CONFIG} names.")
    wanted = {}
    for module, (out_features, in_features) in base_shapes.items():
        if form.targets(module):
            wanted[f"{PREFIX}{module}.lora_A.weight"] = [form.r, in_features]
            wanted[f"{PREFIX}{module}.lora_B.weight"] = [out_features, form.r]
    return wanted


def _read_header(folder: Path) -> dict[str, tuple[list[int], str]]:
    """Return shape and dtype of each tensor; safetensors itself holds the header against the file's size."""
    try:
        with safe_open(folder / WEIGHTS, framework="numpy") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - the file is no mapping
            return {name: (each.get_shape(), each.get_dtype()) for name, each in slices.items()}
    except SafetensorError as error:
        raise AdapterError(
            f"{WEIGHTS} of adapter {folder.name} was cut short or is no safetensors file: {error}. Train again."
        ) from error
