"""`apprentice up`: bot, web pages, scheduler and engine in one process, started in order and stopped in reverse."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from rich.console import Console
from rich.logging import RichHandler
from slack_sdk.web.async_client import AsyncWebClient

from bot.assembly import Parts, open_parts
from bot.engines import open_answering
from bot.lease import held_lease
from bot.local import LOCAL_APP_TOKEN, LOCAL_BOT_TOKEN, open_local_workspace
from bot.reconcile import Reconciler
from bot.serving import ServingAdapter
from bot.slack.app import SlackParts
from bot.slack.clients import Clients
from bot.slack.delivery import Deliverer
from bot.slack.http import receiving
from bot.slack.oauth import InstallPages
from bot.slack.progress import RunProgress
from bot.slack.shadowing import Shadowing
from bot.slack.socket import connected, make_client
from bot.slack.sweep import keep_small
from bot.slack.tokens import check_tokens
from bot.slack.user_groups import GroupReading
from bot.slack.worker import InboxWorker
from bot.training import Training
from bot.web.app import create_web_app
from bot.whoami import operator
from bot.workspace.app import create_app as create_workspace_app
from bot.workspace.people import People
from bot.workspace.serving import serve
from bot.workspace.state import Workspace
from learning.answering_engine import AnsweringEngine
from learning.base_model import BaseModel, prepare
from learning.cancelling import settle_requests
from learning.embedding import Embedder
from learning.engine import Engine
from learning.examples import WorkedExamples
from learning.hardware import detect, short_collections
from learning.scheduler import parse_schedule, start_schedule
from learning.server_engine import ServerEngine
from learning.taught import TaughtFeedback
from storage import inbox
from storage.errors import AlreadyRunningError
from storage.records import utc_now
from storage.runs import list_runs
from storage.settings import Settings, SlackSettings

log = logging.getLogger(__name__)

OnProgress = Callable[[str, float], None]


def _ignore(*_: object) -> None:
    """Do nothing with an event."""


@dataclass
class Service:
    """A running Apprentice; the demo and the tests act on it, `apprentice up` only waits."""

    parts: Parts
    base: BaseModel
    engine: AnsweringEngine
    serving: ServingAdapter
    client: AsyncWebClient
    url: str
    workspace: Workspace | None
    people: People | None
    training: Training
    lost: asyncio.Event


async def run_until_stopped(settings: Settings) -> None:
    """Run until SIGINT or SIGTERM; a second signal ends it at once.

    Raises:
        AlreadyRunningError: another process took the database over, so two bots would answer.

    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[RichHandler(show_path=False)])
    for noisy in ("apscheduler", "uvicorn.access", "slack_bolt", "httpx", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    async with running(settings, on_progress=_log_progress()) as service:
        with stop_on_signals() as stop:
            await _run(service, stop)
        log.info("stopping")
    if service.lost.is_set():
        raise AlreadyRunningError(
            "another Apprentice took this database over while this process stood still or could not reach it, so this "
            "one has stopped; nothing is lost. `apprentice up` starts it again once the other one is stopped."
        )


async def _run(service: Service, stop: asyncio.Event) -> None:
    """Wait for the end: somebody stops this process, or another one has its lease."""
    Console().print(f"Apprentice is ready. Open [bold]{service.url}[/] in a browser; Ctrl-C stops it.")
    waits = [asyncio.create_task(stop.wait()), asyncio.create_task(service.lost.wait())]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


@contextmanager
def stop_on_signals() -> Iterator[asyncio.Event]:
    """Give an event that SIGINT or SIGTERM sets; a second signal does what signals always do, and ends the process."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)

    def restore() -> None:
        for number in numbers:
            loop.remove_signal_handler(number)

    def on_signal() -> None:
        restore()
        stop.set()

    for number in numbers:
        loop.add_signal_handler(number, on_signal)
    try:
        yield stop
    finally:
        restore()


@asynccontextmanager
async def running(
    settings: Settings, *, workspace: Workspace | None = None, on_progress: OnProgress = _ignore
) -> AsyncIterator[Service]:
    """Start everything; on leaving the block stop it, running answers and an interrupted run kept for the next start.

    `workspace` is used in local mode in place of the one in the data folder.

    Raises:
        ApprenticeError: a part cannot be started; those that had been are stopped again.

    """
    if settings.slack.mode != "local":
        check_tokens(settings.slack)
    if settings.training.schedule:
        parse_schedule(settings.training.schedule)
    parts = open_parts(settings)
    async with AsyncExitStack() as stack:
        stack.callback(parts.database.close)
        lost = await stack.enter_async_context(held_lease(parts.database, "bot"))
        interrupted = recover(parts)
        if settings.slack.mode == "local":
            workspace = workspace or open_local_workspace(settings.data_folder, settings.slack)
        web, people = create_web_app(parts), None
        if workspace is not None:
            local = create_workspace_app(workspace)
            people = local.state.people
            stack.push_async_callback(local.state.sockets.close)
            web.mount("/workspace", local)
        url = await stack.enter_async_context(serve(web, host=settings.web.host, port=settings.web.port))
        await _keep_running(stack, web.state.audit.run())
        base = await asyncio.to_thread(prepare, settings.model.base, settings.cache_folder, on_progress)
        engine = await asyncio.to_thread(_start_engine, settings, base)
        stack.callback(engine.close)
        answering = await asyncio.to_thread(open_answering, settings.inference, engine)
        stack.callback(answering.close)
        web.state.servers = answering.fleet.servers if isinstance(answering, ServerEngine) else ()
        serving = ServingAdapter(parts.database, parts.store, answering)
        await serving.sync()
        web.state.serving = serving
        slack = _slack_settings(settings, url)
        training = Training(parts, engine, base)
        slack_parts = SlackParts(
            settings=_with_address(settings, url),
            database=parts.database,
            governance=parts.governance,
            engine=answering,
            base=base,
            serving=serving,
            examples=await asyncio.to_thread(_worked_examples, parts, engine),
            training=training,
        )
        pages = InstallPages(slack_parts, slack) if slack.mode == "http" and slack.client_id else None
        clients = pages.clients if pages else Clients(make_client(slack))
        client = clients.home
        run_progress = RunProgress(slack_parts, client)
        training.listeners.append(run_progress.on_event)
        service = Service(parts, base, answering, serving, client, url, workspace, people, training, lost)
        web.state.slack = await stack.enter_async_context(
            receiving(web, slack_parts, clients, slack, pages)
            if slack.mode == "http"
            else connected(slack_parts, client, slack)
        )
        worker, deliverer = InboxWorker(slack_parts, clients), Deliverer(slack_parts, clients)
        looking = (GroupReading(slack_parts, clients), Shadowing(slack_parts), Reconciler(slack_parts, client))
        for part in (run_progress, deliverer, worker, *looking):
            await _keep_running(stack, part.run())
        await _keep_running(stack, keep_small(slack_parts))
        schedule = start_schedule(settings.training.schedule, training.train_if_due)
        stack.callback(_stop_schedule, schedule)
        if interrupted:
            await _keep_running(stack, training.train_logged("restart"))
        stack.callback(training.interrupt)
        stack.enter_context(short_collections())
        yield service


def recover(parts: Parts) -> bool:
    """After a kill: put begun events back, sweep away drafts, sign the log; return whether a run resumes.

    One that was to be cancelled does not. The first start of all puts its policy in force.

    Only the holder of the lease may call this.
    """
    with parts.database.transaction() as session:
        again = inbox.requeue_unfinished(session)
    parts.store.remove_drafts()
    parts.governance.policies.put_first_in_force(operator())
    parts.audit.sign(parts.database, utc_now())
    if again:
        log.info("%d events that a stopped process had begun are handled again", again)
    settle_requests(parts.governance, parts.settings.run_folder)
    with parts.database.read() as session:
        return bool(list_runs(session, "running", "interrupted"))


def _start_engine(settings: Settings, base: BaseModel) -> Engine:
    inference = settings.inference
    hardware = detect(inference.threads, inference.dtype)
    return Engine.start(base, hardware, max_batch=inference.max_batch, adapter_memory_mb=inference.adapter_memory_mb)


def _worked_examples(parts: Parts, engine: Engine) -> WorkedExamples:
    settings = parts.settings
    embedder = Embedder(engine, settings.model.system_prompt, settings.cache_folder)
    taught = TaughtFeedback(parts.database, parts.store)
    return WorkedExamples(parts.database, embedder.embed, settings.examples, taught)


def _slack_settings(settings: Settings, url: str) -> SlackSettings:
    """Give the tokens and address in force: those of the local workspace, in local mode."""
    if settings.slack.mode != "local":
        return settings.slack
    return settings.slack.model_copy(
        update={"api_url": f"{url}/workspace/api/", "bot_token": LOCAL_BOT_TOKEN, "app_token": LOCAL_APP_TOKEN}
    )


def _with_address(settings: Settings, url: str) -> Settings:
    """Give the settings in which links begin with the address that is served, unless people have another one."""
    web = settings.web.model_copy(update={"public_url": settings.web.public_url or url})
    return settings.model_copy(update={"web": web})


async def _keep_running(stack: AsyncExitStack, work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(work)

    async def end() -> None:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    stack.push_async_callback(end)


def _stop_schedule(schedule: AsyncIOScheduler) -> None:
    schedule.shutdown(wait=False)


def _log_progress() -> OnProgress:
    last = ""

    def show(what: str, _share: float) -> None:
        nonlocal last
        if what != last:
            log.info("%s", what)
            last = what

    return show
