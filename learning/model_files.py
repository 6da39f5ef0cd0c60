"""What a base model's own files say of it, read without loading it: licence, size, context length, chat template."""

import json
import re
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from storage.errors import ApprenticeError

NOT_STATED = "not stated"
CARD = "README.md"
FRONT_MATTER = re.compile(r"---[ \t]*\r?\n(.*?)\r?\n---", re.DOTALL)
LICENCE_FILES = ("LICENSE*", "LICENCE*", "COPYING*")
TITLE_LENGTH = 60
"""Characters of a licence file's first line that are quoted."""
CONTEXT_KEYS = ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length")
"""What configurations of different families call the longest text that the model was made for."""


class ModelFilesError(ApprenticeError):
    """A file of a base model cannot be read."""


class ModelFiles(BaseModel):
    """What the files say. `context_length` is in tokens, None where the configuration has none."""

    licence: str
    parameters: int
    context_length: int | None
    chat_template: bool


def read_model_files(folder: Path) -> ModelFiles:
    """Read what the files of a model say.

    Raises:
        ModelFilesError: configuration or weights are damaged.

    """
    return ModelFiles(
        licence=licence_of(folder),
        parameters=count_parameters(folder),
        context_length=_context_length(_read_json(folder / "config.json")),
        chat_template=_has_chat_template(folder),
    )


def licence_of(folder: Path) -> str:
    """Return the licence that card or configuration name, else the first line of a licence file, or NOT_STATED."""
    return next((found for found in (*_named(folder), *_titles(folder)) if found), NOT_STATED)


def licence_in_card(data: Any) -> str:
    """Return the licence of a model card's front matter, "" where it names none; "other" gives way to its name."""
    values = data if isinstance(data, Mapping) else {}
    licence, name = values.get("license"), values.get("license_name")
    chosen = name if licence == "other" and name else licence
    return ", ".join(map(str, chosen)) if isinstance(chosen, list) else str(chosen or "")


def count_parameters(folder: Path) -> int:
    """Return how many numbers the weights hold, by the headers of the safetensors files.

    Raises:
        ModelFilesError: a file is damaged.

    """
    from safetensors import SafetensorError, safe_open  # noqa: PLC0415 - keeps --help fast

    total = 0
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, framework="np") as weights:
                total += sum(prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118 - no mapping
        except (SafetensorError, OSError) as error:
            raise ModelFilesError(f"{path} is damaged: {error}. Fetch or save the model again.") from error
    return total


def _named(folder: Path) -> Iterator[str]:
    try:
        card = FRONT_MATTER.match((folder / CARD).read_text(encoding="utf-8-sig"))
        yield licence_in_card(yaml.safe_load(card[1])) if card else ""
    except (OSError, ValueError, yaml.YAMLError):
        yield ""  # a card that is not there or cannot be read states nothing; the model may still be used
    try:
        yield str(_read_json(folder / "config.json").get("license") or "")
    except ModelFilesError:
        yield ""


def _titles(folder: Path) -> Iterator[str]:
    for pattern in LICENCE_FILES:
        for path in sorted(folder.glob(pattern)):
            if path.is_file():
                lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
                title = next((line.strip() for line in lines if line.strip()), "")
                yield f"{path.name}: {title[:TITLE_LENGTH]}" if title else ""


def _context_length(config: dict[str, Any]) -> int | None:
    text = config.get("text_config")
    sections = [config, text if isinstance(text, dict) else {}]
    found = (section[key] for section in sections for key in CONTEXT_KEYS if isinstance(section.get(key), int))
    return next(found, None)


def _has_chat_template(folder: Path) -> bool:
    if (folder / "chat_template.jinja").exists():
        return True
    path = folder / "tokenizer_config.json"
    return path.exists() and bool(_read_json(path).get("chat_template"))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelFilesError(f"{path} is damaged: {error}. Fetch or save the model again.") from error
    if not isinstance(content, dict):
        raise ModelFilesError(f"{path} is damaged: it holds no object. Fetch or save the model again.")
    return content
