"""The plan of a training run: what the machine, the base model, the recipe and the data ask for, decided before it.

`make_plan` decides, without touching anything; the trainer keeps the plan in plan.json, so that a resumed run does as
it was planned. docs/decisions/0010 says how; a run's result.json how far its estimates were off.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
from pydantic import BaseModel, ConfigDict
from torch import nn

from learning.hardware import MB, Device, Dtype, Hardware, free_memory_mb
from learning.memory import peak_resident_mb
from learning.recipe import Method, Recipe
from learning.splitting import Load
from storage.errors import ApprenticeError

PLAN = "plan.json"
EVALUATION = "evaluation.json"
"""In a run's folder: the seconds that evaluating its adapter took."""
KEPT_BYTES: dict[Dtype, float] = {"float32": 4.0, "bfloat16": 2.6}
"""Bytes that backward keeps per number of `_kept_numbers`: measured; under autocast some stay float32."""
ITEM_BYTES: dict[Dtype, int] = {"float32": 4, "bfloat16": 2}
ADAPTER_BYTES = 16
"""Of one adapter parameter: itself, its gradient and AdamW's two moments, in float32."""
LOGIT_BYTES = 12
"""Of one logit: itself, its log-softmax and their gradient, in float32."""
FREE_SHARE = 0.9
"""Of the free memory that a run may take: other programs go on."""
EFFICIENCY = 0.6
"""Of a training step's time that is matrix products, 58 to 77 % measured for the built-in model."""
MOST_RESERVED = 0.5
"""Of the time budget that is kept for evaluation."""
MEMORY_RATIOS = (1.0, 4.0)
"""Between these the expected memory is corrected by what the last such run held."""


class PlanRefused(ApprenticeError):  # noqa: N818 - an outcome, named as the run states are
    """The run cannot fit into memory, in whatever pieces."""


class MemoryBudgetExceeded(ApprenticeError):  # noqa: N818 - likewise
    """The run took more memory than it may, though the plan expected less."""


@dataclass(frozen=True)
class ModelShape:
    """A model's size in numbers; `body` are the parameters that every token passes, without embeddings and head."""

    parameters: int
    body: int
    adapter: int
    hidden: int
    feed_forward: int
    layers: int
    vocabulary: int
    rank: int


@dataclass(frozen=True)
class Memory:
    """In MB, of the device's memory: what the process holds now, has held at most, and what is free beside it."""

    held: float
    peak: float
    free: float


@dataclass(frozen=True)
class Speed:
    """Floating-point operations a second of whole training steps, and what says so."""

    rate: float
    source: str


class Machine(BaseModel):
    """What a recorded rate holds for: steps of this base model by this method on this hardware."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    base_digest: str
    method: Method
    device: Device
    device_name: str
    dtype: Dtype
    threads: int


class Plan(BaseModel):
    """How a run is done, what it may take, and what it is expected to take.

    A step of `rows_per_step` rows, `tokens_per_step` tokens on average, comes in `parts` sequences of at most
    `rows_per_sequence`, whose gradients are added. `steps` of `wanted_steps` are taken. Times are in seconds, of
    training steps (`expected_seconds`) and of the evaluation after them (0.0: never measured here); memory is the
    device's, in MB, `memory_ratio` times what the formula says.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    device: Device
    device_name: str
    dtype: Dtype
    threads: int
    packing: bool
    activation_checkpointing: bool
    parts: int
    rows_per_step: int
    rows_per_sequence: int
    tokens_per_step: float
    steps: int
    wanted_steps: int
    flops_per_step: float
    expected_seconds: float
    seconds_from: str
    evaluation_seconds: float
    max_seconds: float
    expected_peak_mb: float
    memory_ratio: float = 1.0
    max_memory_mb: float
    memory_limit_from: str

    @property
    def training_seconds(self) -> float:
        """What of the time budget is training's: all but what evaluation is expected to take."""
        return self.max_seconds - reserved(self.max_seconds, self.evaluation_seconds)

    def sentence(self) -> str:
        """Say the plan to a person."""
        steps = f"{self.steps} steps"
        if self.steps < self.wanted_steps:
            steps = f"{self.steps} of {self.wanted_steps} steps, as budget.max_seconds is {self.max_seconds:,.0f} s"
        pieces = f" in {self.parts} sequences of at most {self.rows_per_sequence}" if self.parts > 1 else ""
        packing = "packed" if self.packing else "one by one"
        activations = "computed again in backward" if self.activation_checkpointing else "kept"
        later = f", then about {self.evaluation_seconds:,.0f} s of evaluation" if self.evaluation_seconds else ""
        return (
            f"{self.device} ({self.device_name}), {self.dtype}, {self.threads} threads; {steps} of "
            f"{self.rows_per_step} rows{pieces}, {packing}, about {self.tokens_per_step:.0f} tokens; activations "
            f"{activations}. Expected: {self.expected_seconds:,.0f} s (by {self.seconds_from}){later}; "
            f"{self.expected_peak_mb:,.0f} MB of memory at most, of {self.max_memory_mb:,.0f} MB "
            f"({self.memory_limit_from})."
        )


