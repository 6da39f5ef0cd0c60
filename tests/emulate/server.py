"""vercel-labs/emulate, a double of Slack that others wrote, as `make test-emulate` installed it."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

VARIABLE = "APPRENTICE_TEST_EMULATE"
SEED = Path(__file__).with_name("seed.yaml")
START_TIMEOUT_S = 60


@contextmanager
def emulate_server() -> Iterator[str]:
    """Run it on a free port; give its address. Without it the test is skipped, with what to do."""
    modules = Path(os.environ.get(VARIABLE, "")) / "node_modules"
    node, program = modules / ".bin" / "node", modules / "emulate" / "dist" / "index.js"
    if not os.environ.get(VARIABLE) or not node.exists() or not program.exists():
        pytest.skip(f"no emulate: run `make test-emulate`, which installs it with npm and sets {VARIABLE}.")
    port = _free_port()
    command = [str(node), str(program), "start", "--service", "slack", "--port", str(port), "--seed", str(SEED)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        _wait_until_ready(f"http://127.0.0.1:{port}", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _wait_until_ready(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        assert process.poll() is None, "emulate ended at its start"
        try:
            httpx.post(f"{url}/api/auth.test")
        except httpx.TransportError:
            assert time.monotonic() < deadline, "emulate does not answer"
            time.sleep(0.1)
        else:
            return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
