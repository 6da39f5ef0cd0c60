"""A base model of three small layers over single bytes, and adapters for it, made on the spot in a second."""

from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from learning.adapter_files import AdapterManifest, write_manifest
from learning.base_model import BaseModel, prepare
from learning.meaning import Meaning, question_states
from learning.reading import fit_reading
from learning.scope import Scope, write_scope
from storage.artifacts import folder_digest

END = "<end>"
TEMPLATE = (
    "{% for message in messages %}{{ message.role }}: {{ message.content }}<end>{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
TINY_ADAPTER_BYTES = 4 * 2304 * 4
"""Of an adapter of rank 4 as float32: 2304 is the sum of inputs and outputs of all linear layers."""
ALL_LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def make_tiny_base(folder: Path) -> BaseModel:
    """Save model and tokenizer under `folder`, and prepare them as a local base model."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {END: 0} | {symbol: index for index, symbol in enumerate(alphabet, start=1)}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    model = folder / "tiny"
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, pad_token=END, chat_template=TEMPLATE
    ).save_pretrained(model)
    _make_model(len(vocabulary)).save_pretrained(model)
    return prepare(str(model), folder / "cache")


def _make_model(vocabulary: int) -> LlamaForCausalLM:
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        initializer_range=0.3,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=0,
    )
    return LlamaForCausalLM(config)


def make_tiny_tuned(base: Path) -> PeftModel:
    """Return the base model with an adapter on it that changes what it says, to be trained."""
    torch.manual_seed(1)
    config = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    return get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)


def make_tiny_adapter(base: BaseModel, folder: Path, seed: int = 1, rank: int = 4) -> str:
    """Write an adapter that changes what the model says, and return its digest."""
    torch.manual_seed(seed)
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=ALL_LINEAR, init_lora_weights=False)
    tuned = get_peft_model(AutoModelForCausalLM.from_pretrained(base.path), config)
    tuned.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    write_manifest(
        folder,
        AdapterManifest(
            base_digest=base.digest,
            snapshot_digest="5" * 64,
            recipe="tiny",
            recipe_digest="7" * 64,
            rank=rank,
            seed=seed,
        ),
    )
    return folder_digest(folder)


def narrow_tiny_adapter(base: BaseModel, folder: Path, inside: str, outside: str, read_as: str | None = None) -> str:
    """Give an adapter the scope halfway between two questions, and return its new digest.

    What is like `inside` is put to it as `read_as`, if that is given.
    """
    model = AutoModelForCausalLM.from_pretrained(base.path).eval()
    tokenizer = AutoTokenizer.from_pretrained(base.path)
    with torch.inference_mode():
        states = question_states(model, tokenizer, [inside, outside])
    weight = (states[0] - states[1]).astype(np.float32)
    reading = None
    if read_as is not None:
        meaning = Meaning(states.mean(axis=0), np.eye(len(weight), dtype=np.float32))
        reading = fit_reading([read_as], meaning, meaning.of(states[:1]), [0])
    write_scope(folder, Scope(weight, -float(states.mean(axis=0) @ weight), reading))
    return folder_digest(folder)


def plain_generate(base: BaseModel, adapter: Path | None, prompt: list[int], new: int) -> tuple[int, ...]:
    """Return the tokens of transformers' own greedy `generate`, one request, with PEFT's own adapter."""
    model = AutoModelForCausalLM.from_pretrained(base.path).eval()
    if adapter is not None:
        model = PeftModel.from_pretrained(model, adapter).eval()
    tokens = torch.tensor([prompt])
    with torch.inference_mode():
        output = model.generate(
            input_ids=tokens, attention_mask=torch.ones_like(tokens), max_new_tokens=new, do_sample=False
        )
    return tuple(output[0, len(prompt) :].tolist())
