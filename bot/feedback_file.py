"""Feedback as JSON Lines: the file is checked whole before anything of it is kept."""

import hashlib
import json
import re
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bot.assembly import Parts
from governance.checkpoints import write_durably
from storage.domains import DEFAULT_DOMAIN, LABEL
from storage.errors import ConfigurationError, InvalidFeedbackError
from storage.feedback import (
    IMPORTED,
    Feedback,
    FeedbackKind,
    VoteReason,
    check_correction,
    check_vote_reason,
    list_feedback,
)
from storage.people import ensure_person, ensure_workspace
from storage.records import utc_now

IMPORT_WORKSPACE = "imported"
"""The workspace of people who are named in a file but have not been seen in Slack."""


IDENTIFIER = re.compile(r"[\w.-]{1,64}")
"""No "/": the two together, joined with it, name a person."""


LATER = ("reason", "domain", "preferred")
"""The fields that lines did not always have."""


class Imported(NamedTuple):
    """How many lines were added, and how many were there; of those added, in how many personal data was `masked`.

    `set_aside` counts those that wait for a reviewer because of what they may hold, `suspicious` what was sent to
    review because it looks, with what was there before, like an attempt to steer the assistant.
    """

    added: int
    skipped: int
    masked: int
    set_aside: int
    suspicious: int


class FeedbackLine(BaseModel):
    """One line: a correction, a vote on an answer, or the answer that was preferred over another one (`answer`)."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    question: str
    person: str
    correction: str = ""
    preferred: str = ""
    vote: Literal["up", "down"] | None = None
    reason: VoteReason | None = None
    answer: str = ""
    id: str = ""
    name: str = ""
    workspace: str = IMPORT_WORKSPACE
    private: bool = False
    domain: str = Field(default=DEFAULT_DOMAIN, pattern=LABEL)

    @model_validator(mode="after")
    def _check_content(self) -> "FeedbackLine":
        if not self.question or not self.person:
            raise ValueError("'question' and 'person' must not be empty")
        if "\0" in self.question + self.answer + self.preferred:
            raise ValueError("'question', 'answer' and 'preferred' must not hold the character NUL")
        if not IDENTIFIER.fullmatch(self.person) or not IDENTIFIER.fullmatch(self.workspace):
            raise ValueError("'person' and 'workspace' are Slack's ids: letters, digits, '-', '_' and '.'")
        if sum(map(bool, (self.correction, self.preferred, self.vote))) != 1:
            raise ValueError("give one of 'correction', 'preferred' and 'vote'")
        if not self.correction and not self.answer:
            raise ValueError("a vote needs the 'answer' that it is on, 'preferred' the 'answer' that was not")
        check_vote_reason(self.kind, self.reason)
        if self.correction:
            check_correction(self.correction)
        return self

    @property
    def kind(self) -> FeedbackKind:
        """What it is."""
        return self.vote or ("preference" if self.preferred else "correction")

    @property
    def key(self) -> str:
        """The feedback's id: the given one, or one made from the content, so that a second import adds nothing."""
        fields = type(self).model_fields
        later = {name for name in LATER if getattr(self, name) == fields[name].default}
        content = self.model_dump_json(exclude=later)  # so that a line from before has the key that it had
        return self.id or "fb_" + hashlib.sha256(content.encode()).hexdigest()[:16]


def read_feedback(path: Path) -> list[FeedbackLine]:
    """Parse the file.

    Raises:
        InvalidFeedbackError: it cannot be read, or lines of it are wrong; all wrong lines are named.

    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidFeedbackError(
            f"cannot read {path}: {error}. Give a UTF-8 file with one JSON object a line."
        ) from error
    parsed, problems = [], []
    for number, line in enumerate(text.split("\n"), start=1):  # splitlines would also split at U+2028 in a text
        if not line.strip():
            continue
        try:
            parsed.append(FeedbackLine.model_validate_json(line))
        except (ValidationError, InvalidFeedbackError) as error:
            problems.append(f"line {number}: {_first_problem(error)}")
    if problems:
        raise InvalidFeedbackError(f"{path} was not imported; mend these lines:\n" + "\n".join(problems))
    return parsed


def import_feedback(parts: Parts, path: Path) -> Imported:
    """Store the file's feedback through governance."""
    lines = read_feedback(path)
    added: list[Feedback] = []
    for line in lines:
        with parts.database.transaction() as session:
            known = session.get(Feedback, line.key) is not None
            if not known:
                ensure_workspace(session, line.workspace, line.workspace, utc_now())
                person = ensure_person(session, line.workspace, line.person, line.name or line.person, utc_now())
        if known:
            continue
        feedback = parts.governance.record_feedback(
            workspace_id=line.workspace,
            person_id=person.id,
            kind=line.kind,
            question=line.question,
            answer=line.answer,
            text=line.correction or line.preferred,
            reason=line.reason,
            source=IMPORTED,
            private=line.private,
            domain=line.domain,
            feedback_id=line.key,
        )
        added.append(feedback)
    masked, set_aside = sum(bool(each.masked) for each in added), sum(bool(each.set_aside) for each in added)
    suspicious = parts.governance.look_for_poisoning() if added else 0
    return Imported(len(added), len(lines) - len(added), masked, set_aside, suspicious)


def export_feedback(parts: Parts, path: Path) -> int:
    """Write all feedback that was neither erased nor taken back; the file appears whole or not at all.

    Returns:
        How many lines it has.

    Raises:
        ConfigurationError: the file cannot be written.

    """
    with parts.database.read() as session:
        rows = [row for row in list_feedback(session) if row.state not in {"withdrawn", "erased"}]
    content = "".join(json.dumps(_as_line(row), ensure_ascii=False) + "\n" for row in rows)
    try:
        write_durably(path, content.encode())
    except OSError as error:
        raise ConfigurationError(
            f"cannot write {path}: {error.strerror}. Give a file in a folder that exists and that you can write to."
        ) from error
    return len(rows)


def _as_line(row: Feedback) -> dict[str, object]:
    written = {"correction": "correction", "preference": "preferred"}
    said = {written[row.kind]: row.text} if row.kind in written else {"vote": row.kind}
    why = {"reason": row.reason} if row.reason else {}
    workspace, _, person = row.person_id.partition("/")
    return {
        "id": row.id,
        "question": row.question,
        "answer": row.answer,
        **said,
        **why,
        "person": person,
        "workspace": workspace,
        "private": row.private,
        **({"domain": row.domain} if row.domain != DEFAULT_DOMAIN else {}),
    }


def _first_problem(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        what = first["msg"].removeprefix("Value error, ")
        return f"{where}: {what}" if where else what
    return str(error)
