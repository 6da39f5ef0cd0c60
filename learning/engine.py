"""The inference engine: one thread owns the model and decodes all running requests step by step.

Requests that use the same adapter share a lane, which is one batch with one key/value cache; a new request joins its
lane at the next step and a finished one leaves it. The engine knows nothing of questions, people or databases.
"""

import asyncio
import itertools
import queue
import threading
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from peft import PeftModel
from torch import Tensor
from transformers import DynamicCache

from learning.adapter_files import check_adapter
from learning.base_model import BaseModel, load
from learning.hardware import Hardware
from learning.prompts import ChatMessage
from storage.errors import ApprenticeError

MAX_LOADED = 8
"""Adapters kept in memory; the least recently used one that nobody needs is unloaded beyond that."""


class EngineError(ApprenticeError):
    """The engine cannot do what was asked."""


class _Serving:
    """The type of `SERVING`."""


SERVING: Final = _Serving()
"""Stands for whichever adapter serves when the request is made."""


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen: greedily at temperature 0, else from the `top_p` nucleus with the given seed."""

    max_new_tokens: int = 96
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    stop: tuple[str, ...] = ()


@dataclass(frozen=True)
class Completion:
    """A finished answer. `logprobs` are natural logarithms, one a token; `adapter` is None for the base model."""

    text: str
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    prompt_tokens: int
    adapter: str | None
    finish_reason: str
    seconds: float
    seconds_to_first_token: float


@dataclass(frozen=True)
class Piece:
    """A piece of streamed text; the last piece also carries the completion."""

    text: str
    completion: Completion | None = None


@dataclass(eq=False)
class _Request:
    """One request while it waits and runs."""

    prompt: list[int]
    adapter: str | None
    sampling: Sampling
    emit: Callable[[Piece | Exception], None]
    made: float = field(default_factory=time.monotonic)
    first: float = 0.0
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    shown: int = 0
    cancelled: bool = False
    generator: torch.Generator | None = None


@dataclass
class _Lane:
    """The running requests of one adapter: row i of each tensor belongs to `requests[i]`.

    `cache`: per layer (keys, values), each (rows, heads, length, head size), padded on the left.
    `mask`: (rows, length), 1 where a position holds a token. `last`: (rows,) the token to feed next.
    """

    requests: list[_Request]
    cache: list[tuple[Tensor, Tensor]]
    mask: Tensor
    last: Tensor


class Engine:
    """Answers requests on one base model with any number of adapters. Make it with `Engine.start`."""

    def __init__(self, base: BaseModel, hardware: Hardware, model: Any, tokenizer: Any, max_batch: int) -> None:
        self.base = base
        self.hardware = hardware
        self._model = model
        self._tokenizer = tokenizer
        self._max_batch = max_batch
        self._shapes = {
            name: (module.out_features, module.in_features)
            for name, module in model.named_modules()
            if isinstance(module, torch.nn.Linear)
        }
        self._ends = _end_tokens(model, tokenizer)
        self._inbox: queue.SimpleQueue[_Request | Future[None] | None] = queue.SimpleQueue()
        self._work: dict[Future[None], Callable[[], None]] = {}
        self._waiting: list[_Request] = []
        self._lanes: dict[str | None, _Lane] = {}
        self._loaded: dict[str, int] = {}
        self._uses = itertools.count()
        self._active: str | _Serving | None = SERVING  # no adapter state set yet
        self._serving: str | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    @classmethod
    def start(cls, base: BaseModel, hardware: Hardware, *, max_batch: int = 8) -> "Engine":
        """Load the base model and start the engine's thread.

        Raises:
            BaseModelError: the model cannot be loaded.

        """
        hardware.use()
        model, tokenizer = load(base, hardware.dtype, hardware.device, hardware.attention)
        engine = cls(base, hardware, model, tokenizer, max_batch)
        engine._thread.start()
        return engine

    @property
    def serving(self) -> str | None:
        """The digest of the adapter that new requests get by default; None for the base model."""
        return self._serving

    def serve(self, digest: str | None) -> None:
        """Let new requests use this loaded adapter (None: the base model); running ones end on what they began with."""
        if digest is not None and digest not in self._loaded:
            raise EngineError(f"adapter {digest} is not loaded; load it before it can serve.")
        self._serving = digest

    def load_adapter(self, digest: str, folder: Path) -> None:
        """Check the adapter's files and load them, between two decoding steps; does nothing when it is loaded.

        Raises:
            AdapterError: the files do not fit; nothing was changed.

        """
        if digest in self._loaded:
            return
        check_adapter(folder, self.base.digest, self._shapes)
        self._do(lambda: self._load(digest, folder))

    def unload_adapter(self, digest: str) -> None:
        """Free an adapter that neither serves nor runs.

        Raises:
            EngineError: it is in use.

        """
        if digest == self._serving:
            raise EngineError(f"adapter {digest} serves; let another one serve first.")
        self._do(lambda: self._unload(digest))

    async def stream(
        self,
        messages: Sequence[ChatMessage],
        *,
        adapter: str | _Serving | None = SERVING,
        sampling: Sampling | None = None,
    ) -> AsyncGenerator[Piece, None]:
        """Yield the answer as it is made; leaving the iterator early frees the request's place.

        Raises:
            EngineError: the adapter is not loaded, or the engine is closed.

        """
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[Piece | Exception] = asyncio.Queue()

        def emit(piece: Piece | Exception) -> None:
            loop.call_soon_threadsafe(pieces.put_nowait, piece)

        request = self._submit(messages, adapter, sampling, emit)
        try:
            while True:
                piece = await pieces.get()
                if isinstance(piece, Exception):
                    raise piece
                yield piece
                if piece.completion is not None:
                    return
        finally:
            request.cancelled = True

    def generate(
        self,
        messages: Sequence[ChatMessage],
        *,
        adapter: str | _Serving | None = SERVING,
        sampling: Sampling | None = None,
    ) -> Completion:
        """Return the whole answer; blocks."""
        return self.generate_many([messages], adapter=adapter, sampling=sampling)[0]

    def generate_many(
        self,
        conversations: Sequence[Sequence[ChatMessage]],
        *,
        adapter: str | _Serving | None = SERVING,
        sampling: Sampling | None = None,
        on_done: Callable[[int], None] | None = None,
    ) -> list[Completion]:
        """Return the answers in the order of the conversations; blocks. `on_done` hears how many are finished."""
        finished: queue.SimpleQueue[tuple[int, Completion | Exception]] = queue.SimpleQueue()

        def collect(index: int) -> Callable[[Piece | Exception], None]:
            def emit(piece: Piece | Exception) -> None:
                if isinstance(piece, Exception):
                    finished.put((index, piece))
                elif piece.completion is not None:
                    finished.put((index, piece.completion))

            return emit

        requests = [self._submit(each, adapter, sampling, collect(index)) for index, each in enumerate(conversations)]
        completions: dict[int, Completion] = {}
        try:
            while len(completions) < len(requests):
                index, outcome = finished.get()
                if isinstance(outcome, Exception):
                    raise outcome
                completions[index] = outcome
                if on_done is not None:
                    on_done(len(completions))
        finally:
            for request in requests:
                request.cancelled = True
        return [completions[index] for index in range(len(requests))]

    def close(self) -> None:
        """Stop the thread; requests that still run end with an error."""
        if not self._closing:
            self._closing = True
            self._inbox.put(None)
            self._thread.join()

    # What follows, down to _fail_all, is called by other threads only through the inbox.

    def _submit(
        self,
        messages: Sequence[ChatMessage],
        adapter: str | _Serving | None,
        sampling: Sampling | None,
        emit: Callable[[Piece | Exception], None],
    ) -> _Request:
        if self._closing:
            raise EngineError("the engine is closed.")
        digest = self._serving if isinstance(adapter, _Serving) else adapter
        if digest is not None and digest not in self._loaded:
            raise EngineError(f"adapter {digest} is not loaded.")
        text = self._tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)
        prompt = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        request = _Request(prompt=prompt, adapter=digest, sampling=sampling or Sampling(), emit=emit)
        self._inbox.put(request)
        return request

    def _do(self, work: Callable[[], None]) -> None:
        """Run `work` in the engine's thread, between two steps, and wait for it."""
        if self._closing:
            raise EngineError("the engine is closed.")
        done: Future[None] = Future()
        self._work[done] = work
        self._inbox.put(done)
        done.result()

    def _run(self) -> None:
        try:
            with torch.inference_mode():
                while self._take():
                    self._admit()
                    for adapter in list(self._lanes):
                        self._step(adapter)
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it, whatever it is
            self._fail_all(EngineError(f"the engine stopped: {type(error).__name__}: {error}"))
        else:
            self._fail_all(EngineError("the engine was closed before the answer was complete."))

    def _take(self) -> bool:
        """Empty the inbox, waiting for something to do when idle; return False when the engine is to stop."""
        while True:
            idle = not self._waiting and not self._lanes
            try:
                item = self._inbox.get(block=idle)
            except queue.Empty:
                return True
            if item is None:
                return False
            if isinstance(item, Future):
                _settle(item, self._work.pop(item))
            else:
                self._waiting.append(item)

    def _admit(self) -> None:
        """Let waiting requests join their lanes, first come first served, as far as there are places."""
        self._waiting = [request for request in self._waiting if not request.cancelled]
        free = self._max_batch - sum(len(lane.requests) for lane in self._lanes.values())
        admitted, self._waiting = self._waiting[:free], self._waiting[free:]
        for adapter in dict.fromkeys(request.adapter for request in admitted):
            self._join(adapter, [request for request in admitted if request.adapter == adapter])

    def _join(self, adapter: str | None, requests: list[_Request]) -> None:
        try:
            self._activate(adapter)
            fresh = self._prefill(requests)
        except Exception as error:  # noqa: BLE001 - these requests fail, the others go on
            for request in requests:
                request.emit(EngineError(f"the prompt could not be read by the model: {error}"))
            return
        running = self._lanes.get(adapter)
        self._lanes[adapter] = _merge(running, fresh) if running else fresh
        self._drop_finished(adapter)

    def _prefill(self, requests: list[_Request]) -> _Lane:
        """Read the prompts as one batch, padded on the left, and choose each one's first token."""
        width = max(len(request.prompt) for request in requests)
        rows = [[0] * (width - len(request.prompt)) + request.prompt for request in requests]
        mask = torch.tensor([[0] * (width - len(r.prompt)) + [1] * len(r.prompt) for r in requests])
        mask = mask.to(self._model.device)
        cache = DynamicCache()
        logits = self._forward(torch.tensor(rows, device=mask.device), mask, cache)
        last = self._choose(requests, logits)
        return _Lane(requests, [(layer.keys, layer.values) for layer in cache.layers], mask, last)

    def _step(self, adapter: str | None) -> None:
        """Decode one token for each request of a lane."""
        lane = self._lanes[adapter]
        self._activate(adapter)
        lane.mask = torch.cat([lane.mask, torch.ones_like(lane.mask[:, :1])], dim=1)
        cache = DynamicCache()
        for index, (keys, values) in enumerate(lane.cache):
            cache.update(keys, values, index)
        logits = self._forward(lane.last[:, None], lane.mask, cache)
        lane.cache = [(layer.keys, layer.values) for layer in cache.layers]
        lane.last = self._choose(lane.requests, logits)
        self._drop_finished(adapter)

    def _forward(self, tokens: Tensor, mask: Tensor, cache: DynamicCache) -> Tensor:
        """Return the logits (rows, vocabulary) that follow the last of `tokens` (rows, new); the cache grows by them."""
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, -tokens.shape[1] :]
        output = self._model(
            input_ids=tokens,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: Tensor = output.logits[:, -1]
        return logits

    def _choose(self, requests: list[_Request], logits: Tensor) -> Tensor:
        """Choose each row's next token, keep it and its log-probability, and emit the text that it completes."""
        logprobs = torch.log_softmax(logits.float(), dim=-1)
        chosen = logprobs.argmax(dim=-1)
        for row, request in enumerate(requests):
            if request.sampling.temperature > 0:
                chosen[row] = _sample(logprobs[row], request)
            token = int(chosen[row])
            request.first = request.first or time.monotonic()
            request.tokens.append(token)
            request.logprobs.append(float(logprobs[row, token]))
        return chosen

    def _drop_finished(self, adapter: str | None) -> None:
        """Emit what each request's newest token adds, and let finished and cancelled requests leave the lane."""
        lane = self._lanes[adapter]
        keep = [row for row, request in enumerate(lane.requests) if not request.cancelled and not self._emit(request)]
        if not keep:
            del self._lanes[adapter]
        elif len(keep) < len(lane.requests):
            self._lanes[adapter] = _select(lane, keep)

    def _emit(self, request: _Request) -> bool:
        """Emit newly complete text; return whether the request is finished."""
        ended = request.tokens[-1] in self._ends
        tokens = request.tokens[:-1] if ended else request.tokens
        text = self._tokenizer.decode(tokens, skip_special_tokens=True)
        stopped = min((at for stop in request.sampling.stop if (at := text.find(stop)) >= 0), default=-1)
        full = len(request.tokens) >= request.sampling.max_new_tokens
        finished = ended or stopped >= 0 or full
        if stopped >= 0:
            text = text[:stopped]
        elif not finished:
            text = _settled(text, request.sampling.stop)
        fresh, request.shown = text[request.shown :], max(request.shown, len(text))
        if finished:
            reason = "stop" if ended or stopped >= 0 else "length"
            request.emit(Piece(fresh, self._complete(request, text.strip(), reason)))
        elif fresh:
            request.emit(Piece(fresh))
        return finished

    def _complete(self, request: _Request, text: str, reason: str) -> Completion:
        return Completion(
            text=text,
            token_ids=tuple(request.tokens),
            logprobs=tuple(request.logprobs),
            prompt_tokens=len(request.prompt),
            adapter=request.adapter,
            finish_reason=reason,
            seconds=time.monotonic() - request.made,
            seconds_to_first_token=request.first - request.made,
        )

    def _activate(self, adapter: str | None) -> None:
        """Make the model compute with this adapter (None: without any)."""
        if adapter is not None:
            self._loaded[adapter] = next(self._uses)
        if self._active == adapter or not isinstance(self._model, PeftModel):
            return
        if adapter is None:
            self._model.base_model.disable_adapter_layers()
        else:
            self._model.base_model.enable_adapter_layers()
            self._model.set_adapter(adapter, inference_mode=True)
        self._active = adapter

    def _load(self, digest: str, folder: Path) -> None:
        if isinstance(self._model, PeftModel):
            self._model.load_adapter(str(folder), adapter_name=digest, is_trainable=False)
        else:
            self._model = PeftModel.from_pretrained(self._model, str(folder), adapter_name=digest)
        self._model.eval()
        self._active = SERVING
        self._loaded[digest] = next(self._uses)
        idle = [name for name in self._loaded if name not in {digest, self._serving} and not self._in_use(name)]
        for name in sorted(idle, key=self._loaded.__getitem__)[: max(0, len(self._loaded) - MAX_LOADED)]:
            self._unload(name)

    def _unload(self, digest: str) -> None:
        if self._in_use(digest):
            raise EngineError(f"adapter {digest} is answering; unload it when its last answer is complete.")
        if self._loaded.pop(digest, None) is not None and isinstance(self._model, PeftModel):
            if not self._loaded:
                self._model = self._model.unload()
            else:
                self._model.delete_adapter(digest)
            self._active = SERVING

    def _in_use(self, digest: str) -> bool:
        return digest in self._lanes or any(request.adapter == digest for request in self._waiting)

    def _fail_all(self, error: EngineError) -> None:
        self._closing = True
        for request in [*self._waiting, *(request for lane in self._lanes.values() for request in lane.requests)]:
            request.emit(error)
        while not self._inbox.empty():
            item = self._inbox.get()
            if isinstance(item, Future):
                item.set_exception(error)
            elif item is not None:
                item.emit(error)


def _merge(running: _Lane, fresh: _Lane) -> _Lane:
    """Put two lanes' rows into one, the shorter ones padded on the left."""
    width = max(running.mask.shape[1], fresh.mask.shape[1])
    return _Lane(
        requests=running.requests + fresh.requests,
        cache=[
            (_stack(a_keys, b_keys, width, dim=2), _stack(a_values, b_values, width, dim=2))
            for (a_keys, a_values), (b_keys, b_values) in zip(running.cache, fresh.cache, strict=True)
        ],
        mask=_stack(running.mask, fresh.mask, width, dim=1),
        last=torch.cat([running.last, fresh.last]),
    )


def _stack(upper: Tensor, lower: Tensor, width: int, dim: int) -> Tensor:
    return torch.cat([_pad(upper, width, dim), _pad(lower, width, dim)])


def _pad(tensor: Tensor, width: int, dim: int) -> Tensor:
    missing = width - tensor.shape[dim]
    if missing == 0:
        return tensor
    shape = list(tensor.shape)
    shape[dim] = missing
    return torch.cat([tensor.new_zeros(shape), tensor], dim=dim)


def _select(lane: _Lane, keep: list[int]) -> _Lane:
    """Keep these rows, and cut the columns on the left that hold only padding then."""
    rows = torch.tensor(keep, device=lane.mask.device)
    mask = lane.mask[rows]
    first = int(mask.any(dim=0).int().argmax())
    return _Lane(
        requests=[lane.requests[row] for row in keep],
        cache=[(keys[rows][:, :, first:], values[rows][:, :, first:]) for keys, values in lane.cache],
        mask=mask[:, first:],
        last=lane.last[rows],
    )


def _sample(logprobs: Tensor, request: _Request) -> Tensor:
    """Draw from the smallest set of tokens whose probability reaches `top_p` (nucleus sampling, arXiv 1904.09751)."""
    if request.generator is None:
        request.generator = torch.Generator(device=logprobs.device).manual_seed(request.sampling.seed)
    probabilities, order = torch.softmax(logprobs / request.sampling.temperature, dim=-1).sort(descending=True)
    outside = probabilities.cumsum(dim=-1) - probabilities >= request.sampling.top_p
    drawn = torch.multinomial(probabilities.masked_fill(outside, 0.0), 1, generator=request.generator)
    return order[drawn][0]


def _settled(text: str, stops: tuple[str, ...]) -> str:
    """Hold back what a later token may still change: half a character, or the beginning of a stop string."""
    text = text.removesuffix("\ufffd")
    for stop in stops:
        for length in range(min(len(stop) - 1, len(text)), 0, -1):
            if text.endswith(stop[:length]):
                return text[:-length]
    return text


def _end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    ends = model.generation_config.eos_token_id
    listed = ends if isinstance(ends, list) else [ends]
    return frozenset(end for end in [*listed, tokenizer.eos_token_id] if end is not None)


def _settle(done: "Future[None]", work: Callable[[], None]) -> None:
    try:
        work()
    except Exception as error:  # noqa: BLE001 - given to whoever waits
        done.set_exception(error)
    else:
        done.set_result(None)
