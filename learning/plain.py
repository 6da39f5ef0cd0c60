"""What a user would do without this product: TRL's SFT trainer on the corrections as they are. Benchmarks only.

`python -m learning.plain FOLDER` reads job.json there and leaves an adapter and result.json behind.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from learning.adapter_files import CONFIG, MANIFEST, WEIGHTS, AdapterManifest, write_manifest
from learning.hardware import peak_memory_mb
from learning.prompts import build_messages

EPOCHS = 10
BATCH = 4
LEARNING_RATE = 2e-3
RANK = 16
ALPHA = 32


class PlainJob(BaseModel):
    """What the process trains on: (question, answer); `start` is the folder of the adapter that it goes on from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_path: str
    base_digest: str
    system_prompt: str
    corrections: tuple[tuple[str, str], ...]
    start: str | None = None
    threads: int = 0


class PlainResult(BaseModel):
    """What it took: seconds of the whole process, and the most memory that it held, in MB."""

    seconds: float
    peak_mb: float


def run(folder: Path) -> None:
    """Train and leave `adapter/` and `result.json` in `folder`."""
    started = time.monotonic()
    import torch  # noqa: PLC0415 - the parent imports this module only for the job's form
    from datasets import Dataset  # noqa: PLC0415
    from peft import LoraConfig, PeftModel  # noqa: PLC0415
    from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: PLC0415
    from trl import SFTConfig, SFTTrainer  # noqa: PLC0415

    job = PlainJob.model_validate_json((folder / "job.json").read_bytes())
    if job.threads:
        torch.set_num_threads(job.threads)
    rows = [_conversation(question, answer, job.system_prompt) for question, answer in job.corrections]
    model: Any = AutoModelForCausalLM.from_pretrained(job.base_path, dtype=torch.float32)
    lora = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear", task_type="CAUSAL_LM")
    if job.start:
        model, lora = PeftModel.from_pretrained(model, job.start, is_trainable=True), None
    config = SFTConfig(
        output_dir=str(folder / "checkpoints"),
        num_train_epochs=EPOCHS,
        per_device_train_batch_size=BATCH,
        learning_rate=LEARNING_RATE,
        bf16=False,
        gradient_checkpointing=False,
        use_cpu=not torch.cuda.is_available(),
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )
    trainer = SFTTrainer(
        model=model,
        args=config,
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(job.base_path),
        peft_config=lora,
    )
    trainer.train()
    _save(trainer.model, job, folder / "adapter")
    result = PlainResult(seconds=time.monotonic() - started, peak_mb=peak_memory_mb())
    (folder / "result.json").write_text(result.model_dump_json(), encoding="utf-8")


def _conversation(question: str, answer: str, system_prompt: str) -> dict[str, Any]:
    return {
        "prompt": build_messages(question, system_prompt),
        "completion": [{"role": "assistant", "content": answer}],
    }


def _save(model: Any, job: PlainJob, folder: Path) -> None:
    model.save_pretrained(str(folder), safe_serialization=True)
    manifest = AdapterManifest(
        base_digest=job.base_digest, snapshot_digest="", recipe="plain", recipe_digest="", rank=RANK, seed=0
    )
    write_manifest(folder, manifest)
    for path in folder.iterdir():
        if path.name not in {WEIGHTS, CONFIG, MANIFEST}:
            path.unlink()


def main(arguments: Sequence[str]) -> None:
    """Run the job in the folder that is named."""
    run(Path(arguments[0]))


if __name__ == "__main__":
    main(sys.argv[1:])
