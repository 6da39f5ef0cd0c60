"""A small workspace with the real bot in it: real Bolt app, database, governance and engine; only the model is tiny."""

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import httpx
import pytest
import websockets
from fastapi import FastAPI
from pydantic import SecretStr
from slack_sdk.web.async_client import AsyncWebClient
from sqlmodel import col, select

from bot.assembly import Parts
from bot.serving import ServingAdapter
from bot.slack import names
from bot.slack.app import SlackParts
from bot.slack.clients import Clients
from bot.slack.delivery import Deliverer
from bot.slack.health import Link
from bot.slack.http import receiving
from bot.slack.manifest import read_manifest
from bot.slack.pace import Pace
from bot.slack.socket import connected, make_client
from bot.slack.worker import InboxWorker
from bot.training import Training
from bot.workspace.app import create_app as create_workspace_app
from bot.workspace.seed import AppDefinition, Channel, Member, make_workspace
from bot.workspace.serving import serve
from bot.workspace.state import Workspace
from governance.audit import AuditLog
from governance.flows import Governance
from governance.policy import Policy, load_policy
from learning.base_model import BaseModel, prepare
from learning.embedding import Embedder
from learning.engine import Engine
from learning.examples import WorkedExamples
from learning.hardware import detect
from learning.taught import TaughtFeedback
from storage.artifacts import ArtifactStore
from storage.database import Database
from storage.inbox import InboxEvent
from storage.interactions import Interaction
from storage.outbox import OutboxCall
from storage.records import Clock
from storage.settings import InferenceSettings, Settings, SlackSettings
from tests.bot.slack.tiny import make_tiny_model

ADA, PRIYA, MARCUS = "UADA", "UPRIYA", "UMARCUS"
MEMBERS = (
    Member(ADA, "ada", "Ada Lindgren", "Customer care"),
    Member(PRIYA, "priya", "Priya Raman", "Workshop lead"),
    Member(MARCUS, "marcus", "Marcus Lindqvist", "Head of operations"),
)
ASK, APPROVALS = "CASK", "CAPPROVALS"
BOT_TOKEN, APP_TOKEN, SIGNING_SECRET = "xoxb-test", "xapp-test", "8f742231b10e8888abcd99yyyzzz85a5"
PATIENCE_S = 30

Message = dict[str, Any]
Found = TypeVar("Found")


