"""The command that says how people judge the answers of each adapter."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from sqlmodel import Session

from bot.assembly import Parts, open_parts
from bot.cli.output import ConfigOption, JsonOption, print_rows
from governance.flows import Governance
from governance.sequential import Counts, rate_interval
from governance.watching import compare, why_take_out
from storage.adapter_days import adapter_days, keep_days
from storage.adapters import Adapter, find_adapter, list_adapters, newest_adapter
from storage.comparisons import count_preferences
from storage.domains import DEFAULT_DOMAIN
from storage.figures import count_answers, judged_answers
from storage.settings import load_settings
from storage.shadows import shadow_answers

ALPHA = 0.05
BASE = "base"
EVER = datetime(1970, 1, 1, tzinfo=UTC)


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(figures)


def figures(
    adapter: Annotated[
        str, typer.Argument(help="Only this one, day by day: a digest, the start of one, or 'base'.", metavar="ADAPTER")
    ] = "",
    shadow: Annotated[
        bool, typer.Option("--shadow", help="What it answered in shadow, beside what people were shown.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what people made of the answers of each adapter, and whether the policy would take the newest one out.

    The interval of the share of bad answers holds the true one with 95 %, however often you look. `preferred` is how
    often its answer was chosen, of the `compared` choices that people made between two answers without knowing whose
    they were. The days of an adapter are kept for good; times are in seconds.

    Example: `apprentice figures --json`
    """
    if shadow and adapter in {"", BASE}:
        raise typer.BadParameter("name the adapter whose answers are meant.", param_hint="--shadow")
    parts = open_parts(load_settings(config))
    if adapter:
        digest = None if adapter == BASE else _find(parts, adapter)
        rows = _shadow(parts, str(digest)) if shadow else _days(parts, digest)
    else:
        with parts.database.read() as session:
            rows = [_row(session, parts.governance, each) for each in [*_with_figures(session), None]]
    print_rows(rows, as_json=as_json, empty="It has answered nothing so far.")


def _with_figures(session: Session) -> list[Adapter]:
    known = list_adapters(session)
    return [each for each in known if each.serving_since or each.canary_since or each.state in {"proposed", "approved"}]


def _find(parts: Parts, adapter: str) -> str:
    with parts.database.read() as session:
        return find_adapter(session, adapter).digest


def _days(parts: Parts, digest: str | None) -> list[dict[str, Any]]:
    """Give what is kept of each day, after counting the latest ones anew."""
    with parts.database.transaction() as session:
        keep_days(session, parts.governance.clock())
    with parts.database.read() as session:
        return [each.model_dump(exclude={"adapter_digest"}) for each in adapter_days(session, digest)]


def _shadow(parts: Parts, digest: str) -> list[dict[str, Any]]:
    with parts.database.read() as session:
        return [
            {
                "asked": shadow.created_at,
                "question": shown.question,
                "shown": shown.answer,
                "in_shadow": shadow.answer or f"(failed: {shadow.error})",
                "seconds": shadow.usage.get("seconds"),
                "shown_seconds": shown.usage.get("seconds"),
            }
            for shadow, shown in shadow_answers(session, digest)
        ]


def _row(session: Session, governance: Governance, adapter: Adapter | None) -> dict[str, Any]:
    digest = adapter.digest if adapter else None
    domain = adapter.domain if adapter else DEFAULT_DOMAIN
    watched = newest_adapter(session, domain)
    newest = watched is not None and watched.digest == digest
    judged = judged_answers(session, digest, EVER)
    choices = count_preferences(session, digest)
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
        "preferred": choices.preferred,
        "compared": choices.compared,
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
    evidence = ", ".join(f"{what} {e:.3g}" for what, e in (("judged", seen.evidence), *seen.troubles.items()))
    return f"{taken_out} (evidence of {1 / rules.alpha:g}: {evidence})"
