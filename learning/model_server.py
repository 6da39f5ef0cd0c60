"""One server that answers with the base model, and with adapters where it is a vLLM that loads them at run time.

vLLM takes an adapter by the path of its folder, which it reads itself: so the server must see the artifact folder. What
is said here of its interface was tried with vLLM 0.32.
"""

import ssl
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
from pydantic import BaseModel, ValidationError

from learning.chat_protocol import (
    Chunk,
    ModelMissingError,
    RefusedError,
    ServerError,
    chat_request,
    error_text,
    read_chunks,
)
from learning.engine import Sampling
from learning.prompts import ChatMessage

MODELS, CHAT = "v1/models", "v1/chat/completions"
LOAD, UNLOAD = "v1/load_lora_adapter", "v1/unload_lora_adapter"
ABSENT = {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED}
"""How a server answers that knows no such path."""
FORBIDDEN = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
REFUSED = {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY}
HOW_TO_LOAD = "vLLM takes adapters when it is started with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True"


@dataclass(frozen=True)
class ServerSettings:
    """How servers are spoken to: `model` is the base model's name there, or "" for the first that a server names.

    A server that does not say within `connect_timeout_s` what it has is away; `timeout_s` is how long it may be silent
    while it answers or loads an adapter, both in seconds.
    """

    model: str = ""
    api_key: str = ""
    connect_timeout_s: float = 5.0
    timeout_s: float = 60.0


@dataclass(frozen=True)
class ServerState:
    """What a server said of itself: its name for the base model, the adapters that it has, by name."""

    model: str
    adapters: frozenset[str]
    loads_adapters: bool
    is_vllm: bool


class _Model(BaseModel):
    """A model as a server lists it; `parent` is vLLM's, and names an adapter's base model."""

    id: str
    owned_by: str = ""
    parent: str | None = None


class _Models(BaseModel):
    data: list[_Model]