@dataclass
class Town:
    """The workspace as its people use it: over the page's own API, as `client` and a socket for each person."""

    url: str
    http: httpx.AsyncClient
    bot: str
    views: dict[str, list[Message]] = field(default_factory=dict)
    prompts: dict[str, list[Message]] = field(default_factory=dict)
    statuses: list[tuple[str, str]] = field(default_factory=list)
    sessions: list[tuple[str, str]] = field(default_factory=list)

    async def send(self, user: str, text: str, channel: str = ASK, thread_ts: str | None = None) -> str:
        """Write a message; return its ts."""
        return str((await self.post("send", user=user, channel=channel, text=text, thread_ts=thread_ts))["ts"])

    async def mention(self, user: str, text: str, channel: str = ASK, thread_ts: str | None = None) -> str:
        """Write a message that mentions the bot."""
        return await self.send(user, f"<@{self.bot}> {text}", channel, thread_ts)

    async def dm(self, user: str) -> str:
        """Open the direct messages with the bot; return the channel."""
        return str((await self.post("dm", user=user, **{"with": self.bot}))["channel"]["id"])

    async def press(self, user: str, message: Message, action_id: str, value: str | None = None) -> None:
        """Press the button of a message with this action id; `value` chooses between feedback buttons."""
        block, element = find_element(message, action_id)
        action = {
            "block_id": block.get("block_id", ""),
            "action_id": action_id,
            "type": element["type"],
            "value": value or element.get("value"),
        }
        await self.post("action", user=user, channel=message["channel"], ts=message["ts"], action=action)

    async def press_in_view(self, user: str, view: Message, action_id: str) -> None:
        """Press the button of a modal with this action id."""
        block, element = find_element(view, action_id)
        action = {"block_id": block["block_id"], "action_id": action_id, "type": "button", "value": element["value"]}
        await self.post("action", user=user, view_id=view["id"], action=action)

    async def choose(self, user: str, message: Message, action_id: str, value: str) -> None:
        """Choose the option with this value in the select of a message."""
        block, element = find_element(message, action_id)
        (option,) = [option for option in element["options"] if option["value"] == value]
        action = {
            "block_id": block.get("block_id", ""),
            "action_id": action_id,
            "type": element["type"],
            "selected_option": option,
        }
        await self.post("action", user=user, channel=message["channel"], ts=message["ts"], action=action)

    async def react(self, user: str, message: Message, name: str, *, add: bool = True) -> None:
        """Put an emoji on a message, or take it off."""
        await self.post("reaction", user=user, channel=message["channel"], ts=message["ts"], name=name, add=add)

    async def submit(self, user: str, view: Message, block_id: str, text: str) -> dict[str, Any]:
        """Type a text into a modal and submit it; return what the page gets."""
        values = {block_id: {"text": {"type": "plain_text_input", "value": text}}}
        return await self.post("submit", user=user, view_id=view["id"], values=values, check=False)

    async def command(self, user: str, text: str, channel: str = ASK) -> None:
        """Use the app's slash command, with this text behind it."""
        await self.post("command", user=user, channel=channel, command="/apprentice", text=text)

    async def told(self, user: str, channel: str = ASK, count: int = 1) -> Message:
        """Wait until this person alone was told `count` things in a channel; return the last of them."""

        async def ephemeral() -> list[Message]:
            seen = [message for message in await self.history(user, channel) if message["ephemeral"]]
            return seen if len(seen) >= count else []

        return (await eventually(ephemeral))[-1]

    async def history(self, user: str, channel: str = ASK) -> list[Message]:
        """Return what this person sees in a channel, replies and ephemeral messages included."""
        answer = await self.http.get("client/history", params={"user": user, "channel": channel})
        messages: list[Message] = answer.json()["messages"]
        return messages

    async def answers(self, question_ts: str, channel: str = ASK, user: str = ADA) -> list[Message]:
        """Return the bot's finished messages in a thread."""
        return [
            message
            for message in await self.history(user, channel)
            if message.get("thread_ts") == question_ts
            and message["user"] == self.bot
            and not message["streaming"]
            and not message["ephemeral"]
        ]

    async def answer(self, question_ts: str, channel: str = ASK, user: str = ADA) -> Message:
        """Wait for the bot's answer in a thread."""
        return (await eventually(lambda: self.answers(question_ts, channel, user)))[0]

    async def whispers(self, user: str, channel: str = ASK) -> list[str]:
        """Return what only this person was told in a channel."""
        return [message["text"] for message in await self.history(user, channel) if message["ephemeral"]]

    async def stoppable(self, user: str = ADA, channel: str = ASK) -> list[str]:
        """Return the threads of a channel in which there is a Stop button."""
        answer = await self.http.get("client/history", params={"user": user, "channel": channel})
        threads: list[str] = answer.json()["stoppable"]
        return threads

    async def view(self, user: str, count: int = 1) -> Message:
        """Wait until `count` modals were opened for this person since `watch`, and have content; return the last."""

        async def opened() -> list[Message]:
            views = self.views[user]
            return views if len(views) >= count and views[-1]["callback_id"] != names.LOADING_VIEW else []

        return (await eventually(opened))[-1]

    async def view_with(self, user: str, text: str) -> Message:
        """Wait until the last modal of this person shows this text."""

        async def shown() -> Message | None:
            return self.views[user][-1] if self.views[user] and text in str(self.views[user][-1]["blocks"]) else None

        return await eventually(shown)

    @asynccontextmanager
    async def watch(self, user: str) -> AsyncIterator[None]:
        """Look at the page as this person: modals, prompts, and what threads say of the app's work are kept."""
        self.views[user] = []
        address = str(httpx.URL(self.url).join("client/events")).replace("http", "ws", 1)

        async def listen(socket: websockets.ClientConnection) -> None:
            async for raw in socket:
                event = json.loads(raw)
                if event["type"] == "view_opened":
                    self.views[user].append(event["view"])
                elif event["type"] == "view_updated":
                    shown = self.views[user]
                    self.views[user] = [event["view"] if each["id"] == event["view"]["id"] else each for each in shown]
                elif event["type"] == "prompts":
                    self.prompts[user] = event["prompts"]
                elif event["type"] == "status":
                    self.statuses.append((event["thread_ts"], event["status"]))
                elif event["type"] == "session":
                    self.sessions.append((event["thread_ts"], event["status"]))

        async with websockets.connect(f"{address}?user={user}") as socket:
            listener = asyncio.create_task(listen(socket))
            yield
            listener.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listener

    async def post(self, what: str, *, check: bool = True, **content: Any) -> dict[str, Any]:
        """Call the page's API."""
        answer = await self.http.post(
            f"client/{what}", json={key: value for key, value in content.items() if value is not None}
        )
        result: dict[str, Any] = answer.json()
        assert result["ok"] or not check, result
        return result


@dataclass(frozen=True)
class Web:
    """The bot's web server, which Slack's requests reach in HTTP mode."""

    app: FastAPI
    url: str


