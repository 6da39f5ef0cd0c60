"""Training steps as single packed sequences: the rows of a step share one copy of the prefix, nothing is padded.

A step of 14 short rows is one sequence of about 430 tokens where padded rows would be 14 x 60; the attention mask keeps
the rows apart, and the positions of each row go on from the prefix. Neighbouring rows with the same prompt, such as the
two answers of a preference pair, share that too.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch

IGNORED = -100
"""The label of tokens that carry no loss (PyTorch's `ignore_index`)."""

Role = Literal["learned", "replayed", "chosen", "rejected", "liked", "disliked", "mismatched", "sampled"]
"""What a row is for; learning/losses.py says what each does to the loss."""
ROLES: tuple[Role, ...] = get_args(Role)


@dataclass(frozen=True)
class TokenRow:
    """Token ids of one exchange after the shared prefix; only `completion` carries loss.

    `reference` is the completion's log-probability, in nats, under the model that a preference is measured against;
    `fact` the place, among the facts of the run, of the one that it teaches.
    """

    prompt: tuple[int, ...]
    completion: tuple[int, ...]
    role: Role = "learned"
    reference: float = 0.0
    fact: int | None = None

    def __len__(self) -> int:
        """Return the number of tokens."""
        return len(self.prompt) + len(self.completion)


def packed_step(prefix: Sequence[int], rows: Sequence[TokenRow]) -> dict[str, list[Any]]:
    """Lay the rows behind the prefix, in their order.

    Returns:
        Lists of one length T: `input_ids`, `position_ids`, `labels` (IGNORED outside completions), `rows` (0 for the
        prefix, then 1, 2, ... by row, above those for prompts that rows share), `parents` (what else a token may look
        at: its row's shared prompt, else its own row). And two with an entry a row: `roles`, as places in ROLES, and
        `references`.

    """
    step = _Step(prefix)
    shared = itertools.count(len(rows) + 1)
    numbered = enumerate(rows, 1)
    for prompt, group in itertools.groupby(numbered, key=lambda numbered_row: numbered_row[1].prompt):
        members = list(group)
        if len(members) == 1 or len(prompt) < 2:  # noqa: PLR2004 - a first token must have its predecessor beside it
            for number, row in members:
                step.add(number, number, len(prefix), row.prompt, row.completion)
            continue
        parent = next(shared)
        step.add(parent, parent, len(prefix), prompt[:-1], ())
        for number, row in members:
            step.add(number, parent, len(prefix) + len(prompt) - 1, prompt[-1:], row.completion)
    return {
        **step.columns,
        "roles": [ROLES.index(row.role) for row in rows],
        "references": [row.reference for row in rows],
    }


class _Step:
    def __init__(self, prefix: Sequence[int]) -> None:
        length = len(prefix)
        self.columns: dict[str, list[Any]] = {
            "input_ids": list(prefix),
            "position_ids": list(range(length)),
            "labels": [IGNORED] * length,
            "rows": [0] * length,
            "parents": [0] * length,
        }

    def add(self, number: int, parent: int, position: int, silent: Sequence[int], labelled: Sequence[int]) -> None:
        """Append tokens of one row; those in `labelled` carry loss."""
        length = len(silent) + len(labelled)
        self.columns["input_ids"] += [*silent, *labelled]
        self.columns["position_ids"] += range(position, position + length)
        self.columns["labels"] += [*[IGNORED] * len(silent), *labelled]
        self.columns["rows"] += [number] * length
        self.columns["parents"] += [parent] * length


def packs(rows: Sequence[TokenRow], most: int) -> Iterator[list[TokenRow]]:
    """Split rows into packs of at most so many tokens, or of one row."""
    pack: list[TokenRow] = []
    for row in rows:
        if pack and sum(map(len, pack)) + len(row) > most:
            yield pack
            pack = []
        pack.append(row)
    if pack:
        yield pack


def collate(steps: Sequence[dict[str, list[Any]]]) -> dict[str, torch.Tensor]:
    """Make the tensors of one step: three of shape (1, T), `rows` and `parents` (T,), and two with an entry a row.

    One part of a step that was split has its `shares` too (learning/splitting.py).
    """
    (step,) = steps
    whole = {name: torch.tensor([step[name]]) for name in ("input_ids", "position_ids", "labels")}
    others = [name for name in ("rows", "parents", "roles", "references", "shares") if name in step]
    return whole | {name: torch.tensor(step[name]) for name in others}


def packed_hidden(model: Any, inputs: dict[str, torch.Tensor], kept: torch.Tensor) -> torch.Tensor:
    """Return the last hidden states (kept tokens but the last, width) of the packed rows, seeing only `kept` (T,)."""
    body, _ = body_and_head(model)
    output = body(
        input_ids=inputs["input_ids"][:, kept],
        position_ids=inputs["position_ids"][:, kept],
        attention_mask=row_mask(inputs["rows"][kept], inputs["parents"][kept]),
        use_cache=False,
    )
    hidden: torch.Tensor = output.last_hidden_state[0, :-1]
    return hidden


def row_mask(owners: torch.Tensor, parents: torch.Tensor) -> torch.Tensor:
    """Return the mask (1, 1, T, T), true where a token may look: at the prefix, its row and its parent, not ahead."""
    causal = torch.ones(len(owners), len(owners), dtype=torch.bool, device=owners.device).tril()
    own = (owners[:, None] == owners[None, :]) | (parents[:, None] == owners[None, :])
    return (causal & (own | (owners[None, :] == 0)))[None, None]


def body_and_head(model: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return what gives hidden states, with its adapter, and what makes logits of them."""
    causal = model.get_base_model() if hasattr(model, "get_base_model") else model
    return causal.get_decoder() if hasattr(causal, "get_decoder") else causal.model, causal.get_output_embeddings()
