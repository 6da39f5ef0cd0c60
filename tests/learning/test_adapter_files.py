"""An adapter's files are not what they must be: they are refused by name, and the engine answers as before."""

import json
import os
import pickle
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from learning.adapter_files import CONFIG, MANIFEST, MAX_HEADER_BYTES, SCOPE, WEIGHTS, AdapterError
from learning.base_model import BaseModel
from learning.engine import Engine, EngineError, Sampling
from learning.hardware import Hardware
from learning.prompts import build_messages
from storage.artifacts import folder_digest
from tests.learning.tiny import make_tiny_adapter, make_tiny_base

QUESTION = build_messages("which kite flies highest?", "You answer in one short sentence.")
SHORT = Sampling(max_new_tokens=8)
LAYER = "base_model.model.model.layers.1.self_attn.q_proj"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> BaseModel:
    return make_tiny_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def engine(base: BaseModel) -> Iterator[Engine]:
    engine = Engine.start(base, Hardware("cpu", "float32", 1, 1 << 30, "test"))
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def sound(base: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound") / "adapter"
    make_tiny_adapter(base, folder)
    return folder


@pytest.fixture
def adapter(sound: Path, tmp_path: Path) -> Path:
    return copytree(sound, tmp_path / "adapter")


def change_json(name: str, **changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        content = json.loads((folder / name).read_text()) | changes
        (folder / name).write_text(json.dumps({key: value for key, value in content.items() if value is not None}))

    return change


def change_tensors(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    def rewrite(folder: Path) -> None:
        tensors = load_file(folder / WEIGHTS)
        change(tensors)
        save_file(tensors, folder / WEIGHTS)

    return rewrite


def write(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content)


def cut(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-100])


def lengthen(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes() + b"more")


def overlapping_tensors(folder: Path) -> None:
    content = (folder / WEIGHTS).read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    last = max((name for name in header if name != "__metadata__"), key=lambda name: header[name]["data_offsets"])
    first = next(entry for entry in header.values() if entry.get("data_offsets", [1])[0] == 0)
    first["data_offsets"] = header[last]["data_offsets"]
    forged = json.dumps(header).encode().ljust(length)
    (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(forged)) + forged + content[8 + length :])


def sparse(name: str, size: int) -> Callable[[Path], None]:
    """A file that says it is that large, and takes no room on the disk."""
    return lambda folder: os.truncate(folder / name, size)


def link(folder: Path) -> None:
    (folder / MANIFEST).rename(folder.parent / "elsewhere")
    (folder / MANIFEST).symlink_to(folder.parent / "elsewhere")


def in_a_folder(folder: Path) -> None:
    (folder / CONFIG).unlink()
    (folder / CONFIG).mkdir()


DAMAGES: list[tuple[Callable[[Path], object], str]] = [
    (lambda folder: (folder / CONFIG).unlink(), "adapter_config.json missing"),
    (lambda folder: (folder / MANIFEST).unlink(), "manifest.json missing"),
    (write("adapter_model.bin", pickle.dumps({})), "holds adapter_model.bin, which no adapter needs"),
    (write("modeling.py", b"import os"), r"holds modeling\.py, which no adapter needs"),
    (lambda folder: (folder / "more").mkdir(), "holds more, which no adapter needs"),
    (link, "manifest.json of adapter adapter is no plain file"),
    (in_a_folder, "adapter_config.json of adapter adapter is no plain file"),
    (write(WEIGHTS, pickle.dumps({"lora_A": 1})), "is no safetensors file|has a header of"),
    (write(WEIGHTS, b""), "was cut short or is no safetensors file"),
    (write(WEIGHTS, struct.pack("<Q", 10) + b'{"x": 1}  '), "was cut short or is no safetensors file"),
    (write(WEIGHTS, struct.pack("<Q", MAX_HEADER_BYTES + 1) + b"{}"), f"has a header of {MAX_HEADER_BYTES + 1} bytes"),
    (write(WEIGHTS, struct.pack("<Q", 1000) + b"{}"), "was cut short or is no safetensors file"),
    (sparse(WEIGHTS, 1 << 40), f"{WEIGHTS} of adapter adapter has {1 << 40} bytes; at most"),
    (sparse(CONFIG, 1 << 40), f"{CONFIG} of adapter adapter has {1 << 40} bytes; at most"),
    (write(SCOPE, struct.pack("<Q", 1 << 60)), f"{SCOPE} of adapter adapter has a header of"),
    (write(SCOPE, b"x" * 100), f"{SCOPE} of adapter adapter has a header of"),
    (cut, "was cut short"),
    (lengthen, "was cut short or is no safetensors file"),
    (overlapping_tensors, "was cut short or is no safetensors file"),
    (write(MANIFEST, b"{}"), "manifest.json of adapter adapter is not readable: base_digest: Field required"),
    (write(CONFIG, b"[]"), "adapter_config.json of adapter adapter is not readable"),
    (change_json(MANIFEST, base_digest="0" * 64), "was trained on base model 000000000000, the engine runs"),
    (change_json(CONFIG, r=3), "has rank 3 in adapter_config.json and 4 in manifest.json"),
    (change_json(CONFIG, r=100_000), "r: Input should be less than or equal to 256"),
    (change_json(CONFIG, r=0), "r: Input should be greater than or equal to 1"),
    (change_json(CONFIG, r=True), "r: Input should be a valid integer"),
    (change_json(CONFIG, r=None), "r: Field required"),
    (change_json(CONFIG, lora_alpha=None), "lora_alpha: Field required"),
    (change_json(CONFIG, lora_alpha=float("inf")), "lora_alpha: Input should be a finite number"),
    (change_json(CONFIG, use_dora=True), "the engine does not compute use_dora"),
    (change_json(CONFIG, rank_pattern={"q_proj": 2}, bias="all"), "does not compute rank_pattern, bias"),
    (change_json(CONFIG, target_modules=["q_proj", "router"]), "the base model has no linear layer router"),
    (change_json(CONFIG, target_modules=["q_proj"]), r"tensor \S+ fits no linear layer"),
    (change_json(CONFIG, target_modules=[]), "target_modules: Tuple should have at least 1 item"),
    (change_json(CONFIG, layers_to_transform=[0, 1]), r"tensor \S+layers\.2\S+ fits no linear layer"),
    (change_tensors(lambda tensors: tensors.pop(f"{LAYER}.lora_B.weight")), f"lacks tensor {LAYER}.lora_B"),
    (
        change_tensors(lambda tensors: tensors.update({f"{LAYER}.lora_A.weight": torch.zeros(4, 47)})),
        rf"tensor {LAYER}\.lora_A\.weight has shape \[4, 47\], \[4, 48\] is needed",
    ),
    (
        change_tensors(lambda tensors: tensors.update({f"{LAYER}.lora_A.weight": torch.zeros(4, 48).int()})),
        rf"tensor {LAYER}\.lora_A\.weight is of I32",
    ),
    (
        change_tensors(lambda tensors: tensors.update({"base_model.model.head.lora_A.weight": torch.zeros(4, 48)})),
        r"tensor base_model\.model\.head\.lora_A\.weight fits no linear layer",
    ),
    (
        change_tensors(lambda tensors: tensors[f"{LAYER}.lora_A.weight"].fill_(float("nan"))),
        rf"{LAYER} holds infinity or no number",
    ),
    (change_json(CONFIG, lora_alpha=1e300), "holds infinity or no number"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGES)
def test_what_is_no_adapter_of_this_base_model_is_refused_by_name_and_the_engine_goes_on(
    engine: Engine, adapter: Path, damage: Callable[[Path], object], message: str
) -> None:
    before = engine.generate(QUESTION, sampling=SHORT).token_ids
    damage(adapter)
    huge = any(path.stat().st_size > 1 << 30 for path in adapter.iterdir())
    digest = "never looked at" if huge else folder_digest(adapter)

    with pytest.raises(AdapterError, match=message):
        engine.load_adapter(digest, adapter)

    with pytest.raises(EngineError, match="not loaded"):
        engine.serve(digest)
    assert engine.generate(QUESTION, sampling=SHORT).token_ids == before


@pytest.mark.parametrize("name", [WEIGHTS, CONFIG, MANIFEST])
def test_a_changed_bit_in_any_file_is_refused(engine: Engine, adapter: Path, name: str) -> None:
    digest = folder_digest(adapter)
    content = bytearray((adapter / name).read_bytes())
    content[-1] ^= 1
    (adapter / name).write_bytes(content)

    with pytest.raises(AdapterError, match=f"adapter {digest} was changed.* Restore it from a backup"):
        engine.load_adapter(digest, adapter)


def test_a_folder_that_is_not_there_is_named(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=f"{tmp_path}/gone is no folder of an adapter"):
        engine.load_adapter("0" * 64, tmp_path / "gone")


def test_an_adapter_of_some_layers_alone_is_loaded(engine: Engine, adapter: Path) -> None:
    change_json(CONFIG, layers_to_transform=[2])(adapter)
    tensors = {name: tensor for name, tensor in load_file(adapter / WEIGHTS).items() if ".layers.2." in name}
    save_file(tensors, adapter / WEIGHTS)
    digest = folder_digest(adapter)

    engine.load_adapter(digest, adapter)

    assert engine.generate(QUESTION, adapter=digest, sampling=SHORT).adapter == digest
