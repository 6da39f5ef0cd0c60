import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model

from learning.base_model import load, skeleton
from learning.hardware import Hardware, free_memory_mb, peak_resident_mb, product_rate
from learning.losses import LossWeights, step_loss
from learning.packing import Role, TokenRow, collate, packed_step
from learning.plan import (
    Machine,
    Memory,
    ModelShape,
    Plan,
    PlanRefused,
    Speed,
    check_base_fits,
    flops_of,
    make_plan,
    peak_of,
    recorded_memory,
    shape_of,
)
from learning.recipe import Recipe
from learning.splitting import Load, load_of, most_parts, part_shares, scaled, split_step
from tests.learning.tiny import make_tiny_base

PREFIX = list(range(3, 13))
LAPTOP = Hardware("cpu", "float32", 2, 8 * 2**30, "AVX2")
SHAPE = ModelShape(
    parameters=134_515_008, body=106_203_456, adapter=4_884_480, hidden=576, feed_forward=1536, layers=30,
    vocabulary=49152, rank=16,
)  # fmt: skip
"""The built-in model, rank 16 on all linear layers."""


def learned(count: int) -> list[TokenRow]:
    return [TokenRow((20 + at, 5, 6), (7, 8, 9, 10, 11 + at % 3)) for at in range(count)]


def plan_for(
    recipe: Recipe | None = None, free: float = 20_000.0, held: float = 1_000.0, rate: float = 1e11, **changes: float
) -> Plan:
    steps = [learned(16)] * 40

    def loads() -> Iterator[Load]:
        return (load_of(PREFIX * 30, steps, parts) for parts in (1, 2, 4, 8, 16))

    memory = Memory(held, held, free)
    return make_plan(LAPTOP, SHAPE, recipe or Recipe(name="x"), loads, memory, Speed(rate, "a stopwatch"), **changes)


def with_memory(mb: float) -> Recipe:
    return Recipe.model_validate({"name": "x", "budget": {"max_memory_mb": mb}})


def with_seconds(seconds: float) -> Recipe:
    return Recipe.model_validate({"name": "x", "budget": {"max_seconds": seconds}})


def test_with_room_enough_a_step_is_one_sequence_that_keeps_its_activations() -> None:
    plan = plan_for()

    assert (plan.parts, plan.activation_checkpointing, plan.packing) == (1, False, True)
    assert (plan.steps, plan.wanted_steps, plan.rows_per_sequence) == (40, 40, 16)
    assert plan.expected_peak_mb < plan.max_memory_mb == 19_000


@pytest.mark.parametrize("budget", [1_200, 1_400, 1_600])
def test_a_memory_budget_is_kept_by_cutting_steps_or_by_computing_activations_again(budget: float) -> None:
    plan = plan_for(with_memory(budget))

    assert plan.expected_peak_mb <= plan.max_memory_mb == budget
    assert plan.parts > 1 or plan.activation_checkpointing
    assert plan.parts * plan.rows_per_sequence >= plan.rows_per_step
    assert "budget.max_memory_mb of the recipe" in plan.sentence()


def test_of_two_ways_that_fit_the_one_with_fewer_operations_is_taken() -> None:
    long_prefix = plan_for(with_memory(1_600))

    # The prefix, read again for each sequence, is most of a step here.
    assert (long_prefix.activation_checkpointing, long_prefix.parts) == (True, 1)


def test_what_cannot_fit_is_refused_with_what_it_needs_what_there_is_and_what_to_change() -> None:
    with pytest.raises(PlanRefused) as refusal:
        plan_for(with_memory(1_050))

    said = str(refusal.value)
    assert "does not fit into the machine's memory: it needs at least 1," in said
    assert "may take 1,050 MB (budget.max_memory_mb of the recipe)" in said
    assert "lower wordings.rows_per_step (10) or raise budget.max_memory_mb" in said
    assert "model.base to a smaller base model" in said


def test_a_base_model_larger_than_the_memory_is_refused_before_it_is_loaded() -> None:
    large = replace(SHAPE, parameters=8 * 10**9)
    with pytest.raises(
        PlanRefused, match=r"needs at least 30,\d\d\d MB \(30,518 of them for the base model's weights\)"
    ):
        check_base_fits(LAPTOP, large, Recipe(name="x"), Memory(held=300.0, peak=300.0, free=16_000.0))
    check_base_fits(LAPTOP, SHAPE, Recipe(name="x"), Memory(held=300.0, peak=300.0, free=16_000.0))


