"""Weights in oneDNN's layout compute what plain ones do."""

import copy

import pytest
import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from learning.packed import PackedLinear, can_pack, pack


@pytest.mark.parametrize("shape", [(1, 1, 48), (8, 1, 48), (3, 20, 48), (100, 48)])
@pytest.mark.parametrize("bias", [True, False])
def test_a_packed_layer_computes_what_the_plain_one_does(shape: tuple[int, ...], bias: bool) -> None:  # noqa: FBT001
    torch.manual_seed(0)
    plain, inputs = nn.Linear(48, 96, bias=bias), torch.randn(shape)
    with torch.inference_mode():
        torch.testing.assert_close(PackedLinear(plain, shared=False)(inputs), plain(inputs), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("tied", [True, False])
def test_a_packed_model_says_what_it_said_and_has_as_many_parameters(tied: bool) -> None:  # noqa: FBT001
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64, hidden_size=48, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, tie_word_embeddings=tied,
    )  # fmt: skip
    plain = LlamaForCausalLM(config).eval()
    packed = copy.deepcopy(plain)
    pack(packed)
    tokens = torch.arange(20)[None]
    with torch.inference_mode():
        torch.testing.assert_close(packed(tokens).logits, plain(tokens).logits, rtol=1e-4, atol=1e-5)
    assert isinstance(packed.get_output_embeddings(), PackedLinear)
    assert sum(each.numel() for each in packed.parameters()) == sum(each.numel() for each in plain.parameters())


def test_only_float32_on_a_cpu_is_packed() -> None:
    assert can_pack("cpu", torch.float32) == torch.backends.mkldnn.is_available()
    assert not can_pack("cpu", torch.bfloat16)
    assert not can_pack("cuda", torch.float32)
