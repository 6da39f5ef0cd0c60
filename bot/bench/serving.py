"""`apprentice bench serving`: tokens a second with several questions at once, beside transformers' ways and a vLLM."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bot.bench.child import run_child
from learning.base_model import BaseModel
from learning.hardware import detect
from learning.model_files import count_parameters
from learning.model_server import HOW_TO_LOAD, ModelServer, ServerSettings
from learning.serving_timing import (
    SIDES,
    Limits,
    ServingJob,
    ServingResult,
    ServingSide,
    Timed,
    make_adapters,
    measure_limits,
)
from learning.swap_timing import Pauses, SwapJob, SwapResult
from storage.errors import ConfigurationError

AT_ONCE = (1, 4, 8, 16)
ADAPTERS = (1, 4)
NEW_TOKENS = 32
ROUNDS = 2
SWAPS, SWAPPED_UNDER = 100, 4
"""How often the serving adapter is swapped, and for how many questions at once meanwhile."""
ALONE: ServingSide = "one by one"
"""What each answer is compared with, word by word: plain `generate`."""
TOPICS = (
    "a lighthouse keeper", "the history of bread", "how bridges are built", "a winter market", "the moons of Jupiter",
    "a lost violin", "how rivers change", "the first railways", "a desert caravan", "how clocks work",
    "an old printing press", "the life of bees", "a mountain rescue", "how glass is made", "a city of canals",
    "the invention of paper",
)  # fmt: skip
Case = tuple[ServingSide, int, int]
"""Who answered, how many questions at once, by how many adapters."""
SHOW = Callable[[str, int, int, str], None]


def measure(
    base: BaseModel,
    system_prompt: str,
    threads: int,
    folder: Path,
    show: SHOW,
    at_once: Sequence[int] = AT_ONCE,
    vllm_url: str = "",
) -> dict[str, Any]:
    """Time all sides, one after the other, each in a process of its own; `at_once` are numbers of questions.

    A vLLM at `vllm_url` is one side more.

    Raises:
        ApprenticeError: there is no vLLM at that address, or none that takes adapters.

    Returns:
        `results`: engine, concurrency, adapters, tokens_per_s, ttft_p95_s (the 95th percentile of the seconds to the
        first token), same_text (the share of answers that are plain `generate`'s, word for word), peak_mb (None of a
        server, whose memory nobody sees here).
        `swaps`: count, failed (answers), longest_pause_ms between two tokens of an answer meanwhile, how many of how
        many answers paused for over 100 ms (`long_pauses`, `answers`), and the same without any swap for as long.
        `limit_tokens_per_s` by concurrency: the weights' bytes over the memory's bandwidth, or their operations over
        the rate of matrix products, whichever is slower; `share_of_limit`: ours with one adapter.

    """
    sides = (*SIDES, _checked(vllm_url)) if vllm_url else SIDES
    folders = make_adapters(base, folder / "adapters", max(ADAPTERS))
    cases = [(side, count) for count in ADAPTERS for side in sides if count == 1 or side != "continuous batching"]
    timed: dict[Case, Timed] = {}
    peaks: dict[Case, float] = {}
    for number, (side, count) in enumerate(cases):
        show("timing answers", number, len(cases), f"{side}, {count} adapters")
        wanted = tuple(each for each in at_once if each >= count)
        job = ServingJob(
            side=side, base_path=str(base.path), base_digest=base.digest, adapter_folders=folders[:count],
            system_prompt=system_prompt, questions=_questions(max(at_once)), at_once=wanted, rounds=ROUNDS,
            new_tokens=NEW_TOKENS, threads=threads, url=vllm_url,
        )  # fmt: skip
        place = folder / f"{side.replace(' ', '-')}-{count}"
        done = run_child("learning.serving_timing", job, place, ServingResult)
        timed |= {(side, each, count): one for each, one in zip(wanted, done.timed, strict=True)}
        peaks |= {(side, each, count): done.peak_mb for each in wanted}
    show("timing answers", len(cases), len(cases), "swaps of adapters")
    swaps = _swap(base, folders, system_prompt, threads, folder)
    hardware, parameters = detect(threads, "float32"), count_parameters(base.path)
    limits = {each: limit(measure_limits(hardware, each), parameters, each) for each in at_once}
    return {
        "swaps": swaps,
        "results": [_row(case, timed, peaks[case]) for case in timed],
        "limit_tokens_per_s": {str(each): round(most, 1) for each, most in limits.items()},
        "share_of_limit": {str(each): round(_rate(timed["ours", each, 1]) / most, 3) for each, most in limits.items()},
    }


def _checked(vllm_url: str) -> ServingSide:
    """Find out before the work, not in it, that a server cannot be timed."""
    state = ModelServer(vllm_url, ServerSettings()).look()
    if not (state.is_vllm and state.loads_adapters):
        raise ConfigurationError(f"{vllm_url} is no vLLM that takes adapters. {HOW_TO_LOAD}.")
    return "vllm"


def _swap(base: BaseModel, adapters: tuple[str, ...], system_prompt: str, threads: int, folder: Path) -> dict[str, Any]:
    job = SwapJob(
        base_path=str(base.path), base_digest=base.digest, adapter_folders=adapters, system_prompt=system_prompt,
        questions=_questions(SWAPPED_UNDER), count=SWAPS, new_tokens=NEW_TOKENS, threads=threads,
    )  # fmt: skip
    done = run_child("learning.swap_timing", job, folder / "swaps", SwapResult)
    return {
        "count": SWAPS,
        "failed": done.failed,
        "seconds": round(done.seconds),
        **_pauses(done.swapping),
        "undisturbed": _pauses(done.undisturbed),
    }


def _pauses(pauses: Pauses) -> dict[str, Any]:
    return {"answers": pauses.answers, "long_pauses": pauses.long, "longest_pause_ms": round(pauses.longest_ms)}


def limit(limits: Limits, parameters: int, at_once: int) -> float:
    """Return the tokens a second beyond which the machine cannot go: each step reads all weights, once, as float32."""
    seconds = max(4 * parameters / limits.bytes_per_s, 2 * parameters * at_once / limits.operations_per_s)
    return at_once / seconds


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` of the values do not exceed (the nearest-rank method)."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


def _questions(count: int) -> tuple[str, ...]:
    return tuple(f"Write a long story about {TOPICS[number % len(TOPICS)]}." for number in range(count))


def _row(case: Case, timed: Mapping[Case, Timed], peak_mb: float) -> dict[str, Any]:
    side, at_once, adapters = case
    done, alone = timed[case], timed[ALONE, at_once, adapters]
    same = [text == other for text, other in zip(done.texts, alone.texts, strict=True)]
    return {
        "engine": side,
        "concurrency": at_once,
        "adapters": adapters,
        "tokens_per_s": round(_rate(done), 1),
        "ttft_p95_s": round(percentile(done.first_token_seconds, 0.95), 3),
        "same_text": round(sum(same) / len(same), 3),
        "peak_mb": None if side == "vllm" else round(peak_mb),
    }


def _rate(done: Timed) -> float:
    return done.tokens / done.seconds
