"""All that is kept about a person as one JSON file, for that person."""

import json
from pathlib import Path
from typing import Any

from sqlmodel import Session

from bot.assembly import Parts
from governance.checkpoints import write_durably
from storage.adapters import list_adapters
from storage.break_glass import break_glass_by
from storage.delegations import delegations_of
from storage.erasing import asked_by, mail_of, said_by
from storage.errors import ConfigurationError
from storage.feedback import reviewed_by
from storage.people import find_person
from storage.policies import policies_proposed_by, policy_decisions_by
from storage.proposals import decisions_by, list_proposals
from storage.runs import list_runs
from storage.user_groups import list_user_groups


def export_person(parts: Parts, reference: str, path: Path) -> dict[str, int]:
    """Write the file, whole or not at all; return how many entries each part of it has.

    Raises:
        NotFoundError: nobody with that id has used the bot.
        ConfigurationError: the file cannot be written.

    """
    with parts.database.read() as session:
        content = _all_about(session, reference)
    text = json.dumps(content, indent=1, ensure_ascii=False, default=str)
    try:
        write_durably(path, text.encode())
    except OSError as error:
        problem = f"cannot write {path}: {error.strerror}. Give a file in a folder that exists."
        raise ConfigurationError(problem) from error
    return {name: len(entries) for name, entries in content.items() if isinstance(entries, list)}


def _all_about(session: Session, reference: str) -> dict[str, Any]:
    person = find_person(session, reference)
    said = said_by(session, person.id)
    proposals = [proposal for proposal in list_proposals(session) if person.id in proposal.shares]
    learned = {proposal.adapter_digest for proposal in proposals}
    return {
        "person": person.model_dump(),
        "questions": _rows(asked_by(session, person.id)),
        "feedback": _rows(said),
        "decisions": _rows([*decisions_by(session, person.id), *policy_decisions_by(session, person.id)]),
        "policies": [each.model_dump(include={"id", "digest", "state", "reason", "withdrawn_reason", "created_at"})
                     for each in policies_proposed_by(session, person.id)],
        "delegations": _rows(delegations_of(session, person.id)),
        "break_glass": _rows(break_glass_by(session, person.id)),
        "user_groups": [f"{each.workspace_id}/{each.id}" for each in list_user_groups(session)
                        if person.id in each.members],
        "reviews": [{"feedback": row.id, "at": row.reviewed_at, "reason": row.reviewer_reason}
                    for row in reviewed_by(session, person.id)],
        "runs": [run.id for run in list_runs(session) if run.started_by == person.id],
        "mail": mail_of(session, person),
        "adapters": [{"digest": each.digest, "state": each.state, "share": _share(proposals, each.digest, person.id)}
                     for each in list_adapters(session) if each.digest in learned],
    }  # fmt: skip


def _rows(rows: Any) -> list[dict[str, Any]]:
    return [row.model_dump() for row in rows]


def _share(proposals: Any, digest: str, person_id: str) -> float:
    """Return the share of an adapter's training corrections that the person wrote."""
    return next(float(each.shares[person_id]) for each in proposals if each.adapter_digest == digest)
