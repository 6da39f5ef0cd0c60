"""Emergencies: break-glass promote, confirm, list."""

from typing import Annotated

import typer
from rich.console import Console

from bot.assembly import open_parts
from bot.cli.adapters import proposal_of
from bot.cli.output import ConfigOption, JsonOption, print_json, print_rows
from storage.break_glass import BreakGlass, list_break_glass
from storage.people import find_person
from storage.proposals import get_proposal
from storage.settings import load_settings

commands = typer.Typer(
    help="In an emergency, take a proposed adapter live without its quorum; confirm it afterwards.",
    no_args_is_help=True,
)
ByOption = Annotated[str, typer.Option("--by", help="Who does it: a Slack user id that has used the bot.")]


def register(app: typer.Typer) -> None:
    """Add this group to `app`."""
    app.add_typer(commands, name="break-glass")


@commands.command()
def promote(
    proposal: Annotated[str, typer.Argument(help="The proposal's id, or the digest of its adapter.")],
    by: ByOption,
    reason: Annotated[str, typer.Option(help="Why, in a sentence; everybody concerned is shown it.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take the adapter of an open proposal live now, if the policy's break_glass.who names you.

    The stages of its rollout stay. Somebody else is told at once, and the approvers have to confirm it.

    Example: `apprentice break-glass promote 3f9a0c12 --by U0MARCUS --reason "the refund limit it answers is wrong"`
    """
    parts = open_parts(load_settings(config))
    with parts.database.read() as session:
        person = find_person(session, by).id
        named = get_proposal(session, proposal).id if proposal.startswith("prop_") else ""
    glass, message = parts.governance.break_glass(named or proposal_of(parts, proposal).id, person, reason)
    if as_json:
        print_json(_row(glass))
    else:
        Console().print(
            f"{message} {glass.told} is told. Confirm {glass.id} until {glass.confirm_by:%Y-%m-%d %H:%M} UTC, or the "
            "adapter is taken out again.",
            soft_wrap=True,
        )


@commands.command()
def confirm(
    glass_id: Annotated[str, typer.Argument(help="Its id, as `break-glass list` has it.", metavar="ID")],
    by: ByOption,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Approve afterwards what went live without its quorum; as many have to as the proposal needed.

    Example: `apprentice break-glass confirm glass_3f9a0c12d4e5b6a7 --by U0PRIYA`
    """
    parts = open_parts(load_settings(config))
    with parts.database.read() as session:
        person = find_person(session, by).id
    done = parts.governance.confirm_break_glass(glass_id, person)
    if as_json:
        print_json({**_row(done.glass), "missing": done.missing})
    else:
        Console().print(done.message, soft_wrap=True)


@commands.command("list")
def list_command(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List what ever went live without its quorum, by whom, why, and what became of it.

    Example: `apprentice break-glass list --json`
    """
    with open_parts(load_settings(config)).database.read() as session:
        rows = [_row(each) for each in list_break_glass(session)]
    print_rows(rows, as_json=as_json, empty="The glass was never broken.")


def _row(glass: BreakGlass) -> dict[str, object]:
    return {
        "id": glass.id,
        "adapter": glass.adapter_digest,
        "by": glass.person_id,
        "reason": glass.reason,
        "told": glass.told,
        "seen": glass.seen_at,
        "confirm_by": glass.confirm_by,
        "state": glass.state,
    }
