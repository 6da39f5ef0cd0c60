"""The review queue: review list, show, accept and decline."""

from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from bot.assembly import Parts, open_parts
from bot.cli.output import ConfigOption, JsonOption, print_json, print_rows
from governance.review import Case, read_case, why_reviewed
from storage.feedback import WAITING, Feedback, FeedbackState, list_feedback
from storage.people import find_person, names_of
from storage.settings import load_settings

commands = typer.Typer(
    help="Corrections that somebody has to look at before they are trained on.", no_args_is_help=True
)
ReviewerOption = Annotated[
    str, typer.Option("--as", help="Who reviews: a Slack user id that has used the bot.", metavar="USER")
]
FeedbackArgument = Annotated[str, typer.Argument(help="The feedback's id, as `review list` has it.", metavar="ID")]
ListedState = Literal["waiting", "accepted", "declined"]


def register(app: typer.Typer) -> None:
    """Add this group to `app`."""
    app.add_typer(commands, name="review")


@commands.command("list")
def list_command(
    state: Annotated[ListedState, typer.Option(help="Or what was decided: 'accepted' or 'declined'.")] = "waiting",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what waits for review, or what reviewers decided, the oldest first.

    Example: `apprentice review list --state declined`
    """
    parts = open_parts(load_settings(config))
    with parts.database.read() as session:
        states: tuple[FeedbackState, ...] = WAITING if state == "waiting" else (state,)
        rows = [row for each in states for row in list_feedback(session, state=each)]
        waiting = sorted((row for row in rows if state == "waiting" or row.reviewed_by), key=lambda row: row.created_at)
        reviewers = [row.reviewed_by for row in waiting if row.reviewed_by]
        names = names_of(session, [*(row.person_id for row in waiting), *reviewers])
    shown = [
        {
            "id": row.id,
            "author": names.get(row.person_id, row.person_id),
            **({"reviewer": names.get(row.reviewed_by, row.reviewed_by)} if row.reviewed_by else {}),
            "why": row.review_reason if as_json else why_reviewed(row),
            **({"suspected": row.suspected or []} if as_json else {}),
            "question": row.question,
            "correction": row.text,
            "created": row.created_at,
        }
        for row in waiting
    ]
    empty = "Nothing waits for review." if state == "waiting" else f"Reviewers have {state} nothing yet."
    print_rows(shown, as_json=as_json, empty=empty)


@commands.command()
def show(feedback_id: FeedbackArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show one correction: what was asked and answered, why it waits, what contradicts it or was found with it.

    Example: `apprentice review show fb_3f9a0c12d4e5b6a7`
    """
    with open_parts(load_settings(config)).database.read() as session:
        case = read_case(session, feedback_id)
    if as_json:
        print_json(_as_dict(case))
        return
    feedback = case.feedback
    lines = [
        f"{feedback.id} by {case.author}, {feedback.created_at:%Y-%m-%d %H:%M} UTC: {feedback.state}",
        f"  asked:     {feedback.question}",
        f"  answered:  {feedback.answer or '(not known)'}",
        f"  corrected: {feedback.text}",
    ]
    if case.why:
        lines.append(f"  reviewed because {case.why}")
    if case.reviewer:
        lines.append(f"  {feedback.state} by {case.reviewer}: {feedback.reviewer_reason or '(no reason given)'}")
    lines += [f"  {name} says ({other.id}, {other.state}): {other.text}" for other, name in case.others]
    lines += [
        f"  found with one of {name} ({other.id}, {other.state}): {other.question} {other.text}"
        for other, name in case.together
    ]
    Console().print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)


@commands.command()
def accept(
    feedback_id: FeedbackArgument,
    person: ReviewerOption,
    reason: Annotated[str, typer.Option(help="Why; kept with it, its digest in the audit log.")] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a correction be trained on. Of several that contradict each other, the one accepted last stands.

    Example: `apprentice review accept fb_3f9a0c12d4e5b6a7 --as U0MARCUS`
    """
    _decide(open_parts(load_settings(config)), feedback_id, person, reason, accept=True, as_json=as_json)


@commands.command()
def decline(
    feedback_id: FeedbackArgument,
    person: ReviewerOption,
    reason: Annotated[str, typer.Option(help="Why: its author is told; the digest is in the audit log.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Keep a correction out of training; a reason is required.

    Example: `apprentice review decline fb_3f9a0c12d4e5b6a7 --as U0MARCUS --reason "the limit is 450"`
    """
    _decide(open_parts(load_settings(config)), feedback_id, person, reason, accept=False, as_json=as_json)


def _as_dict(case: Case) -> dict[str, Any]:
    feedback = case.feedback
    return {
        "id": feedback.id,
        "state": feedback.state,
        "question": feedback.question,
        "answer": feedback.answer,
        "correction": feedback.text,
        "author": case.author,
        "private": feedback.private,
        "created": feedback.created_at,
        "review_reason": feedback.review_reason,
        "reviewer": case.reviewer or None,
        "reviewer_reason": feedback.reviewer_reason,
        "suspected": feedback.suspected or [],
        "contradicts": _others_as_dicts(case.others),
        "found_with": _others_as_dicts(case.together),
    }


def _others_as_dicts(others: list[tuple[Feedback, str]]) -> list[dict[str, Any]]:
    return [
        {"id": other.id, "state": other.state, "question": other.question, "correction": other.text, "author": name}
        for other, name in others
    ]


def _decide(parts: Parts, feedback_id: str, person: str, reason: str, *, accept: bool, as_json: bool) -> None:
    with parts.database.read() as session:
        reviewer = find_person(session, person)
    feedback = parts.governance.review_feedback(feedback_id, reviewer.id, accept, reason)
    if as_json:
        print_json({"id": feedback.id, "state": feedback.state, "reviewed_by": feedback.reviewed_by})
    else:
        Console().print(f"{feedback.id} is {feedback.state}.", highlight=False, markup=False)
