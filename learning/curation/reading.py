"""Feedback becomes cleaned rows on the workbench, and questions that are the same are linked there."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Protocol

from governance.policy import CurationRules
from governance.privacy.rules import PrivacyRules
from learning.curation.duplicates import blocks, digest_of, same_but_for_a_slip, words_of
from learning.curation.quality import language_reason, refusal_reason
from learning.curation.text import normalise
from storage.workbench import SaidRow, Workbench

BATCH = 2_000
"""Feedback that is held in memory at a time."""
COMPARED = 50
"""Questions of one block, sorted by the word that differs, are compared with so many that follow."""


class FeedbackLike(Protocol):
    """What curation reads of a stored feedback row; `text` is the corrected answer of a correction."""

    @property
    def id(self) -> str:
        """Identifier."""

    @property
    def person_id(self) -> str:
        """Who said it."""

    @property
    def kind(self) -> str:
        """`up`, `down`, `correction` or `preference`."""

    @property
    def question(self) -> str:
        """What was asked."""

    @property
    def answer(self) -> str:
        """What the bot had answered; of a preference, the answer that was not preferred."""

    @property
    def text(self) -> str:
        """The corrected answer, or the preferred one."""

    @property
    def private(self) -> bool:
        """Whether it was said in a direct message."""

    @property
    def created_at(self) -> datetime:
        """When it was said."""

    @property
    def review_reason(self) -> str | None:
        """Why it was sent to review, `contradiction` for one; None when it never was."""

    @property
    def reviewed_at(self) -> datetime | None:
        """When a reviewer decided on it."""


def read_feedback(
    bench: Workbench,
    feedback: Iterable[FeedbackLike],
    rules: CurationRules,
    privacy: PrivacyRules,
    tell: Callable[[int], None],
) -> tuple[Counter[str], int]:
    """Clean feedback and lay it out, with what may be the same question.

    Returns:
        How much there is of each kind, and how much of all was refused, or is private.

    """
    kinds: Counter[str] = Counter()
    refused = 0
    for batch in _batches(feedback):
        said: list[SaidRow] = []
        nearby: list[tuple[bytes, str, bytes]] = []
        for item in batch:
            kinds[item.kind] += 1
            if not privacy.learns(private=item.private, reviewed=item.reviewed_at is not None):
                bench.leave_out([(item.id, "private", "it was said where not everybody could read it")])
                refused += 1
                continue
            question, answer, text = normalise(item.question), normalise(item.answer), normalise(item.text)
            if reason := _refusal(item.kind, question, answer, text, rules):
                bench.leave_out([(item.id, "refused", reason)])
                refused += 1
                continue
            words, neighbours = _question(question)
            nearby += [(block, word, words) for block, word in neighbours]
            body = [item.person_id, item.kind, question, answer, text, item.private, *_review(item)]
            said.append(SaidRow(words, _time(item.created_at), item.id, json.dumps(body)))
        bench.add_said(said)
        bench.add_blocks(nearby)
        tell(kinds.total())
    return kinds, refused


def _batches(feedback: Iterable[FeedbackLike], size: int = BATCH) -> Iterator[list[FeedbackLike]]:
    batch: list[FeedbackLike] = []
    for item in feedback:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    yield batch


def _refusal(kind: str, question: str, answer: str, text: str, rules: CurationRules) -> str:
    learned = answer if kind in {"up", "down"} else text
    return refusal_reason(question, learned) or ("" if kind == "down" else language_reason(learned, rules.languages))


@lru_cache(maxsize=20_000)
def _question(question: str) -> tuple[bytes, tuple[tuple[bytes, str], ...]]:
    words = words_of(question)
    return digest_of(words), tuple(blocks(words))


def _review(item: FeedbackLike) -> tuple[str, bool]:
    settled = _time(item.reviewed_at) if item.reviewed_at and item.review_reason == "contradiction" else ""
    return settled, item.reviewed_at is not None


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def link_questions(bench: Workbench) -> None:
    """Let one question stand for all that are the same but for a slip of the pen: the one with the smallest digest."""
    leaders: dict[bytes, bytes] = {}

    def leader_of(words: bytes) -> bytes:
        while (above := leaders.get(words, words)) != words:
            words = above
        return words

    for _, group in groupby(bench.shared_blocks(), key=itemgetter(0)):
        members = [(word, words) for _, word, words in group]
        for place, (word, words) in enumerate(members):
            for other, others in members[place + 1 : place + 1 + COMPARED]:
                if same_but_for_a_slip(word, other):
                    low, high = sorted((leader_of(words), leader_of(others)))
                    leaders[high] = low
    bench.set_leaders((words, leader_of(words)) for words in leaders if leader_of(words) != words)
