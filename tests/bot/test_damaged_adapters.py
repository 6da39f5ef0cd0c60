"""An adapter whose files are damaged is put live: what answers, and who is told."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from shutil import copytree, rmtree
from typing import TypeVar

import httpx
import pytest

from bot.local import QUESTIONS_CHANNEL, new_local_workspace
from bot.service import Service, running
from bot.workspace.state import Workspace
from learning.adapter_files import CONFIG, MANIFEST, WEIGHTS
from learning.base_model import BaseModel
from storage.interactions import list_interactions
from storage.people import ensure_person, ensure_workspace
from storage.proposals import get_proposal, list_proposals
from storage.records import utc_now
from storage.settings import InferenceSettings, ModelSettings, Settings, TrainingSettings, WebSettings
from tests.governance.installation import GOOD
from tests.learning.tiny import make_tiny_adapter, make_tiny_base

PATIENCE_S = 20
ASKER, APPROVER = "UADA", "UMARCUS"
Found = TypeVar("Found")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> BaseModel:
    return make_tiny_base(tmp_path_factory.mktemp("base"))


@pytest.fixture
def settings(base: BaseModel, tmp_path: Path) -> Settings:
    return Settings(
        data_folder=tmp_path / "data",
        cache_folder=tmp_path / "cache",
        model=ModelSettings(base=str(base.path)),
        inference=InferenceSettings(max_new_tokens=8, threads=1),
        training=TrainingSettings(schedule=""),
        web=WebSettings(port=0),
    )


@pytest.fixture
def town() -> Workspace:
    return new_local_workspace("adapter-approvals")


@pytest.fixture
async def service(settings: Settings, town: Workspace) -> AsyncIterator[Service]:
    async with running(settings, workspace=town) as service:
        yield service


def propose(service: Service, source: Path, seed: int) -> tuple[str, str]:
    """Publish and propose an adapter; return its digest and the proposal."""
    digest = make_tiny_adapter(service.base, source, seed)
    return digest, propose_files(service, source)


def propose_files(service: Service, source: Path) -> str:
    rules = service.parts.governance
    digest = service.parts.store.publish(lambda folder: copytree(source, folder, dirs_exist_ok=True))
    run = rules.queue_run(started_by="operator:kim", recipe="tiny", base_digest=service.base.digest)
    rules.start_run(run.id, f"snapshot-of-{digest}", 1, {})
    rules.register_adapter(run.id, digest, service.base.digest, None, f"snapshot-of-{digest}")
    rules.record_evaluation(digest, f"report-of-{digest}", GOOD)
    return rules.propose(digest, {}).id


async def approve(service: Service, proposal: str) -> None:
    """Wait until Slack shows the proposal, and decide as `apprentice approve` does, beside the running bot."""

    async def shown() -> str:
        with service.parts.database.read() as session:
            return get_proposal(session, proposal).message_ts

    await eventually(shown)
    with service.parts.database.transaction() as session:
        ensure_workspace(session, "T1", "Made up", utc_now())
        ensure_person(session, "T1", APPROVER, "Marcus", utc_now())
    await asyncio.to_thread(service.parts.governance.decide, proposal, f"T1/{APPROVER}", "approve")


async def eventually(look: Callable[[], Awaitable[Found]]) -> Found:
    async with asyncio.timeout(PATIENCE_S):
        while not (found := await look()):
            await asyncio.sleep(0.02)
        return found


async def asked(service: Service) -> str | None:
    """Ask in Slack, and return the digest of the adapter that answered."""
    assert service.people is not None
    assert service.workspace is not None
    before = len(answers(service))
    await service.people.send(ASKER, QUESTIONS_CHANNEL, f"<@{service.workspace.bot_user}> who signs off?")

    async def answered() -> list[str | None]:
        return (await asyncio.to_thread(answers, service))[before:]

    return (await eventually(answered))[0]


def answers(service: Service) -> list[str | None]:
    with service.parts.database.read() as session:
        return [interaction.adapter_digest for interaction in list_interactions(session)]


async def told(service: Service, says: str) -> str:
    """Wait until the approvers' channel is told something."""
    workspace = service.workspace
    assert workspace is not None
    channel = next(channel.id for channel in workspace.channels.values() if channel.name == "adapter-approvals")

    async def seen() -> str:
        with service.parts.database.read() as session:
            threads = [proposal.message_ts for proposal in list_proposals(session)]
        texts = [message.text for ts in threads if ts for message in workspace.messages(channel, thread_ts=ts)]
        return next((text for text in texts if says in text), "")

    return await eventually(seen)


async def page(service: Service) -> str:
    async with httpx.AsyncClient() as http:
        return " ".join(re.sub(r"<[^>]+>", " ", (await http.get(f"{service.url}/")).text).split())


def cut(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-100])


def flip_one_bit(folder: Path) -> None:
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[-1] ^= 1
    (folder / WEIGHTS).write_bytes(content)


def drop_config(folder: Path) -> None:
    (folder / CONFIG).unlink()


def other_base(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest | {"base_digest": "0" * 64}))


DAMAGES = [
    (cut, "changed after"),
    (flip_one_bit, "changed after"),
    (drop_config, "changed after"),
    (rmtree, "no artifact"),
]


@pytest.mark.parametrize(("damage", "why"), DAMAGES)
async def test_what_answered_goes_on_answering_when_the_next_adapter_is_damaged_in_the_store(
    service: Service, tmp_path: Path, damage: Callable[[Path], None], why: str
) -> None:
    sound, proposal = propose(service, tmp_path / "sound", 1)
    await approve(service, proposal)
    await told(service, f"`{sound[:12]}` answers from now on")
    damaged, proposal = propose(service, tmp_path / "damaged", 2)
    damage(service.parts.store.path(damaged))
    await approve(service, proposal)

    said = await told(service, f"`{damaged[:12]}` was approved but cannot be loaded")

    assert f"adapter `{sound[:12]}` goes on answering" in said
    assert why in said
    assert await asked(service) == sound
    shown = await page(service)
    assert f"Answering adapter {sound[:12]}" in shown
    assert f"Cannot be loaded adapter {damaged[:12]}" in shown


@pytest.mark.parametrize(
    ("damage", "why"),
    [(cut, "cut short"), (drop_config, "adapter_config.json missing"), (other_base, "was trained on")],
)
async def test_the_base_model_answers_when_the_first_adapter_was_published_damaged(
    service: Service, tmp_path: Path, damage: Callable[[Path], None], why: str
) -> None:
    make_tiny_adapter(service.base, tmp_path / "adapter")
    damage(tmp_path / "adapter")
    await approve(service, propose_files(service, tmp_path / "adapter"))

    said = await told(service, "cannot be loaded")

    assert "the base model goes on answering" in said
    assert why in said
    assert await asked(service) is None


async def test_a_bot_that_starts_with_a_damaged_adapter_answers_with_the_base_model_and_a_rollback_ends_that(
    settings: Settings, town: Workspace, tmp_path: Path
) -> None:
    async with running(settings, workspace=town) as service:
        damaged, proposal = propose(service, tmp_path / "adapter", 1)
        await approve(service, proposal)
        await told(service, "answers from now on")
        flip_one_bit(service.parts.store.path(damaged))
    async with running(settings, workspace=town) as service:
        assert await asked(service) is None
        assert f"Cannot be loaded adapter {damaged[:12]}" in await page(service)
        await asyncio.to_thread(service.parts.governance.rollback, "operator:kim", "damaged")

        async def recovered() -> bool:
            return service.serving.refused is None

        assert await eventually(recovered)
        assert "Cannot be loaded" not in await page(service)
