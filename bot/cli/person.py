"""What is kept about one person: person export, person erase."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from bot.assembly import Parts, open_parts
from bot.cli.output import ConfigOption, JsonOption, print_json
from bot.person_file import export_person
from bot.whoami import operator
from learning.erasure import Forgotten, forget
from storage.people import find_person
from storage.settings import load_settings

commands = typer.Typer(help="What is kept about one person: give it to them, or erase it.", no_args_is_help=True)
PersonArgument = Annotated[str, typer.Argument(help="A Slack user id that has used the bot.", metavar="USER")]


def register(app: typer.Typer) -> None:
    """Add this group to `app`."""
    app.add_typer(commands, name="person")


@commands.command("export")
def export_command(
    person: PersonArgument,
    file: Annotated[Path, typer.Argument(help="Where to write; replaced when it exists.", metavar="FILE")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write all that is kept about a person as one JSON file, to be given to them.

    Example: `apprentice person export U0PRIYA priya.json`
    """
    parts = open_parts(load_settings(config))
    parts.governance.check_role("export_person", operator())
    counts = export_person(parts, person, file)
    if as_json:
        print_json(counts)
    else:
        Console().print(", ".join(f"{number} {name}" for name, number in counts.items()) + f": {file}", highlight=False)


@commands.command()
def erase(
    person: PersonArgument,
    operator: Annotated[str, typer.Option("--as", help="Who erases, for the audit log.", metavar="USER")],
    confirmed: Annotated[bool, typer.Option("--yes", help="Needed: it cannot be taken back.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Erase what a person said and asked, from database and files, and do to adapters what the policy says.

    Decisions and reviews stay, and so do the ids: others rely on them. Done again, it finishes what was cut off.

    Example: `apprentice person erase U0PRIYA --as U0MARCUS --yes`
    """
    if not confirmed:
        raise typer.BadParameter("it cannot be taken back, so nothing was erased.", param_hint="--yes")
    parts = open_parts(load_settings(config))
    with parts.database.read() as session:
        wanted, actor = find_person(session, person).id, find_person(session, operator).id
    erased = parts.governance.erase_person(wanted, actor)
    forgotten = forget(parts.database, parts.store, parts.governance, parts.settings.run_folder)
    if as_json:
        print_json({"person": wanted, **vars(erased), **_effect(forgotten)})
        return
    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(f"Erased of {wanted}: {erased.feedback} votes and corrections, {erased.questions} questions.")
    console.print("\n".join(_told(parts, forgotten)))


def _effect(forgotten: Forgotten) -> dict[str, Any]:
    adapters = [
        {"digest": each.digest, "state": each.state, "erased": each.erased_at is not None}
        for each in forgotten.adapters
    ]
    return {"snapshots": forgotten.snapshots, "adapters": adapters}


def _told(parts: Parts, forgotten: Forgotten) -> list[str]:
    """Say what became of each adapter that had learned from the person."""
    lines = [
        f"Adapter {each.digest[:12]} learned from them: {each.state}, its files are erased."
        if each.erased_at
        else f"Adapter {each.digest[:12]} learned from them and answers until the next one is approved, as the policy "
        f"says. {_next_run(parts)}"
        for each in forgotten.adapters
    ]
    return lines or ["No adapter learned from them."]


def _next_run(parts: Parts) -> str:
    if parts.settings.training.schedule:
        return "The schedule starts a run without them."
    return "`apprentice train` makes one without them."
