"""The page's own API: what one member sees, and what that member does. JSON in, JSON out, events over a websocket."""

import asyncio
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, WebSocket, WebSocketDisconnect
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from bot.workspace.model import COLOURS, Channel, Json, Member
from bot.workspace.people import ActionRefusedError, People
from bot.workspace.socket_mode import SocketMode
from bot.workspace.state import Workspace


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    user: str


class _Send(_Body):
    channel: str
    text: str = Field(max_length=40_000)
    thread_ts: str | None = None


class _Reaction(_Body):
    channel: str
    ts: str
    name: str = Field(max_length=100)
    add: bool = True


class _Action(_Body):
    action: dict[str, Any]
    channel: str | None = None
    ts: str | None = None
    view_id: str | None = None


class _Submit(_Body):
    view_id: str
    values: dict[str, dict[str, Any]]


class _Close(_Body):
    view_id: str


class _Shortcut(_Body):
    channel: str
    ts: str
    callback_id: str


class _Command(_Body):
    channel: str
    command: str
    text: str = ""


class _Stop(_Body):
    channel: str
    thread_ts: str


class _Opened(_Body):
    channel: str = ""
    tab: str = "home"


class _Dm(_Body):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    other: str | Annotated[list[str], Field(min_length=1)] = Field(alias="with")


class _NewChannel(_Body):
    name: str = Field(min_length=1, max_length=80)
    members: list[str] = []
    is_private: bool = False


class _Invitation(_Body):
    channel: str
    other: str


class _Faults(BaseModel):
    """What is to go wrong, as `model.Faults` describes it; what is not named stays as it is."""

    model_config = ConfigDict(extra="forbid")

    rate_limit_next: int | None = Field(default=None, ge=0, le=1_000)
    retry_after: int | None = Field(default=None, ge=0, le=60)
    fail_next: int | None = Field(default=None, ge=0, le=1_000)
    drop_next: int | None = Field(default=None, ge=0, le=1_000)
    hang_next: int | None = Field(default=None, ge=0, le=1_000)
    redeliver_next: int | None = Field(default=None, ge=0, le=1_000)
    refuse_sockets_next: int | None = Field(default=None, ge=0, le=1_000)
    refuse_status: Literal[429, 500] | None = None
    refuse_ack_next: int | None = Field(default=None, ge=0, le=1_000)
    delay_ms: int | None = Field(default=None, ge=0, le=60_000)
    rate_limits: bool | None = None
    no_tasks: bool | None = None
    end_streams: bool = False
    drop_sockets: bool = False
    refresh_sockets: bool = False
    mute_sockets: bool = False


def make_router(workspace: Workspace, people: People, sockets: SocketMode) -> APIRouter:  # noqa: C901, PLR0915 - a list of routes
    """Return the routes below `client/`."""
    router = APIRouter(prefix="/client")

    @router.get("/members")
    def members() -> Json:
        """Name those whom a visitor can be."""
        return {"ok": True, "members": [member.id for member in workspace.members.values() if not member.is_bot]}

    @router.get("/boot")
    def boot(user: str) -> Json:
        _member(workspace, user)
        return _boot(workspace, user)

    @router.get("/history")
    def history(user: str, channel: str) -> Json:
        if user not in workspace.channels.get(channel, Channel("", "", ())).members:
            raise ActionRefusedError("You are not in that channel.")
        seen = [each for each in workspace.messages(channel) if each.seen_by in (None, user)]
        stoppable = [ts for place, ts in workspace.sessions if place == channel and workspace.is_stoppable(place, ts)]
        return {"ok": True, "messages": [message.shown(user) for message in seen], "stoppable": stoppable}

    @router.get("/home")
    def home(user: str) -> Json:
        _member(workspace, user)
        return {"ok": True, "view": workspace.homes.get(user)}

    @router.post("/send")
    async def send(body: _Send) -> Json:
        return {"ok": True, "ts": await people.send(body.user, body.channel, body.text, body.thread_ts)}

    @router.post("/reaction")
    async def reaction(body: _Reaction) -> Json:
        people.react(body.user, body.channel, body.ts, body.name, add=body.add)
        return {"ok": True}

    @router.post("/action")
    async def action(body: _Action) -> Json:
        await people.act(body.user, body.action, channel=body.channel, ts=body.ts, view_id=body.view_id)
        message = workspace.find_message(body.channel, body.ts) if body.channel and body.ts else None
        return {"ok": True, "pressed": message.pressed.get(body.user, {}) if message else {}}

    @router.post("/submit")
    async def submit(body: _Submit) -> Json:
        errors = await people.submit(body.user, body.view_id, body.values)
        return (
            {"ok": False, "errors": errors} if errors else {"ok": True, "closed": body.view_id not in workspace.views}
        )

    @router.post("/close")
    async def close(body: _Close) -> Json:
        await people.close(body.user, body.view_id)
        return {"ok": True}

    @router.post("/shortcut")
    async def shortcut(body: _Shortcut) -> Json:
        await people.shortcut(body.user, body.channel, body.ts, body.callback_id)
        return {"ok": True}

    @router.post("/command")
    async def command(body: _Command) -> Json:
        await people.command(body.user, body.channel, body.command, body.text)
        return {"ok": True}

    @router.post("/stop")
    async def stop(body: _Stop) -> Json:
        people.stop(body.user, body.channel, body.thread_ts)
        return {"ok": True}

    @router.post("/opened")
    async def opened(body: _Opened) -> Json:
        _member(workspace, body.user)
        channel = body.channel or workspace.open_dm(body.user, workspace.bot_user).id
        if body.user not in workspace.channels.get(channel, Channel("", "", ())).members:
            raise ActionRefusedError("You are not in that channel.")
        workspace.home_opened(body.user, channel, body.tab)
        return {"ok": True}

    @router.post("/dm")
    async def direct_messages(body: _Dm) -> Json:
        others = [body.other] if isinstance(body.other, str) else body.other
        for each in (body.user, *others):
            _member(workspace, each)
        several = len(others) > 1
        opened = workspace.open_group([body.user, *others]) if several else workspace.open_dm(body.user, others[0])
        return {"ok": True, "channel": _channel(workspace, opened, body.user)}

    @router.post("/channel")
    async def channel(body: _NewChannel) -> Json:
        created = people.create_channel(body.user, body.name, body.members, is_private=body.is_private)
        return {"ok": True, "channel": _channel(workspace, created, body.user)}

    @router.post("/invite")
    async def invite(body: _Invitation) -> Json:
        people.invite(body.user, body.channel, body.other)
        return {"ok": True}

    @router.post("/faults")
    async def faults(body: _Faults) -> Json:
        workspace.set_faults(**body.model_dump(include=set(vars(workspace.faults)), exclude_none=True))
        if body.drop_sockets:
            await sockets.drop()
        if body.end_streams:
            workspace.end_streams()
        if body.refresh_sockets:
            await sockets.refresh()
        if body.mute_sockets:
            sockets.mute()
        return {"ok": True, "faults": asdict(workspace.faults)}

    @router.websocket("/events")
    async def events(socket: WebSocket, user: str) -> None:
        await _send_events(workspace, socket, user)

    return router


