"""The local workspace as a FastAPI application: Slack's Web API, Socket Mode, the page and the page's API."""

import asyncio
from pathlib import Path

from fastapi import FastAPI, Request, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from bot.workspace import client_api, web_api
from bot.workspace.calls import SlackError
from bot.workspace.model import Json
from bot.workspace.people import ActionRefusedError, People
from bot.workspace.responses import respond
from bot.workspace.socket_mode import SocketMode
from bot.workspace.state import Workspace

STATIC = Path(__file__).parent / "static"
BEARER = "Bearer "


class _BrokenResponse(Response):
    """An answer that begins and never comes; the server then closes the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})


def create_app(workspace: Workspace) -> FastAPI:
    """Make the application; mount it anywhere, it builds its own addresses from each request.

    `app.state.people` acts for members, `app.state.sockets` holds the app's connections.
    """
    app = FastAPI(title="Local workspace", docs_url=None, redoc_url=None, openapi_url=None)
    sockets, scopes = SocketMode(workspace), ",".join(sorted(workspace.app.scopes))
    people = People(workspace, sockets)
    app.state.people, app.state.sockets = people, sockets
    app.include_router(client_api.make_router(workspace, people, sockets))
    app.add_exception_handler(ActionRefusedError, client_api.refuse)
    app.add_exception_handler(RequestValidationError, client_api.refuse_form)

    @app.api_route("/api/{method}", methods=["GET", "POST"])
    async def call(method: str, request: Request) -> Response:
        workspace.address = _address(request)
        faults = workspace.faults
        if faults.delay_ms:
            await asyncio.sleep(faults.delay_ms / 1000)
        if faults.use_up("rate_limit_next"):
            refusal = {"ok": False, "error": "ratelimited"}
            return JSONResponse(refusal, status_code=429, headers={"Retry-After": str(faults.retry_after)})
        if faults.use_up("fail_next"):
            return PlainTextResponse("Internal Server Error", status_code=500)
        answer = await _answer(workspace, method, request)
        if faults.use_up("drop_next"):
            return _BrokenResponse()
        return JSONResponse(answer, headers={"X-OAuth-Scopes": scopes})

    @app.post("/response/{key}")
    async def answer_to_interaction(key: str, request: Request) -> Response:
        try:
            status, text = respond(workspace, key, await _json_object(request))
        except SlackError as error:
            status, text = 400, error.code
        return PlainTextResponse(text, status_code=status)

    @app.websocket("/link/")
    async def link(socket: WebSocket, ticket: str) -> None:
        await sockets.connect(socket, ticket)

    if STATIC.is_dir():
        app.mount("/", StaticFiles(directory=STATIC, html=True), name="page")
    return app


async def _answer(workspace: Workspace, method: str, request: Request) -> Json:
    try:
        arguments, token = await _read(request)
    except SlackError as error:
        return {"ok": False, "error": error.code}
    return web_api.call(workspace, method, token, arguments)


async def _read(request: Request) -> tuple[Json, str]:
    """Return the arguments, from the query and a JSON or form body, and the bearer token."""
    arguments: Json = dict(request.query_params)
    if request.headers.get("content-type", "").startswith("application/json"):
        arguments |= await _json_object(request)
    elif request.method == "POST":
        arguments |= {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
    sent = str(arguments.pop("token", ""))
    header = request.headers.get("authorization", "")
    return web_api.decode_arguments(arguments), header.removeprefix(BEARER) if header.startswith(BEARER) else sent


async def _json_object(request: Request) -> Json:
    if not await request.body():  # the blocking client of Slack's SDK calls so when there are no arguments
        return {}
    try:
        body = await request.json()
    except ValueError:
        raise SlackError("invalid_json") from None
    if not isinstance(body, dict):
        raise SlackError("json_not_object")
    return body


def _address(request: Request) -> str:
    """Return where this application is mounted, as the caller reached it."""
    return f"{request.url.scheme}://{request.url.netloc}{request.scope.get('root_path', '')}"
