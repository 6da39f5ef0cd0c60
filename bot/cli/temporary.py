"""A folder for one command's work, gone when it ends, however it ends."""

import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ENDED = 128 + signal.SIGTERM
"""The exit status that shells give for SIGTERM."""


@contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """Give a folder that is removed afterwards, also on SIGTERM, which would otherwise end the process on the spot."""
    before = signal.signal(signal.SIGTERM, lambda _signal, _frame: sys.exit(ENDED))
    try:
        with tempfile.TemporaryDirectory(prefix=prefix) as folder:
            yield Path(folder)
    finally:
        signal.signal(signal.SIGTERM, before)