class ModelServer:
    """A server at an address. `state` is None and `trouble` says why, while it cannot be used."""

    def __init__(self, url: str, settings: ServerSettings) -> None:
        self.url = url
        self.state: ServerState | None = None
        self.trouble = f"{url} was not asked yet"
        self._settings = settings
        headers = {"Authorization": f"Bearer {settings.api_key}"} if settings.api_key else {}
        self._options: dict[str, Any] = {
            "base_url": f"{url}/", "headers": headers, "verify": ssl.create_default_context()
        }  # fmt: skip

    def describe(self) -> str:
        """Say in a sentence what the server is good for."""
        if self.state is None:
            return self.trouble
        if not self.state.loads_adapters:
            return f"{self.url} answers as {self.state.model}, without adapters: it has no /{LOAD}"
        return f"{self.url} answers as {self.state.model}, and takes adapters"

    def look(self) -> ServerState:
        """Ask the server what it has; blocks.

        Raises:
            ServerError: it cannot be used.

        """
        try:
            with self._client(self._settings.connect_timeout_s) as client:
                self.state = self._ask(client)
        except ServerError as error:
            self.note_trouble(error)
            raise
        self.trouble = ""
        return self.state

    def note_trouble(self, error: ServerError) -> None:
        """Note that the server cannot be used, until it is looked at again."""
        self.state, self.trouble = None, str(error)

    def load(self, name: str, folder: Path) -> None:
        """Let the server load the adapter in a folder of its own file system under a name; blocks.

        Raises:
            ServerError: it did not; it says why.

        """
        with self._client(self._settings.timeout_s) as client:
            response = client.post(LOAD, json={"lora_name": name, "lora_path": str(folder)})
            models = self._models(client)
        self._note_adapters(_adapters(models))
        # It refuses what it has under that name; as that is a digest, it is the same adapter.
        if not response.is_success and name not in _adapters(models):
            raise ServerError(f"{self.url} does not load adapter {name} from {folder}: {_problem(response)}")

    def unload(self, name: str) -> None:
        """Let the server forget an adapter; blocks. One that it does not have is no error.

        Raises:
            ServerError: it did not.

        """
        with self._client(self._settings.timeout_s) as client:
            response = client.post(UNLOAD, json={"lora_name": name})
            models = self._models(client)
        if not response.is_success and response.status_code != HTTPStatus.NOT_FOUND:
            raise ServerError(f"{self.url} does not unload adapter {name}: {_problem(response)}")
        self._note_adapters(_adapters(models))

    async def answer(
        self, adapter: str | None, messages: Sequence[ChatMessage], sampling: Sampling
    ) -> AsyncGenerator[Chunk, None]:
        """Yield the answer of an adapter (None: the base model); leaving the iterator early ends it at the server too.

        `look` has to come before it.

        Raises:
            ModelMissingError: it has no such adapter.
            RefusedError: it refuses the question, a prompt that is too long for example.
            ServerError: it cannot be reached, or the answer broke off.

        """
        if self.state is None:
            raise ServerError(self.trouble)
        body = chat_request(adapter or self.state.model, messages, sampling, token_ids=self.state.is_vllm)
        seconds = self._settings.timeout_s
        with self._telling(seconds):
            async with (
                httpx.AsyncClient(**self._options, timeout=self._timeout(seconds)) as client,
                client.stream("POST", CHAT, json=body) as response,
            ):
                if not response.is_success:
                    await response.aread()
                    raise self._refusal(response)
                async for chunk in read_chunks(response.aiter_lines(), self.url):
                    yield chunk

    def _ask(self, client: httpx.Client) -> ServerState:
        models = self._models(client)
        return ServerState(
            model=self._base_name(models),
            adapters=_adapters(models),
            loads_adapters=self.state.loads_adapters if self.state else self._finds_load(client),
            is_vllm=any(model.owned_by == "vllm" for model in models),
        )

    def _note_adapters(self, names: frozenset[str]) -> None:
        if self.state is not None:
            self.state = replace(self.state, adapters=names)

    def _models(self, client: httpx.Client) -> list[_Model]:
        response = client.get(MODELS)
        if not response.is_success:
            raise self._refusal(response)
        try:
            return _Models.model_validate_json(response.content).data
        except ValidationError as error:
            raise ServerError(
                f"/{MODELS} of {self.url} is no list of models. Is that an OpenAI-compatible server?"
            ) from error

    def _finds_load(self, client: httpx.Client) -> bool:
        """Whether adapters can be loaded: asked to load nothing, who can refuses, and who cannot finds no such path."""
        response = client.post(LOAD, json={})
        if response.status_code in FORBIDDEN:
            raise self._refusal(response)
        return response.status_code not in ABSENT

    def _base_name(self, models: Sequence[_Model]) -> str:
        names = [model.id for model in models if not model.parent]
        wanted = self._settings.model or next(iter(names), "")
        if wanted not in names:
            raise ServerError(f"{self.url} has no model {wanted or 'at all'}; it has {', '.join(names) or 'none'}.")
        return wanted

    def _refusal(self, response: httpx.Response) -> ServerError:
        problem = f"{self.url} answered {response.status_code}: {_problem(response)}"
        if response.status_code in FORBIDDEN:
            return ServerError(f"{problem}. Correct inference.api_key.")
        kind = ModelMissingError if response.status_code == HTTPStatus.NOT_FOUND else ServerError
        return RefusedError(problem) if response.status_code in REFUSED else kind(problem)

    @contextmanager
    def _client(self, seconds: float) -> Iterator[httpx.Client]:
        """Give a client of its own for each visit: a connection that was kept would be dead after a restart."""
        with self._telling(seconds), httpx.Client(**self._options, timeout=self._timeout(seconds)) as client:
            yield client

    def _timeout(self, seconds: float) -> httpx.Timeout:
        return httpx.Timeout(seconds, connect=self._settings.connect_timeout_s)

    @contextmanager
    def _telling(self, seconds: float) -> Iterator[None]:
        """Turn what goes wrong on the way into a sentence that names the server."""
        try:
            yield
        except httpx.ConnectTimeout as error:
            raise ServerError(f"{self.url} cannot be reached.") from error
        except httpx.TimeoutException as error:
            raise ServerError(f"{self.url} was silent for {seconds:g} s.") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ServerError(f"the connection to {self.url} failed: {str(error) or type(error).__name__}") from error


def _adapters(models: Sequence[_Model]) -> frozenset[str]:
    return frozenset(model.id for model in models if model.parent)


def _problem(response: httpx.Response) -> str:
    """Return what a server says of an error, in whichever form."""
    try:
        content = response.json()
    except ValueError:
        return response.text[:500] or response.reason_phrase
    known = content.get("error", content.get("detail", content)) if isinstance(content, dict) else content
    return error_text(known)