@dataclass
class Bot:
    """The bot's side; worker and deliverer can be stopped in the middle of their work and started again."""

    parts: SlackParts
    client: AsyncWebClient
    link: Link
    at_work: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def clients(self) -> Clients:
        """The clients of the workspaces that the bot is in."""
        return Clients(self.client)

    def start_worker(self) -> None:
        """Begin to work on the inbox and on the outbox."""
        clients = self.clients
        self.at_work.append(asyncio.create_task(InboxWorker(self.parts, clients, retry_after_s=0.01).run()))
        self.start_deliverer()

    def start_deliverer(self) -> None:
        """Begin to work on the outbox."""
        deliverer = Deliverer(self.parts, self.clients, first_pause_s=0.01, look_again_s=0.05)
        self.at_work.append(asyncio.create_task(deliverer.run()))

    async def stop_worker(self) -> None:
        """Stop at once, whatever is in hand."""
        while self.at_work:
            task = self.at_work.pop()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> BaseModel:
    folder = tmp_path_factory.mktemp("tiny")
    return prepare(str(make_tiny_model(folder / "model")), folder / "cache")


@pytest.fixture
def engine(tiny_base: BaseModel) -> Any:
    engine = Engine.start(tiny_base, detect(1))
    yield engine
    engine.close()


@pytest.fixture
def app_definition() -> AppDefinition:
    return define_app()


def define_app() -> AppDefinition:
    """Return the app as its manifest describes it."""
    manifest = read_manifest()
    return AppDefinition(
        name=manifest.name,
        bot_token=BOT_TOKEN,
        app_token=APP_TOKEN,
        scopes=manifest.scopes,
        events=manifest.events,
        shortcuts=tuple((shortcut.callback_id, shortcut.name) for shortcut in manifest.shortcuts),
        commands=manifest.commands,
    )


@pytest.fixture
def transport() -> str:
    """How Slack reaches the bot: `socket`, or `http` in a test that is parametrised over both."""
    return "socket"


@pytest.fixture
async def web(transport: str) -> AsyncIterator[Web | None]:
    """The bot's web server, where the transport needs one."""
    if transport == "socket":
        yield None
        return
    app = FastAPI()
    async with serve(app) as url:
        yield Web(app, url)


@pytest.fixture
def members() -> tuple[Member, ...]:
    """Who is in the workspace, all of them in all channels."""
    return MEMBERS


@pytest.fixture
def workspace(app_definition: AppDefinition, members: tuple[Member, ...], web: Web | None) -> Workspace:
    if web is not None:
        app_definition = replace(
            app_definition,
            request_url=f"{web.url}/slack/events",
            redirect_url=f"{web.url}/slack/oauth_redirect",
            signing_secret=SIGNING_SECRET,
        )
    return new_workspace(app_definition, members)


def new_workspace(app: AppDefinition, members: tuple[Member, ...] = MEMBERS) -> Workspace:
    """Make the workspace, in which nobody has said anything yet."""
    everybody = tuple(member.id for member in members)
    channels = (Channel(ASK, "ask-apprentice", everybody), Channel(APPROVALS, "adapter-approvals", everybody))
    return make_workspace(team_name="Northwind Kites", members=members, channels=channels, app=app)


@pytest.fixture
async def town(workspace: Workspace) -> AsyncIterator[Town]:
    async with (
        serve(create_workspace_app(workspace), host="127.0.0.1", port=0) as url,
        httpx.AsyncClient(base_url=f"{url}/", timeout=PATIENCE_S) as http,
    ):
        boot = (await http.get("client/boot", params={"user": ADA})).json()
        yield Town(f"{url}/", http, boot["app"]["user"])


@pytest.fixture
def slack_settings(town: Town, transport: Literal["socket", "http"]) -> SlackSettings:
    return settings_for(town.url, transport)


def settings_for(url: str, transport: Literal["socket", "http"] = "socket") -> SlackSettings:
    """Return the settings with which the bot reaches the workspace served at an address."""
    return SlackSettings(
        mode=transport,
        bot_token=SecretStr(BOT_TOKEN),
        app_token=SecretStr(APP_TOKEN),
        signing_secret=SecretStr(SIGNING_SECRET),
        api_url=f"{url}api/",
    )


@pytest.fixture
def pace() -> Pace:
    """How soon people who wait hear of it."""
    return Pace()


@pytest.fixture
def parts(
    slack_settings: SlackSettings,
    sqlite_database: Database,
    engine: Engine,
    tiny_base: BaseModel,
    tmp_path: Path,
    pace: Pace,
) -> SlackParts:
    return make_parts(slack_settings, sqlite_database, engine, tiny_base, tmp_path, pace)


