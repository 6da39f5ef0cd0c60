"""An answer on its way into Slack: one stream, or several when it grows past what a message holds or lives.

A message is ended before it is too long or too old. Where Slack gave a stream up by itself, what it has not taken goes
into the next message; only text that Slack took counts as said, so nothing is lost and nothing is said twice.
"""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.slack.blocks import Blocks, clip
from bot.slack.jobs import Question
from bot.slack.markdown import Incoming, cut, unfinished
from bot.slack.pace import Pace
from bot.slack.refusals import error_code, is_passing
from bot.slack.running import RunningAnswer
from bot.slack.tasks import Chunk

log = logging.getLogger(__name__)

FLUSH = 48
"""Characters sent at a time: at 15 tokens a second about one call a second, well under Slack's limit for appends."""
MESSAGE_LIMIT = 11_000
"""Characters in one message; Slack takes 12,000 in a text, and loses messages past about 13,000."""
KEPT_BACK = 600
"""So many of the last characters of a full message are sent together, so that there is a choice of where to cut."""
FALLBACK = 3_000
STOPPED_BY_A_PERSON = "stopped_by_user"
GIVEN_UP = {STOPPED_BY_A_PERSON, "message_not_in_streaming_state"}
"""What Slack answers once it has ended a stream: somebody pressed Stop, or it was too old (python-slack-sdk 1859)."""
METADATA = "apprentice_answer"
"""The type of the metadata that each message of an answer has once it is finished."""
NO_TASKS = {"invalid_arguments", "invalid_arg_name", "invalid_chunks", "streaming_mode_mismatch"}
"""What a workspace may answer that does not take task lines."""

OnBegun = Callable[[list[str]], Awaitable[None]]


