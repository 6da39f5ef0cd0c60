"""One zip for whoever has to answer for the system: what it holds, and which clauses that is evidence for.

A human reads it without our software: an index in Markdown, and Markdown, JSON and CSV beside it. It holds ids and
digests, and no text of people. What Apprentice has nothing about, the index says. The mapping names what a clause asks
for in few words; whether the evidence is enough is for the reader.
"""

import csv
import io
import json
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlmodel import Session

from governance.audit import AuditLog
from governance.policy import Policy
from governance.policy_words import explain_policy
from learning.documents.bom import bill_of_materials
from learning.documents.bundle import EPOCH
from learning.documents.card import model_card
from learning.documents.facts import gather
from storage.adapter_days import AdapterDay, all_days
from storage.adapters import list_adapters
from storage.audit import read_audit_records
from storage.feedback import list_feedback
from storage.rollbacks import list_rollbacks

NOTHING = "Not held here."
MODEL_CARDS, BOMS, POLICY, LOG = "model-cards/", "bills-of-materials/", "policy.md", "audit-log.jsonl"
DECISIONS, INCIDENTS, DAYS, DATA = "decisions.csv", "incidents.csv", "monitoring.csv", "data-governance.md"
CHECKPOINTS = "checkpoints.json"


@dataclass(frozen=True)
class Clause:
    """A clause of a law or standard, what it asks for, and the files that are evidence for it (none: nothing here)."""

    source: str
    clause: str
    asks: str
    files: tuple[str, ...]


CLAUSES = (
    Clause("EU AI Act", "Art. 10", "data and data governance", (DATA, MODEL_CARDS)),
    Clause("EU AI Act", "Art. 12", "automatic record-keeping", (LOG, CHECKPOINTS)),
    Clause("EU AI Act", "Art. 13", "information for deployers", (MODEL_CARDS, POLICY)),
    Clause("EU AI Act", "Art. 14", "human oversight", (DECISIONS, POLICY, INCIDENTS)),
    Clause("EU AI Act", "Art. 17", "quality management system", (POLICY, DECISIONS)),
    Clause("EU AI Act", "Art. 72", "post-market monitoring", (DAYS, INCIDENTS)),
    Clause("NIST AI RMF 1.0", "GOVERN 1", "policies and processes are in place", (POLICY,)),
    Clause("NIST AI RMF 1.0", "GOVERN 3", "roles, diversity and training of teams", ()),
    Clause("NIST AI RMF 1.0", "MAP 4", "risks of third-party parts are mapped", (BOMS,)),
    Clause("NIST AI RMF 1.0", "MEASURE 2", "systems are evaluated", (MODEL_CARDS,)),
    Clause("NIST AI RMF 1.0", "MEASURE 3", "risks are tracked over time", (DAYS,)),
    Clause("NIST AI RMF 1.0", "MANAGE 4", "incidents are handled and told", (INCIDENTS, LOG)),
    Clause("ISO/IEC 42001", "A.2", "policies related to AI", (POLICY,)),
    Clause("ISO/IEC 42001", "A.5", "assessing impacts of AI systems", ()),
    Clause("ISO/IEC 42001", "A.6", "AI system life cycle", (DECISIONS, MODEL_CARDS, LOG)),
    Clause("ISO/IEC 42001", "A.7", "data for AI systems", (DATA,)),
    Clause("ISO/IEC 42001", "A.8", "information for interested parties", (MODEL_CARDS,)),
    Clause("ISO/IEC 42001", "A.10", "third-party relationships", (BOMS,)),
)


INDEX = """# Compliance export of Apprentice

Which clause asks for what, and which files here are evidence for it. People are ids; no text of people is here.

| source | clause | asks for | evidence |
|---|---|---|---|
{clauses}

`{log}` has one record a line, as canonical JSON; `{checkpoints}` has the signed Merkle roots. To check the one against
the other, ask for `apprentice audit export`, which has the script for it.
"""


def export_compliance(file: Path, session: Session, policy: Policy, audit: AuditLog, base: str) -> list[str]:
    """Write the zip, which replaces `file` when it is whole; return the names of the files in it.

    The same database, policy and checkpoints give the same bytes.
    """
    contents = dict(_contents(session, policy, audit, base))
    contents["index.md"] = _index(contents)
    draft = file.with_name(f".{file.name}.draft")
    try:
        with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in sorted(contents):
                archive.writestr(zipfile.ZipInfo(name, EPOCH), contents[name], zipfile.ZIP_DEFLATED)
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
    return sorted(contents)


def _contents(session: Session, policy: Policy, audit: AuditLog, base: str) -> Iterator[tuple[str, str]]:
    decisions: list[Sequence[object]] = []
    for adapter in list_adapters(session):
        facts = gather(session, adapter.digest, base)
        yield f"{MODEL_CARDS}{adapter.digest}.md", model_card(facts)
        yield f"{BOMS}{adapter.digest}.cdx.json", bill_of_materials(facts)
        decisions += [
            (
                adapter.digest,
                each.proposal_id,
                each.person_id,
                each.on_behalf_of or "",
                each.verdict,
                each.created_at.isoformat(),
            )
            for each in facts.decisions
        ]
    yield POLICY, _policy(policy)
    yield DECISIONS, _csv(("adapter", "proposal", "person", "on behalf of", "verdict", "time"), decisions)
    rolled_back = [
        (each.created_at.isoformat(), each.adapter_digest, each.restored_digest or "base model", each.actor)
        for each in list_rollbacks(session)
    ]
    yield INCIDENTS, _csv(("time", "adapter", "restored", "actor"), rolled_back)
    columns = list(AdapterDay.model_fields)
    yield DAYS, _csv(columns, [[getattr(day, name) for name in columns] for day in all_days(session)])
    yield DATA, _data(session)
    yield LOG, "".join(f"{record.body}\n" for record in read_audit_records(session))
    kept = audit.checkpoints.kept()
    yield CHECKPOINTS, json.dumps([vars(kept[size]) for size in sorted(kept)], indent=1) + "\n"


def _policy(policy: Policy) -> str:
    sentences = "\n".join(f"- {sentence}" for sentence in explain_policy(policy))
    return f"# The policy in force: {policy.name}\n\nDigest {policy.digest}.\n\n{sentences}\n"


def _data(session: Session) -> str:
    """Count what people said by kind, state and source; no text."""
    counted = Counter((row.kind, row.state, row.source) for row in list_feedback(session))
    rows = "\n".join(f"| {kind} | {state} | {source} | {n} |" for (kind, state, source), n in sorted(counted.items()))
    return (
        "# Data governance\n\nWhat people said, by what became of it. Only what is accepted is trained on; `withdrawn` "
        "and `erased` are not.\n\n| kind | state | came by | number |\n|---|---|---|---|\n" + (rows or NOTHING) + "\n"
    )


def _csv(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def _index(contents: dict[str, str]) -> str:
    clauses = (f"| {each.source} | {each.clause} | {each.asks} | {_evidence(each, contents)} |" for each in CLAUSES)
    return INDEX.format(clauses="\n".join(clauses), log=LOG, checkpoints=CHECKPOINTS)


def _evidence(clause: Clause, contents: dict[str, str]) -> str:
    held = [name for name in clause.files if any(file.startswith(name) for file in contents)]
    return ", ".join(f"`{name}`" for name in held) or NOTHING
