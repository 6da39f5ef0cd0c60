"""Serves an application on this machine for as long as a block runs, inside the running event loop."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI

from storage.errors import ConfigurationError

LOOK_SECONDS = 0.02
GRACE_SECONDS = 3


class _Server(uvicorn.Server):
    """Uvicorn without its signal handlers: whoever runs the loop decides when it ends."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serve(app: FastAPI, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve `app`, on a free port where `port` is 0; give its address, such as `http://127.0.0.1:8765`.

    Raises:
        ConfigurationError: the port is taken, or the host is none of this machine's.

    """
    listener = _listen(host, port)
    config = uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=GRACE_SECONDS)
    server = _Server(config)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started and not running.done():  # noqa: ASYNC110 - uvicorn tells it in no other way
            await asyncio.sleep(LOOK_SECONDS)
        yield f"http://{host}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await running
        listener.close()


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"cannot listen on {host}:{port}: {error.strerror}. Stop what uses that port, or choose another: "
            "web.port in apprentice.toml, --port for the demo; 0 takes a free one."
        ) from error
    return listener
