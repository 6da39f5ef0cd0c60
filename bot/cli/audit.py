"""The audit log's commands: verify, prove, export and watch."""

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from bot.assembly import Parts, open_parts
from bot.cli.output import ConfigOption, JsonOption, print_json
from bot.whoami import operator
from governance.audit_export import CHECKER, export_log
from governance.audit_following import LogFollower
from governance.audit_proofs import as_json as proof_as_json
from governance.audit_proofs import prove_consistency, prove_inclusion
from governance.checkpoints import Checkpoint
from governance.errors import AuditLogError
from governance.roles import Action
from storage.audit import LogRecord
from storage.settings import load_settings

commands = typer.Typer(help="The audit log: check it, prove what is in it, hand it over.", no_args_is_help=True)
ALARM = 3
"""Exit status of `watch` when something was tampered with; 1 is any other error."""
VERIFY_EVERY_S = 300.0
"""Seconds after which `watch` reads the whole log again: a step looks only at what is new."""
CheckpointOption = Annotated[
    list[Path] | None,
    typer.Option("--checkpoint", help="One that was kept elsewhere; may be given more than once.", metavar="FILE"),
]


def register(app: typer.Typer) -> None:
    """Add this group to `app`."""
    app.add_typer(commands, name="audit")


@commands.command()
def verify(checkpoint: CheckpointOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check every record of the audit log against its hash, its place and the signed checkpoints.

    Exits with status 1 when something was changed, and names the first record that is wrong.

    Example: `apprentice audit verify --checkpoint usb/checkpoint-000000000412.json`
    """
    parts = _open_for("check_log", config)
    result = parts.audit.verify(parts.database, *(checkpoint or []))
    if as_json:
        print_json(asdict(result))
    elif result.verified:
        Console().print(f"[green]Verified[/]: {result.records} records, Merkle root {result.root}.")
    else:
        Console().print(f"[bold red]Not verified[/]: {escape(result.problem)}", soft_wrap=True)
    raise typer.Exit(0 if result.verified else 1)


@commands.command()
def prove(
    record: Annotated[int | None, typer.Argument(help="The record's place, from 0.", metavar="RECORD", min=0)] = None,
    since: Annotated[
        Path | None,
        typer.Option(help="Prove instead that the log only grew since this checkpoint.", metavar="CHECKPOINT"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the proof here instead of printing it.", metavar="FILE")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Prove that a record is in the log, or that the log begins with the one that an older checkpoint signed.

    Whoever gets the proof checks it with check_audit_log.py, which lies in every export, and the public key.

    Example: `apprentice audit prove 17 --out proof.json`
    """
    if (record is None) == (since is None):
        raise typer.BadParameter("give either a record's place or --since, not both.", param_hint="RECORD")
    parts = _open_for("check_log", config)
    if since is not None:
        text = json.dumps(proof_as_json(prove_consistency(parts.audit, parts.audit.checkpoints.read(since))), indent=1)
    else:
        assert record is not None
        text = json.dumps(proof_as_json(prove_inclusion(parts.audit, parts.database, record)), indent=1)
    if out is None:
        print(text)
        return
    out.write_text(text + "\n", encoding="utf-8")
    Console().print(f"Wrote {escape(str(out))}.", highlight=False)


@commands.command()
def export(
    file: Annotated[Path, typer.Argument(help="The zip to write; replaced when it exists.", metavar="FILE")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the log, its checkpoints and the script that checks them to a zip, for somebody without Apprentice.

    Example: `apprentice audit export audit-2026.zip`
    """
    parts = _open_for("export_log", config)
    newest = export_log(parts.audit, parts.database, file)
    if as_json:
        print_json({"records": newest.size, "root": newest.root, "key": newest.key})
        return
    Console().print(
        f"Wrote {newest.size} records to {escape(str(file))}. To check it: take {CHECKER} out of it and run "
        f"`python {CHECKER} {escape(file.name)}`. The key's SHA-256 is {newest.key}.",
        highlight=False,
        soft_wrap=True,
    )


@commands.command()
def watch(
    state: Annotated[
        Path | None,
        typer.Option(help="Where to keep the last checkpoint seen, best where the log's owner cannot write."),
    ] = None,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Look once and exit, for a scheduler.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Follow the log: print new records, and prove of each new checkpoint that its log begins with the one before.

    The whole log is verified at the start and every five minutes. Exits with status 3 when something was tampered with.

    Example: `apprentice audit watch --state /mnt/usb/seen.json`
    """
    parts = _open_for("check_log", config)
    try:
        _follow(parts, LogFollower(parts.audit, parts.database, state), every, once=once, as_json=as_json)
    except AuditLogError as error:
        _alarm(str(error), as_json=as_json)
    except KeyboardInterrupt:
        raise typer.Exit from None


def _open_for(action: Action, config: Path | None) -> Parts:
    """Open the parts for whoever may do this to the log."""
    parts = open_parts(load_settings(config))
    parts.governance.check_role(action, operator())
    return parts


def _follow(parts: Parts, follower: LogFollower, every: float, *, once: bool, as_json: bool) -> None:
    verified_at = float("-inf")
    while True:
        parts.database.check_connection()
        if time.monotonic() - verified_at > VERIFY_EVERY_S:
            follower.verify()
            verified_at = time.monotonic()
        before = follower.seen
        records = follower.step()
        _tell(records, before, follower.seen, as_json=as_json)
        if once:
            return
        time.sleep(every)


def _tell(records: list[LogRecord], before: Checkpoint | None, after: Checkpoint | None, *, as_json: bool) -> None:
    console = Console()
    for record in records:
        content = json.loads(record.body)
        line = "  ".join(str(content[name]) for name in ("sequence", "time", "actor", "action", "object"))
        print(record.body) if as_json else console.print(line, highlight=False, markup=False, soft_wrap=True)
    if records and after and not as_json:
        size = before.size if before else 0
        console.print(f"The log of {after.size} records begins with that of {size}, unchanged. Root {after.root}.")


def _alarm(problem: str, *, as_json: bool) -> NoReturn:
    if as_json:
        print(json.dumps({"alarm": problem}))
    else:
        Console(stderr=True).print(f"[bold red]ALARM[/]: {escape(problem)}", highlight=False, soft_wrap=True)
    raise typer.Exit(ALARM)
