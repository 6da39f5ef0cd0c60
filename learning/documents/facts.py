"""Everything that documents say of one adapter, read from the database at one moment. No text of people is in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlmodel import Session

from governance.gates import GateResult
from learning.model_files import licence_of
from storage.adapters import Adapter, find_adapter
from storage.break_glass import BreakGlass, break_glass_of
from storage.datasets import DatasetSnapshot
from storage.figures import count_answers
from storage.proposals import Decision, Proposal, decisions_on, proposal_for
from storage.runs import Run

BUILTIN_LICENCE = "apache-2.0"
UNKNOWN_LICENCE = "other"
"""The model hub's word for a licence that has no identifier, or that nobody has named."""


@dataclass(frozen=True)
class AdapterFacts:
    """An adapter with its run, its data set, its gates, the proposal and who decided; `base` is as it is configured.

    `break_glass`: how it was taken live without its quorum; None when it was not.
    """

    adapter: Adapter
    run: Run | None
    snapshot: DatasetSnapshot | None
    gates: Sequence[GateResult]
    proposal: Proposal | None
    decisions: Sequence[Decision]
    break_glass: BreakGlass | None
    answers: int
    base: str
    base_licence: str

    @property
    def people(self) -> int:
        """How many people's corrections it learned from, as far as the proposal says."""
        return len(self.proposal.shares) if self.proposal else 0


def gather(session: Session, reference: str, base: str) -> AdapterFacts:
    """Read what is known of an adapter, named by its digest or the start of it.

    Raises:
        NotFoundError: there is none, or more than one.

    """
    adapter = find_adapter(session, reference)
    proposal = proposal_for(session, adapter.digest)
    return AdapterFacts(
        adapter=adapter,
        run=session.get(Run, adapter.run_id) if adapter.run_id else None,
        snapshot=session.get(DatasetSnapshot, adapter.snapshot_digest) if adapter.snapshot_digest else None,
        gates=[GateResult(**gate) for gate in adapter.gates],
        proposal=proposal,
        decisions=decisions_on(session, proposal.id) if proposal else [],
        break_glass=break_glass_of(session, adapter.digest),
        answers=count_answers(session, adapter.digest),
        base=base,
        base_licence=_licence(base),
    )


def _licence(base: str) -> str:
    if base.startswith("builtin:"):
        return BUILTIN_LICENCE
    folder = Path(base)
    stated = licence_of(folder) if folder.is_dir() else ""
    return stated if stated and " " not in stated else UNKNOWN_LICENCE
