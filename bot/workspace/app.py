"""The local workspace as a FastAPI application: Slack's Web API, Socket Mode, the page and the page's API."""

import asyncio
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from fastapi.staticfiles import StaticFiles

from bot.workspace import client_api, web_api
from bot.workspace.model import Json
from bot.workspace.people import ActionRefusedError, People
from bot.workspace.socket_mode import SocketMode
from bot.workspace.state import Workspace

STATIC = Path(__file__).parent / "static"
BEARER = "Bearer "


def create_app(workspace: Workspace) -> FastAPI:
    """Make the application; mount it anywhere, it builds its own addresses from each request.

    `app.state.people` acts for members, `app.state.sockets` holds the app's connections.
    """
    app = FastAPI(title="Local workspace", docs_url=None, redoc_url=None, openapi_url=None)
    sockets = SocketMode(workspace)
    people = People(workspace, sockets)
    app.state.people, app.state.sockets = people, sockets
    app.include_router(client_api.make_router(workspace, people, sockets))
    app.add_exception_handler(ActionRefusedError, client_api.refuse)

    @app.api_route("/api/{method}", methods=["GET", "POST"])
    async def call(method: str, request: Request) -> Response:
        faults = workspace.faults
        if faults.delay_ms:
            await asyncio.sleep(faults.delay_ms / 1000)
        if faults.rate_limit_next > 0:
            faults.rate_limit_next -= 1
            refusal = {"ok": False, "error": "ratelimited"}
            return JSONResponse(refusal, status_code=429, headers={"Retry-After": str(faults.retry_after)})
        arguments, token = await _read(request)
        if method == "apps.connections.open":
            return JSONResponse(_open_connection(workspace, sockets, request, token))
        return JSONResponse(web_api.call(workspace, method, token, arguments))

    @app.post("/response/{key}")
    async def respond(key: str, request: Request) -> Response:
        target = workspace.response_target(key)
        if target is None:
            return PlainTextResponse("used_url", status_code=404)
        answer = _respond(workspace, target, await request.json())
        return PlainTextResponse("ok") if answer["ok"] else JSONResponse(answer, status_code=400)

    @app.websocket("/link/")
    async def link(socket: WebSocket, ticket: str) -> None:
        await sockets.connect(socket, ticket)

    if STATIC.is_dir():
        app.mount("/", StaticFiles(directory=STATIC, html=True), name="page")
    return app


async def _read(request: Request) -> tuple[Json, str]:
    """Return the arguments, from the query and a JSON or form body, and the bearer token."""
    arguments: dict[str, Any] = dict(request.query_params)
    if request.headers.get("content-type", "").startswith("application/json"):
        arguments |= await request.json()
    elif request.method == "POST":
        arguments |= {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
    arguments = web_api.decode_arguments(arguments)
    header = request.headers.get("authorization", "")
    token = header.removeprefix(BEARER) if header.startswith(BEARER) else str(arguments.pop("token", ""))
    return arguments, token


def _open_connection(workspace: Workspace, sockets: SocketMode, request: Request, token: str) -> Json:
    known = {"": "not_authed", workspace.app.bot_token: "not_allowed_token_type", workspace.app.app_token: ""}
    if refusal := known.get(token, "invalid_auth"):
        return {"ok": False, "error": refusal}
    scheme = "wss" if request.url.scheme == "https" else "ws"
    mounted = request.scope.get("root_path", "")
    return {"ok": True, "url": f"{scheme}://{request.url.netloc}{mounted}/link/?ticket={sockets.new_ticket()}"}


def _respond(workspace: Workspace, target: tuple[str, str, str | None], body: Json) -> Json:
    """Do what a POST to a response URL asks: replace or delete the message, or post another."""
    channel, user, ts = target
    token = workspace.app.bot_token
    if body.get("delete_original") and ts is not None:
        return web_api.call(workspace, "chat.delete", token, {"channel": channel, "ts": ts})
    if body.get("replace_original") and ts is not None:
        return web_api.call(workspace, "chat.update", token, {"channel": channel, "ts": ts, **body})
    if body.get("response_type") == "in_channel":
        return web_api.call(workspace, "chat.postMessage", token, {"channel": channel, **body})
    return web_api.call(workspace, "chat.postEphemeral", token, {"channel": channel, "user": user, **body})
