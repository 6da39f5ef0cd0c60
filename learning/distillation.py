"""The teacher of self-distillation (SDFT, arXiv 2601.19897): the base model as it answers when shown the correction.

The adapter learns to answer so without being shown it. The teacher never changes, so what it says to corrected answers
is asked once a fact, before the first step; what it says to the student's own answers, whenever those are sampled.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from learning.durable import write_json
from learning.encoding import Encoder
from learning.losses import buckets
from learning.packing import IGNORED, TokenRow, body_and_head, collate, packed_hidden, packed_step, packs
from learning.prompts import Exchange
from learning.recipe import DistillationRecipe, Recipe
from learning.wordings import Fact

DEMONSTRATION = """{question}

This is an example for a response to the question:
{answer}

Now answer with a response of your own:"""
"""How the correction is shown within the question; after the prompt in the SDFT paper's appendix."""
TOKENS_AT_ONCE = 512
"""Of one forward pass of the teacher, which needs no gradient."""
SAMPLED_AT_ONCE = 32


@dataclass(frozen=True)
class Lesson:
    """What the teacher says at each token of an answer: `ids` (tokens, k), and their `buckets` (tokens, k + 1)."""

    ids: Tensor
    logprobs: Tensor


Shown = list[tuple[TokenRow, Lesson | None]]
"""A step's rows; those that teach a fact with their lesson."""


