"""HTTP mode: sends the app what happened as requests that are signed with its signing secret, as Slack does.

The address is used only after it has given back a challenge; an answer counts when it is 200 and comes within 3 s.
"""

import hashlib
import hmac
import json
import secrets
from typing import Any
from urllib.parse import urlencode

import aiohttp

from bot.workspace.model import Json
from bot.workspace.state import Workspace

FORM = "application/x-www-form-urlencoded"
OK = 200


class Requests:
    """Sends requests to the app's request URL."""

    def __init__(self, workspace: Workspace, patience_s: float) -> None:
        self._workspace = workspace
        self._timeout = aiohttp.ClientTimeout(total=patience_s)
        self._verified = False

    async def attempt(self, envelope: Json) -> Json:
        """Send what is in an envelope; return what the answer holds ({} when that is nothing).

        Raises:
            TimeoutError: no answer came in time.
            ConnectionError: the app cannot be reached, does not answer 200, or never gave the challenge back.

        """
        if not self._verified:
            await self._verify()
        retry = {}
        if envelope["retry_attempt"]:
            reason = f"http_{envelope['retry_reason']}"
            retry = {"X-Slack-Retry-Num": str(envelope["retry_attempt"]), "X-Slack-Retry-Reason": reason}
        body, kind = _encode(envelope)
        answer = await self._post(body, {"Content-Type": kind, **retry})
        try:
            content = json.loads(answer) if answer else {}
        except ValueError:
            content = {"text": answer}
        return content if isinstance(content, dict) else {}

    async def _verify(self) -> None:
        challenge = secrets.token_urlsafe(24)
        asked = {"type": "url_verification", "token": "local", "challenge": challenge}
        answer = await self._post(json.dumps(asked), {"Content-Type": "application/json"})
        if challenge not in answer:
            raise ConnectionError("the request URL did not give the challenge back")
        self._verified = True

    async def _post(self, body: str, headers: dict[str, str]) -> str:
        app, timestamp = self._workspace.app, str(int(self._workspace.clock().timestamp()))
        signed = headers | {
            "X-Slack-Request-Timestamp": timestamp,
            "X-Slack-Signature": sign(app.signing_secret, timestamp, body),
        }
        try:
            async with (
                aiohttp.ClientSession(timeout=self._timeout) as session,
                session.post(app.request_url, data=body.encode(), headers=signed) as response,
            ):
                text = await response.text()
        except aiohttp.ClientError as error:
            raise ConnectionError(f"the request URL cannot be reached: {error}") from error
        if response.status != OK:
            raise ConnectionError(f"the request URL answered {response.status}")
        return text


def sign(secret: str, timestamp: str, body: str) -> str:
    """Return the signature of a body, version 0 of Slack's scheme: HMAC-SHA256 over `v0:timestamp:body`."""
    return "v0=" + hmac.new(secret.encode(), f"v0:{timestamp}:{body}".encode(), hashlib.sha256).hexdigest()


def _encode(envelope: Json) -> tuple[str, str]:
    """Return body and content type: JSON for an event, a form for the rest, with JSON in it for an interaction."""
    payload: dict[str, Any] = envelope["payload"]
    match envelope["type"]:
        case "events_api":
            return json.dumps(payload), "application/json"
        case "interactive":
            return urlencode({"payload": json.dumps(payload)}), FORM
        case _:
            return urlencode(payload), FORM
