"""What is asked of a base model before anything runs on it."""

import os
from pathlib import Path

import pytest

from learning.base_model import BUILTIN, BaseModelError, load, prepare
from learning.engine import Engine, Sampling
from learning.hardware import detect
from learning.prompts import build_messages
from tests.learning.tiny import make_tiny_base, plain_generate


def test_the_digest_is_the_same_each_time_and_another_for_other_weights(tmp_path: Path) -> None:
    base = make_tiny_base(tmp_path)
    assert prepare(str(base.path), tmp_path / "other-cache").digest == base.digest
    weights = base.path / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    os.utime(weights, ns=(1, 1))
    assert prepare(str(base.path), tmp_path / "cache").digest != base.digest


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_folder_that_lacks_a_file_is_refused_by_its_name(tmp_path: Path, name: str) -> None:
    base = make_tiny_base(tmp_path)
    (base.path / name).unlink()
    with pytest.raises(BaseModelError, match=name if name != "model.safetensors" else "safetensors"):
        prepare(str(base.path), tmp_path / "cache")


def test_damaged_weights_are_refused_with_the_folder_named(tmp_path: Path) -> None:
    base = make_tiny_base(tmp_path)
    (base.path / "config.json").write_text("{")
    with pytest.raises(BaseModelError, match="tiny"):
        load(base, detect(1).dtype, "cpu")


def test_an_unknown_built_in_model_is_refused_with_the_one_there_is(tmp_path: Path) -> None:
    with pytest.raises(BaseModelError, match=BUILTIN):
        prepare("builtin:other", tmp_path)


@pytest.mark.slow
def test_the_built_in_model_answers_as_plain_generate_does(tmp_path: Path) -> None:
    base = prepare(BUILTIN, tmp_path)
    engine = Engine.start(base, detect())
    try:
        conversations = [build_messages(f"What is {number} plus one?", "Answer briefly.") for number in range(3)]
        for messages, completion in zip(
            conversations, engine.generate_many(conversations, sampling=Sampling(max_new_tokens=12)), strict=True
        ):
            text = engine._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            prompt = engine._tokenizer(text, add_special_tokens=False)["input_ids"]
            assert completion.token_ids == plain_generate(base, None, prompt, 12)
    finally:
        engine.close()
