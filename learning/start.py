"""Where a run starts: from the base model on everything, or from the serving adapter; the reason is kept with it."""

from dataclasses import dataclass

from learning.adapter_files import read_manifest
from learning.curation import ROWS_FILE, Snapshot, read_records
from learning.evaluation.report import read_report
from learning.recipe import Recipe, StartRecipe
from learning.taught import trained_on
from storage.adapters import Adapter
from storage.artifacts import REDACTED, ArtifactStore


@dataclass(frozen=True)
class Candidate:
    """The serving adapter as a start. `general_kl`: its drift from the base model in nats a token, where measured.

    `new_share` is the share of the rows that it was not trained on; `obstacle` says why it cannot be one, or is "".
    """

    digest: str
    snapshot: str | None
    general_kl: float | None
    new_share: float
    obstacle: str = ""


@dataclass(frozen=True)
class Start:
    """The adapter that a run begins as a copy of (None: a new one on the base model), what it learned, and why."""

    adapter: str | None
    reason: str
    snapshot: str | None = None


def choose_start(recipe: StartRecipe, serving: Candidate | None) -> Start:
    """Decide by the recipe and by what is known of the serving adapter."""
    if recipe.origin == "base":
        return Start(None, "from the base model on everything: the recipe says so")
    if serving is None:
        return Start(None, "from the base model: no adapter serves")
    if against := _against(recipe, serving):
        return Start(None, f"from the base model: {against}")
    known = f"{serving.new_share:.0%} of the rows are new to it"
    return Start(serving.digest, f"from the serving adapter: {known}", serving.snapshot)


def _against(recipe: StartRecipe, serving: Candidate) -> str:
    """Say what speaks against starting from the serving adapter; "" when nothing does."""
    if serving.obstacle or recipe.origin == "serving":
        return serving.obstacle
    if serving.general_kl is None:
        return "the serving adapter's drift from it was not measured"
    if serving.general_kl > recipe.max_kl:
        return f"the serving adapter drifted from it by {serving.general_kl:.3f} nats a token, over {recipe.max_kl}"
    if serving.new_share > recipe.max_new_share:
        return f"{serving.new_share:.0%} of the rows are new, over {recipe.max_new_share:.0%}"
    return ""


def examine(serving: Adapter, store: ArtifactStore, base_digest: str, recipe: Recipe, snapshot: Snapshot) -> Candidate:
    """Look at the serving adapter as a start of a run on `snapshot`.

    Raises:
        ApprenticeError: a file of it, of its report or of its snapshot is missing or damaged.

    """
    known: frozenset[str] = frozenset()
    outdated = False
    if serving.snapshot_digest:
        folder = store.path(serving.snapshot_digest)
        known = frozenset(row.question for row in read_records(folder, ROWS_FILE))
        outdated = (folder / REDACTED).exists() or not _in_force(snapshot).issuperset(trained_on(folder))
    drift = None
    if serving.report_digest:
        metric = read_report(store.path(serving.report_digest)).metrics.get("general_kl")
        drift = metric.value if metric else None
    new = sum(row.question not in known for row in snapshot.rows)
    rank = read_manifest(store.path(serving.digest)).rank
    obstacle = ""
    if serving.base_digest != base_digest:
        obstacle = "the serving adapter was trained on another base model"
    elif rank != recipe.adapter.rank:
        obstacle = f"the serving adapter has rank {rank}, the recipe wants {recipe.adapter.rank}"
    elif outdated:
        obstacle = "the serving adapter learned what was taken back, is private, or is not accepted any more"
    return Candidate(serving.digest, serving.snapshot_digest, drift, new / max(len(snapshot.rows), 1), obstacle)


def _in_force(snapshot: Snapshot) -> set[str]:
    """Return the ids of all feedback that was accepted when the snapshot was built, whatever became of it there.

    What is private is not: an adapter that learned it must not live on in the next one.
    """
    used = (snapshot.rows, snapshot.pairs, snapshot.thumbs, snapshot.contradictions)
    known = {feedback_id for records in used for record in records for feedback_id in record.feedback_ids}
    return known | {item.feedback_id for item in snapshot.left_out if item.rule != "private"}
