"""The engine's adapters as subjects of an evaluation; answers to questions that are always asked are remembered."""

import hashlib
import json
import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from learning.encoding import Encoder
from learning.engine import Engine, Sampling
from learning.evaluation.comparing import Answered
from learning.prompts import Exchange, build_messages
from learning.scoring import Switch, divergences, log_likelihoods

EVALUATION_TOKENS = 48
BASE = "base"
CHUNK = 8
"""Exchanges that are scored in one go of the engine's thread; answers to people wait no longer than for those."""

OnProgress = Callable[[str, int, int], None]
"""Hears the phase, what is done, and of how many; an exception that it raises ends the evaluation."""

Score = Callable[[Any, Encoder, Sequence[Exchange], Switch], list[float]]
"""Scores given answers with a model whose adapter the switch puts on and off."""


class AnswerCache:
    """Answers that one model gave, in one file of the cache folder; the texts in it are the product's own questions."""

    def __init__(self, folder: Path, *key: str) -> None:
        digest = hashlib.sha256(json.dumps([*key, EVALUATION_TOKENS]).encode()).hexdigest()
        self._path = folder / f"evaluation-{digest[:32]}.json"

    def read(self) -> dict[str, Answered]:
        """Return the answers by question; nothing where none are kept, or the file is damaged."""
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            return {question: Answered(text, tokens) for question, (text, tokens) in content.items()}
        except (OSError, ValueError, AttributeError, TypeError):
            return {}

    def add(self, answers: dict[str, Answered]) -> None:
        """Keep these answers too; a reader sees the whole file or the one before."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        content = {question: [answer.text, answer.tokens] for question, answer in (self.read() | answers).items()}
        draft = self._path.with_suffix(f".{os.getpid()}.draft")
        draft.write_text(json.dumps(content, ensure_ascii=False, indent=0), encoding="utf-8")
        draft.replace(self._path)


@dataclass(frozen=True)
class EngineSubject:
    """An adapter that the engine has loaded, as people meet it: what is out of its scope the base model answers.

    `adapter` is None for the base model.
    Only the answers to the questions in `fixed` are remembered, so no feedback's text gets into the cache.
    """

    engine: Engine
    adapter: str | None
    system_prompt: str
    cache_folder: Path
    fixed: Collection[str]
    phase: str
    tell: OnProgress

    @property
    def name(self) -> str:
        """The adapter's digest, or "base"."""
        return self.adapter or BASE

    def answer(self, questions: Sequence[str]) -> list[Answered]:
        """Answer each question, greedily, in at most EVALUATION_TOKENS tokens."""
        dtype = self.engine.hardware.dtype_name
        cache = AnswerCache(self.cache_folder, self.engine.base.digest, self.name, self.system_prompt, dtype)
        known = {text: answer for text, answer in cache.read().items() if text in self.fixed}
        missing = [text for text in dict.fromkeys(questions) if text not in known]
        made = dict(zip(missing, self._generate(missing), strict=True)) if missing else {}
        if fresh := {text: answer for text, answer in made.items() if text in self.fixed}:
            cache.add(fresh)
        return [(known | made)[text] for text in questions]

    def likelihoods(self, exchanges: Sequence[Exchange]) -> list[float]:
        """Return each given answer's log-probability, in nats a token."""

        def score(model: Any, encoder: Encoder, part: Sequence[Exchange], switch: Switch) -> list[float]:
            switch(True)
            return log_likelihoods(model, encoder, part)

        return self._score("preferences", exchanges, score)

    def divergences(self, exchanges: Sequence[Exchange]) -> list[float]:
        """Return KL(base || this) over each given answer, in nats a token; 0 where the question is out of scope."""
        return self._score("drift from the base model", exchanges, divergences)

    def _generate(self, questions: Sequence[str]) -> list[Answered]:
        completions = self.engine.generate_many(
            [build_messages(text, self.system_prompt) for text in questions],
            adapter=self.adapter,
            sampling=Sampling(max_new_tokens=EVALUATION_TOKENS),
            on_done=lambda done: self.tell(self.phase, done, len(questions)),
        )
        return [
            Answered(each.text, len(each.token_ids), each.seconds - each.seconds_to_first_token) for each in completions
        ]

    def _score(self, what: str, exchanges: Sequence[Exchange], score: Score) -> list[float]:
        served = self._in_scope(exchanges)
        scores: dict[int, float] = {}
        for inside in (True, False):
            places = [at for at, each in enumerate(served) if each is inside]
            for start in range(0, len(places), CHUNK):
                part = places[start : start + CHUNK]
                work = self._scoring([exchanges[at] for at in part], inside=inside, score=score)
                scores |= dict(zip(part, self.engine.borrow(work), strict=True))
                self.tell(f"{self.phase}: {what}", len(scores), len(exchanges))
        return [scores[at] for at in range(len(exchanges))]

    def _scoring(
        self, part: Sequence[Exchange], *, inside: bool, score: Score
    ) -> Callable[[Any, Any, Callable[[str | None], None]], list[float]]:
        def work(model: Any, tokenizer: Any, route: Callable[[str | None], None]) -> list[float]:
            encoder = Encoder(tokenizer, self.system_prompt)
            return score(model, encoder, part, lambda on: route(self.adapter if on and inside else None))

        return work

    def _in_scope(self, exchanges: Sequence[Exchange]) -> list[bool]:
        asked = [build_messages(exchange["question"], self.system_prompt) for exchange in exchanges]
        parts = [asked[start : start + CHUNK] for start in range(0, len(asked), CHUNK)]
        return [inside for part in parts for inside in self.engine.in_scope(self.adapter, part)]
