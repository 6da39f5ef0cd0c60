"""Vectors of meaning from a real engine with a tiny model: what must hold whatever the model knows."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from learning.base_model import BaseModel
from learning.embedding import Embedder, whiten
from learning.engine import Engine
from learning.hardware import detect
from tests.learning.tiny import make_tiny_adapter, make_tiny_base

TEXTS = ["north wind", "What port does the billing service listen on?", "", "kite"]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> BaseModel:
    return make_tiny_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def engine(base: BaseModel) -> Iterator[Engine]:
    engine = Engine.start(base, detect(1))
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def embedder(engine: Engine, cache: Path) -> Embedder:
    return Embedder(engine, "Be brief.", cache)


def test_a_text_has_the_same_unit_vector_alone_and_among_others(embedder: Embedder) -> None:
    together = embedder.embed(TEXTS)

    alone = np.concatenate([embedder.embed([text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    assert together[0] @ together[3] < 0.99


def test_more_texts_than_one_batch_keep_their_order(embedder: Embedder) -> None:
    texts = [f"kite number {number} " + "x" * (number % 7) for number in range(60)]

    np.testing.assert_allclose(embedder.embed(texts)[41], embedder.embed([texts[41]])[0], atol=1e-4)


def test_the_serving_adapter_changes_no_vector(
    engine: Engine, base: BaseModel, embedder: Embedder, tmp_path: Path
) -> None:
    before = embedder.embed(TEXTS)
    digest = make_tiny_adapter(base, tmp_path)
    engine.load_adapter(digest, tmp_path)
    engine.serve(digest)

    np.testing.assert_allclose(embedder.embed(TEXTS), before, atol=1e-5)
    engine.serve(None)


def test_the_metric_is_made_once_and_kept(engine: Engine, embedder: Embedder, cache: Path) -> None:
    (kept,) = cache.glob("embedding-*.npz")
    made = kept.stat().st_mtime_ns

    again = Embedder(engine, "Be brief.", cache)

    np.testing.assert_array_equal(again.embed(TEXTS), embedder.embed(TEXTS))
    assert kept.stat().st_mtime_ns == made


def test_whitening_leaves_no_direction_that_all_texts_share() -> None:
    source = np.random.default_rng(5)
    states = (source.standard_normal((400, 8)) @ np.diag(np.arange(1, 9)) + 20).astype(np.float32)

    mean, whitening = whiten(states)
    covariance = np.cov(((states - mean) @ whitening).T)

    np.testing.assert_allclose(((states - mean) @ whitening).mean(axis=0), 0, atol=1e-3)
    spread = np.linalg.eigvalsh(np.cov(states.T))
    evened = np.linalg.eigvalsh(covariance)
    assert evened.max() / evened.min() < spread.max() / spread.min() / 5
