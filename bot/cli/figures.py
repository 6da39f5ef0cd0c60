"""The command that says how people judge the answers of each adapter."""

from datetime import UTC, datetime
from typing import Any

import typer
from sqlmodel import Session

from bot.assembly import open_parts
from bot.cli.output import ConfigOption, JsonOption, print_rows
from governance.flows import Governance
from governance.sequential import Counts, rate_interval
from governance.watching import compare, why_take_out
from storage.adapters import Adapter, canary_adapter, list_adapters, serving_adapter
from storage.domains import DEFAULT_DOMAIN
from storage.figures import count_answers, judged_answers
from storage.settings import load_settings

ALPHA = 0.05
EVER = datetime(1970, 1, 1, tzinfo=UTC)


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(figures)


def figures(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show what people made of the answers of each adapter, and whether the policy would take the newest one out.

    The interval of the share of bad answers holds the true one with 95 %, however often you look.

    Example: `apprentice figures --json`
    """
    parts = open_parts(load_settings(config))
    with parts.database.read() as session:
        answering = [each for each in list_adapters(session) if each.serving_since or each.canary_since]
        rows = [_row(session, parts.governance, adapter) for adapter in [*answering, None]]
    print_rows(rows, as_json=as_json, empty="")


def _row(session: Session, governance: Governance, adapter: Adapter | None) -> dict[str, Any]:
    digest = adapter.digest if adapter else None
    domain = adapter.domain if adapter else DEFAULT_DOMAIN
    watched = canary_adapter(session, domain) or serving_adapter(session, domain)
    newest = watched is not None and watched.digest == digest
    judged = judged_answers(session, digest, EVER)
    low, high = rate_interval(Counts(judged.bad, judged.answers), ALPHA)
    return {
        "adapter": digest[:12] if digest else "base model",
        "state": adapter.state if adapter else "",
        "domain": adapter.domain if adapter else "",
        "answers": count_answers(session, digest),
        "judged": judged.answers,
        "bad": judged.bad,
        "bad_from": round(low, 3),
        "bad_to": round(high, 3),
        "watched": _watched(session, governance, domain) if newest else "",
    }


def _watched(session: Session, governance: Governance, domain: str) -> str:
    """Say what the watch over a domain's newest adapter sees."""
    rules = governance.policy.rules_of(domain).rollback
    seen = compare(session, rules, governance.clock(), domain)
    if seen is None:
        return "no more: it has served for long enough"
    if not rules.automatic:
        return "no: the policy leaves rollbacks to people"
    taken_out = "worse, is taken out" if why_take_out(rules, seen) else "not shown to be worse"
    return f"{taken_out} (evidence {seen.evidence:.3g} of {1 / rules.alpha:g})"
