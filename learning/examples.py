"""Accepted corrections at work before any training: given, quoted, or shown to the model as worked examples.

Once the adapter that is to answer has learned a correction, it is asked instead: it knows what it was told in more
wordings than a search finds (docs/benchmarks.md). Evaluation and training never see worked examples; they measure and
change the adapter alone.
"""

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from learning.accepted import AcceptedCorrections, Known, Scope
from learning.prompts import ChatMessage, Exchange, build_messages
from learning.retrieval import Embed, Match, Retriever
from learning.same_question import is_same_question
from learning.taught import TaughtFeedback
from storage.database import Database
from storage.domains import Labels
from storage.settings import ExamplesSettings

LEAD = 0.1
"""How much higher than the next best a score must be to stand for one fact among others like it: on the development
questions 127 of 132 such matches were right, without it 147 of 170."""
QUOTE = "The nearest that I was taught is \u201c{question}\u201d: {answer}"

How = Literal["accepted", "quoted", "examples", "model"]


@dataclass(frozen=True)
class Choice:
    """How a question is to be answered.

    `accepted`: with the one match's own answer; `quoted`: with that, and the question that it is the answer to;
    `examples`: by the model, which is shown the matches (best first); `model`: by the model alone.
    """

    how: How
    matches: tuple[Match, ...] = ()

    @property
    def known(self) -> tuple[Known, ...]:
        """What was matched, best first."""
        return tuple(match.known for match in self.matches)

    @property
    def answer(self) -> str | None:
        """The answer that needs no model; None when the model is to answer."""
        if self.how not in {"accepted", "quoted"}:
            return None
        known = self.matches[0].known
        return known.answer if self.how == "accepted" else QUOTE.format(question=known.question, answer=known.answer)

    def record(self) -> dict[str, object]:
        """Return what is kept with the interaction."""
        return {
            "how": self.how,
            "feedback": [feedback_id for known in self.known for feedback_id in known.feedback_ids],
            "scores": [round(match.score, 4) for match in self.matches],
        }


EVERYTHING = Labels()
MODEL_ALONE = Choice("model")


class WorkedExamples:
    """Chooses by what the database says is accepted at the moment of the question. May be used by several threads."""

    def __init__(self, database: Database, embed: Embed, settings: ExamplesSettings, taught: TaughtFeedback) -> None:
        self._settings = settings
        self._taught = taught
        self._accepted = AcceptedCorrections(database)
        self._retriever = Retriever(embed)
        self._turn = threading.Lock()

    def choose(
        self,
        question: str,
        workspace_id: str,
        alone_with: str | None = None,
        *,
        labels: Labels = EVERYTHING,
        adapter: str | None = None,
    ) -> Choice:
        """Say how to answer a question of somebody in this workspace; blocks.

        `alone_with` is the person when nobody else can read the conversation; only there are private corrections used.
        `labels` are those of the domain that the question belongs to, `adapter` is the one that would answer without
        any correction (None: the base model).
        """
        if not self._settings.enabled or not question.strip():
            return MODEL_ALONE
        owners = [None, *([alone_with] if alone_with else [])]
        scopes = [Scope(workspace_id, owner, labels.domain) for owner in owners]
        with self._turn:
            self._retriever.update(self._accepted.sync(labels.named))
            matches = self._retriever.search(question, scopes, max(2, self._settings.max))
            taught = self._taught.feedback_ids(adapter)
        return decide(question, matches, self._settings, taught)


def decide(
    question: str, matches: Sequence[Match], settings: ExamplesSettings, taught: Collection[str] = frozenset()
) -> Choice:
    """Choose among the best matches, best first; of what the model was taught (feedback ids), it is asked itself."""
    if not matches or matches[0].meaning < settings.possible:
        return MODEL_ALONE
    best, lead = matches[0], matches[0].score - (matches[1].score if len(matches) > 1 else 0.0)
    certain = best.meaning >= settings.certain and lead >= LEAD
    if certain and is_same_question(question, best.known):
        return Choice("accepted", (best,))
    if all(feedback_id in taught for feedback_id in best.known.feedback_ids):
        return MODEL_ALONE
    if certain:
        return Choice("quoted", (best,))
    return Choice("examples", tuple(match for match in matches[: settings.max] if match.meaning >= settings.possible))


def messages_with_examples(
    question: str, system_prompt: str, known: Sequence[Known], history: Sequence[Exchange] = ()
) -> list[ChatMessage]:
    """Return the prompt with what is known in it (best first); without anything known it is the plain prompt."""
    examples: list[Exchange] = [{"question": each.question, "answer": each.answer} for each in reversed(known)]
    return build_messages(question, system_prompt, [*history, *examples])
