"""Commands about pins: who gets a certain adapter, whatever serves."""

import re
from typing import Annotated

import typer
from rich.console import Console
from sqlmodel import Session

from bot.assembly import open_parts
from bot.cli.output import ConfigOption, JsonOption, print_json, print_rows
from bot.whoami import operator
from governance.pinning import MOST_DAYS, Subject
from storage.errors import NotFoundError
from storage.people import find_person, workspaces
from storage.pins import Pin, list_pins
from storage.settings import load_settings

CHANNEL = re.compile(r"(?:(?P<team>T\w+)/)?(?P<channel>[CG][A-Z0-9]+)")
"""How Slack's ids of channels look; those of people begin with U or W."""

WhoArgument = Annotated[
    str, typer.Argument(help="A Slack user id that has used the bot, or a channel's id (C...).", metavar="WHO")
]


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    for command in (pin, unpin, pins):
        app.command()(command)


def pin(
    who: WhoArgument,
    adapter: Annotated[str, typer.Argument(help="A digest, or the start of one; 'base' for the base model.")],
    reason: Annotated[str, typer.Option(help="Why; kept with the pin, its digest in the audit log.")],
    days: Annotated[float, typer.Option(help=f"For how long, {MOST_DAYS} at most.")] = 7.0,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let an adapter answer a person or a channel for a while, whatever serves; a running bot follows within seconds.

    Its answers count on neither side of a canary or of the watch over a new adapter.

    Example: `apprentice pin U0MARCUS 3f9a0c12 --days 7 --reason "compare the tone"`
    """
    parts = open_parts(load_settings(config))
    with parts.database.read() as session:
        subject = _subject(session, who)
    made = parts.governance.pin(subject, adapter, actor=operator(), reason=reason, days=days)
    if as_json:
        print_json(_row(made))
    else:
        which = f"adapter {made.adapter_digest[:12]}" if made.adapter_digest else "the base model"
        Console().print(f"{made.kind} {made.subject} is pinned to {which} until {made.ends_at:%Y-%m-%d %H:%M} UTC.")


def unpin(who: WhoArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """End a pin.

    Example: `apprentice unpin C0HELPDESK`
    """
    parts = open_parts(load_settings(config))
    with parts.database.read() as session:
        subject = _subject(session, who)
    parts.governance.unpin(subject.id, operator())
    if as_json:
        print_json({"unpinned": subject.id})
    else:
        Console().print(f"{subject.id} is not pinned any more.")


def pins(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List who is pinned to what, until when, and why.

    Example: `apprentice pins --json`
    """
    parts = open_parts(load_settings(config))
    with parts.database.read() as session:
        rows = [_row(each) for each in list_pins(session, parts.governance.clock())]
    print_rows(rows, as_json=as_json, empty="Nobody is pinned.")


def _row(made: Pin) -> dict[str, object]:
    return {
        "who": made.subject,
        "kind": made.kind,
        "adapter": made.adapter_digest[:12] if made.adapter_digest else "base model",
        "until": made.ends_at,
        "reason": made.reason,
        "by": made.pinned_by,
    }


def _subject(session: Session, who: str) -> Subject:
    """Return who is meant; a channel's workspace need not be given where there is only one."""
    channel = CHANNEL.fullmatch(who)
    if channel is None:
        return Subject("person", find_person(session, who).id)
    known = [each.id for each in workspaces(session)]
    teams = [team for team in known if channel["team"] in {None, team}]
    if len(teams) != 1:
        raise NotFoundError(f"name the workspace of {who}, as in T0123ABCD/C0123ABCD; known are {', '.join(known)}.")
    return Subject("channel", f"{teams[0]}/{channel['channel']}")
