"""The votes of approvers: who holds whose, approvers delegate, revoke, list."""

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console

from bot.assembly import open_parts
from bot.cli.output import ConfigOption, JsonOption, print_json, print_rows
from storage.delegations import Delegation, list_delegations
from storage.people import find_person
from storage.settings import load_settings

commands = typer.Typer(
    help="The votes of approvers: hand one to somebody for a while, take it back.", no_args_is_help=True
)
FromOption = Annotated[
    str, typer.Option("--from", help="Whose vote it is: an approver's Slack user id.", metavar="PERSON")
]
UNTIL = ["%Y-%m-%d", "%Y-%m-%dT%H:%M"]


def register(app: typer.Typer) -> None:
    """Add this group to `app`."""
    app.add_typer(commands, name="approvers")


@commands.command()
def delegate(
    delegator: FromOption,
    to: Annotated[
        str, typer.Option("--to", help="Who gets it: a Slack user id that has used the bot.", metavar="PERSON")
    ],
    until: Annotated[
        datetime,
        typer.Option(help="When it ends by itself, in UTC; a date alone means its first minute.", formats=UNTIL),
    ],
    reason: Annotated[str, typer.Option(help="Why; kept with it, its digest in the audit log.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hand an approver's vote to one person until a date, if the policy's approval.delegation_days allows it.

    They decide with the same buttons and commands, once: one human has one vote. The approver may still use it too.

    Example: `apprentice approvers delegate --from U0MARCUS --to U0PRIYA --until 2026-12-24 --reason "on holiday"`
    """
    parts = open_parts(load_settings(config))
    with parts.database.read() as session:
        whose, holder = find_person(session, delegator).id, find_person(session, to).id
    made = parts.governance.delegate_vote(whose, holder, until.replace(tzinfo=UTC), reason)
    if as_json:
        print_json(_row(made))
    else:
        Console().print(
            f"{made.delegate} decides on behalf of {made.delegator} until {made.ends_at:%Y-%m-%d %H:%M} UTC.",
            soft_wrap=True,
        )


@commands.command()
def revoke(delegator: FromOption, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Take a vote back at once; what was decided with it stands.

    Example: `apprentice approvers revoke --from U0MARCUS`
    """
    parts = open_parts(load_settings(config))
    with parts.database.read() as session:
        whose = find_person(session, delegator).id
    parts.governance.revoke_delegation(whose)
    if as_json:
        print_json({"revoked": whose})
    else:
        Console().print(f"Nobody decides on behalf of {whose} any more.")


@commands.command("list")
def list_command(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List whose vote is in whose hands, until when, and why.

    Example: `apprentice approvers list --json`
    """
    parts = open_parts(load_settings(config))
    with parts.database.read() as session:
        rows = [_row(each) for each in list_delegations(session, parts.governance.clock())]
    print_rows(rows, as_json=as_json, empty="No approver has handed on their vote.")


def _row(made: Delegation) -> dict[str, object]:
    return {"from": made.delegator, "to": made.delegate, "until": made.ends_at, "reason": made.reason}