def make_parts(
    slack_settings: SlackSettings,
    database: Database,
    engine: Engine,
    base: BaseModel,
    folder: Path,
    pace: Pace,
    tokens: int = 24,
) -> SlackParts:
    """Put the bot together; `tokens` is how long its answers may be."""
    settings = Settings(
        data_folder=folder / "data", slack=slack_settings, inference=InferenceSettings(max_new_tokens=tokens)
    )
    embedder = Embedder(engine, settings.model.system_prompt, base.path.parent / "cache")
    audit = AuditLog(key_folder=folder / "keys", checkpoint_folder=folder / "checkpoints")
    store = ArtifactStore(settings.artifact_folder)
    taught = TaughtFeedback(database, store)
    governance = Governance(database, load_policy(), audit)
    return SlackParts(
        settings=settings,
        database=database,
        governance=governance,
        engine=engine,
        base=base,
        serving=ServingAdapter(database, store, engine),
        examples=WorkedExamples(database, embedder.embed, settings.examples, taught),
        training=Training(Parts(settings, database, store, audit, governance), engine, base),
        pace=pace,
    )


@pytest.fixture
async def connected_bot(parts: SlackParts, slack_settings: SlackSettings, web: Web | None) -> AsyncIterator[Bot]:
    """The bot that Slack can reach, and nobody at work on the inbox yet."""
    client = make_client(slack_settings)
    async with (
        receiving(web.app, parts, Clients(client), slack_settings) if web else connected(parts, client, slack_settings)
    ) as link:
        bot = Bot(parts, client, link)
        yield bot
        await bot.stop_worker()


@pytest.fixture
async def bot(connected_bot: Bot) -> Bot:
    """The bot at work."""
    connected_bot.start_worker()
    return connected_bot


@contextmanager
def busy(engine: Engine) -> Iterator[None]:
    """Keep the engine from answering for as long as the block runs."""
    taken, free = threading.Event(), threading.Event()

    def work(*_: Any) -> None:
        taken.set()
        free.wait(PATIENCE_S)

    thread = threading.Thread(target=engine.borrow, args=(work,))
    thread.start()
    taken.wait(PATIENCE_S)
    try:
        yield
    finally:
        free.set()
        thread.join()


def find_element(message: Message, action_id: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the block and the element with this action id."""
    for block in message.get("blocks", []):
        for element in [*block.get("elements", []), block.get("accessory", {})]:
            if element.get("action_id") == action_id:
                return block, element
    raise AssertionError(f"no {action_id} in {message}")


async def eventually(look: Callable[[], Awaitable[Found]]) -> Found:
    """Return what `look` finds, as soon as it finds something."""
    async with asyncio.timeout(PATIENCE_S):
        while not (found := await look()):
            await asyncio.sleep(0.02)
        return found


both_transports = pytest.mark.parametrize("transport", ["socket", "http"])
"""Runs a test over Socket Mode and over HTTP requests."""


def use_policy(bot: Bot, *, clock: Clock | None = None, **sections: dict[str, object]) -> None:
    """Go on under a policy in which these values are different, and by another clock if one is given."""
    rules = bot.parts.governance
    content = rules.policy.model_dump()
    for name, values in sections.items():
        content[name] |= values
    changed = Governance(rules.database, Policy.model_validate(content), rules.audit, clock or rules.clock)
    object.__setattr__(bot.parts, "governance", changed)
    object.__setattr__(bot.parts, "clock", changed.clock)


def interactions(bot: Bot) -> list[Interaction]:
    """Return the answers that were kept, oldest first."""
    with bot.parts.database.read() as session:
        return list(session.exec(select(Interaction).order_by(col(Interaction.created_at))))


def jobs_in(bot: Bot, *states: str) -> list[InboxEvent]:
    """Return what is in the inbox, in the order in which it came."""
    with bot.parts.database.read() as session:
        query = select(InboxEvent).order_by(col(InboxEvent.id))
        return list(session.exec(query.where(col(InboxEvent.state).in_(states)) if states else query))


def owed(bot: Bot) -> list[OutboxCall]:
    """Return what is in the outbox, in the order in which it was owed."""
    with bot.parts.database.read() as session:
        return list(session.exec(select(OutboxCall).order_by(col(OutboxCall.id))))


async def all_sent(bot: Bot, count: int) -> list[OutboxCall]:
    """Wait until `count` messages were owed and none of them waits any more."""

    async def sent() -> list[OutboxCall]:
        calls = await asyncio.to_thread(owed, bot)
        return calls if len(calls) >= count and all(call.state in {"sent", "failed"} for call in calls) else []

    return await eventually(sent)


async def all_done(bot: Bot, count: int) -> list[InboxEvent]:
    """Wait until `count` jobs came in, none of them is in hand any more, and everybody was told what was owed."""

    async def done() -> list[InboxEvent]:
        jobs, calls = await asyncio.to_thread(jobs_in, bot), await asyncio.to_thread(owed, bot)
        in_hand = [row for row in (*jobs, *calls) if row.state not in {"done", "sent", "failed"}]
        return jobs if len(jobs) >= count and not in_hand else []

    return await eventually(done)