async def refuse(_: Request, error: Exception) -> JSONResponse:
    """Answer an act that is not possible with its plain sentence."""
    return JSONResponse({"ok": False, "error": str(error)}, status_code=400)


async def refuse_form(_: Request, error: Exception) -> JSONResponse:
    """Answer a request that has not the form that is asked for with what is wrong with it."""
    assert isinstance(error, RequestValidationError)
    wrong = "; ".join(f"{'.'.join(map(str, each['loc'][1:]))}: {each['msg']}" for each in error.errors())
    return JSONResponse({"ok": False, "error": f"The request is not right: {wrong}."}, status_code=422)


async def _send_events(workspace: Workspace, socket: WebSocket, user: str) -> None:
    """Send what a person sees, until the page closes."""
    if user not in workspace.members:
        await socket.close(code=4404, reason="there is no such member")
        return
    await socket.accept()
    page = workspace.join_page(user)
    closed = asyncio.create_task(_wait_for_close(socket))
    try:
        while not closed.done():
            event = asyncio.create_task(page.get())
            await asyncio.wait({event, closed}, return_when=asyncio.FIRST_COMPLETED)
            if not event.done():
                event.cancel()
                break
            await socket.send_json(event.result())
    except (WebSocketDisconnect, RuntimeError):
        pass
    finally:
        closed.cancel()
        workspace.leave_page(user, page)


async def _wait_for_close(socket: WebSocket) -> None:
    try:
        while True:
            await socket.receive_text()
    except (WebSocketDisconnect, RuntimeError):
        return


def _member(workspace: Workspace, user: str) -> None:
    if user not in workspace.members:
        raise ActionRefusedError("There is no such member.")


def _boot(workspace: Workspace, user: str) -> Json:
    app = workspace.app
    channels = [
        _channel(workspace, channel, user) for channel in workspace.channels.values() if user in channel.members
    ]
    return {
        "ok": True,
        "team": {"id": workspace.team_id, "name": workspace.team_name},
        "me": user,
        "users": [
            {
                "id": member.id,
                "name": member.name,
                "real_name": member.real_name,
                "title": _title(member),
                "is_bot": member.is_bot,
                "tz": member.time_zone,
                "color": COLOURS[number % len(COLOURS)],
                "presence": "active",
            }
            for number, member in enumerate(workspace.members.values())
        ],
        "user_groups": [{"id": group.id, "handle": group.handle} for group in workspace.user_groups.values()],
        "channels": channels,
        "app": {
            "user": app.bot_user,
            "app_id": app.app_id,
            "name": app.name,
            "shortcuts": [{"callback_id": key, "name": name, "type": "message"} for key, name in app.shortcuts],
            "commands": [{"command": command, "description": "", "usage": ""} for command in app.commands],
        },
        "guide": workspace.guide,
        "faults": asdict(workspace.faults),
    }


def _title(member: Member) -> str:
    """Say what a member does, and that they are no ordinary one."""
    guest = "guest" if member.is_guest or member.is_ultra_guest else ""
    elsewhere = "of another organisation" if member.team_id else ""
    return ", ".join(part for part in (member.title, guest, elsewhere) if part)


def _channel(workspace: Workspace, channel: Channel, user: str) -> Json:
    shown = {
        "id": channel.id,
        "name": channel.name,
        "is_im": channel.is_im,
        "is_mpim": channel.is_mpim,
        "is_private": channel.is_private,
        "members": list(channel.members),
        "topic": channel.topic,
        "purpose": "",
        "unread": 0,
    }
    if channel.is_im:
        other = next((member for member in channel.members if member != user), user)
        shown |= {"with": other, "name": workspace.members[other].real_name}
    if channel.is_mpim:
        others = [workspace.members[member].real_name for member in channel.members if member != user]
        shown |= {"name": ", ".join(others)}
    return shown