def test_a_run_that_would_take_too_long_takes_fewer_steps_and_says_so() -> None:
    wanted = plan_for()

    plan = plan_for(with_seconds(wanted.expected_seconds / 4))

    assert plan.steps == 10
    assert plan.expected_seconds <= plan.max_seconds
    assert "10 of 40 steps, as budget.max_seconds is" in plan.sentence()


def test_the_evaluation_and_what_was_spent_before_count_as_time() -> None:
    seconds = plan_for().expected_seconds

    assert plan_for(with_seconds(seconds * 1.01)).steps == 40
    assert plan_for(with_seconds(seconds * 1.01), evaluation_seconds=seconds / 4).steps == 30
    assert plan_for(with_seconds(seconds * 1.01), spent=seconds / 2).steps == 20
    assert plan_for(with_seconds(1.0), evaluation_seconds=1e6).steps == 1


def test_a_plan_expects_the_memory_that_the_last_such_run_took(tmp_path: Path) -> None:
    formula = plan_for().expected_peak_mb
    machine = Machine(
        base_digest="b", method="sft", device="cpu", device_name="AVX2", dtype="float32", threads=2
    )  # fmt: skip
    assert recorded_memory(tmp_path, machine) == 1.0

    for name, measured in (("first", 1.5), ("second", 0.8), ("unbelievable", 9.0)):
        ratio = recorded_memory(tmp_path, machine)
        plan = plan_for(memory_ratio=ratio)
        assert plan.expected_peak_mb == pytest.approx(formula * ratio)
        result = {"machine": machine.model_dump(), "plan": plan.model_dump(), "memory_ratio": measured}
        (tmp_path / name).mkdir()
        (tmp_path / name / "result.json").write_text(json.dumps(result))
        assert recorded_memory(tmp_path, machine) == pytest.approx(min(4.0, ratio * measured))

    assert recorded_memory(tmp_path, machine.model_copy(update={"threads": 1})) == 1.0


def test_operations_are_four_per_parameter_and_token_and_two_more_with_checkpointing() -> None:
    load = Load(
        steps=1, step_rows=1, parts=1, rows=1, tokens=100, logits=0, trained=100, forward_only=0, scored=0, attended=0
    )
    shape = replace(SHAPE, body=10**6, adapter=0)

    assert flops_of(load, shape, checkpointing=False) == 4 * 100 * 10**6
    assert flops_of(load, shape, checkpointing=True) == 6 * 100 * 10**6


def test_the_shape_is_read_off_a_model_without_its_weights(tmp_path: Path) -> None:
    base = make_tiny_base(tmp_path)
    recipe = Recipe.model_validate({"name": "x", "adapter": {"rank": 4}})
    model, _ = load(base, torch.float32, "cpu")
    tuned = get_peft_model(model, LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"))

    shape = shape_of(skeleton(base), recipe)

    own = sum(weight.numel() for name, weight in tuned.named_parameters() if "lora_" in name)
    everything = sum(weight.numel() for weight in tuned.parameters())
    assert (shape.adapter, shape.parameters) == (own, everything - own)
    assert (shape.hidden, shape.feed_forward, shape.layers) == (48, 96, 3)
    assert shape.body == shape.parameters - 2 * shape.vocabulary * 48


MIXED: list[tuple[int, int, Role]] = [
    (20, 5, "learned"), (21, 3, "learned"), (22, 7, "learned"), (30, 6, "replayed"), (31, 2, "replayed"),
    (40, 4, "chosen"), (40, 6, "rejected"), (41, 5, "chosen"), (41, 2, "rejected"), (50, 3, "liked"),
    (51, 4, "disliked"),
]  # fmt: skip


def mixed() -> list[TokenRow]:
    rows = [TokenRow((start, 5, 6), tuple(range(60, 60 + length)), role, -3.0) for start, length, role in MIXED]
    return [*rows, TokenRow((50, 5, 6), (90, 91), "mismatched", -2.0), TokenRow((51, 5, 6), (92,), "mismatched", -1.0)]


def test_a_step_is_cut_between_rows_and_what_belongs_together_stays_so() -> None:
    rows = mixed()
    assert most_parts([rows]) == 9

    parts = split_step(rows, 3)

    assert sorted(map(repr, itertools.chain(*parts))) == sorted(map(repr, rows))
    for part in parts:
        roles = [row.role for row in part]
        assert roles.count("chosen") == roles.count("rejected")
        assert roles.count("mismatched") == roles.count("liked") + roles.count("disliked")
        assert roles == sorted(roles, key=lambda role: role == "mismatched")


@pytest.fixture
def tuned(tmp_path: Path) -> torch.nn.Module:
    model, _ = load(make_tiny_base(tmp_path), torch.float32, "cpu")
    torch.manual_seed(4)
    config = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False)
    return get_peft_model(model, config).train()


