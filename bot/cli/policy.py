"""Commands about policies: what one allows, how past adapters would have fared under it, and changes of it."""

from dataclasses import asdict
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from sqlmodel import Session

from bot.assembly import Parts, open_parts
from bot.cli import policy_changes
from bot.cli.output import ConfigOption, JsonOption, PolicyArgument, print_json, print_rows
from governance.gates import Metric
from governance.policy import Policy, load_policy
from governance.policy_check import check_policy
from governance.policy_simulation import simulate as simulate_one
from governance.policy_words import explain_policy
from governance.user_groups import read_groups
from learning.evaluation import read_report
from storage.adapters import Adapter, list_adapters
from storage.errors import ApprenticeError
from storage.proposals import decisions_on, proposal_for
from storage.settings import load_settings

commands = typer.Typer(
    help="What a policy allows, what it would have changed, and changes of it.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Add this group to `app`."""
    app.add_typer(commands, name="policy")
    policy_changes.register(commands)


@commands.command()
def check(file: PolicyArgument, as_json: JsonOption = False) -> None:
    """Say in plain words what a policy allows; refuse one that contradicts itself (exit status 1).

    Example: `apprentice policy check policy.toml`
    """
    policy = load_policy(file)
    found, said = check_policy(policy), explain_policy(policy)
    if as_json:
        print_json({"name": policy.name, "digest": policy.digest, **asdict(found), "explanation": said})
    else:
        _show(policy, said, found.contradictions, found.warnings)
    raise typer.Exit(1 if found.contradictions else 0)


def _show(policy: Policy, said: list[str], contradictions: tuple[str, ...], warnings: tuple[str, ...]) -> None:
    console = Console(highlight=False)
    console.print(f"[bold]{escape(policy.name)}[/] (digest {policy.digest[:12]})")
    for sentence in said:
        console.print(f"- {escape(sentence)}", soft_wrap=True)
    for sentence in warnings:
        console.print(f"[yellow]warning[/] {escape(sentence)}", soft_wrap=True)
    for sentence in contradictions:
        console.print(f"[bold red]contradiction[/] {escape(sentence)}", soft_wrap=True)


@commands.command()
def simulate(file: PolicyArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show how past adapters would have fared under a policy: proposed or not, approved or not, and why.

    The decisions are those that people took then; who may not decide under this policy is left out. Nothing is changed.

    Example: `apprentice policy simulate builtin:finance`
    """
    policy, parts = load_policy(file), open_parts(load_settings(config))
    with parts.database.read() as session:
        judged = [adapter for adapter in reversed(list_adapters(session)) if adapter.report_digest]
        rows = [_row(parts, session, policy, adapter) for adapter in judged]
    print_rows(rows, as_json=as_json, empty="No adapter was evaluated so far, so nothing can be simulated.")


def _row(parts: Parts, session: Session, policy: Policy, adapter: Adapter) -> dict[str, Any]:
    proposal = proposal_for(session, adapter.digest)
    decisions = decisions_on(session, proposal.id) if proposal else []
    groups = read_groups(session, parts.governance.clock())
    seen = simulate_one(policy, adapter, _metrics(parts, adapter), proposal, decisions, groups)
    is_now, would_be = seen.then, seen.outcome
    return {"adapter": seen.adapter[:12], "domain": seen.domain, "is": is_now, "would_be": would_be, "why": seen.why}


def _metrics(parts: Parts, adapter: Adapter) -> dict[str, Metric]:
    """Return all figures of the adapter's report; those of its gates where the report is lost."""
    try:
        return read_report(parts.store.verify(str(adapter.report_digest))).gate_metrics()
    except (ApprenticeError, OSError):
        return {
            gate["name"]: Metric(gate["value"], gate["n"], gate["low"], gate["high"])
            for gate in adapter.gates
            if gate["n"]
        }
