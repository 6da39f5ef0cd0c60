"""Socket Mode: hands envelopes to the app's connections, and delivers again what is not acknowledged.

An app with a request URL is sent requests instead (`bot.workspace.requests`); all else is the same.
"""

import asyncio
import itertools
import logging
import secrets
from collections.abc import Callable
from typing import Any

from fastapi import WebSocket, WebSocketDisconnect

from bot.workspace.model import Json
from bot.workspace.requests import Requests
from bot.workspace.state import Workspace

log = logging.getLogger(__name__)

OnAcknowledged = Callable[[Json, float], None]
"""Hears of an event's envelope, and how many seconds after it was first sent its acknowledgement came."""

ACK_SECONDS = 3.0
MAX_RETRIES = 3
RETRY_PAUSE_S = 1.0
"""Before a delivery is tried again; Slack waits longer, which would only slow tests down."""


class AppDidNotAnswerError(Exception):
    """The app did not acknowledge an interaction within three seconds."""


class SocketMode:
    """The app's connections. Events wait while there is none; interactions fail at once, as in Slack."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._requests = Requests(workspace, ACK_SECONDS) if workspace.app.request_url else None
        self._connections: list[WebSocket] = []
        self._muted: set[WebSocket] = set()
        self._turns = itertools.count()
        self.retry_pause_s = RETRY_PAUSE_S
        self._acks: dict[str, tuple[WebSocket, asyncio.Future[Json]]] = {}
        self._waiting: dict[str, Json] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._connected = asyncio.Event()
        self.on_acknowledged: OnAcknowledged = lambda _envelope, _seconds: None
        for kept in workspace.undelivered:
            self._waiting[kept["envelope_id"]] = kept
        workspace.undelivered = []
        workspace.deliver = self.deliver
        workspace.unacknowledged = lambda: list(self._waiting.values())

    async def connect(self, socket: WebSocket, ticket: str) -> None:
        """Serve one connection until it closes."""
        if not self._workspace.use_ticket(ticket):
            await socket.close(code=4401, reason="unknown ticket")
            return
        await socket.accept()
        self._connections.append(socket)
        app = self._workspace.app.app_id
        hello = {"type": "hello", "num_connections": len(self._connections), "connection_info": {"app_id": app}}
        await socket.send_json(hello)
        self._connected.set()
        self._deliver_kept()
        try:
            while True:
                message = await socket.receive_json()
                if socket not in self._muted:
                    self._acknowledge(message)
        except (WebSocketDisconnect, RuntimeError, ValueError):
            pass
        finally:
            self._forget(socket)

    def deliver(self, kind: str, payload: Json, answers: bool) -> None:  # noqa: FBT001 - the type Deliver
        """Deliver an envelope in the background, until it is acknowledged or was tried often enough."""
        envelope = self._envelope(kind, payload, answers=answers)
        self._waiting[envelope["envelope_id"]] = envelope
        self._workspace.save_soon()
        self._start(envelope)
        if self._workspace.take_fault("redeliver_next"):
            self._start(
                {**envelope, "envelope_id": secrets.token_hex(16), "retry_attempt": 1, "retry_reason": "timeout"}
            )

    async def ask(self, kind: str, payload: Json) -> Json:
        """Send an interaction and return the payload of its acknowledgement ({} without one).

        Raises:
            AppDidNotAnswerError: none came within three seconds.

        """
        envelope = self._envelope(kind, payload, answers=True)
        try:
            return await self._attempt(envelope)
        except (TimeoutError, ConnectionError) as error:
            raise AppDidNotAnswerError(f"{self._workspace.app.name} did not answer within 3 seconds.") from error

    async def wait_for_app(self) -> None:
        """Wait until the app has a connection."""
        await self._connected.wait()

    async def refresh(self) -> None:
        """Tell the app on each connection to open another, as Slack does every few hours before it closes one."""
        for socket in list(self._connections):
            await socket.send_json({"type": "disconnect", "reason": "refresh_requested"})

    async def drop(self) -> None:
        """Close all connections without a word, as a network does; the app is expected to come back."""
        for socket in list(self._connections):
            self._forget(socket)
            await socket.close(code=1012)

    def mute(self) -> None:
        """Neither send nor hear anything on the connections that there are now, which stay open and answer pings."""
        self._muted.update(self._connections)

    async def close(self) -> None:
        """End all deliveries that are under way, which are kept as unacknowledged, and save the workspace."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._workspace.save()

    def _envelope(self, kind: str, payload: Json, *, answers: bool) -> Json:
        return {
            "envelope_id": secrets.token_hex(16),
            "type": kind,
            "accepts_response_payload": answers,
            "payload": payload,
            "retry_attempt": 0,
            "retry_reason": "",
        }

    def _deliver_kept(self) -> None:
        """Deliver again what an earlier process of this workspace had not got acknowledged."""
        for envelope in self._waiting.values():
            if not any(task.get_name() == envelope["envelope_id"] for task in self._tasks):
                self._start({**envelope, "retry_attempt": envelope["retry_attempt"] + 1, "retry_reason": "timeout"})

    def _start(self, envelope: Json) -> None:
        task = asyncio.create_task(self._deliver(envelope), name=envelope["envelope_id"])
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, envelope: Json) -> None:
        if self._workspace.faults.delay_ms:
            await asyncio.sleep(self._workspace.faults.delay_ms / 1000)
        clock, began, reason = asyncio.get_running_loop().time, None, "timeout"
        for attempt in range(envelope["retry_attempt"], MAX_RETRIES + 1):
            if self._requests is None:
                await self._connected.wait()
            began = began or clock()
            try:
                await self._attempt({**envelope, "retry_attempt": attempt, "retry_reason": reason if attempt else ""})
                self.on_acknowledged(envelope, clock() - began)
                break
            except (TimeoutError, ConnectionError) as error:
                reason = "timeout" if self._requests is None or isinstance(error, TimeoutError) else "error"
                await asyncio.sleep(self.retry_pause_s)
        else:
            log.warning("the app never acknowledged %s; it is given up", envelope["payload"].get("event_id"))
        self._waiting.pop(envelope["envelope_id"], None)
        self._workspace.save_soon()

    async def _attempt(self, envelope: Json) -> Json:
        if self._requests is not None:
            return await self._requests.attempt(envelope)
        if not self._connections:
            raise ConnectionError("the app is not connected")
        ack: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        socket = self._connections[next(self._turns) % len(self._connections)]
        self._acks[envelope["envelope_id"]] = (socket, ack)
        try:
            if socket not in self._muted:
                await socket.send_json(envelope)
            async with asyncio.timeout(ACK_SECONDS):  # wait_for forgets a cancellation when `ack` is done as well
                return await ack
        except RuntimeError as error:  # the socket closed under the send
            raise ConnectionError(str(error)) from error
        finally:
            self._acks.pop(envelope["envelope_id"], None)

    def _acknowledge(self, message: Any) -> None:
        if not isinstance(message, dict):
            return
        _, ack = self._acks.get(str(message.get("envelope_id")), (None, None))
        if ack is None or ack.done():
            return
        if self._workspace.take_fault("refuse_ack_next"):
            ack.set_exception(ConnectionError("the acknowledgement got lost"))
            return
        payload = message.get("payload")
        ack.set_result(payload if isinstance(payload, dict) else {})

    def _forget(self, socket: WebSocket) -> None:
        self._muted.discard(socket)
        for waiting_for, ack in self._acks.values():
            if waiting_for is socket and not ack.done():
                ack.set_exception(ConnectionError("the connection broke"))
        if socket in self._connections:
            self._connections.remove(socket)
        if not self._connections:
            self._connected.clear()
