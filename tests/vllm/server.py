"""A real vLLM on this machine's CPU, as `make test-vllm` installed it."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

VARIABLE = "APPRENTICE_TEST_VLLM"
START_TIMEOUT_S = 280
OPTIONS = (
    "--dtype float32 --enforce-eager --max-model-len 1024 --host 127.0.0.1 "
    "--enable-lora --max-lora-rank 16 --max-loras 4 --max-cpu-loras 4"
)
ENVIRONMENT = {
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True", "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
}  # fmt: skip
"""`VLLM_CPU_KVCACHE_SPACE` is in GiB."""


def installed() -> Path:
    """Return the Python that has it; where none has, the test is skipped, with what to do."""
    python = Path(os.environ.get(VARIABLE, "")) / "bin" / "python"
    if not os.environ.get(VARIABLE) or not python.exists():
        pytest.skip(f"no vLLM: run `make test-vllm`, which installs it and sets {VARIABLE}.")
    return python


@contextmanager
def vllm_server(python: Path, model: Path, log: Path) -> Iterator[str]:
    """Run it on a free port; give its address.

    It is started as a module: the command `vllm` wants a distribution of that name, and this one is `vllm-cpu`.
    """
    port = _free_port()
    command = [str(python), "-m", "vllm.entrypoints.openai.api_server", "--model", str(model), "--port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, *OPTIONS.split()], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            env={**os.environ, **ENVIRONMENT}, cwd=log.parent,
        )  # fmt: skip
    try:
        _wait_until_ready(f"http://127.0.0.1:{port}", process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _wait_until_ready(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        assert process.poll() is None, f"vLLM ended at its start:\n{log.read_text()[-2000:]}"
        try:
            httpx.get(f"{url}/health").raise_for_status()
        except httpx.HTTPError:
            assert time.monotonic() < deadline, f"vLLM does not answer:\n{log.read_text()[-2000:]}"
            time.sleep(0.5)
        else:
            return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