class AnswerStream:
    """Streams the answer to one question. `on_begun` is awaited with all message ts whenever a message was begun."""

    def __init__(
        self,
        client: AsyncWebClient,
        question: Question,
        on_begun: OnBegun,
        answer: RunningAnswer,
        pace: Pace,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._question = question
        self._on_begun = on_begun
        self._answer = answer
        self._pace = pace
        self._clock = clock
        self._incoming = Incoming()
        self._ready = ""
        self._sent = ""
        self._ts: str | None = None
        self._since = 0.0
        self._tasks: list[Chunk] = []
        self._under_way: dict[str, Chunk] = {}
        self._takes_tasks = True
        self._begun: list[str] = []

    def tell(self, *tasks: Chunk) -> None:
        """Show task lines, or change them, together with the next text."""
        self._tasks += tasks if self._takes_tasks else ()

    async def append(self, text: str) -> None:
        """Add markdown to the answer; it is sent when enough has gathered."""
        self._ready += self._incoming.feed(text)
        if self._answer.stopped.is_set():
            return
        await self._fill_messages()
        if self._ready and self._is_old():
            await self._go_on_at(cut(self._sent + self._ready, len(self._sent), self._length()))
        first, room = self._ts is None, self._length() <= MESSAGE_LIMIT - KEPT_BACK
        if self._ready and (first or (room and len(self._ready) >= FLUSH)):
            await self._send()

    async def stop(self, blocks: Blocks, mark: str = "") -> str:
        """End the answer with a mark behind its text and with these blocks; return the ts of the message with them."""
        self._ready += self._incoming.end()
        await self._fill_messages()
        self._ready += unfinished(self._sent + self._ready).closing + mark
        if self._ts is None:
            await self._call("start", "")
        if not await self._call("stop", self._ready, blocks=blocks):
            await self._put_in_place(blocks)
        return str(self._ts)

    async def withdraw(self) -> None:
        """Take back what was shown."""
        await remove_messages(self._client, self._question.channel, self._begun)

    def _length(self) -> int:
        return len(self._sent) + len(self._ready)

    def _is_old(self) -> bool:
        return self._ts is not None and self._clock() - self._since >= self._pace.roll_over

    async def _fill_messages(self) -> None:
        """Send what is more than a message holds, until the rest fits into one."""
        while self._length() > MESSAGE_LIMIT:
            await self._go_on_at(cut(self._sent + self._ready, len(self._sent), MESSAGE_LIMIT))

    async def _go_on_at(self, at: int) -> None:
        """End the message with the text up to `at`; the rest is for the next one."""
        whole = self._sent + self._ready
        end = unfinished(whole[:at])
        if self._ts is None:
            await self._call("start", "")
        self.tell(*({**task, "status": "complete"} for task in self._under_way.values()))
        if await self._call("stop", whole[len(self._sent) : at] + end.closing, session_status="processing"):
            self._ready, self._sent, self._ts = end.reopening + whole[at:], "", None
        else:
            self._leave_given_up()

    async def _send(self) -> None:
        """Add what is ready to the message, or begin one with it."""
        if await self._call("start" if self._ts is None else "append", self._ready):
            self._sent, self._ready = self._sent + self._ready, ""
        elif not self._answer.stopped.is_set():
            self._leave_given_up()
            await self._send()

    def _leave_given_up(self) -> None:
        """Turn to the next message, because Slack takes no more for this one."""
        self._ready, self._sent, self._ts = unfinished(self._sent).reopening + self._ready, "", None

    async def _call(self, what: Literal["start", "append", "stop"], text: str, **more: Any) -> bool:
        """Give Slack a text and the news of tasks; return False when it had ended the stream and took nothing."""
        try:
            await self._make_call(what, text, more)
        except SlackApiError as error:
            code = error_code(error)
            if code in GIVEN_UP:
                if code == STOPPED_BY_A_PERSON:
                    self._answer.stopped.set()
                return False
            if not self._tasks or code not in NO_TASKS:
                raise
            log.info("no task lines are shown: %s", code)
            self._tasks, self._takes_tasks = [], False
            return await self._call(what, text, **more)
        for task in self._tasks:
            self._under_way.pop(task["id"], None)
            if task["status"] == "in_progress":
                self._under_way[task["id"]] = task
        self._tasks = []
        return True

    async def _make_call(self, what: Literal["start", "append", "stop"], text: str, more: dict[str, Any]) -> None:
        chunks = [*self._tasks, *([{"type": "markdown_text", "text": text}] if text else [])]
        arguments = {"channel": self._question.channel, "chunks": chunks or None, **more}
        if what == "start":
            self._since = self._clock()
            await self._note_begun(await self._client.chat_startStream(**arguments, **self._destination()))
        elif what == "append":
            await self._client.chat_appendStream(ts=str(self._ts), **arguments)
        else:
            await self._client.chat_stopStream(ts=str(self._ts), metadata=self._metadata(), **arguments)

    def _destination(self) -> dict[str, Any]:
        return {
            "thread_ts": self._question.thread_ts,
            "recipient_team_id": self._question.user_team or self._question.team,
            "recipient_user_id": self._question.user,
            "task_display_mode": "timeline" if self._tasks else None,
        }

    def _metadata(self) -> dict[str, Any]:
        return {"event_type": METADATA, "event_payload": {"question_ts": self._question.ts}}

    async def _put_in_place(self, blocks: Blocks) -> None:
        """End a message whose stream Slack gave up: written anew, else what it lacks is said in one more message."""
        channel = self._question.channel
        try:
            await self._client.chat_update(
                channel=channel,
                ts=str(self._ts),
                metadata=self._metadata(),
                **_message(self._sent + self._ready, blocks),
            )
        except SlackApiError as error:
            if is_passing(error):
                raise
            log.info("the message %s cannot be written anew: %s", self._ts, error_code(error))
            missing, thread_ts = _message(self._ready, blocks), self._question.thread_ts
            posted = await self._client.chat_postMessage(
                channel=channel, thread_ts=thread_ts, metadata=self._metadata(), **missing
            )
            await self._note_begun(posted)

    async def _note_begun(self, response: AsyncSlackResponse) -> None:
        self._ts = str(response["ts"])
        self._begun.append(self._ts)
        await self._on_begun(self._begun)


async def remove_messages(client: AsyncWebClient, channel: str, timestamps: list[str]) -> None:
    """Delete half-written answers; one that Slack does not give back stays, and is logged.

    Raises:
        SlackApiError: Slack has trouble, which passes.

    """
    for ts in timestamps:
        for call in (client.chat_stopStream, client.chat_delete):
            try:
                await call(channel=channel, ts=ts)
            except SlackApiError as error:
                if is_passing(error):
                    raise
                if error_code(error) not in {"message_not_in_streaming_state", "message_not_found"}:
                    log.warning("the half-written answer %s in %s stays: %s", ts, channel, error_code(error))


async def find_strays(client: AsyncWebClient, question: Question) -> list[str]:
    """Return the bot's messages in the thread, later than the question, that say by no metadata what they are.

    One is left when a stream's beginning was lost: by a kill, or an answer of Slack that never came. Without the scope
    to read the channel nobody finds it.
    """
    found: list[str] = []
    try:
        me = (await client.auth_test())["user_id"]
        pages = await client.conversations_replies(
            channel=question.channel, ts=question.thread_ts, oldest=question.ts, include_all_metadata=True
        )
        async for page in pages:
            mine = (message for message in page["messages"] if message.get("user") == me)
            found += [message["ts"] for message in mine if not message.get("metadata") and message["ts"] > question.ts]
    except SlackApiError as error:
        if is_passing(error):
            raise
        log.warning("what was begun in %s is not looked for: %s", question.channel, error_code(error))
    return found


def _message(text: str, blocks: Blocks) -> dict[str, Any]:
    """Give a message that says this and has these blocks below it; `text` alone is for notifications."""
    said = [{"type": "markdown", "text": text}] if text.strip() else []
    return {"text": clip(text.strip(), FALLBACK) or "The end of the answer.", "blocks": [*said, *blocks]}
