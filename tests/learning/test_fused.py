import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model

from learning.base_model import load
from learning.fused import SHORT_ATTENTION, FusedLinear, fuse, use_short_attention
from learning.losses import LossWeights, step_loss
from learning.packing import TokenRow, collate, packed_step
from tests.learning.tiny import ALL_LINEAR, make_tiny_base

ROWS = [TokenRow((7, 8, 9), (10, 11, 12)), TokenRow((20, 21), (22, 23)), TokenRow((7, 8), (30, 31, 32, 33))]


def tuned(folder: Path, dtype: torch.dtype, **lora: Any) -> Any:
    base = make_tiny_base(folder)
    model, _ = load(base, dtype, "cpu")
    torch.manual_seed(1)
    config = LoraConfig(r=4, lora_alpha=8, target_modules=ALL_LINEAR, task_type="CAUSAL_LM", **lora)
    adapted = get_peft_model(model, config)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)  # PEFT begins with zeros, to which A would learn nothing
    return adapted


def loss_and_gradients(model: Any) -> tuple[float, dict[str, torch.Tensor]]:
    loss = step_loss(model, collate([packed_step((1, 2, 3, 4), ROWS)]), LossWeights())
    loss.backward()
    return float(loss.detach()), {name: each.grad for name, each in model.named_parameters() if each.requires_grad}


def fused(model: Any) -> Any:
    ours = copy.deepcopy(model)
    fuse(ours)
    use_short_attention(ours.get_base_model())
    return ours


def distance(gradients: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> float:
    """Return the mean, over the parameters, of how far a gradient is from the wanted one, as a share of its length."""
    assert gradients.keys() == wanted.keys()
    errors = [(gradient - wanted[name]).norm() / wanted[name].norm() for name, gradient in gradients.items()]
    return float(torch.stack(errors).mean())


def test_a_step_is_that_of_peft_and_of_the_fused_kernel(tmp_path: Path) -> None:
    plain = tuned(tmp_path, torch.float32)
    ours = fused(plain)

    wanted, wanted_gradients = loss_and_gradients(plain)
    loss, gradients = loss_and_gradients(ours)

    assert ours.config._attn_implementation == SHORT_ATTENTION
    assert sum(isinstance(module, FusedLinear) for module in ours.modules()) == 3 * len(ALL_LINEAR)
    assert loss == pytest.approx(wanted, rel=1e-5)
    assert distance(gradients, wanted_gradients) < 1e-5


def test_in_bfloat16_a_step_is_as_near_to_that_in_float32_as_pefts_is(tmp_path: Path) -> None:
    _, exact = loss_and_gradients(tuned(tmp_path, torch.float32))
    plain = tuned(tmp_path, torch.bfloat16)

    _, gradients = loss_and_gradients(fused(plain))
    _, pefts = loss_and_gradients(plain)

    assert {gradient.dtype for gradient in gradients.values()} == {torch.float32}
    assert 0 < distance(gradients, exact) < 1.5 * distance(pefts, exact)


def test_without_its_adapter_a_fused_model_is_the_base_model(tmp_path: Path) -> None:
    model = tuned(tmp_path, torch.float32)
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad(), model.disable_adapter():
        before = model(ids).logits
        fuse(model)
        use_short_attention(model.get_base_model())
        after = model(ids).logits
        adapted = model.base_model.model
    with torch.no_grad():
        assert not torch.allclose(adapted(ids).logits, before)
    assert torch.allclose(after, before, atol=1e-6)


@pytest.mark.parametrize("lora", [{"lora_dropout": 0.5}, {"use_dora": True}, {"lora_bias": True}])
def test_a_layer_that_is_more_than_a_plain_product_stays_pefts(tmp_path: Path, lora: dict[str, Any]) -> None:
    model = tuned(tmp_path, torch.float32, **lora)
    fuse(model)

    assert not any(isinstance(module, FusedLinear) for module in model.modules())
