"""Commands that run the whole, and prepare for it: up, demo, doctor, manifest."""

import asyncio
import dataclasses
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bot.cli.output import ConfigOption, JsonOption, print_json
from bot.slack.manifest import manifest_for_http, manifest_text
from storage.settings import load_settings

MARKS = {"ok": "[green]ok[/]", "warning": "[yellow]warning[/]", "failed": "[bold red]failed[/]"}


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    for command in (up, demo, doctor, manifest):
        app.command()(command)


def up(config: ConfigOption = None) -> None:
    """Run everything in this process: the bot, the web pages, the scheduler and the engine. Ctrl-C stops it.

    Example: `apprentice up --config apprentice.toml`
    """
    from bot.service import run_until_stopped  # noqa: PLC0415 - the model libraries load only for this command

    asyncio.run(run_until_stopped(load_settings(config)))


def demo(
    script: Annotated[bool, typer.Option("--script", help="Play the story unattended, then exit.")] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="With --script: write the result here.", metavar="FILE")
    ] = None,
    facts: Annotated[int, typer.Option(help="With --script: how many of the 20 facts to correct.", min=1, max=20)] = 20,
    folder: Annotated[Path, typer.Option(help="Where the demo keeps its data; emptied at each start.")] = Path(
        "data/demo"
    ),
    port: Annotated[int, typer.Option(help="The port to listen on; 0 takes a free one.")] = 8765,
) -> None:
    """Run the whole loop with a made-up company, on this machine, without a Slack account.

    Example: `apprentice demo --script --json result.json`
    """
    from bot.demo.show import play_script, run_demo  # noqa: PLC0415

    if json_file is not None and not script:
        raise typer.BadParameter("it holds the result of the scripted story; give --script too.", param_hint="--json")
    if script:
        raise typer.Exit(asyncio.run(play_script(folder, facts=facts, json_file=json_file)))
    asyncio.run(run_demo(folder, port))


def doctor(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check configuration, tokens, database, policy, model and hardware; say what to do about what is wrong.

    Exits with status 1 when something has failed.

    Example: `apprentice doctor`
    """
    from bot.doctor import examine  # noqa: PLC0415 - Slack's libraries load only where they are needed

    checks = list(examine(config))
    if as_json:
        print_json([dataclasses.asdict(check) for check in checks])
    else:
        table = Table(box=None, show_header=False, pad_edge=False)
        for check in checks:
            remedy = f"\n[bold]-> {escape(check.remedy)}[/]" if check.remedy else ""
            table.add_row(check.name, MARKS[check.state], escape(check.detail) + remedy)
        Console().print(table)
    raise typer.Exit(any(check.state == "failed" for check in checks))


def manifest(
    http: Annotated[
        str,
        typer.Option(help="For HTTP mode: the https:// address at which Slack reaches this bot.", metavar="ADDRESS"),
    ] = "",
) -> None:
    """Print the manifest of the Slack app, to be pasted at api.slack.com/apps: for Socket Mode, or for HTTP mode.

    Example: `apprentice manifest --http https://apprentice.example.org`
    """
    print(manifest_for_http(http) if http else manifest_text(), end="")
