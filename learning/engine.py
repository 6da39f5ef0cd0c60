"""The inference engine: one thread loads and owns the model, and decodes all running requests step by step.

All of them, whatever their adapters, are rows of one batch with one key/value cache; a new request joins it at the next
step and a finished one leaves it. A request outside its adapter's scope (learning/scope.py) is the base model's. The
engine knows nothing of people or databases.
"""

import asyncio
import queue
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from learning.adapter_files import check_adapter
from learning.base_model import BaseModel, load
from learning.hardware import Hardware, in_thread_of_its_own
from learning.lora import LoraWeights, Router, read_lora
from learning.meaning import DEPTHS, question_states
from learning.pace import Pace
from learning.packed import can_pack, pack
from learning.placement import Placement
from learning.prefixes import Prefixes, common
from learning.prompts import ChatMessage, build_messages
from learning.residency import EngineClosedError, EngineError, Residency, adapter_budget
from learning.rows import contents, crop, join, keep_rows, make_batch, make_cache
from learning.scope import Scope, read_scope
from learning.segments import Segment, can_mix, forward

__all__ = ["SERVING", "Completion", "Engine", "EngineClosedError", "EngineError", "Piece", "Sampling", "Serving"]

Result = TypeVar("Result")

MIN_SHARED = 16
"""Tokens that requests which come together must begin with in common before that beginning is read once for all."""
AT_ONCE = {"cpu": 20, "cuda": 512}
"""Tokens of one pass at most, where answers run that wait for its end; fewer where it takes long (learning/pace.py)."""
LEAST_READ = 4
"""Tokens of prompts that are read in a pass, however many answers run."""
MANY = 3
"""Where more than so many wait for each one that runs, more is read in a pass, in proportion."""
REST_S = 0.01
"""Seconds between two pieces of an adapter that is read while answers run: each piece takes a tenth of that at most."""
SCOPE_TEXT = 2000
"""Characters of a message, its last ones, that decide whether it is in an adapter's scope."""


class Serving:
    """The type of `SERVING`."""


SERVING: Final = Serving()
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
    """A finished answer. `logprobs` are natural logarithms, one a token; `adapter` is None for the base model.

    `logprobs` and `token_ids` are empty where a server gives none; `counted` is how many tokens it says it made.
    Where `in_scope` is False, the conversation lay outside the adapter's scope, and the base model wrote the answer.
    `read_as` is the taught question as which the adapter was asked the question; None where it was asked as it is.
    `longest_pause` is the most seconds between one token and the next.
    """

    text: str
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    prompt_tokens: int
    adapter: str | None
    in_scope: bool
    read_as: str | None
    finish_reason: str
    seconds: float
    seconds_to_first_token: float
    longest_pause: float = 0.0
    counted: int = 0

    @property
    def completion_tokens(self) -> int:
        """How many tokens were made."""
        return len(self.token_ids) or self.counted


@dataclass(frozen=True)
class Piece:
    """A piece of streamed text; the last piece also carries the completion."""

    text: str
    completion: Completion | None = None


@dataclass(eq=False)
class _Request:
    """One request while it waits and runs."""

    messages: Sequence[ChatMessage]
    prompt: list[int]
    adapter: str | None
    sampling: Sampling
    emit: Callable[[Piece | Exception], None]
    in_scope: bool = True
    read_as: str | None = None
    made: float = field(default_factory=time.monotonic)
    first: float = 0.0
    newest: float = 0.0
    longest_pause: float = 0.0
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    shown: int = 0
    cancelled: bool = False
    generator: torch.Generator | None = None

    @property
    def routed(self) -> str | None:
        """The adapter that its tokens pass through."""
        return self.adapter if self.in_scope else None


@dataclass
class _Batch:
    """The running requests: row i of each tensor, and of the cache, belongs to `requests[i]`.

    `mask`: (rows, length), 1 where a position holds a token; rows are padded on the left. `last`: (rows,) the token
    to feed next.
    """

    requests: list[_Request]
    cache: Cache
    mask: Tensor
    last: Tensor


class _Part(NamedTuple):
    """Tokens that the next pass through the model takes in, of one row for each of `requests`."""

    requests: Sequence[_Request]
    segment: Segment