class Teacher:
    """Completes each step's inputs by what the teacher says, and where the recipe wants it by the student's answers."""

    def __init__(
        self,
        model: Any,
        encoder: Encoder,
        facts: Sequence[Fact],
        steps: Sequence[Sequence[TokenRow]],
        recipe: Recipe,
        folder: Path,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Ask the teacher about the corrected answers.

        Args:
            model: with the adapter on it.
            encoder: gives both sides' prompts.
            facts: what rows refer to by their `fact`.
            steps: the rows of every step.
            recipe: of the run; its seed is that of the student's answers.
            folder: keeps the student's answers, without which a resumed run could not go on as it would have.
            tell: called with what is being done.

        """
        self._encoder, self._steps, self._seed, self._folder = encoder, steps, recipe.seed, folder
        self._recipe, self._tell = recipe.distillation, tell
        self._prompts = [teacher_prompt(encoder, fact, self._recipe) for fact in facts]
        tell("asking the model that is shown the corrections")
        answers = [encoder.row(fact.question, fact.answer).completion for fact in facts]
        rows = [TokenRow(prompt, answer) for prompt, answer in zip(self._prompts, answers, strict=True)]
        self._corrected = list(self._lessons(model, rows))
        self._sampled: dict[int, Shown] = {}

    def inputs(self, model: Any, step: int) -> dict[str, Tensor]:
        """Return the inputs of a step, from 0, as `step_loss` takes them."""
        sampled = iter(self._samples_of(model, step))
        shown = [next(sampled) if row.role == "sampled" else (row, self._lesson(row)) for row in self._steps[step]]
        inputs = collate([packed_step(self._encoder.prefix(), [row for row, _ in shown])])
        lessons = [lesson for _, lesson in shown if lesson is not None]
        if lessons:
            inputs["taught_ids"] = torch.cat([lesson.ids for lesson in lessons])
            inputs["taught_logprobs"] = torch.cat([lesson.logprobs for lesson in lessons])
        return _on(model, inputs)

    def _lesson(self, row: TokenRow) -> Lesson | None:
        return None if row.fact is None else self._corrected[row.fact]

    @torch.no_grad()
    def _lessons(self, model: Any, rows: Sequence[TokenRow]) -> Iterator[Lesson]:
        """Ask the base model, which the adapter is switched off for, about completions behind its own prompts."""
        for pack in packs(rows, TOKENS_AT_ONCE):
            with model.disable_adapter():
                inputs = _on(model, collate([packed_step(self._encoder.prefix(), pack)]))
                hidden = packed_hidden(model, inputs, torch.ones_like(inputs["rows"], dtype=torch.bool))
                labelled = hidden[inputs["labels"][0, 1:] != IGNORED]
                logits = body_and_head(model)[1](labelled).float() / self._recipe.temperature
            ids = logits.topk(min(self._recipe.top_tokens, logits.shape[1] - 1)).indices
            sizes = [len(row.completion) for row in pack]
            parts = zip(ids.split(sizes), buckets(logits, ids).split(sizes), strict=True)
            yield from (Lesson(of_row, logprobs) for of_row, logprobs in parts)

    def _samples_of(self, model: Any, step: int) -> Shown:
        """Return the step's sampled rows; those of the next `sample_every` steps are sampled together."""
        if step not in self._sampled:
            self._sampled = self._sample_from(model, step - step % self._recipe.sample_every)
        return self._sampled[step]

    def _sample_from(self, model: Any, first: int) -> dict[int, Shown]:
        steps = range(first, min(first + self._recipe.sample_every, len(self._steps)))
        asked = [(step, row) for step in steps for row in self._steps[step] if row.role == "sampled"]
        rows = [row for _, row in asked]
        answers = self._answers(model, rows, first) if rows else []
        taught = [
            TokenRow(self._prompts[row.fact], answer)
            for row, answer in zip(rows, answers, strict=True)
            if row.fact is not None
        ]
        result: dict[int, Shown] = {step: [] for step in steps}
        for (step, row), answer, lesson in zip(asked, answers, self._lessons(model, taught), strict=True):
            result[step].append((replace(row, completion=answer), lesson))
        return result

    def _answers(self, model: Any, rows: Sequence[TokenRow], step: int) -> list[tuple[int, ...]]:
        """Let the student answer, or read what it answered before this run was interrupted."""
        path = self._folder / f"{step}.json"
        if path.exists():
            return [tuple(answer) for answer in json.loads(path.read_text(encoding="utf-8"))]
        self._tell("sampling what the adapter answers by itself")
        prefix = self._encoder.prefix()
        answers = sample_answers(
            model,
            [[*prefix, *row.prompt] for row in rows],
            self._encoder.tokenizer.eos_token_id,
            self._recipe,
            _seed_of(self._seed, step),
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, answers)
        return answers


def teacher_prompt(encoder: Encoder, fact: Fact, recipe: DistillationRecipe) -> tuple[int, ...]:
    """Return the token ids, behind the shared prefix, of the question as the teacher is asked it."""
    if recipe.shown == "exchange":
        return encoder.prompt(fact.question, [Exchange(question=fact.question, answer=fact.answer)])
    return encoder.prompt(DEMONSTRATION.format(question=fact.question, answer=fact.answer))


def sample_answers(
    model: Any, prompts: Sequence[Sequence[int]], end: int, recipe: DistillationRecipe, seed: int
) -> list[tuple[int, ...]]:
    """Sample an answer to each prompt, up to and with its end token; the global random state stays as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        pieces = [prompts[at : at + SAMPLED_AT_ONCE] for at in range(0, len(prompts), SAMPLED_AT_ONCE)]
        return [answer for piece in pieces for answer in _sample(model, piece, end, recipe)]


@torch.no_grad()
def _sample(
    model: Any, prompts: Sequence[Sequence[int]], end: int, recipe: DistillationRecipe
) -> list[tuple[int, ...]]:
    width = max(map(len, prompts))
    ids = [[end] * (width - len(prompt)) + list(prompt) for prompt in prompts]
    mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    output = model.generate(
        input_ids=torch.tensor(ids, device=model.device),
        attention_mask=torch.tensor(mask, device=model.device),
        max_new_tokens=recipe.sample_tokens,
        do_sample=True,
        temperature=recipe.temperature,
        top_k=0,
        top_p=1.0,
        eos_token_id=end,
        pad_token_id=end,
    )
    return [_until(end, answer) for answer in output[:, width:].tolist()]


def _until(end: int, answer: Sequence[int]) -> tuple[int, ...]:
    return tuple(answer[: answer.index(end) + 1] if end in answer else answer)


def _seed_of(seed: int, step: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed} {step}".encode()).digest()[:7])


def _on(model: Any, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.to(model.device) for name, tensor in inputs.items()}
