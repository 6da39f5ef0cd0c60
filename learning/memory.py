"""How much memory this process has held."""

import resource
from pathlib import Path

STATUS = Path("/proc/self/status")


def peak_resident_mb() -> float:
    """Return the most memory that this process has held at once, in MB (2**20 bytes).

    Linux' VmHWM, for getrusage counts the parent's memory too, from the moment between fork and exec; where there is
    no /proc, getrusage after all.
    """
    if STATUS.exists():
        for line in STATUS.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
