"""Commands about what is kept: db upgrade, feedback import and export."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bot.assembly import open_parts
from bot.cli.output import ConfigOption, JsonOption, print_json
from bot.feedback_file import export_feedback, import_feedback
from storage.database import Database
from storage.settings import load_settings

database_commands = typer.Typer(help="The database's schema.", no_args_is_help=True)
feedback_commands = typer.Typer(help="Move feedback in and out as JSON Lines.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add these groups to `app`."""
    app.add_typer(database_commands, name="db")
    app.add_typer(feedback_commands, name="feedback")


@database_commands.command("upgrade")
def upgrade(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Bring the database's schema to this version; safe to run again.

    Example: `apprentice db upgrade`
    """
    database = Database(load_settings(config).database_url)
    database.check_connection()
    before, head = database.revisions()
    database.upgrade()
    if as_json:
        print_json({"before": before, "revision": head})
        return
    Console().print(
        f"The schema is at revision {head}" + (" already." if before == head else f" (was {before or 'empty'}).")
    )


@feedback_commands.command("import")
def import_command(
    file: Annotated[Path, typer.Argument(help="One JSON object a line.", metavar="FILE")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Import feedback. Nothing is imported when a line is wrong; lines imported before are skipped.

    Each line has "question", "person" (a Slack user id), and one of "correction" (the right answer), "vote" ("up" or
    "down") and "preferred" (the better one of two answers); "answer" is needed for votes (what the bot had said) and
    with "preferred" (the other one of the two). Optional: "id", "name", "private".

    Example: `apprentice feedback import corrections.jsonl`
    """
    done = import_feedback(open_parts(load_settings(config)), file)
    if as_json:
        counts = done._asdict()
        print_json({"imported": counts.pop("added"), **counts})
    else:
        Console().print(f"Imported {done.added}; {done.skipped} were there already.")
        if done.masked or done.set_aside:
            told = f"Personal data or secrets: masked in {done.masked}, {done.set_aside} set aside for a reviewer."
            Console().print(told)
        if done.suspicious:
            Console().print(f"{done.suspicious} suspicious corrections wait for review: `apprentice review list`.")


@feedback_commands.command("export")
def export_command(
    file: Annotated[Path, typer.Argument(help="Where to write; replaced when it exists.", metavar="FILE")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Export all feedback as JSON Lines, in the form that `feedback import` reads.

    Example: `apprentice feedback export feedback.jsonl`
    """
    exported = export_feedback(open_parts(load_settings(config)), file)
    if as_json:
        print_json({"exported": exported})
    else:
        Console().print(f"Exported {exported}.")
