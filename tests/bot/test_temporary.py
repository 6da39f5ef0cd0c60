"""The folder of a benchmark or an assessment does not outlive it."""

import signal
import subprocess
import sys
from pathlib import Path

from bot.cli.temporary import ENDED

HOLD = """
import time
from bot.cli.temporary import temporary_folder
with temporary_folder("apprentice-test-") as folder:
    (folder / "file").touch()
    print(folder, flush=True)
    time.sleep(60)
"""


def test_the_folder_is_removed_when_the_command_is_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().decode().strip())
        assert (folder / "file").exists()
        process.send_signal(signal.SIGTERM)

    assert process.returncode == ENDED
    assert not folder.exists()
