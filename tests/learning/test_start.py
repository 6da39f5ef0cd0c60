"""Where a run starts, by the recipe and by what serves."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from learning.adapter_files import AdapterManifest, write_manifest
from learning.curation import LeftOut, PreferencePair, Row, Snapshot, write_snapshot
from learning.recipe import StartRecipe, load_recipe
from learning.start import Candidate, choose_start, examine
from storage.adapters import Adapter
from storage.artifacts import ArtifactStore

SERVING = Candidate("a" * 64, "s" * 64, general_kl=0.02, new_share=0.2)


@pytest.mark.parametrize(
    ("recipe", "serving", "starts", "reason"),
    [
        (StartRecipe(), SERVING, 0, "the recipe says so"),
        (StartRecipe(origin="serving"), None, 0, "no adapter serves"),
        (StartRecipe(origin="serving"), SERVING, 1, "20% of the rows are new"),
        (StartRecipe(origin="serving"), Candidate("a", "s", None, 1.0), 1, "100% of the rows are new"),
        (StartRecipe(origin="serving"), Candidate("a", "s", 0.0, 0.1, "it has rank 8"), 0, "it has rank 8"),
        (StartRecipe(origin="auto"), SERVING, 1, "20% of the rows are new"),
        (StartRecipe(origin="auto"), Candidate("a", "s", 0.3, 0.2), 0, "drifted from it by 0.300"),
        (StartRecipe(origin="auto"), Candidate("a", "s", None, 0.2), 0, "not measured"),
        (StartRecipe(origin="auto"), Candidate("a", "s", 0.02, 0.6), 0, "60% of the rows are new, over 50%"),
    ],
)
def test_the_start_and_its_reason(recipe: StartRecipe, serving: Candidate | None, starts: int, reason: str) -> None:
    start = choose_start(recipe, serving)

    assert (start.adapter is not None) == starts
    assert reason in start.reason
    assert start.snapshot == (serving.snapshot if serving and starts else None)


LEARNED = Snapshot(
    (Row("q1", "a1", ("fb_row",), ("T1/U1",), private=False),), (PreferencePair("q2", "a2", "b2", ("fb_pair",)),), {}
)
REPLACED = (LeftOut("fb_pair", "superseded", "superseded by fb_new"),)
WALLED = (LeftOut("fb_pair", "private", "it was said where not everybody could read it"),)


@pytest.mark.parametrize(
    ("now", "obstacle"),
    [
        (LEARNED, ""),
        (Snapshot(LEARNED.rows, (), {}, left_out=REPLACED), ""),
        (Snapshot(LEARNED.rows, (), {}), "taken back"),
        (Snapshot((), LEARNED.pairs, {}), "taken back"),
        (Snapshot(LEARNED.rows, (), {}, left_out=WALLED), "is private"),
    ],
)
def test_an_adapter_that_learned_what_is_no_longer_accepted_is_no_start(
    tmp_path: Path, now: Snapshot, obstacle: str
) -> None:
    store, recipe = ArtifactStore(tmp_path), load_recipe("default")
    snapshot = store.publish(lambda folder: write_snapshot(LEARNED, folder))
    manifest = AdapterManifest(
        base_digest="base",
        snapshot_digest=snapshot,
        recipe="default",
        recipe_digest="",
        rank=recipe.adapter.rank,
        seed=0,
    )
    digest = store.publish(lambda folder: write_manifest(folder, manifest))
    serving = Adapter(
        digest=digest, state="serving", base_digest="base", snapshot_digest=snapshot, created_at=datetime.now(UTC)
    )

    examined = examine(serving, store, "base", recipe, now)

    assert obstacle in examined.obstacle
    assert bool(examined.obstacle) == bool(obstacle)
