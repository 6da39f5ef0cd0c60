"""What the machine can do, and what follows from it: device, dtype, threads, attention."""

import os
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil
import torch

Device = Literal["cpu", "cuda"]
Dtype = Literal["float32", "bfloat16"]
DtypeChoice = Literal["auto", "float32", "bfloat16"]


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


def detect(threads: int = 0, dtype: DtypeChoice = "auto") -> Hardware:
    """Look at the machine; `threads = 0` takes the cores that this process may use.

    A CPU computes in bfloat16 where it has instructions for that, else in float32. Measured on two cores each: with
    AVX512_BF16 a training step takes 0.75 and a token 0.65 of the time of float32; with neither that nor AMX a
    bfloat16 product has 61 GFLOP/s where a float32 one has 226.
    """
    threads = threads or len(os.sched_getaffinity(0))
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        name = "bfloat16" if dtype == "auto" else dtype
        return Hardware("cuda", name, threads, properties.total_memory, properties.name)
    name = ("bfloat16" if _has_bfloat16() else "float32") if dtype == "auto" else dtype
    return Hardware("cpu", name, threads, psutil.virtual_memory().total, torch.backends.cpu.get_cpu_capability())


def peak_memory_mb() -> float:
    """Return the most memory that this process has held at once, in MB (2**20 bytes): the machine's, and the GPU's."""
    return _peak_resident_mb() + (torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else 0.0)


def peak_device_mb() -> float:
    """Return the most MB that this process has held where models live: in the GPU's memory, if there is a GPU."""
    return torch.cuda.max_memory_reserved() / 2**20 if torch.cuda.is_available() else _peak_resident_mb()


def free_device_mb() -> float:
    """Return how many MB are free where models live; a limit of a container below the machine's is not seen."""
    free = torch.cuda.mem_get_info()[0] if torch.cuda.is_available() else psutil.virtual_memory().available
    return float(free) / 2**20


def _peak_resident_mb() -> float:
    """Read Linux's own mark; `ru_maxrss`, for other systems, also counts what the parent held when it started us."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _has_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 numbers in hardware; only Linux says so, others count as without."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return "amx_bf16" in flags or "avx512_bf16" in flags
