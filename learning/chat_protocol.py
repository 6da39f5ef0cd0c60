"""Chat completions of OpenAI's protocol, streamed, as vLLM speaks it: what is asked for, and what comes back of it.

Pure: learning/model_server.py carries it over HTTP.
"""

import time
from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from learning.engine import Completion, EngineError, Piece, Sampling
from learning.placement import Placement
from learning.prompts import ChatMessage

PREFIX = "data:"
END = "[DONE]"
FINISHED = {"stop", "length"}
"""Reasons for which an answer ends whole; vLLM has others for one that was broken off."""


class ServerError(EngineError):
    """A server cannot be reached, or did not do what it was asked; another one may."""


class RefusedError(ServerError):
    """What was asked is refused for what it is, so that no other server would take it either."""


class ModelMissingError(ServerError):
    """A server has no model, or adapter, of this name."""


class _Logprob(BaseModel):
    logprob: float


class _Logprobs(BaseModel):
    content: list[_Logprob] | None = None


class _Delta(BaseModel):
    content: str | None = None


class _Choice(BaseModel):
    delta: _Delta = _Delta()
    logprobs: _Logprobs | None = None
    token_ids: list[int] | None = None
    finish_reason: str | None = None


class _Usage(BaseModel):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Chunk(BaseModel):
    """One event of a stream. `token_ids`, of a choice, are vLLM's; others send none."""

    choices: list[_Choice] = []
    usage: _Usage | None = None
    error: Any = None


def chat_request(model: str, messages: Sequence[ChatMessage], sampling: Sampling, *, token_ids: bool) -> dict[str, Any]:
    """Return the body of the request; with `token_ids` it asks for those too, which only vLLM knows."""
    body: dict[str, Any] = {
        "model": model,
        "messages": list(messages),
        "stream": True,
        "stream_options": {"include_usage": True},
        "logprobs": True,
        "max_tokens": sampling.max_new_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": sampling.seed,
    }
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if token_ids:
        body["return_token_ids"] = True
    return body


async def read_chunks(lines: AsyncIterable[str], url: str) -> AsyncGenerator[Chunk, None]:
    """Yield the events of a stream until its end; `url` is where it comes from.

    Raises:
        ServerError: an event tells of an error, or is none of the protocol.

    """
    async for line in lines:
        data = line.removeprefix(PREFIX).strip()
        if data == END:
            return
        if not line.startswith(PREFIX):
            continue
        try:
            chunk = Chunk.model_validate_json(data)
        except ValidationError as error:
            raise ServerError(f"{url} sent something else than chat completions: {data[:200]}") from error
        if chunk.error is not None:
            raise ServerError(f"{url} broke the answer off: {error_text(chunk.error)}")
        yield chunk


def error_text(error: Any) -> str:
    """Return what an error of the protocol says, in whichever of its forms."""
    return str(error.get("message", error) if isinstance(error, dict) else error)[:500]


class Answer:
    """One answer, as far as it has come; `made` is when it was asked for, by `time.monotonic`."""

    def __init__(self, placement: Placement, made: float) -> None:
        self._placement = placement
        self._made = made
        self._first = self._newest = self._longest_pause = 0.0
        self._text = ""
        self._tokens: list[int] = []
        self._logprobs: list[float] = []
        self._usage = _Usage()
        self._finish_reason = ""

    def take(self, chunk: Chunk) -> Piece | None:
        """Take in what a chunk brings, and return the text in it as a piece to be shown, if there is any."""
        self._usage = chunk.usage or self._usage
        fresh = "".join(self._take_choice(choice) for choice in chunk.choices[:1])
        return Piece(fresh) if fresh else None

    def _take_choice(self, choice: _Choice) -> str:
        text = choice.delta.content or ""
        self._tokens += choice.token_ids or []
        if choice.logprobs and choice.logprobs.content:
            self._logprobs += [each.logprob for each in choice.logprobs.content]
        self._finish_reason = choice.finish_reason or self._finish_reason
        if text or choice.token_ids:
            now = time.monotonic()
            self._longest_pause = max(self._longest_pause, now - (self._newest or now))
            self._first, self._newest = self._first or now, now
        self._text += text
        return text

    def complete(self) -> Completion:
        """Return the whole answer, once nothing more comes.

        Raises:
            ServerError: it ended before it was whole.

        """
        if self._finish_reason not in FINISHED:
            why = f"with reason '{self._finish_reason}'" if self._finish_reason else "without a reason"
            raise ServerError(f"the answer ended in the middle, {why}.")
        now, placement = time.monotonic(), self._placement
        return Completion(
            text=self._text.strip(),
            token_ids=tuple(self._tokens),
            logprobs=tuple(self._logprobs),
            prompt_tokens=self._usage.prompt_tokens,
            adapter=placement.adapter,
            in_scope=placement.in_scope,
            read_as=placement.read_as,
            finish_reason=self._finish_reason,
            seconds=now - self._made,
            seconds_to_first_token=(self._first or now) - self._made,
            longest_pause=self._longest_pause,
            counted=self._usage.completion_tokens,
        )
