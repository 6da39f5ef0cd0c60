"""What the base model says to general prompts: mixed into training, it holds the adapter to what the model knew.

The answers of the built-in model come with the product; those of another base model are generated once and cached.
"""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from learning.packing import TokenRow

PROMPTS_FILE = Path(__file__).parent / "replay_prompts.txt"
SHIPPED_FILE = Path(__file__).parent / "replay_answers.json"


@dataclass(frozen=True)
class Replay:
    """A general prompt and the base model's own answer."""

    prompt: str
    answer: str


def replay_prompts() -> list[str]:
    """Return the general prompts; the questions of general_questions.json are not among them."""
    return [line.strip() for line in PROMPTS_FILE.read_text(encoding="utf-8").splitlines() if line.strip()]


def replay_key(base_digest: str, system_prompt: str, prompts: Sequence[str]) -> str:
    """Return what answers depend on, as a SHA-256 in hex."""
    return hashlib.sha256(json.dumps([base_digest, system_prompt, list(prompts)]).encode()).hexdigest()


def load_replay(
    base_digest: str, system_prompt: str, cache: Path, generate: Callable[[Sequence[str]], Sequence[str]]
) -> list[Replay]:
    """Return the base model's answers: shipped, cached, or else made by `generate` and cached."""
    prompts = replay_prompts()
    key = replay_key(base_digest, system_prompt, prompts)
    cached = cache / f"replay-{key[:16]}.json"
    for path in (SHIPPED_FILE, cached):
        if path.exists() and (found := _read(path, key)):
            return found
    answers = generate(prompts)
    write_replay(cached, key, [Replay(prompt, answer) for prompt, answer in zip(prompts, answers, strict=True)])
    return _read(cached, key)


def write_replay(path: Path, key: str, replays: Sequence[Replay]) -> None:
    """Write answers under their key; a reader sees the whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}.draft")
    content = {"key": key, "answers": [[replay.prompt, replay.answer] for replay in replays]}
    draft.write_text(json.dumps(content, indent=0, ensure_ascii=False) + "\n", encoding="utf-8")
    draft.replace(path)


def replay_rows(replays: Sequence[Replay], encode: Callable[[str, str], TokenRow], max_tokens: int) -> list[TokenRow]:
    """Encode the answers, each cut to its first `max_tokens` tokens (a cut answer ends without an end token)."""
    rows = [encode(replay.prompt, replay.answer) for replay in replays if replay.answer]
    return [TokenRow(row.prompt, row.completion[:max_tokens], row.role) for row in rows]


def _read(path: Path, key: str) -> list[Replay]:
    content = json.loads(path.read_text(encoding="utf-8"))
    if content["key"] != key:
        return []
    return [Replay(prompt, answer) for prompt, answer in content["answers"]]