def device_memory(device: Device) -> Memory:
    """Look at the memory of the device that trains."""
    if device == "cpu":
        return Memory(psutil.Process().memory_info().rss / MB, peak_resident_mb(), free_memory_mb())
    allocated = torch.cuda.memory_allocated()
    free = torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved() - allocated
    return Memory(allocated / MB, torch.cuda.max_memory_allocated() / MB, free / MB)


def shape_of(model: Any, recipe: Recipe) -> ModelShape:
    """Read the sizes off a model, with weights or without."""
    config = model.config.get_text_config()
    head = model.get_output_embeddings()
    embeddings = {id(weight) for part in (model.get_input_embeddings(), head) for weight in part.parameters()}
    counts = {id(weight): weight.numel() for weight in model.parameters()}
    carriers = [module for name, module in _linear(model) if module is not head and _is_target(name, recipe)]
    share = 1 - min(recipe.adapter.first_layer / config.num_hidden_layers, 1.0)
    return ModelShape(
        parameters=sum(counts.values()),
        body=sum(count for weight, count in counts.items() if weight not in embeddings),
        adapter=round(share * recipe.adapter.rank * sum(each.in_features + each.out_features for each in carriers)),
        hidden=config.hidden_size,
        feed_forward=getattr(config, "intermediate_size", None) or 4 * config.hidden_size,
        layers=config.num_hidden_layers,
        vocabulary=config.vocab_size,
        rank=recipe.adapter.rank,
    )


def _linear(model: nn.Module) -> Iterator[tuple[str, nn.Linear]]:
    return ((name, module) for name, module in model.named_modules() if isinstance(module, nn.Linear))


def _is_target(name: str, recipe: Recipe) -> bool:
    targets = recipe.adapter.target_modules
    return targets == "all-linear" or name.rpartition(".")[2] in targets


def make_plan(
    hardware: Hardware,
    shape: ModelShape,
    recipe: Recipe,
    loads: Callable[[], Iterator[Load]],
    memory: Memory,
    speed: Speed,
    evaluation_seconds: float = 0.0,
    spent: float = 0.0,
    memory_ratio: float = 1.0,
) -> Plan:
    """Choose the way with the fewest operations that fits into memory, and as many steps as fit into the time.

    Args:
        hardware: the machine.
        shape: the base model.
        recipe: what is wanted.
        loads: gives what the steps ask for, first in one piece, then in more and more.
        memory: of the device, now.
        speed: of training steps.
        evaluation_seconds: what the evaluation afterwards is expected to take.
        spent: seconds of the time budget that are used up already.
        memory_ratio: how many times what the formula said the last such run held.

    Raises:
        PlanRefused: no way fits.

    """
    limit, limit_from = memory_limit(recipe, memory)
    ways = list(_ways(hardware, shape, loads, memory, limit, memory_ratio))
    fitting = [way for way in ways if way.peak_mb <= limit]
    if not fitting:
        raise PlanRefused(_refusal(hardware, shape, recipe, min(way.peak_mb for way in ways), memory))
    way = min(fitting, key=lambda way: way.flops)
    load, flops = way.load, way.flops / way.load.steps
    left = recipe.budget.max_seconds - reserved(recipe.budget.max_seconds, evaluation_seconds) - spent
    affordable = max(1, int(left / (flops / speed.rate)))
    steps = min(load.steps, affordable)
    return Plan(
        device=hardware.device,
        device_name=hardware.name,
        dtype=hardware.dtype_name,
        threads=hardware.threads,
        packing=load.rows > 1,
        activation_checkpointing=way.checkpointing,
        parts=load.parts,
        rows_per_step=load.step_rows,
        rows_per_sequence=load.rows,
        tokens_per_step=load.trained / load.steps,
        steps=steps,
        wanted_steps=load.steps,
        flops_per_step=flops,
        expected_seconds=steps * flops / speed.rate,
        seconds_from=speed.source,
        evaluation_seconds=evaluation_seconds,
        max_seconds=recipe.budget.max_seconds,
        expected_peak_mb=way.peak_mb,
        memory_ratio=memory_ratio,
        max_memory_mb=limit,
        memory_limit_from=limit_from,
    )


