"""What a child process has held at most is its own, however large the process was that started it."""

import subprocess
import sys

PROGRAM = "from learning.memory import peak_resident_mb; held = bytearray({mb} << 20); print(peak_resident_mb())"


def peak(mb: int) -> float:
    child = subprocess.run([sys.executable, "-c", PROGRAM.format(mb=mb)], capture_output=True, text=True, check=True)
    return float(child.stdout)


def test_a_child_s_peak_holds_what_it_took_and_nothing_of_its_parent() -> None:
    alone = peak(1)

    ours = bytearray(300 << 20)
    ours[:: 1 << 10] = b"x" * len(ours[:: 1 << 10])

    assert peak(1) < alone + 50
    assert peak(200) > alone + 150
