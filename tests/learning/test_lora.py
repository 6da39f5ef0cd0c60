"""Rows of one pass with different adapters: each is as with its adapter alone, in whatever order they come and go."""

import random

import pytest
import torch
from torch import Tensor, nn

from learning.lora import LoraWeights, Router

WIDTH, RANKS = 6, {"a": 2, "b": 2, "c": 3, "d": 2}
INPUTS = torch.arange(4 * WIDTH).view(4, 1, WIDTH) / 10


class Two(nn.Module):
    """Two layers; no adapter but `c` has the second one."""

    dtype, device = torch.float32, torch.device("cpu")

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.two(self.one(inputs))  # type: ignore[no-any-return]


def weights(name: str) -> LoraWeights:
    torch.manual_seed(ord(name))
    layers = ("one", "two") if name == "c" else ("one",)
    rank = RANKS[name]
    return LoraWeights(rank, {layer: (torch.randn(rank, WIDTH), torch.randn(rank, WIDTH)) for layer in layers})


@pytest.fixture
def model() -> Two:
    torch.manual_seed(0)
    return Two()


@pytest.fixture
def router(model: Two) -> Router:
    router = Router(model)
    for name in RANKS:
        router.add(name, weights(name))
    return router


def alone(model: Two, router: Router, row: int, adapter: str | None) -> Tensor:
    router.route([adapter])
    output: Tensor = model(INPUTS[row : row + 1])
    return output


@torch.inference_mode()
def test_each_row_is_as_with_its_adapter_alone_whatever_went_before(model: Two, router: Router) -> None:
    names = [None, *RANKS]
    expected = {(row, name): alone(model, router, row, name) for row in range(4) for name in names}
    chosen = random.Random(7)

    rows: list[str | None] = [None] * len(INPUTS)
    for _ in range(500):
        router.stack([*rows, chosen.choice(names)])
        rows = chosen.choice([rows, [chosen.choice(names) for _ in INPUTS]])
        if chosen.random() < 0.5:
            router.route(rows)
            output = model(INPUTS)
        else:
            router.route_tokens(rows)
            output = model(INPUTS.transpose(0, 1)).transpose(0, 1)
        torch.testing.assert_close(output, torch.cat([expected[row, name] for row, name in enumerate(rows)]))
        if gone := chosen.choice([None, None, None, *(name for name in RANKS if name not in rows)]):
            router.remove(gone)
            router.add(gone, weights(gone))


@torch.inference_mode()
def test_laying_matrices_for_passes_to_come_disturbs_no_rows_that_go_on(model: Two, router: Router) -> None:
    router.stack(["b", "c", "d"])
    router.route(["b", "c", "b", "c"])
    before = model(INPUTS)

    assert router.stack(["a", "b", "c"])  # as large, and so in the same memory

    router.route(["b", "c", "b", "c"])
    torch.testing.assert_close(model(INPUTS), before)


def test_matrices_are_laid_below_each_other_once_for_all_adapters_that_are_among_them(router: Router) -> None:
    assert router.stack(["a", "b", None, "a", "c"])

    assert not router.stack(["c", "a"])
    assert not router.stack(["b"])
    assert not router.stack([None])
    router.remove("c")
    assert router.stack(["b", "a"])