@dataclass
class _Reading:
    """Requests whose prompts are being read: `parts` gives one part, takes the logits after it and gives the next.

    `due` is the part that is next; None before the first.
    """

    requests: list[_Request]
    parts: Generator[_Part, Tensor, _Batch]
    due: _Part | None = None


class Engine:
    """Answers requests on one base model with any number of adapters. Make it with `Engine.start`."""

    def __init__(
        self, base: BaseModel, hardware: Hardware, model: Any, tokenizer: Any, max_batch: int, residency: Residency
    ) -> None:
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
        if can_pack(hardware.device, hardware.dtype):
            pack(model)
        self._mixes = can_mix(model)
        self._ends = _end_tokens(model, tokenizer)
        self._inbox: queue.SimpleQueue[_Request | Future[None] | None] = queue.SimpleQueue()
        self._work: dict[Future[None], Callable[[], None]] = {}
        self._waiting: list[_Request] = []
        self._batch: _Batch | None = None
        self._reading: _Reading | None = None
        self._layers = int(model.config.get_text_config().num_hidden_layers)
        self._width = len(DEPTHS) * int(model.config.get_text_config().hidden_size)
        self._router = Router(model)
        self._pace = Pace(AT_ONCE[hardware.device])
        self._prefixes = Prefixes()
        self._residency = residency
        self._scopes: dict[str, Scope] = {}
        self._loading = threading.Lock()
        self._gate = threading.Lock()
        self._closing = False
        self._thread = threading.current_thread()

    @classmethod
    def start(cls, base: BaseModel, hardware: Hardware, *, max_batch: int = 8, adapter_memory_mb: int = 0) -> "Engine":
        """Load the base model and start the engine's thread; adapters may take so many MB (0: a share of the memory).

        Raises:
            BaseModelError: the model cannot be loaded.

        """
        started: Future[Engine] = Future()
        residency = Residency(adapter_budget(hardware, adapter_memory_mb))

        def live() -> None:
            try:
                hardware.use()
                model, tokenizer = load(base, hardware.dtype, hardware.device, hardware.attention)
                engine = cls(base, hardware, model, tokenizer, max_batch, residency)
            except Exception as error:  # noqa: BLE001 - given to whoever waits
                started.set_exception(error)
            else:
                started.set_result(engine)
                engine._run()

        threading.Thread(target=live, name="engine", daemon=True).start()
        return started.result()

    @property
    def serving(self) -> str | None:
        """The digest of the adapter that new requests get by default; None for the base model."""
        return self._residency.serving

    def serve(self, digest: str | None) -> None:
        """Let new requests use this loaded adapter (None: the base model); running ones end on what they began with.

        Raises:
            EngineError: it is not loaded.

        """
        self._residency.serve(digest)

    def is_loaded(self, digest: str) -> bool:
        """Whether an adapter is in memory, so that requests can name it."""
        return digest in self._residency

    def load_adapter(self, digest: str, folder: Path) -> None:
        """Read an adapter and hand it over to the engine's thread; does nothing when it is loaded.

        All reading, checking and moving to the device is done outside of that thread, while answers go on. Others that
        nobody needs are unloaded to make room, the least recently used ones first.

        Raises:
            AdapterError: the files are not this adapter's, or do not fit; nothing was changed.
            EngineError: it has no room in the memory for adapters.

        """
        with self._loading:
            if digest in self._residency:
                self._residency.use(digest)
                return
            size, weights, scope = in_thread_of_its_own(partial(self._read_adapter, digest, folder))
            unused = self._residency.make_room(digest, size)
            self._do(lambda: self._load(digest, weights, scope, unused))
            self._residency.add(digest, size)

    def unload_adapter(self, digest: str) -> None:
        """Free an adapter that neither serves nor runs.

        Raises:
            EngineError: it is in use.

        """
        with self._loading:
            if self._residency.remove(digest):
                self._do(lambda: self._unload(digest))

    def borrow(self, work: Callable[[Any, Any, Callable[[str | None], None]], Result]) -> Result:
        """Return `work(model, tokenizer, route)`, run in the engine's thread between two steps; answers wait meanwhile.

        `route(digest)` lets all rows of the forward passes that follow use a loaded adapter (None: the base model).

        Raises:
            EngineError: an adapter that is not loaded was named, or the engine is closed.

        """
        results: list[Result] = []
        self._do(lambda: results.append(work(self._model, self._tokenizer, self._route_all)))
        return results[0]

    def in_scope(self, adapter: str | None, conversations: Sequence[Sequence[ChatMessage]]) -> list[bool]:
        """Return for each conversation whether this loaded adapter would answer it, and not the base model; blocks."""
        return [placement.in_scope for placement in self._place(adapter, conversations)]

    def place(self, messages: Sequence[ChatMessage], adapter: str | Serving | None = SERVING) -> Placement:
        """Return who would answer a conversation, and in which words it would be put to them; blocks.

        Raises:
            EngineError: the adapter is not loaded, or the engine is closed.

        """
        return self._place(adapter, [messages])[0]

    async def stream(
        self,
        messages: Sequence[ChatMessage],
        *,
        adapter: str | Serving | None = SERVING,
        sampling: Sampling | None = None,
    ) -> AsyncGenerator[Piece, None]:
        """Yield the answer as it is made; leaving the iterator early frees the request's place.

        Raises:
            EngineError: the adapter is not loaded, or the engine is closed.

        """
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[Piece | Exception] = asyncio.Queue()

        def emit(piece: Piece | Exception) -> None:
            try:
                loop.call_soon_threadsafe(pieces.put_nowait, piece)
            except RuntimeError:  # the loop was closed: nobody listens any more
                request.cancelled = True

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
        adapter: str | Serving | None = SERVING,
        sampling: Sampling | None = None,
    ) -> Completion:
        """Return the whole answer; blocks."""
        return self.generate_many([messages], adapter=adapter, sampling=sampling)[0]

    def generate_many(
        self,
        conversations: Sequence[Sequence[ChatMessage]],
        *,
        adapter: str | Serving | None = SERVING,
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
        with self._gate:
            if not self._closing:
                self._closing = True
                self._inbox.put(None)
        self._thread.join()

    # What follows, down to _fail_all, is called by other threads only through the inbox.

    def _submit(
        self,
        messages: Sequence[ChatMessage],
        adapter: str | Serving | None,
        sampling: Sampling | None,
        emit: Callable[[Piece | Exception], None],
    ) -> _Request:
        prompt = self._prompt(messages)
        residency = self._residency
        if isinstance(adapter, Serving):
            adapter = residency.claim_serving()
        else:
            residency.claim(adapter)
        request = _Request(messages, prompt, adapter, sampling or Sampling(), emit)
        try:
            self._put(request)
        except EngineError:
            residency.release(adapter)
            raise
        return request

    def _place(self, adapter: str | Serving | None, conversations: Sequence[Sequence[ChatMessage]]) -> list[Placement]:
        found: list[Placement] = []

        def find() -> None:
            digest = self._residency.serving if isinstance(adapter, Serving) else adapter
            self._residency.use(digest)
            found.extend(self._placed(digest, conversations))

        self._do(find)
        return found

    def _prompt(self, messages: Sequence[ChatMessage]) -> list[int]:
        text = self._tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)
        prompt: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return prompt

    def _do(self, work: Callable[[], None]) -> None:
        """Run `work` in the engine's thread, between two steps, and wait for it."""
        done: Future[None] = Future()
        self._work[done] = work
        self._put(done)
        done.result()

    def _put(self, item: "_Request | Future[None]") -> None:
        """Put something into the inbox, which somebody will read: the gate lets nothing in once that is over."""
        with self._gate:
            if self._closing:
                raise EngineClosedError("the engine is closed.")
            self._inbox.put(item)

    def _run(self) -> None:
        try:
            with torch.inference_mode():
                while self._take():
                    self._admit()
                    self._step()
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it, whatever it is
            self._fail_all(EngineClosedError(f"the engine stopped: {type(error).__name__}: {error}"))
        else:
            self._fail_all(EngineClosedError("the engine was closed before the answer was complete."))

    def _take(self) -> bool:
        """Empty the inbox, waiting for something to do when idle; return False when the engine is to stop."""
        while True:
            idle = not self._waiting and self._batch is None and self._reading is None
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
        """Begin to read the prompts of waiting requests, first come first served, as far as there are places."""
        for request in [request for request in self._waiting if request.cancelled]:
            self._waiting.remove(request)
            self._residency.release(request.adapter)
        if self._reading is None:
            free = self._max_batch - (len(self._batch.requests) if self._batch else 0)
            admitted, self._waiting = self._waiting[:free], self._waiting[free:]
            if admitted:
                self._reading = _Reading(admitted, self._read(admitted))
                self._read_on(self._reading, lambda: self._decide_scope(admitted))
        elif self._reading.due is None:
            self._read_on(self._reading, partial(next, self._reading.parts))

    def _read_on(self, reading: _Reading, step: Callable[[], _Part | None]) -> None:
        """Find by `step` what is to be read next; after the last part these requests join the running ones."""
        try:
            reading.due = step()
        except StopIteration as done:
            self._reading = None
            fresh = self._without_finished(done.value)
            self._batch = _join(self._batch, fresh) if self._batch and fresh else fresh or self._batch
        except Exception as error:  # noqa: BLE001 - these requests fail, the others go on
            self._reading = None
            for request in reading.requests:
                self._residency.release(request.adapter)
                request.emit(EngineError(f"the prompt could not be read by the model: {error}"))

    def _decide_scope(self, requests: list[_Request]) -> None:
        """Decide which model answers each request, and as which taught question its own is put to the adapter."""
        for adapter in {request.adapter for request in requests}:
            asking = [request for request in requests if request.adapter == adapter]
            placed = self._placed(adapter, [request.messages for request in asking])
            for request, placement in zip(asking, placed, strict=True):
                request.in_scope, request.read_as = placement.in_scope, placement.read_as
                if placement.read_as is not None:
                    request.prompt = self._prompt(placement.messages)

    def _placed(self, adapter: str | None, conversations: Sequence[Sequence[ChatMessage]]) -> list[Placement]:
        """Decide for each conversation whether it is in scope, and which taught question it is in other words.

        It is in scope as soon as one thing that was asked in it is: the rest may refer to that. Only a question that
        nothing went before is read as another.
        """
        scope = self._scopes.get(adapter) if adapter else None
        if scope is None:
            return [Placement(adapter, True, None, messages) for messages in conversations]
        self._router.route([None])
        texts = list(dict.fromkeys(text for messages in conversations for text in _questions(messages)))
        states = question_states(self._model, self._tokenizer, texts)
        inside = dict(zip(texts, map(bool, scope.holds(states)), strict=True))
        read = dict(zip(texts, scope.reading.of(states), strict=True)) if scope.reading else {}
        placed: list[Placement] = []
        for messages in conversations:
            asked = _questions(messages)
            held = any(inside[text] for text in asked)
            question = read.get(asked[0]) if held and _is_one_question(messages) else None
            put = messages if question is None else build_messages(question, _system(messages))
            placed.append(Placement(adapter, held, question, put))
        return placed

    def _read_adapter(self, digest: str, folder: Path) -> tuple[int, LoraWeights, Scope | None]:
        """Check and read an adapter; return how many bytes it takes, and its parts. Not in the engine's thread."""
        adapter = check_adapter(folder, digest, self.base.digest, self._shapes, self._rest)
        size = adapter.numbers * self.hardware.dtype.itemsize + adapter.scope_bytes
        self._residency.check_size(digest, size)
        weights = read_lora(adapter, self.hardware.dtype, self.hardware.device, self._rest)
        return size, weights, read_scope(folder, self._width)

    def _rest(self) -> None:
        """Leave the machine to answers that run, between two pieces of other work in this process."""
        if self._batch is not None:
            time.sleep(REST_S)

    def _read(self, requests: list[_Request]) -> Generator[_Part, Tensor, _Batch]:
        """Read what is new of each prompt, as one batch, and choose each one's first token."""
        yield from self._share(requests)
        known = [self._prefixes.longest(request.routed, request.prompt) for request in requests]
        new = max(len(request.prompt) - length for request, (length, _) in zip(requests, known, strict=True))
        width = max(len(request.prompt) for request in requests)
        mask = self._tensor([[0] * (width - len(each.prompt)) + [1] * len(each.prompt) for each in requests])
        tokens = self._tensor([([0] * width + each.prompt)[-new:] for each in requests])
        lengths = [max(0, len(request.prompt) - new) for request in requests]
        cache = make_batch(self._layers, [part for _, part in known], lengths, width - new, new)
        logits = yield from self._read_tokens(requests, tokens, mask, cache)
        last = self._choose(requests, logits)
        for row, (request, (length, _)) in enumerate(zip(requests, known, strict=True)):
            if length < len(request.prompt) // 2:
                start = width - len(request.prompt)
                own = [(keys[row, None, :, start:], values[row, None, :, start:]) for keys, values in contents(cache)]
                self._prefixes.remember(request.routed, request.prompt, own)
        return _Batch(requests, cache, mask, last)

    def _read_tokens(
        self, requests: list[_Request], tokens: Tensor, mask: Tensor, cache: Cache
    ) -> Generator[_Part, Tensor, Tensor]:
        """Put `tokens` (rows, new) into the cache, few at a time while answers run; return the last one's logits."""
        rows, new = tokens.shape
        end = 0
        while True:
            start, end = end, min(new, end + self._part(rows, new - end))
            logits = yield _Part(requests, Segment(tokens[:, start:end], mask[:, : mask.shape[1] - new + end], cache))
            if end == new:
                return logits

    def _part(self, rows: int, left: int) -> int:
        """Return how many tokens of each of these rows are read before running answers go on.

        All while none runs, else so few that those that do hardly wait; only where many wait for few they do longer.
        """
        if self._batch is None or self._reading is None:
            return left
        running, waiting = len(self._batch.requests), len(self._reading.requests)
        tokens = max(LEAST_READ, self._pace.tokens - running)
        return max(1, tokens * max(1, waiting // running - MANY + 1) // rows)

    def _share(self, requests: list[_Request]) -> Generator[_Part, Tensor, None]:
        """Read once what requests with the same adapter, which come together, begin with in common."""
        for adapter in dict.fromkeys(request.routed for request in requests):
            alike = [request for request in requests if request.routed == adapter]
            first, *others = (request.prompt for request in alike)
            shared = first[: min((common(first, other) for other in others), default=0)]
            length, _ = self._prefixes.longest(adapter, shared)
            if len(shared) - length >= MIN_SHARED:
                cache = make_cache(self._layers)
                tokens = self._tensor([shared])
                yield from self._read_tokens(alike[:1], tokens, torch.ones_like(tokens), cache)
                self._prefixes.remember(adapter, shared, contents(cache))

    def _step(self) -> None:
        """Decode one token for each running request and read what is due of prompts, in one pass where that works.

        What is due waits for the next pass where this one has to lay the matrices of adapters below each other.
        """
        began, reading, batch = time.monotonic(), self._reading, self._batch
        due, running = reading and reading.due, batch and _newest(batch)
        if running and due and self._mixes and self._router.stack(_owners(running, due)):
            due = None
        together = self._together(running, due) if running and due and self._mixes else None
        if batch and running:
            batch.last = self._choose(batch.requests, together[0] if together else self._forward(running)[0])
            self._batch = self._without_finished(batch)
        if reading and due:
            self._read_on(reading, lambda: reading.parts.send(together[1] if together else self._forward(due)[0]))
        if running:
            self._pace.note(time.monotonic() - began, with_prompts=due is not None)

    def _together(self, *parts: _Part) -> list[Tensor] | None:
        """Take all parts in with one pass; None when it failed: then one by one shows whose fault it is."""
        lengths = [part.segment.cache.get_seq_length() for part in parts]
        try:
            return self._forward(*parts)
        except Exception:  # noqa: BLE001 - whatever it is, it is met again or it was too much at once
            for part, length in zip(parts, lengths, strict=True):
                crop(part.segment.cache, length)
            return None

    def _route_all(self, adapter: str | None) -> None:
        self._residency.use(adapter)
        self._router.route([adapter])

    def _tensor(self, rows: Any) -> Tensor:
        return torch.tensor(rows, device=self._model.device)

    def _forward(self, *parts: _Part) -> list[Tensor]:
        """Take all parts in with one pass; return for each the logits (rows, vocabulary) after its last tokens."""
        if len(parts) == 1:
            self._router.route(_owners(*parts))
        else:
            owners = [(request.routed, part.segment.tokens.shape[1]) for part in parts for request in part.requests]
            self._router.route_tokens([adapter for adapter, new in owners for _ in range(new)])
        return forward(self._model, [part.segment for part in parts])

    def _choose(self, requests: list[_Request], logits: Tensor) -> Tensor:
        """Choose each row's next token, keep it and its log-probability, and emit the text that it completes."""
        logprobs = torch.log_softmax(logits.float(), dim=-1)
        chosen = logprobs.argmax(dim=-1)
        now = time.monotonic()
        for row, request in enumerate(requests):
            if request.sampling.temperature > 0:
                chosen[row] = _sample(logprobs[row], request)
            token = int(chosen[row])
            request.longest_pause = max(request.longest_pause, now - (request.newest or now))
            request.first, request.newest = request.first or now, now
            request.tokens.append(token)
            request.logprobs.append(float(logprobs[row, token]))
        return chosen

    def _without_finished(self, batch: _Batch) -> _Batch | None:
        """Emit what each request's newest token adds, and let finished and cancelled requests leave the batch."""
        keep = []
        for row, request in enumerate(batch.requests):
            if request.cancelled:
                self._residency.release(request.adapter)
            elif not self._emit(request):
                keep.append(row)
        if len(keep) == len(batch.requests):
            return batch
        return _select(batch, keep) if keep else None

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
            self._residency.release(request.adapter)
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
            in_scope=request.in_scope,
            read_as=request.read_as,
            finish_reason=reason,
            seconds=time.monotonic() - request.made,
            seconds_to_first_token=request.first - request.made,
            longest_pause=request.longest_pause,
        )

    def _load(self, digest: str, weights: LoraWeights, scope: Scope | None, unused: list[str]) -> None:
        for name in unused:
            self._unload(name)
        self._router.add(digest, weights)
        if scope is not None:
            self._scopes[digest] = scope

    def _unload(self, digest: str) -> None:
        self._router.remove(digest)
        self._scopes.pop(digest, None)
        self._prefixes.forget(digest)

    def _fail_all(self, error: EngineError) -> None:
        with self._gate:
            self._closing = True
        reading = self._reading.requests if self._reading else []
        for request in [*self._waiting, *reading, *(self._batch.requests if self._batch else [])]:
            request.emit(error)
        while not self._inbox.empty():
            item = self._inbox.get()
            if isinstance(item, Future):
                item.set_exception(error)
            elif item is not None:
                item.emit(error)


def _system(messages: Sequence[ChatMessage]) -> str:
    return next((message["content"] for message in messages if message["role"] == "system"), "")


def _questions(messages: Sequence[ChatMessage]) -> list[str]:
    return [message["content"][-SCOPE_TEXT:] for message in messages if message["role"] == "user"]


def _is_one_question(messages: Sequence[ChatMessage]) -> bool:
    """Whether there is nothing but a question, short enough to be looked at as a whole, behind a system prompt."""
    asked = [message["content"] for message in messages if message["role"] != "system"]
    return len(asked) == 1 and len(asked[0]) <= SCOPE_TEXT


def _newest(batch: _Batch) -> _Part:
    """Return the part that feeds each running request's newest token; the batch makes room for it."""
    batch.mask = torch.cat([batch.mask, torch.ones_like(batch.mask[:, :1])], dim=1)
    return _Part(batch.requests, Segment(batch.last[:, None], batch.mask, batch.cache))


def _owners(*parts: _Part) -> list[str | None]:
    return [request.routed for part in parts for request in part.requests]


def _join(running: _Batch, fresh: _Batch) -> _Batch:
    """Put two batches' rows into one, the shorter ones padded on the left."""
    length = max(running.mask.shape[1], fresh.mask.shape[1])
    masks = [torch.nn.functional.pad(mask, (length - mask.shape[1], 0)) for mask in (running.mask, fresh.mask)]
    return _Batch(
        requests=running.requests + fresh.requests,
        cache=join(running.cache, fresh.cache),
        mask=torch.cat(masks),
        last=torch.cat([running.last, fresh.last]),
    )


def _select(batch: _Batch, keep: list[int]) -> _Batch:
    """Keep these rows, and cut the columns on the left that hold only padding then."""
    rows = torch.tensor(keep, device=batch.mask.device)
    mask = batch.mask[rows]
    first = int(mask.any(dim=0).int().argmax())
    return _Batch(
        requests=[batch.requests[row] for row in keep],
        cache=keep_rows(batch.cache, rows, first),
        mask=mask[:, first:],
        last=batch.last[rows],
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
