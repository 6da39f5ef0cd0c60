"""Several segments in one pass through the model: each as it would be alone."""

import pytest
import torch
from transformers import LlamaForCausalLM, MistralConfig, MistralForCausalLM

from learning.base_model import BaseModel, load
from learning.rows import contents, crop, make_cache
from learning.segments import Segment, can_mix, forward
from tests.learning.tiny import make_tiny_base

LAYERS = 3


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> BaseModel:
    return make_tiny_base(tmp_path_factory.mktemp("base"))


@pytest.fixture
def model(base: BaseModel) -> LlamaForCausalLM:
    loaded, _ = load(base, torch.float32, "cpu")
    assert isinstance(loaded, LlamaForCausalLM)
    return loaded


def segment(tokens: list[list[int]], padding: list[int]) -> Segment:
    """Rows of equal length, of which the first `padding[i]` tokens are none."""
    mask = torch.tensor([[0] * gap + [1] * (len(row) - gap) for row, gap in zip(tokens, padding, strict=True)])
    return Segment(torch.tensor(tokens), mask, make_cache(LAYERS))


def going_on(before: Segment, tokens: list[list[int]]) -> Segment:
    """The next tokens of the same rows."""
    new = torch.tensor(tokens)
    return Segment(new, torch.cat([before.mask, torch.ones_like(new)], dim=1), before.cache)


def two() -> list[Segment]:
    return [segment([[9, 8, 7, 6], [5, 4, 3, 2]], [0, 2]), segment([[11, 12, 13, 14, 15], [1, 2, 3, 4, 5]], [3, 0])]


@torch.inference_mode()
def test_segments_read_together_have_the_logits_and_caches_that_each_has_alone(model: LlamaForCausalLM) -> None:
    alone = two()
    first = [forward(model, [each])[0] for each in alone]
    then = [going_on(alone[0], [[20], [21]]), going_on(alone[1], [[22, 23, 24], [25, 26, 27]])]
    last = [forward(model, [each])[0] for each in then]

    assert can_mix(model)
    both = two()
    torch.testing.assert_close(forward(model, both), first)
    further = [going_on(both[0], [[20], [21]]), going_on(both[1], [[22, 23, 24], [25, 26, 27]])]
    torch.testing.assert_close(forward(model, further), last)

    for mine, theirs in zip(both, alone, strict=True):
        tokens = mine.mask.bool()[:, None, :, None]
        for pair, other in zip(contents(mine.cache), contents(theirs.cache), strict=True):
            for one, two_ in zip(pair, other, strict=True):
                read = one[:, :, : mine.mask.shape[1]], two_[:, :, : mine.mask.shape[1]]
                torch.testing.assert_close(read[0] * tokens, read[1] * tokens)


@torch.inference_mode()
def test_a_model_that_can_mix_reads_one_segment_as_before(model: LlamaForCausalLM) -> None:
    before = forward(model, two()[:1])[0]
    assert can_mix(model)
    torch.testing.assert_close(forward(model, two()[:1])[0], before)


@torch.inference_mode()
def test_what_a_failed_pass_put_into_a_cache_is_taken_out_again(model: LlamaForCausalLM) -> None:
    start = two()[0]
    forward(model, [start])
    length = start.cache.get_seq_length()
    expected = forward(model, [going_on(start, [[20], [21]])])[0]

    crop(start.cache, length)

    torch.testing.assert_close(forward(model, [going_on(start, [[20], [21]])])[0], expected)


def test_a_model_whose_layers_look_at_a_window_only_reads_one_segment_at_a_time() -> None:
    config = MistralConfig(
        vocab_size=64, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, sliding_window=4, attn_implementation="sdpa",
    )  # fmt: skip
    assert not can_mix(MistralForCausalLM(config).eval())


def test_a_model_with_another_attention_reads_one_segment_at_a_time(base: BaseModel) -> None:
    model, _ = load(base, torch.float32, "cpu", "eager")
    assert not can_mix(model)
