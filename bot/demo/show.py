"""`apprentice demo`: starts everything with the made-up company; a visitor plays the story, or the script does."""

import asyncio
import json
import logging
import shutil
import textwrap
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bot.demo.company import Fact, read_handbook
from bot.demo.guide import follow_guide
from bot.demo.script import Answered, Outcome, play, right
from bot.service import Service, running, stop_on_signals
from bot.training_run import ProgressBars
from storage.errors import AlreadyRunningError, ConfigurationError
from storage.settings import ExamplesSettings, Settings, WebSettings, load_settings

MARKER = ".apprentice-demo"
PERCENT = 100
SHOWN_CHARACTERS = 160
"""Of an answer in the table before and after; the JSON has it whole."""


def demo_settings(folder: Path, port: int, schedule: str) -> Settings:
    """Return the settings of a demo: embedded defaults with their data in `folder`."""
    apart = load_settings().apart(folder)
    training = apart.training.model_copy(update={"schedule": schedule})
    return apart.model_copy(update={"web": WebSettings(port=port), "training": training})


async def play_script(folder: Path, *, facts: int, json_file: Path | None) -> int:
    """Play the story unattended; return the exit status: 0 only when more is right after than before, and proved.

    Raises:
        ApprenticeError: the story did not go on as it should.

    """
    _quiet_logs()
    if json_file is not None:
        check_writable(json_file)
    console = Console()
    handbook = read_handbook()[:facts]
    # Before and after show what the adapter learned: nothing is looked up among the corrections.
    settings = demo_settings(folder, 0, "").model_copy(update={"examples": ExamplesSettings(enabled=False)})
    with claimed(folder), ProgressBars() as bars:
        on_progress = lambda what, share: bars.show("base model", int(share * PERCENT), PERCENT, what)  # noqa: E731
        async with running(settings, on_progress=on_progress) as service:
            service.training.listeners.append(bars.on_event)
            outcome = await play(service, handbook, bars.show)
    _print_outcome(console, handbook, outcome)
    if json_file is not None:
        write_json(json_file, outcome)
        console.print(f"Written to {json_file}.")
    return 0 if outcome.improved else 1


async def run_demo(folder: Path, port: int) -> None:
    """Run the demo for a visitor until Ctrl-C; a guide in the page leads through the story."""
    _quiet_logs()
    console = Console()
    # The scheduler looks each minute, so that training starts by itself soon after the visitor's correction.
    settings = demo_settings(folder, port, "* * * * *")
    with claimed(folder), console.status("starting ...") as status:
        on_progress = lambda what, share: status.update(f"{what} ({share:.0%})")  # noqa: E731
        async with running(settings, on_progress=on_progress) as service, _guided(service):
            status.stop()
            with stop_on_signals() as stop:
                console.print(
                    f"\nOpen [bold]{service.url}/workspace/[/] in a browser; the guide there leads you through."
                )
                console.print(f"What is serving, and the audit log: {service.url}/    Ctrl-C stops the demo.\n")
                await stop.wait()


@asynccontextmanager
async def _guided(service: Service) -> AsyncIterator[None]:
    guide = asyncio.create_task(follow_guide(service))
    try:
        yield
    finally:
        guide.cancel()


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Have a demo's folder to oneself, emptied.

    Raises:
        AlreadyRunningError: another demo runs in it; its files are left alone.
        ConfigurationError: it holds what no demo made.

    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.absolute().parent / f".{folder.name}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise AlreadyRunningError(
            f"another demo runs in {folder}. Stop that one with Ctrl-C, or give another folder with --folder."
        ) from None
    with lock:
        empty(folder)
        yield


def empty(folder: Path) -> None:
    """Empty a demo's folder of what an earlier demo left.

    Raises:
        ConfigurationError: the folder holds something else; nothing is removed then.

    """
    if folder.exists() and any(folder.iterdir()) and not (folder / MARKER).exists():
        raise ConfigurationError(f"{folder} holds files that no demo made. Give an empty folder with --folder.")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / MARKER).touch()


def check_writable(file: Path) -> None:
    """Find out before the story, which takes minutes, whether its result can be written."""
    existed = file.exists()
    with file.open("a", encoding="utf-8"):
        pass
    if not existed:
        file.unlink()


def write_json(file: Path, outcome: Outcome) -> None:
    """Write what `--json` promises."""
    file.write_text(json.dumps(outcome.to_json(), indent=2, ensure_ascii=False), encoding="utf-8")


def _print_outcome(console: Console, handbook: Sequence[Fact], outcome: Outcome) -> None:
    table = Table(title="Answers before and after", show_lines=True)
    for heading in ("question", "before", "after"):
        table.add_column(heading, overflow="fold", ratio=1)
    for before, after in zip(outcome.before, outcome.after, strict=True):
        table.add_row(before.question, _marked(before), _marked(after))
    console.print(table)
    for gate in outcome.gates:
        console.print(f"gate {gate['name']}: [bold]{gate['verdict']}[/]. {gate['explanation']}", highlight=False)
    console.print(f"Approved by {', '.join(outcome.approved_by)}, who wrote none of the corrections.")
    proof = "verified" if outcome.audit["verified"] else "NOT VERIFIED"
    console.print(
        f"Audit log {proof}: {outcome.audit['records']} records, Merkle root {outcome.audit['root']}", soft_wrap=True
    )
    console.print(
        f"Right before: {right(outcome.before)} of {len(outcome.before)}; after: {right(outcome.after)} of "
        f"{len(outcome.after)} ({len(handbook)} facts, each asked as told and in other words). "
        f"{outcome.seconds['total']:.0f} s in all."
    )


def _marked(answer: Answered) -> str:
    mark = "[green]right[/]" if answer.correct else "[red]wrong[/]"
    return f"{mark}  {escape(textwrap.shorten(answer.answer, SHOWN_CHARACTERS, placeholder=' ...'))}"


def _quiet_logs() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("apscheduler").setLevel(logging.ERROR)  # a run longer than a minute is no news to a visitor
