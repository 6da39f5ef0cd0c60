"""The last step of a build: the records that are left go to the snapshot's files, and what was done to its manifest."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

from governance.policy import CurationRules
from learning.curation.duplicates import MIN_LETTERS
from learning.curation.quality import MAX_CHARACTERS
from learning.curation.sides import MAX_SHARING
from learning.curation.snapshot import (
    FILE_OF,
    FILES,
    LEFT_OUT_FILE,
    PAIRS_FILE,
    THUMBS_FILE,
    LeftOut,
    PreferencePair,
    Record,
    Row,
    SnapshotFile,
    Thumb,
    parse_record,
    write_manifest,
)
from storage.workbench import KeptRow, Workbench

RULES_VERSION = 6
RULES = (
    "normalise: Unicode NFC, invisible characters taken out, white space collapsed, blank lines at the ends cut",
    f"one question: equal words but for courtesies, articles, and one slip in a word of {MIN_LETTERS} letters or more",
    "superseded: a person's later correction of a question, vote on an answer, or choice of two, replaces the earlier",
    "superseded: a correction of a corrected answer replaces that correction, whoever wrote it",
    "superseded: of corrections that disagree, the one that a reviewer accepted last stands",
    f"refused: empty question or answer, more than {MAX_CHARACTERS} characters, answer that repeats the question",
    "refused: an answer that is nearly certainly in another language than the policy allows",
    "private: what was said in a direct message or a private channel, unless the policy lets it teach",
    "contradiction: corrections of one question that disagree go to review, and are not trained on before",
    "corrected: a vote, or a choice between two answers, that a correction in force speaks against",
    "divided, outvoted: of the votes on one answer, or of the choices between the same two, the majority counts",
    "outvoted: a choice of an answer that more people voted against",
    "person_share, group_share, topic_share: what is beyond the policy's share; what a reviewer accepted is never cut",
    "person_share: people who again and again stand behind the same records, and nobody else, count as one person",
    "group_share: behind it are only people of one group that the policy names",
    "split: a question that has a correction is trained on; of the others a share is held out with all that was said",
    f"split: nothing is held out that shares two words with a trained question, if at most {MAX_SHARING} questions do",
)


@dataclass
class Counts:
    """What is counted while a snapshot is built.

    `minority` are the votes that were outvoted, or divided; `moved` the questions that were drawn to be held out but
    are trained on.
    """

    feedback: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    splits: Counter[tuple[str, str]] = field(default_factory=Counter)
    topics: Counter[str] = field(default_factory=Counter)
    questions: int = 0
    votes: int = 0
    minority: int = 0
    moved: int = 0


def write_files(
    bench: Workbench, folder: Path, rules: CurationRules, counts: Counts, tell: Callable[[int], None]
) -> dict[str, Any]:
    """Write the snapshot that lies on the workbench into a folder; return its manifest."""
    with ExitStack() as stack:
        files = {name: stack.enter_context(SnapshotFile(folder / name)) for name in FILES}
        done = 0
        for _, group in groupby(bench.records(), key=attrgetter("question")):
            records = list(group)
            for row in records:
                if row.dropped is None:
                    record = _record(row)
                    files[row.kind].write(record)
                    _count(record, counts)
            bench.leave_out(_cut(records))
            done += len(records)
            tell(done)
        for each in bench.all_left_out():
            left = LeftOut(*each)  # type: ignore[arg-type] # the rules are ours, the database only keeps them
            files[LEFT_OUT_FILE].write(left)
            counts.left_out[left.rule] += 1
    manifest = _manifest(files, rules, counts)
    write_manifest(folder, {name: file.digest for name, file in files.items()}, manifest)
    return manifest


def _record(row: KeptRow) -> Record:
    record: Record = parse_record(row.kind, row.body)
    if isinstance(record, Row):
        return replace(record, topic=row.topic)
    if isinstance(record, PreferencePair | Thumb):
        return replace(record, split="held_out" if row.held_out else "train")
    return record


def _count(record: Record, counts: Counts) -> None:
    if isinstance(record, Row):
        counts.topics[record.topic] += 1
    elif isinstance(record, PreferencePair | Thumb):
        counts.splits[FILE_OF[type(record)], record.split] += 1


def _cut(records: list[KeptRow]) -> Iterator[tuple[str, str, str]]:
    """Give what only dropped records name."""
    kept = {each for row in records if row.dropped is None for each in json.loads(row.body)["feedback_ids"]}
    cut = {each: row.dropped for row in records if row.dropped for each in json.loads(row.body)["feedback_ids"]}
    for feedback_id, rule in cut.items():
        if feedback_id not in kept:
            yield feedback_id, rule, f"more than the policy's share of one {rule.removesuffix('_share')}"


def _manifest(files: dict[str, SnapshotFile], rules: CurationRules, counts: Counts) -> dict[str, Any]:
    return {
        "rules_version": RULES_VERSION,
        "rules": list(RULES),
        "policy": rules.model_dump(mode="json"),
        "counts": {
            "feedback": counts.feedback.total(),
            "corrections": counts.feedback["correction"],
            "votes": counts.feedback["up"] + counts.feedback["down"],
            "preferences": counts.feedback["preference"],
            "questions": counts.questions,
            **{name.removesuffix(".jsonl"): file.count for name, file in files.items()},
        },
        "left_out": dict(sorted(counts.left_out.items())),
        "splits": {
            name.removesuffix(".jsonl"): {side: counts.splits[name, side] for side in ("train", "held_out")}
            for name in (PAIRS_FILE, THUMBS_FILE)
        },
        "topics": dict(sorted(counts.topics.most_common(20), key=lambda item: (-item[1], item[0]))),
        "measured": {"votes": counts.votes, "outvoted_or_divided": counts.minority, "near_trained": counts.moved},
    }
