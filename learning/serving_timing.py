"""Timed answers of a benchmark: several questions at once, answered by the product's engine, transformers or a vLLM.

`python -m learning.serving_timing FOLDER` reads job.json there and leaves result.json behind. All sides get the same
prompts and the same random adapters, decode greedily in float32, and stop at the model's end token.
"""

import asyncio
import atexit
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path
from typing import Any, Literal

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from pydantic import BaseModel, ConfigDict
from transformers import AutoModelForCausalLM, AutoTokenizer, ContinuousBatchingConfig, GenerationConfig
from transformers.generation.stopping_criteria import StoppingCriteria, StoppingCriteriaList

from learning import base_model
from learning.adapter_files import AdapterManifest, write_manifest
from learning.chat_protocol import Answer
from learning.engine import Engine, Sampling
from learning.hardware import MB, Hardware, detect, peak_memory_mb, product_rate
from learning.model_server import ModelServer, ServerSettings
from learning.placement import Placement
from learning.prompts import build_messages
from storage.artifacts import folder_digest

ServingSide = Literal["ours", "one by one", "static batch", "continuous batching", "vllm"]
SIDES: tuple[ServingSide, ...] = ("ours", "one by one", "static batch", "continuous batching")
"""Those that need no server."""
RANK, ALPHA = 16, 32
SPREAD = 0.02
"""Standard deviation of the random B matrices: enough to change what is said, too little to end it at once."""
READ_BYTES = 512 * MB


class ServingJob(BaseModel):
    """What is timed: the first n questions at once, for each n of `at_once`, `rounds` times; adapters take turns.

    `url` is the address of the vLLM, where that is timed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    side: ServingSide
    base_path: str
    base_digest: str
    adapter_folders: tuple[str, ...]
    system_prompt: str
    questions: tuple[str, ...]
    at_once: tuple[int, ...]
    rounds: int
    new_tokens: int
    threads: int = 0
    url: str = ""


class Timed(BaseModel):
    """Tokens made and seconds of all rounds, seconds to each answer's first token, the texts of the first round."""

    tokens: int
    seconds: float
    first_token_seconds: list[float]
    texts: list[str]


class ServingResult(BaseModel):
    """What came of each number of questions at once, in the job's order, and the most MB that the process held."""

    timed: list[Timed]
    peak_mb: float


class Limits(BaseModel):
    """What the machine could do at most: bytes read and floating-point operations a second, as measured here."""

    bytes_per_s: float
    operations_per_s: float


Answers = list[tuple[list[int], float]]
"""Of each question the token ids of its answer, and the seconds to the first one."""
Ask = Callable[[Sequence[int]], Answers]
"""Answers the questions at these places, all at once."""


def make_adapters(base: base_model.BaseModel, folder: Path, count: int) -> tuple[str, ...]:
    """Write adapters of rank 16 on all linear layers, with random matrices; return their folders."""
    model = AutoModelForCausalLM.from_pretrained(base.path)
    config = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear", task_type="CAUSAL_LM")
    tuned = get_peft_model(model, config)
    folders = []
    for seed in range(count):
        torch.manual_seed(seed)
        for name, parameter in tuned.named_parameters():
            if "lora_" in name:
                torch.nn.init.normal_(parameter, std=SPREAD)
        place = folder / f"adapter-{seed}"
        tuned.save_pretrained(str(place))
        (place / "README.md").unlink(missing_ok=True)
        manifest = AdapterManifest(
            base_digest=base.digest, snapshot_digest="", recipe="random", recipe_digest="", rank=RANK, seed=seed
        )
        write_manifest(place, manifest)
        folders.append(str(place))
    return tuple(folders)


