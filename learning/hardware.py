"""What the machine can do, and what follows from it: device, dtype, threads, attention."""

import os
import resource
from dataclasses import dataclass
from typing import Literal

import psutil
import torch

Device = Literal["cpu", "cuda"]


@dataclass(frozen=True)
class Hardware:
    """The machine as the model code uses it; `memory` is the device's, in bytes."""

    device: Device
    dtype_name: Literal["float32", "bfloat16"]
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


def detect(threads: int = 0) -> Hardware:
    """Look at the machine; `threads = 0` takes the cores that this process may use.

    On a CPU weights stay float32: without AMX a bfloat16 product is several times slower than a float32 one
    (measured: 61 against 226 GFLOP/s on two AVX-512 cores).
    """
    threads = threads or len(os.sched_getaffinity(0))
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        return Hardware("cuda", "bfloat16", threads, properties.total_memory, properties.name)
    dtype: Literal["float32", "bfloat16"] = "bfloat16" if _has_amx() else "float32"
    return Hardware("cpu", dtype, threads, psutil.virtual_memory().total, torch.backends.cpu.get_cpu_capability())


def peak_memory_mb() -> float:
    """Return the most memory that this process has held at once, in MB (2**20 bytes): the machine's, and the GPU's."""
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return resident + (torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else 0.0)


def _has_amx() -> bool:
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:  # noqa: PTH123 - not a user's path
            return "amx_bf16" in file.read()
    except OSError:
        return False
