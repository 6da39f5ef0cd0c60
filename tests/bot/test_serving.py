"""The engine follows the database; what cannot be loaded is tried again later."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from shutil import copytree

import pytest

from bot.serving import RETRY_S, ServingAdapter
from learning.base_model import BaseModel
from learning.engine import Engine
from learning.hardware import detect
from storage.artifacts import ArtifactStore
from storage.database import Database
from tests.governance.installation import Installation
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
