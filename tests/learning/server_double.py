"""A double of vLLM's server: its interface as of version 0.32, and failures that a real one does not give on demand.

tests/learning/test_vllm.py holds the same calls against a real one.
"""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from bot.workspace.serving import serve

BASE = "the-base"
LOGPROB = -0.25
LONGEST_PROMPT = 2_000
"""Characters of all messages; more are refused, as vLLM refuses more tokens than its model's context."""
PATIENCE_S = 20


@dataclass
class Double:
    """A server. What it does wrong can be set while it runs; `asked` are the questions that it was sent.

    `status`: with what it answers them in place of an answer. `breaks_after`: so many words, then the connection is
    cut. `silent`: it says nothing, for as long as that is not cleared.
    """

    takes_adapters: bool = True
    is_vllm: bool = True
    api_key: str = ""
    port: int = 0
    url: str = ""
    adapters: dict[str, str] = field(default_factory=dict)
    asked: list[dict[str, Any]] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    refused_adapters: set[str] = field(default_factory=set)
    status: int = 200
    breaks_after: int | None = None
    ends_for: str = "stop"
    silent: bool = False
    left: threading.Event = field(default_factory=threading.Event)
    """Somebody left before the end of an answer."""
    _thread: threading.Thread | None = None
    _end: Callable[[], object] | None = None

    def start(self) -> "Double":
        """Start, on the port of the last time; what it had loaded is lost, as it is in a restart."""
        self.adapters.clear()
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)), daemon=True)
        self._thread.start()
        assert ready.wait(PATIENCE_S)
        return self

    def stop(self) -> None:
        """Stop, if it runs."""
        if self._thread is not None and self._end is not None:
            self._end()
            self._thread.join(PATIENCE_S)
            self._thread = None

    async def _serve(self, ready: threading.Event) -> None:
        loop, end = asyncio.get_running_loop(), asyncio.Event()
        self._end = lambda: loop.call_soon_threadsafe(end.set)
        async with serve(make_app(self), port=self.port) as url:
            self.url, self.port = url, int(url.rpartition(":")[2])
            ready.set()
            await end.wait()


def make_app(double: Double) -> FastAPI:
    """Make the application of a server."""

    def check_key(request: Request) -> None:
        if double.api_key and request.headers.get("Authorization") != f"Bearer {double.api_key}":
            raise HTTPException(401, "Unauthorized")

    app = FastAPI(dependencies=[Depends(check_key)])

    @app.get("/v1/models")
    def models() -> dict[str, Any]:
        owner = "vllm" if double.is_vllm else "somebody"
        cards = [{"id": BASE, "object": "model", "owned_by": owner, "root": "/models/base", "parent": None}]
        cards += [
            {"id": name, "object": "model", "owned_by": owner, "root": path, "parent": BASE}
            for name, path in double.adapters.items()
        ]
        return {"object": "list", "data": cards}

    @app.post("/v1/chat/completions")
    async def chat(body: dict[str, Any]) -> Response:
        double.asked.append(body)
        if double.status != 200:
            return _error(double.status, "CUDA out of memory")
        if body["model"] != BASE and body["model"] not in double.adapters:
            return _error(404, f"The model `{body['model']}` does not exist.")
        if sum(len(message["content"]) for message in body["messages"]) > LONGEST_PROMPT:
            return _error(400, "This model's maximum context length is exceeded.")
        return StreamingResponse(_events(double, body), media_type="text/event-stream")

    if double.takes_adapters:
        _add_adapters(app, double)
    return app


def _add_adapters(app: FastAPI, double: Double) -> None:
    @app.post("/v1/load_lora_adapter")
    def load(body: dict[str, str]) -> Response:
        if "lora_name" not in body:
            return _error(400, "1 validation error: Field required")
        name, path = body["lora_name"], body["lora_path"]
        double.loads.append(name)
        if name in double.adapters:
            return _error(400, f"The lora adapter '{name}' has already been loaded.")
        if not Path(path).is_dir():
            return _error(404, f"No adapter found for {path}")
        if name in double.refused_adapters:
            return _error(500, "LoRA rank 64 is greater than max_lora_rank 16.")
        double.adapters[name] = path
        return PlainTextResponse(f"Success: LoRA adapter '{name}' added successfully.")

    @app.post("/v1/unload_lora_adapter")
    def unload(body: dict[str, str]) -> Response:
        name = body["lora_name"]
        if double.adapters.pop(name, None) is None:
            return _error(404, f"The lora adapter '{name}' cannot be found.")
        return PlainTextResponse(f"Success: LoRA adapter '{name}' removed successfully.")


def said(model: str, question: str) -> str:
    """Return what the double answers as a model."""
    return f"{model[:12]} says of {question[-60:]}"


async def _events(double: Double, body: dict[str, Any]) -> AsyncIterator[str]:
    """Yield an answer word by word, each word a token."""
    words = said(body["model"], body["messages"][-1]["content"]).split(" ")
    try:
        yield _event({"role": "assistant", "content": ""})
        while double.silent:
            await asyncio.sleep(0.01)
        for number, word in enumerate(words):
            _die_if_told(double, number)
            logprobs = {"content": [{"token": word, "logprob": LOGPROB, "bytes": None, "top_logprobs": []}]}
            ids = [number] if body.get("return_token_ids") else None
            text = word if number == len(words) - 1 else f"{word} "
            yield _event({"content": text}, logprobs=logprobs if double.is_vllm else None, token_ids=ids)
        yield _event({"content": ""}, finish_reason=double.ends_for)
        yield _event(None, usage={"prompt_tokens": 7, "completion_tokens": len(words)})
        yield "data: [DONE]\n\n"
    except (asyncio.CancelledError, GeneratorExit):
        double.left.set()
        raise


def _die_if_told(double: Double, number: int) -> None:
    if number == double.breaks_after:
        raise ConnectionAbortedError("the server dies here")


def _event(delta: dict[str, Any] | None, usage: dict[str, int] | None = None, **choice: Any) -> str:
    choices = [{"index": 0, "delta": delta, "finish_reason": None, **choice}] if delta is not None else []
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": choices, "usage": usage}
    return f"data: {json.dumps(chunk)}\n\n"


def _error(status: int, message: str) -> Response:
    content = {"error": {"message": message, "type": "Error", "param": None, "code": status}}
    return JSONResponse(content, status_code=status)
