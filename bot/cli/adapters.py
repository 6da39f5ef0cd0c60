"""Commands about adapters: train, adapters, approve, reject, rollback."""

from typing import Annotated

import typer
from rich.console import Console

from bot.assembly import Parts, open_parts
from bot.cli.output import ConfigOption, DomainOption, JsonOption, print_json, print_rows
from bot.whoami import operator
from storage.adapters import find_adapter, list_adapters
from storage.break_glass import list_break_glass
from storage.domains import DEFAULT_DOMAIN
from storage.errors import NotFoundError
from storage.people import find_person
from storage.proposals import Proposal, Verdict, proposal_for
from storage.settings import load_settings

PersonOption = Annotated[
    str, typer.Option("--as", help="Who decides: a Slack user id that has used the bot.", metavar="USER")
]
ReasonOption = Annotated[str, typer.Option(help="Why; kept with the decision, its digest in the audit log.")]


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    for command in (train, adapters, approve, reject, rollback):
        app.command()(command)


def train(domain: DomainOption = DEFAULT_DOMAIN, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Train a new adapter now, on a domain's accepted feedback, and propose it when it passes its gates.

    A run that was interrupted is resumed instead of starting another.

    Example: `apprentice train --json`
    """
    from bot.training_run import train_in_terminal  # noqa: PLC0415 - the model libraries load only for this command

    result = train_in_terminal(open_parts(load_settings(config)), operator(), domain, quiet=as_json)
    if as_json:
        print_json(result)


def adapters(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List adapters, newest first, with their state, what their gates said, and for which the glass was broken.

    Example: `apprentice adapters --json`
    """
    parts = open_parts(load_settings(config))
    with parts.database.read() as session:
        glasses = {each.adapter_digest: each.state for each in list_break_glass(session)}
        rows = [
            {
                "digest": adapter.digest,
                "state": adapter.state,
                "domain": adapter.domain,
                "created": adapter.created_at,
                "serving_since": adapter.serving_since,
                "gates": ", ".join(f"{gate['name']} {gate['verdict']}" for gate in adapter.gates),
                "break_glass": glasses.get(adapter.digest, ""),
            }
            for adapter in list_adapters(session)
        ]
    print_rows(rows, as_json=as_json, empty="No adapter yet; the base model answers. `apprentice train` makes one.")


def approve(
    adapter: str,
    person: PersonOption,
    reason: ReasonOption = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Approve the promotion of an adapter, named by its digest or the start of it.

    Example: `apprentice approve 3f9a0c12 --as U0MARCUS`
    """
    _decide(open_parts(load_settings(config)), adapter, person, "approve", reason, as_json=as_json)


def reject(
    adapter: str, person: PersonOption, reason: ReasonOption, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Reject an adapter; a reason is required.

    Example: `apprentice reject 3f9a0c12 --as U0MARCUS --reason "two answers got worse"`
    """
    _decide(open_parts(load_settings(config)), adapter, person, "reject", reason, as_json=as_json)


def rollback(
    reason: ReasonOption,
    domain: DomainOption = DEFAULT_DOMAIN,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put the adapter that served before in a domain back; a running bot follows within seconds.

    Example: `apprentice rollback --reason "wrong refund limit"`
    """
    parts = open_parts(load_settings(config))
    restored = parts.governance.rollback(operator(), reason, parts.governance.policy.check_domain(domain))
    digest = restored.digest if restored else None
    if as_json:
        print_json({"serving": digest})
    else:
        Console().print(f"Rolled back. Serving now: {digest or 'the base model'}.")


def _decide(parts: Parts, adapter: str, person: str, verdict: Verdict, reason: str, *, as_json: bool) -> None:
    proposal = proposal_of(parts, adapter)
    with parts.database.read() as session:
        decider = find_person(session, person)
    outcome = parts.governance.decide(proposal.id, decider.id, verdict, reason)
    if as_json:
        print_json({"proposal": proposal.id, "state": outcome.proposal.state, "promoted": outcome.promoted})
    else:
        Console().print(outcome.message)


def proposal_of(parts: Parts, adapter: str) -> Proposal:
    """Return the proposal of an adapter, named by its digest or the start of it, or raise NotFoundError."""
    with parts.database.read() as session:
        digest = find_adapter(session, adapter).digest
        proposal = proposal_for(session, digest)
    if proposal is None:
        raise NotFoundError(f"adapter {digest} was never proposed, so there is nothing to decide on.")
    return proposal
