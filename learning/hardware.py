"""What the machine can do, and what follows from it: device, dtype, threads, attention."""

import gc
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import psutil
import torch

from learning.memory import peak_resident_mb

Device = Literal["cpu", "cuda"]
Dtype = Literal["float32", "bfloat16"]
DtypeChoice = Literal["auto", "float32", "bfloat16"]
Result = TypeVar("Result")
MB = 2**20
MEASURED_SECONDS = 0.2


@dataclass(frozen=True)
class Hardware:
    """The machine as the model code uses it; `memory` is the device's, in bytes."""

    device: Device
    dtype_name: Dtype
    threads: int
    memory: int
    name: str
    attention: str = "sdpa"

    @property
    def dtype(self) -> torch.dtype:
        """The dtype for weights and activations."""
        return torch.bfloat16 if self.dtype_name == "bfloat16" else torch.float32

    def use(self) -> None:
        """Set the number of threads of this process's tensor operations."""
        torch.set_num_threads(self.threads)


def detect(threads: int = 0, dtype: DtypeChoice = "auto", *, training: bool = False) -> Hardware:
    """Look at the machine; `threads = 0` takes the cores that this process may use.

    A CPU trains in bfloat16 where it has instructions for that: on two cores with AVX512_BF16 a step takes 0.75 of the
    time of float32, and with neither that nor AMX a bfloat16 product has 61 GFLOP/s where a float32 one has 226. It
    answers in float32: in bfloat16 an answer depends on what else is in its batch (two of seven answers of the base
    model to general questions changed from one batch to another).
    """
    threads = threads or len(os.sched_getaffinity(0))
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        name = "bfloat16" if dtype == "auto" else dtype
        return Hardware("cuda", name, threads, properties.total_memory, properties.name)
    name = ("bfloat16" if training and _has_bfloat16() else "float32") if dtype == "auto" else dtype
    return Hardware("cpu", name, threads, psutil.virtual_memory().total, torch.backends.cpu.get_cpu_capability())


def in_thread_of_its_own(work: Callable[[], Result]) -> Result:
    """Return `work()`, done in a thread that ends with it, so that it leaves no pool of threads behind.

    Each thread whose tensor operations run in parallel keeps its own pool (libgomp). As soon as all pools have more
    threads than the machine has cores, their threads sleep between two operations instead of spinning, and a decoding
    step takes twice as long. So where an engine runs, only its own thread may keep a pool. docs/decisions/0028.

    It has the same priority as the engine's thread. With a lower one, the longest pause between tokens was 491 instead
    of 297 ms, perhaps because the engine waits for Python's lock while it holds that.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work).result()


@contextmanager
def short_collections() -> Iterator[None]:
    """Let Python's garbage collector look at nothing that exists already, for as long as the block runs.

    Everything stands still while it collects, and to look through what the imports of PyTorch and transformers leave
    behind takes a quarter of a second, every few minutes. A process that answers enters this once it has started.
    """
    gc.collect()
    gc.freeze()
    gc.collect()  # how much there was decides how rarely all is looked through, and so how much that is then
    try:
        yield
    finally:
        gc.unfreeze()


def peak_memory_mb() -> float:
    """Return the most memory that this process has held at once, in MB (2**20 bytes): the machine's, and the GPU's."""
    return peak_resident_mb() + (torch.cuda.max_memory_allocated() / MB if torch.cuda.is_available() else 0.0)


def peak_device_mb() -> float:
    """Return the most MB that this process has held where models live: in the GPU's memory, if there is a GPU."""
    return torch.cuda.max_memory_reserved() / MB if torch.cuda.is_available() else peak_resident_mb()


def free_device_mb() -> float:
    """Return how many MB are free where models live."""
    return torch.cuda.mem_get_info()[0] / MB if torch.cuda.is_available() else free_memory_mb()


def free_memory_mb() -> float:
    """Return how much of the machine's memory is free, in MB; in a container, of what that may take."""
    free = float(psutil.virtual_memory().available)
    group = Path("/sys/fs/cgroup")
    try:
        most, current = (int((group / name).read_text()) for name in ("memory.max", "memory.current"))
        (cache,) = (
            line for line in (group / "memory.stat").read_text().splitlines() if line.startswith("inactive_file ")
        )
    except (OSError, ValueError):  # no control group, or one without a limit ("max")
        return free / MB
    return min(free, most - current + int(cache.split()[1])) / MB


def product_rate(hardware: Hardware, rows: int, inner: int, columns: int) -> float:
    """Measure floating-point operations a second of products (rows, inner) by (inner, columns)."""
    left = torch.ones(rows, inner, dtype=hardware.dtype, device=hardware.device)
    right = torch.ones(inner, columns, dtype=hardware.dtype, device=hardware.device)
    _multiply(left, right)  # the first one also starts threads and chooses kernels
    done, began = 0, time.perf_counter()
    while (seconds := time.perf_counter() - began) < MEASURED_SECONDS:
        _multiply(left, right)
        done += 1
    return done * 2.0 * rows * inner * columns / seconds


def _multiply(left: torch.Tensor, right: torch.Tensor) -> None:
    torch.mm(left, right)
    if left.is_cuda:
        torch.cuda.synchronize()


def _has_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 numbers in hardware; only Linux says so, others count as without."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return "amx_bf16" in flags or "avx512_bf16" in flags