def measure_limits(hardware: Hardware, rows: int) -> Limits:
    """Measure how fast this machine reads memory, and multiplies by `rows` rows at once."""
    hardware.use()
    numbers = torch.ones(READ_BYTES // 4)
    numbers.sum()
    began = time.perf_counter()
    numbers.sum()
    read = READ_BYTES / (time.perf_counter() - began)
    return Limits(bytes_per_s=read, operations_per_s=product_rate(hardware, max(rows, 16), 576, 1536))


def run(folder: Path) -> None:
    """Do the job in `folder`."""
    job = ServingJob.model_validate_json((folder / "job.json").read_bytes())
    hardware = detect(job.threads, "float32")
    hardware.use()
    tokenizer = AutoTokenizer.from_pretrained(job.base_path)
    ask = ASKS[job.side](job, hardware, tokenizer)
    ask(range(1))  # the first forward pass chooses kernels
    timed = [_time(ask, range(count), job.rounds, tokenizer) for count in job.at_once]
    result = ServingResult(timed=timed, peak_mb=peak_memory_mb())
    (folder / "result.json").write_text(result.model_dump_json(), encoding="utf-8")


def _time(ask: Ask, places: Sequence[int], rounds: int, tokenizer: Any) -> Timed:
    began = time.perf_counter()
    answers = [ask(places) for _ in range(rounds)]
    seconds = time.perf_counter() - began
    return Timed(
        tokens=sum(len(tokens) for each in answers for tokens, _ in each),
        seconds=seconds,
        first_token_seconds=[first for each in answers for _, first in each],
        texts=[tokenizer.decode(tokens, skip_special_tokens=True).strip() for tokens, _ in answers[0]],
    )


def _ours(job: ServingJob, hardware: Hardware, _tokenizer: Any) -> Ask:
    base = base_model.BaseModel("", Path(job.base_path), job.base_digest, "")
    engine = Engine.start(base, hardware, max_batch=max(job.at_once))
    atexit.register(engine.close)  # a thread that computes while the interpreter ends would bring it down
    digests = [folder_digest(Path(folder)) for folder in job.adapter_folders]
    for digest, folder in zip(digests, job.adapter_folders, strict=True):
        engine.load_adapter(digest, Path(folder))
    sampling = Sampling(max_new_tokens=job.new_tokens)

    def answer(place: int) -> tuple[list[int], float]:
        messages = build_messages(job.questions[place], job.system_prompt)
        done = engine.generate(messages, adapter=digests[place % len(digests)], sampling=sampling)
        return list(done.token_ids), done.seconds_to_first_token

    def ask(places: Sequence[int]) -> Answers:
        with ThreadPoolExecutor(len(places)) as askers:
            return list(askers.map(answer, places))

    return ask


class _FirstToken(StoppingCriteria):
    """Notes when the first token was there; stops nothing."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self, input_ids: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        self.at = self.at or time.perf_counter()
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)


def _one_by_one(job: ServingJob, hardware: Hardware, tokenizer: Any) -> Ask:
    answer = _generate(job, hardware, tokenizer)

    def ask(places: Sequence[int]) -> Answers:
        began = time.perf_counter()
        return [answer([place], began)[0] for place in places]

    return ask


def _static_batch(job: ServingJob, hardware: Hardware, tokenizer: Any) -> Ask:
    answer = _generate(job, hardware, tokenizer)
    return lambda places: answer(places, time.perf_counter())


def _generate(job: ServingJob, hardware: Hardware, tokenizer: Any) -> Callable[[Sequence[int], float], Answers]:
    """Return what answers questions in one call of `generate`, each by its own adapter, given when they were asked."""
    model = _with_adapters(job, hardware)
    tokenizer.padding_side = "left"
    several = len(job.adapter_folders) > 1

    def answer(places: Sequence[int], asked: float) -> Answers:
        texts = [_prompt(job, tokenizer, place) for place in places]
        inputs = tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False).to(hardware.device)
        names = {"adapter_names": [f"a{place % len(job.adapter_folders)}" for place in places]} if several else {}
        first = _FirstToken()
        with torch.inference_mode():
            output = model.generate(
                **inputs, **names, max_new_tokens=job.new_tokens, do_sample=False,
                stopping_criteria=StoppingCriteriaList([first]),
            )  # fmt: skip
        new = output[:, inputs["input_ids"].shape[1] :].tolist()
        return [(_until_end(row, model), first.at - asked) for row in new]

    return answer


def _continuous_batching(job: ServingJob, hardware: Hardware, tokenizer: Any) -> Ask:
    """Use transformers' own continuous batching, which knows no adapters beside each other: one is merged."""
    model = _with_adapters(job, hardware).merge_and_unload()
    config = GenerationConfig(
        max_new_tokens=job.new_tokens, do_sample=False, eos_token_id=model.generation_config.eos_token_id,
        pad_token_id=model.generation_config.pad_token_id,
    )  # fmt: skip
    wanted = ContinuousBatchingConfig(use_cuda_graph=False)

    def ask(places: Sequence[int]) -> Answers:
        prompts = [tokenizer(_prompt(job, tokenizer, place), add_special_tokens=False)["input_ids"] for place in places]
        began = time.perf_counter()
        outputs = model.generate_batch(
            prompts,
            generation_config=config,
            continuous_batching_config=wanted,
            record_timestamps=True,
            persistent_manager=True,
        )
        if len(outputs) != len(prompts):
            raise RuntimeError(f"{len(prompts)} prompts were given, {len(outputs)} answered")
        in_order = sorted(outputs.values(), key=lambda output: prompts.index(list(output.prompt_ids)))
        return [(_until_end(each.generated_tokens, model), each.timestamps[0] - began) for each in in_order]

    return ask


def _vllm(job: ServingJob, _hardware: Hardware, _tokenizer: Any) -> Ask:
    """Use a vLLM server, which is given the adapters and loses them again."""
    server = ModelServer(job.url, ServerSettings())
    server.look()
    names = [folder_digest(Path(folder)) for folder in job.adapter_folders]
    for name, folder in zip(names, job.adapter_folders, strict=True):
        server.load(name, Path(folder))
        atexit.register(server.unload, name)
    sampling = Sampling(max_new_tokens=job.new_tokens)

    async def answer(place: int) -> tuple[list[int], float]:
        name = names[place % len(names)]
        messages = build_messages(job.questions[place], job.system_prompt)
        made = Answer(Placement(name, True, None, messages), time.monotonic())
        async with aclosing(server.answer(name, messages, sampling)) as chunks:
            async for chunk in chunks:
                made.take(chunk)
        done = made.complete()
        return list(done.token_ids), done.seconds_to_first_token

    async def answer_all(places: Sequence[int]) -> Answers:
        return list(await asyncio.gather(*map(answer, places)))

    return lambda places: asyncio.run(answer_all(places))


ASKS: dict[ServingSide, Callable[[ServingJob, Hardware, Any], Ask]] = {
    "ours": _ours,
    "one by one": _one_by_one,
    "static batch": _static_batch,
    "continuous batching": _continuous_batching,
    "vllm": _vllm,
}


def _with_adapters(job: ServingJob, hardware: Hardware) -> Any:
    model = AutoModelForCausalLM.from_pretrained(job.base_path, dtype=hardware.dtype).to(hardware.device)
    first, *others = job.adapter_folders
    tuned = PeftModel.from_pretrained(model, first, adapter_name="a0")
    for number, folder in enumerate(others, 1):
        tuned.load_adapter(folder, adapter_name=f"a{number}")
    return tuned.eval()


def _prompt(job: ServingJob, tokenizer: Any, place: int) -> str:
    messages = build_messages(job.questions[place], job.system_prompt)
    text: str = tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)
    return text


def _until_end(tokens: Sequence[int], model: Any) -> list[int]:
    """Cut behind the first end token, which counts as the engine counts it."""
    ends = model.generation_config.eos_token_id
    known = set(ends if isinstance(ends, list) else [ends])
    end = next((at for at, token in enumerate(tokens) if token in known), len(tokens))
    return list(tokens[: end + 1])


def main(arguments: Sequence[str]) -> None:
    """Run the job in the folder that is named."""
    run(Path(arguments[0]))


if __name__ == "__main__":
    main(sys.argv[1:])
