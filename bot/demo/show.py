"""`apprentice demo`: starts everything with the made-up company; a visitor plays the story, or the script does."""

import asyncio
import json
import logging
import shutil
import signal
import textwrap
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bot.demo.company import Fact, read_handbook
from bot.demo.guide import follow_guide
from bot.demo.script import Answered, Outcome, play, right
from bot.service import running
from bot.training_run import ProgressBars
from storage.errors import ConfigurationError
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
    empty(folder)
    console = Console()
    handbook = read_handbook()[:facts]
    # Before and after show what the adapter learned: nothing is looked up among the corrections.
    settings = demo_settings(folder, 0, "").model_copy(update={"examples": ExamplesSettings(enabled=False)})
    with ProgressBars() as bars:
        on_progress = lambda what, share: bars.show("base model", int(share * PERCENT), PERCENT, what)  # noqa: E731
        async with running(settings, on_progress=on_progress) as service:
            service.on_event = bars.on_event
            outcome = await play(service, handbook, bars.show)
    _print_outcome(console, handbook, outcome)
    if json_file is not None:
        write_json(json_file, outcome)
        console.print(f"Written to {json_file}.")
    return 0 if outcome.improved else 1


async def run_demo(folder: Path, port: int) -> None:
    """Run the demo for a visitor until Ctrl-C; a guide in the page leads through the story."""
    _quiet_logs()
    empty(folder)
    console = Console()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with console.status("starting ...") as status:
        on_progress = lambda what, share: status.update(f"{what} ({share:.0%})")  # noqa: E731
        # The scheduler looks each minute, so that training starts by itself soon after the visitor's correction.
        context = running(demo_settings(folder, port, "* * * * *"), on_progress=on_progress)
        service = await context.__aenter__()
    try:
        console.print(f"\nOpen [bold]{service.url}/workspace/[/] in a browser; the guide there leads you through.")
        console.print(f"What is serving, and the audit log: {service.url}/    Ctrl-C stops the demo.\n")
        guide = asyncio.create_task(follow_guide(service))
        await stop.wait()
        guide.cancel()
    finally:
        await context.__aexit__(None, None, None)


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
