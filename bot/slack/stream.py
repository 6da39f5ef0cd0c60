"""An answer on its way into Slack: one stream, or several when it grows past what a message holds."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_chat_stream import AsyncChatStream
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.blocks import Blocks
from bot.slack.jobs import Question
from bot.slack.refusals import error_code, is_passing

log = logging.getLogger(__name__)

FLUSH = 48
"""Characters sent at a time: at 15 tokens a second about one call a second, well under Slack's limit for appends."""
MESSAGE_LIMIT = 11_000
"""Characters in one message; Slack takes 12,000 in a text, and loses messages past about 13,000."""
METADATA = "apprentice_answer"
"""The type of the metadata that each message of an answer has once it is finished."""

OnBegun = Callable[[list[str]], Awaitable[None]]


class AnswerStream:
    """Streams the answer to one question. `on_begun` is awaited with all message ts whenever a message was begun."""

    def __init__(self, client: AsyncWebClient, question: Question, on_begun: OnBegun) -> None:
        self._client = client
        self._question = question
        self._on_begun = on_begun
        self._stream: AsyncChatStream | None = None
        self._length = 0
        self._begun: list[str] = []

    async def append(self, text: str) -> None:
        """Add text to the answer; it is sent when enough has gathered."""
        for start in range(0, len(text), MESSAGE_LIMIT):
            await self._append(text[start : start + MESSAGE_LIMIT])

    async def stop(self, blocks: Blocks) -> str:
        """End the answer with these blocks; return the ts of the message that carries them."""
        stream = await self._open()
        stopped = await stream.stop(blocks=blocks, metadata=self._metadata())
        return str(stream.ts or stopped["ts"])

    async def withdraw(self) -> None:
        """Take back what was shown."""
        await remove_messages(self._client, self._question.channel, self._begun)

    async def _append(self, text: str) -> None:
        if self._length + len(text) > MESSAGE_LIMIT and self._stream is not None:
            await self._stream.stop(metadata=self._metadata())
            self._stream, self._length = None, 0
        stream = await self._open()
        # The first piece is sent at once (`chunks` forces that): it shows soonest, and the message's ts is known.
        await stream.append(markdown_text=text, chunks=None if stream.ts else [])
        self._length += len(text)
        if stream.ts and stream.ts not in self._begun:
            self._begun.append(stream.ts)
            await self._on_begun(self._begun)

    def _metadata(self) -> dict[str, Any]:
        return {"event_type": METADATA, "event_payload": {"question_ts": self._question.ts}}

    async def _open(self) -> AsyncChatStream:
        if self._stream is None:
            self._stream = await self._client.chat_stream(
                buffer_size=FLUSH,
                channel=self._question.channel,
                thread_ts=self._question.thread_ts,
                recipient_team_id=self._question.team,
                recipient_user_id=self._question.user,
            )
        return self._stream


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
