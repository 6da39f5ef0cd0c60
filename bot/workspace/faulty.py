"""What goes wrong on purpose with calls of the Web API: waits, refusals, failures, and answers that never arrive."""

import asyncio
from collections.abc import Callable

from fastapi.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from bot.workspace.model import Json
from bot.workspace.state import Workspace

TOO_MANY = 429


class NoAnswer(Response):
    """No answer: the caller waits until it gives up."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - nothing is sent
        """Wait until the connection is closed; an application that returned earlier would be answered."""
        while (await receive())["type"] != "http.disconnect":
            pass


class CutConnection(NoAnswer):
    """No answer: the connection is cut, as by a network. The server must be uvicorn."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Close the connection."""
        cycle = getattr(receive, "__self__")  # noqa: B009 - ASGI has no name for uvicorn's object
        cycle.transport.abort()
        await super().__call__(scope, receive, send)


async def answered(workspace: Workspace, method: str, arguments: Json, answer: Callable[[], Response]) -> Response:
    """Answer a call unless something is to go wrong with it; what that is, is used up by one."""
    if workspace.faults.delay_ms:
        await asyncio.sleep(workspace.faults.delay_ms / 1000)
    if workspace.take_fault("rate_limit_next"):
        return _too_many(workspace.faults.retry_after)
    if workspace.faults.rate_limits and (wait := workspace.rate_limits.wait_s(method, arguments)):
        return _too_many(wait)
    if method == "apps.connections.open" and workspace.take_fault("refuse_sockets_next"):
        return _refused(workspace)
    if workspace.take_fault("fail_next"):
        return _failed()
    done = answer()
    if workspace.take_fault("drop_next"):
        return CutConnection()
    return NoAnswer() if workspace.take_fault("hang_next") else done


def _refused(workspace: Workspace) -> Response:
    return _too_many(workspace.faults.retry_after) if workspace.faults.refuse_status == TOO_MANY else _failed()


def _failed() -> Response:
    return JSONResponse({"ok": False, "error": "internal_error"}, status_code=500)


def _too_many(seconds: int) -> Response:
    refusal = {"ok": False, "error": "ratelimited"}
    return JSONResponse(refusal, status_code=TOO_MANY, headers={"Retry-After": str(seconds)})
