"""The local workspace as a FastAPI application: Slack's Web API, Socket Mode, the page and the page's API."""

import base64
from pathlib import Path

from fastapi import FastAPI, Request, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from fastapi.staticfiles import StaticFiles

from bot.workspace import client_api, installing, web_api
from bot.workspace.calls import SlackError
from bot.workspace.faulty import answered
from bot.workspace.model import Json
from bot.workspace.people import ActionRefusedError, People
from bot.workspace.responses import respond
from bot.workspace.socket_mode import SocketMode
from bot.workspace.state import Workspace

STATIC = Path(__file__).parent / "static"
BEARER, BASIC = "Bearer ", "Basic "


def create_app(workspace: Workspace) -> FastAPI:
    """Make the application; mount it anywhere, it builds its own addresses from each request.

    `app.state.people` acts for members, `app.state.sockets` holds the app's connections.
    """
    app = FastAPI(title="Local workspace", docs_url=None, redoc_url=None, openapi_url=None)
    sockets, scopes = SocketMode(workspace), ",".join(sorted(workspace.app.scopes))
    people = People(workspace, sockets)
    app.state.people, app.state.sockets = people, sockets
    app.include_router(client_api.make_router(workspace, people, sockets))
    app.include_router(installing.make_router(workspace))
    app.add_exception_handler(ActionRefusedError, client_api.refuse)
    app.add_exception_handler(RequestValidationError, client_api.refuse_form)

    @app.api_route("/api/{method}", methods=["GET", "POST"])
    async def call(method: str, request: Request) -> Response:
        workspace.address = _address(request)
        try:
            arguments, token = await _read(request)
        except SlackError as error:
            return JSONResponse({"ok": False, "error": error.code})

        def answer() -> Response:
            return JSONResponse(web_api.call(workspace, method, token, arguments), headers={"X-OAuth-Scopes": scopes})

        return await answered(workspace, method, arguments, answer)

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


async def _read(request: Request) -> tuple[Json, str]:
    """Return the arguments, from the query and a JSON or form body, and the bearer token."""
    arguments: Json = dict(request.query_params)
    if request.headers.get("content-type", "").startswith("application/json"):
        arguments |= await _json_object(request)
    elif request.method == "POST":
        arguments |= {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
    sent = str(arguments.pop("token", ""))
    header = request.headers.get("authorization", "")
    if header.startswith(BASIC):
        arguments |= _client_credentials(header)
    return web_api.decode_arguments(arguments), header.removeprefix(BEARER) if header.startswith(BEARER) else sent


def _client_credentials(header: str) -> Json:
    """Read the app's id and secret, which come so with `oauth.v2.access`."""
    try:
        client_id, _, client_secret = (
            base64.b64decode(header.removeprefix(BASIC), validate=True).decode().partition(":")
        )
    except ValueError:
        raise SlackError("invalid_auth") from None
    return {"client_id": client_id, "client_secret": client_secret}


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
