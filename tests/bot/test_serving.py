"""The engine follows the database; what cannot be loaded is tried again later."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from shutil import copytree

import pytest

from bot.serving import RETRY_S, Chosen, ServingAdapter
from governance.pinning import Subject
from learning.base_model import BaseModel
from learning.engine import Engine
from learning.hardware import detect
from storage.artifacts import ArtifactStore
from storage.database import Database
from storage.pins import Pin
from tests.governance.installation import OTHER, Installation
from tests.learning.tiny import make_tiny_adapter, make_tiny_base


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> BaseModel:
    return make_tiny_base(tmp_path_factory.mktemp("base"))


@pytest.fixture
def engine(base: BaseModel) -> Iterator[Engine]:
    engine = Engine.start(base, detect(1))
    yield engine
    engine.close()


async def test_a_domain_is_answered_by_its_own_adapter_or_canary_and_else_as_everywhere(
    sqlite_database: Database, base: BaseModel, engine: Engine, tmp_path: Path
) -> None:
    store, house = ArtifactStore(tmp_path / "artifacts"), Installation(sqlite_database, tmp_path)
    house.use_policy(domains={"hr": {"rollout": {"canary_share": 0.999999}}, "it": {}})
    serving = ServingAdapter(sqlite_database, store, engine)
    everywhere, own, canary = (store.publish(partial(make_tiny_adapter, base, seed=seed)) for seed in (1, 2, 3))
    for digest, domain in ((everywhere, "default"), (own, "it"), (canary, "hr")):
        house.live(digest, domain)

    def answering(domain: str) -> tuple[str | None, str]:
        chosen = serving.for_person("T1/U1", house.policy, domain)
        return chosen.digest, chosen.side

    await serving.sync()
    assert engine.serving == everywhere
    found = [answering(domain) for domain in ("default", "it", "hr", "sales")]
    assert found == [(everywhere, "serving"), (own, "serving"), (canary, "canary"), (everywhere, "serving")]

    engine.unload_adapter(own)  # as another one's room would be taken
    assert answering("it") == (everywhere, "serving")
    await serving.sync()
    assert answering("it") == (own, "serving")

    house.governance.rollback("operator:kim", "rambles", "it")
    house.governance.rollback("operator:kim", "rambles", "hr")
    await serving.sync()
    assert [answering(domain)[0] for domain in ("it", "hr")] == [everywhere, everywhere]


async def test_an_adapter_that_was_restored_from_a_backup_is_served_without_a_restart(
    sqlite_database: Database, base: BaseModel, engine: Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now = 100.0
    store = ArtifactStore(tmp_path / "artifacts")
    serving = ServingAdapter(sqlite_database, store, engine, lambda: now)
    digest = make_tiny_adapter(base, tmp_path / "backup")
    Installation(sqlite_database, tmp_path).live(digest)

    for _ in range(3):
        await serving.sync()
        assert serving.answers() is None
        assert serving.refused is not None
        assert serving.refused.digest == digest
        now += RETRY_S
    assert caplog.text.count("cannot be served") == 1

    copytree(tmp_path / "backup", store.root / digest)
    now += RETRY_S
    await serving.sync()
    assert serving.answers() == digest
    assert serving.refused is None


BIG = 64
"""The rank of an adapter of which one fits into 1 MB, and two do not."""


def published(store: ArtifactStore, base: BaseModel, seed: int, rank: int = 4) -> str:
    """Put an adapter into the store; return its digest."""

    def write(folder: Path) -> None:
        make_tiny_adapter(base, folder, seed, rank)

    return store.publish(write)


@pytest.fixture
def house(sqlite_database: Database, tmp_path: Path) -> Installation:
    return Installation(sqlite_database, tmp_path)


def pin(house: Installation, digest: str, person: str = OTHER) -> Pin:
    return house.governance.pin(Subject("person", person), digest, actor="operator:kim", reason="compare", days=7)


async def test_a_pinned_adapter_is_loaded_beside_the_serving_one_and_not_after_its_time(
    house: Installation, base: BaseModel, engine: Engine, tmp_path: Path
) -> None:
    store = ArtifactStore(tmp_path / "artifacts")
    first, second = published(store, base, 1), published(store, base, 2)
    house.live(first)
    house.live(second)
    serving = ServingAdapter(house.database, store, engine, now=house.clock)
    held = pin(house, first)

    await serving.sync()
    assert serving.for_person(OTHER, house.policy, pin=held) == Chosen(first, "pinned")
    assert serving.for_person(OTHER, house.policy) == Chosen(second, "serving")

    engine.unload_adapter(first)
    assert serving.for_person(OTHER, house.policy, pin=held) == Chosen(second, "serving")
    house.clock.advance(days=8)
    await serving.sync()
    assert not engine.is_loaded(first)


async def test_a_pinned_adapter_whose_files_are_gone_is_told_once_and_tried_again_later(
    house: Installation, base: BaseModel, engine: Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now = 100.0
    store = ArtifactStore(tmp_path / "artifacts")
    digest = make_tiny_adapter(base, tmp_path / "backup")
    house.proposed(digest)
    serving = ServingAdapter(house.database, store, engine, lambda: now, house.clock)
    held = pin(house, digest)

    for _ in range(3):
        await serving.sync()
        now += RETRY_S
    assert digest in serving.refusals
    assert serving.for_person(OTHER, house.policy, pin=held) == Chosen(None, "serving")
    assert caplog.text.count("cannot be served") == 1

    copytree(tmp_path / "backup", store.root / digest)
    await serving.sync()
    assert serving.refusals == {}
    assert serving.for_person(OTHER, house.policy, pin=held) == Chosen(digest, "pinned")


async def test_more_pinned_adapters_than_there_is_room_for_push_each_other_out_now_and_then_only(
    house: Installation, base: BaseModel, tmp_path: Path
) -> None:
    now = 100.0
    store = ArtifactStore(tmp_path / "artifacts")
    digests = [published(store, base, seed, BIG) for seed in (1, 2)]
    for digest, person in zip(digests, ("T1/U_STARTER", OTHER), strict=True):
        house.proposed(digest)
        pin(house, digest, person)
    engine = Engine.start(base, detect(1), adapter_memory_mb=1)
    try:
        serving = ServingAdapter(house.database, store, engine, lambda: now, house.clock)
        await serving.sync()
        (loaded,) = [digest for digest in digests if engine.is_loaded(digest)]
        for _ in range(3):
            await serving.sync()
            assert engine.is_loaded(loaded)
        now += RETRY_S
        await serving.sync()
        assert len([digest for digest in digests if engine.is_loaded(digest)]) == 1
    finally:
        engine.close()