def reserved(max_seconds: float, evaluation_seconds: float) -> float:
    """Return what of the time budget is kept for the evaluation, in seconds."""
    return min(evaluation_seconds, MOST_RESERVED * max_seconds)


def memory_limit(recipe: Recipe, memory: Memory) -> tuple[float, str]:
    """Return how many MB the process may hold at once, and what says so."""
    if recipe.budget.max_memory_mb:
        return recipe.budget.max_memory_mb, "budget.max_memory_mb of the recipe"
    return memory.held + FREE_SHARE * memory.free, f"{FREE_SHARE:.0%} of what is free"


def check_base_fits(hardware: Hardware, shape: ModelShape, recipe: Recipe, memory: Memory) -> None:
    """Refuse a base model that would fill the memory by itself, before it is loaded.

    Raises:
        PlanRefused: it would.

    """
    limit, _ = memory_limit(recipe, memory)
    weights = shape.parameters * ITEM_BYTES[hardware.dtype_name] / MB
    needed = max(memory.peak, memory.held + weights + shape.adapter * ADAPTER_BYTES / MB)
    if needed > limit:
        raise PlanRefused(_refusal(hardware, shape, recipe, needed, memory))


def flops_of(load: Load, shape: ModelShape, *, checkpointing: bool) -> float:
    """Return the floating-point operations of all steps.

    Per token and parameter 2 forward and 4 backward, half of them for the weights' own gradient (Kaplan et al. 2020,
    arXiv 2001.08361, section 2.1: C = 6ND), which LoRA leaves out for all but its own; checkpointing runs forward
    again. Attention: 4 per pair of tokens, channel and layer forward, 8 backward.
    """
    again = 1 if checkpointing else 0
    passes = load.trained * ((4 + 2 * again) * shape.body + (6 + 2 * again) * shape.adapter)
    attention = (12 + 4 * again) * load.attended * shape.hidden * shape.layers
    head = 4 * load.scored * shape.hidden * shape.vocabulary
    return float(passes + attention + head + 2 * load.forward_only * shape.body)


def peak_of(dtype: Dtype, shape: ModelShape, load: Load, memory: Memory, *, checkpointing: bool) -> float:
    """Return the most MB that training is expected to hold, with what the process holds already.

    Backward keeps of each layer its inputs, its normed, projected and attended forms, and what a gated feed-forward
    network makes of it; counted with saved-tensor hooks on the built-in model, within 1 % (float32). With
    checkpointing it keeps each layer's input, and all the rest of one layer at a time.
    """
    layers = 1 if checkpointing else shape.layers
    kept = load.tokens * layers * _kept_numbers(shape) * KEPT_BYTES[dtype]
    inputs = load.tokens * shape.layers * shape.hidden * ITEM_BYTES[dtype] if checkpointing else 0
    logits = load.logits * shape.vocabulary * LOGIT_BYTES
    return max(memory.peak, memory.held + (kept + inputs + logits + shape.adapter * ADAPTER_BYTES) / MB)


def _kept_numbers(shape: ModelShape) -> int:
    """Numbers per token and layer."""
    return 9 * shape.hidden + 4 * shape.feed_forward + 7 * shape.rank