def gradient(model: torch.nn.Module) -> torch.Tensor:
    parts = [weight.grad.flatten().clone() for weight in model.parameters() if weight.grad is not None]
    model.zero_grad()
    return torch.cat(parts)


@pytest.mark.parametrize("parts", [2, 3])
def test_the_parts_of_a_step_have_together_its_loss_and_its_gradient(tuned: torch.nn.Module, parts: int) -> None:
    rows = [row for row in mixed() if row.role not in {"liked", "disliked", "mismatched"}]
    weights = LossWeights(first=3.0, replay=2.0, chosen=0.5, smoothing=0.1, pairs=0.7)
    whole = step_loss(tuned, collate([packed_step(PREFIX, rows)]), weights)
    whole.backward()
    expected = gradient(tuned)

    cut = split_step(rows, parts)
    losses = []
    for part, shares in zip(cut, part_shares(cut, weights.first), strict=True):
        losses.append(step_loss(tuned, collate([packed_step(PREFIX, part)]), scaled(weights, shares)))
        losses[-1].backward()

    assert sum(losses).item() == pytest.approx(whole.item(), rel=1e-5)
    assert (gradient(tuned) - expected).norm() < 1e-5 * expected.norm()


def test_checkpointing_changes_neither_loss_nor_gradient_and_keeps_less(tuned: torch.nn.Module) -> None:
    inputs, weights = collate([packed_step(PREFIX, mixed())]), LossWeights(replay=1.0)

    def measure() -> tuple[float, torch.Tensor, int]:
        kept: dict[int, int] = {}

        def note(tensor: torch.Tensor) -> torch.Tensor:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            loss = step_loss(tuned, inputs, weights)
        loss.backward()
        return loss.item(), gradient(tuned), sum(kept.values())

    plain = measure()
    tuned.activation_checkpointing_enable()
    tuned.enable_input_require_grads()
    again = measure()

    assert again[0] == pytest.approx(plain[0], rel=1e-6)
    assert torch.allclose(again[1], plain[1], atol=1e-6)
    assert again[2] < plain[2] / 2


def test_the_expected_memory_of_activations_is_what_backward_keeps(tuned: torch.nn.Module, tmp_path: Path) -> None:
    recipe = Recipe.model_validate({"name": "x", "adapter": {"rank": 4}})
    shape = replace(shape_of(skeleton(make_tiny_base(tmp_path / "again")), recipe), adapter=0)
    weights = {parameter.untyped_storage().data_ptr() for parameter in tuned.parameters()}

    def kept_mb(rows: int) -> float:
        kept: dict[int, int] = {}

        def note(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in weights:
                kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            step_loss(tuned, collate([packed_step(PREFIX, learned(rows))]), LossWeights())
        return sum(kept.values()) / 2**20

    def expected_mb(rows: int) -> float:
        return peak_of("float32", shape, load_of(PREFIX, [learned(rows)], 1), Memory(0, 0, 0), checkpointing=False)

    assert expected_mb(40) - expected_mb(20) == pytest.approx(kept_mb(40) - kept_mb(20), rel=0.35)


def test_the_machine_is_measured_as_it_is() -> None:
    assert product_rate(LAPTOP, 64, 64, 64) > 1e6
    assert free_memory_mb() > 0
    assert peak_resident_mb() > 50
