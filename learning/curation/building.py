"""From feedback to a snapshot in bounded memory: read once, grouped by question on disk, written line by line."""

import json
import tempfile
from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from governance.poisoning.groups import MOST_SAYERS
from governance.policy import CurationRules
from governance.privacy.rules import PrivacyRules
from learning.curation.balance import cap, common_group, count_groups_as_one, groups_by_person
from learning.curation.duplicates import words_of
from learning.curation.reading import FeedbackLike, link_questions, read_feedback
from learning.curation.settlement import Said, Settlement
from learning.curation.settling import settle
from learning.curation.sides import MAX_SHARING, draw_side, gists_of
from learning.curation.snapshot import (
    FILE_OF,
    Contradiction,
    PreferencePair,
    Record,
    Row,
    Snapshot,
    Split,
    Thumb,
    read_snapshot,
)
from learning.curation.text import fold
from learning.curation.topics import MAX_TOPIC_ROWS, may_be_topic
from learning.curation.writing import Counts, write_files
from storage.workbench import RecordRow, Workbench, open_workbench

CORRECTIONS, VOTES = 1, 2
"""The two balances: what rests on corrections, and what rests on votes alone."""
FOLLOWS, STAYS = 0, -1
"""What is in no balance: dropped together with its question's row, or never."""

EVERYTHING = PrivacyRules(private_teaches="always")
"""For whoever builds from what may be read anyway, such as a person's own corrections for that person."""

Progress = Callable[[str, int, int], None]
"""Told the phase, how much is done, and of how much (0: not known)."""


def build_snapshot(feedback: Iterable[FeedbackLike], rules: CurationRules | None = None) -> Snapshot:
    """Build the snapshot of accepted feedback in memory. The input's order does not matter."""
    with tempfile.TemporaryDirectory() as folder:
        curate(feedback, Path(folder), rules or CurationRules())
        return read_snapshot(Path(folder))


def curate(
    feedback: Iterable[FeedbackLike],
    folder: Path,
    rules: CurationRules,
    tell: Progress = lambda *_: None,
    total: int = 0,
    privacy: PrivacyRules = EVERYTHING,
) -> dict[str, Any]:
    """Write the snapshot of accepted feedback into an existing folder; return its manifest.

    `feedback` is gone through once, in any order; `total` says how much there is, for `tell`, and `privacy` whether
    what was said in private is learned. Memory holds what was said about one question, a counter for each person, and
    the links of misspelled questions; the rest is on disk.
    """
    with open_workbench() as bench:
        heard = read_feedback(bench, feedback, rules, privacy, lambda done: tell("reading feedback", done, total))
        counts = Counts(*heard)
        tell("comparing questions", 0, 0)
        link_questions(bench)
        kept = counts.feedback.total() - counts.refused
        _settle(bench, rules, counts, lambda done: tell("settling questions", done, kept))
        tell("balancing", 0, 0)
        counts.moved = bench.part_sides(MAX_SHARING)
        records = _balance(bench, rules)
        return write_files(bench, folder, rules, counts, lambda done: tell("writing the snapshot", done, records))


def _settle(bench: Workbench, rules: CurationRules, counts: Counts, tell: Callable[[int], None]) -> None:
    done, groups = 0, groups_by_person(rules)
    for question, group in groupby(bench.said_by_question(), key=itemgetter(0)):
        said = [_said(*row[1:]) for row in group]
        side = draw_side(said[0].words, rules.held_out_share)  # the first wording's: later ones do not change it
        result = settle(said, side)
        _place(bench, question, result, side, {item.question for item in said})
        counts.questions += 1
        counts.votes += result.votes
        counts.minority += result.minority
        bench.leave_out((each.feedback_id, each.rule, each.reason) for each in result.left_out)
        _keep(bench, question, result, {item.id: item for item in said}, groups)
        done += len(said)
        tell(done)


def _place(bench: Workbench, question: bytes, result: Settlement, side: Split, wordings: Iterable[str]) -> None:
    if result.rows or result.pairs or result.thumbs:
        bench.add_near(question, {gist for wording in wordings for gist in gists_of(wording)})
        if side == "held_out" and not result.rows:
            bench.hold_out(question)


def _said(words: bytes, at: str, feedback_id: str, body: str) -> Said:
    person, kind, question, answer, text, private, settled, vouched = json.loads(body)
    return Said(feedback_id, person, kind, question, answer, text, private, at, words.hex(), settled, vouched)


def _keep(
    bench: Workbench, question: bytes, result: Settlement, said: dict[str, Said], groups: Mapping[str, str]
) -> None:
    records: list[Row | PreferencePair | Thumb] = [*result.rows, *result.pairs, *result.thumbs]
    for record in records:
        sources = [said[each] for each in record.feedback_ids]
        people = {item.person for item in sources}
        own = set() if any(item.vouched for item in sources) else people
        alone = min(own) if len(own) == 1 else None
        capped = VOTES if not result.rows else CORRECTIONS if isinstance(record, Row) else FOLLOWS
        terms = set(filter(may_be_topic, words_of(record.question))) if isinstance(record, Row) else set()
        place, kind, group = fold(record.question), FILE_OF[type(record)], common_group(own, groups)
        row = RecordRow(place, question, kind, _body(record), sources[0].at, alone, capped, group)
        bench.add_record(row, terms, own if capped and 1 < len(own) <= MOST_SAYERS else ())
    for contradiction in result.contradictions:
        place = fold(said[contradiction.feedback_ids[0]].question)
        kind = FILE_OF[Contradiction]
        bench.add_record(RecordRow(place, question, kind, _body(contradiction), "", None, STAYS, None))


def _body(record: Record) -> str:
    return json.dumps(vars(record))


def _balance(bench: Workbench, rules: CurationRules) -> int:
    records = bench.sort_records()
    rows = sum(bench.held("person", CORRECTIONS).values())
    bench.set_topics(max(2, int(rows * MAX_TOPIC_ROWS)))
    people = {capped: len(bench.held("person", capped).keys() - {None}) for capped in (CORRECTIONS, VOTES)}
    count_groups_as_one(bench)
    for capped in (CORRECTIONS, VOTES):
        for holder in ("person", "group", "topic") if capped == CORRECTIONS else ("person", "group"):
            most = cap(bench.held(holder, capped), holder, rules, 0 if holder == "topic" else people[capped])
            if most is not None:
                bench.drop_over(holder, capped, most)
    bench.drop_followers()
    return records