@dataclass(frozen=True)
class _Way:
    load: Load
    checkpointing: bool
    flops: float
    peak_mb: float


def _ways(
    hardware: Hardware,
    shape: ModelShape,
    loads: Callable[[], Iterator[Load]],
    memory: Memory,
    limit: float,
    memory_ratio: float,
) -> Iterator[_Way]:
    """Give ways to do the steps until one fits without checkpointing: to cut them further would only cost more."""
    for load in loads():
        for checkpointing in (False, True):
            flops = flops_of(load, shape, checkpointing=checkpointing)
            peak = memory_ratio * peak_of(hardware.dtype_name, shape, load, memory, checkpointing=checkpointing)
            yield _Way(load, checkpointing, flops, peak)
            if not checkpointing and peak <= limit:
                return


def _refusal(hardware: Hardware, shape: ModelShape, recipe: Recipe, needed: float, memory: Memory) -> str:
    limit, limit_from = memory_limit(recipe, memory)
    where = "the GPU's memory" if hardware.device == "cuda" else "the machine's memory"
    weights = shape.parameters * ITEM_BYTES[hardware.dtype_name] / MB
    raised = "raise budget.max_memory_mb" if recipe.budget.max_memory_mb else "stop other programs"
    return (
        f"this run does not fit into {where}: it needs at least {needed:,.0f} MB ({weights:,.0f} of them for the base "
        f"model's weights), and may take {limit:,.0f} MB ({limit_from}). In the recipe, lower wordings.rows_per_step "
        f"({recipe.wordings.rows_per_step}) or {raised}; or set model.base to a smaller base model."
    )


def over_budget(plan: Plan, held_mb: float) -> MemoryBudgetExceeded:
    """Say that a run held more than it may."""
    return MemoryBudgetExceeded(
        f"training took {held_mb:,.0f} MB of memory, more than its budget of {plan.max_memory_mb:,.0f} MB "
        f"({plan.memory_limit_from}; the plan expected {plan.expected_peak_mb:,.0f} MB). Nothing of it is kept. Raise "
        "budget.max_memory_mb in the recipe, lower wordings.rows_per_step there, or use a smaller base model."
    )


def read_plan(folder: Path) -> Plan | None:
    """Return the plan that was made in a run's folder, or None."""
    path = folder / PLAN
    return Plan.model_validate_json(path.read_bytes()) if path.exists() else None


def recorded_speed(runs: Path, machine: Machine) -> Speed | None:
    """Return how fast the last finished run in `runs` was that is like this one, or None."""
    for folder, result in _finished(runs, machine):
        if result.get("flops_per_second"):
            return Speed(result["flops_per_second"], f"the last such run, {folder.name}")
    return None


def recorded_memory(runs: Path, machine: Machine) -> float:
    """Return how many times what the formula says the last finished run held that is like this one; 1.0: none was."""
    least, most = MEMORY_RATIOS
    for _, result in _finished(runs, machine):
        with suppress(KeyError, TypeError):
            return min(most, max(least, result["memory_ratio"] * result["plan"].get("memory_ratio", 1.0)))
    return least


def recorded_evaluation(runs: Path, machine: Machine) -> float:
    """Return how many seconds the last evaluation after such a run took; 0.0 when there was none."""
    for folder, _ in _finished(runs, machine):
        with suppress(OSError, ValueError, KeyError):
            return float(json.loads((folder / EVALUATION).read_text(encoding="utf-8"))["seconds"])
    return 0.0


def note_evaluation(folder: Path, seconds: float) -> None:
    """Keep with a run how long its evaluation took, for the plans of later ones."""
    (folder / EVALUATION).write_text(json.dumps({"seconds": seconds}), encoding="utf-8")


def _finished(runs: Path, machine: Machine) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Give folder and result of the finished runs like this one, the newest first; what is unreadable is none."""
    for path in sorted(runs.glob("*/result.json"), key=lambda path: path.stat().st_mtime, reverse=True):
        with suppress(OSError, ValueError, KeyError):
            result = json.loads(path.read_text(encoding="utf-8"))
            if Machine.model_validate(result["machine"]) == machine:
                yield path.parent, result
