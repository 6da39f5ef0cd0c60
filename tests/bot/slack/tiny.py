"""A base model of two small layers and forty words, made on the spot: it says nothing sensible, but says it fast."""

from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from learning.adapter_files import AdapterManifest, write_manifest
from learning.base_model import BaseModel

SENTENCE = """
kite wind tail spool fabric loom depot shift ticket guide flag shop wiki salary knot line frame spar bridle reel
north south east west port hand test fly lift drag turn hold fast slow high low left right end
"""
SPECIAL = ("<unk>", "<end>")
TEMPLATE = "{% for message in messages %}{{ message.content }} <end> {% endfor %}"
LAYERS = ["q_proj", "v_proj", "up_proj"]


def make_tiny_model(folder: Path) -> Path:
    """Save model and tokenizer as a local base model; the same files each time."""
    vocabulary = {word: index for index, word in enumerate([*SPECIAL, *SENTENCE.split()])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=SPECIAL[0]))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token=SPECIAL[0],
        eos_token=SPECIAL[1],
        pad_token=SPECIAL[1],
        chat_template=TEMPLATE,
    ).save_pretrained(folder)
    _make_model(len(vocabulary), end=1).save_pretrained(folder)
    return folder


def _make_model(words: int, end: int) -> LlamaForCausalLM:
    torch.manual_seed(7)
    config = LlamaConfig(
        vocab_size=words,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=512,
        bos_token_id=None,
        eos_token_id=end,
        pad_token_id=end,
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        model.lm_head.weight[: len(SPECIAL)] = 0.0  # never the likeliest, so that it always says something
    return model


def write_tiny_adapter(folder: Path, base: BaseModel, *, tuned: bool = True) -> None:
    """Write an adapter for the tiny model that makes it talk differently, or, if it is not `tuned`, as before."""
    torch.manual_seed(11)
    model = AutoModelForCausalLM.from_pretrained(base.path)
    tuned = get_peft_model(model, LoraConfig(r=2, target_modules=LAYERS, init_lora_weights=not tuned))
    tuned.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    write_manifest(
        folder,
        AdapterManifest(
            base_digest=base.digest, snapshot_digest="5" * 64, recipe="tiny", recipe_digest="7" * 64, rank=2, seed=11
        ),
    )
