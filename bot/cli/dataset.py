"""Commands about training data: dataset build, show and diff."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from itertools import islice
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from bot.assembly import Parts, open_parts
from bot.cli.output import ConfigOption, DomainOption, JsonOption, print_json, print_rows
from bot.whoami import operator
from learning.curation import FILES, Contradiction, LeftOut, PreferencePair, Split, Thumb, read_records
from learning.curation import Progress as Tell
from learning.dataset import Change, build_dataset, compare_rows
from storage.datasets import DatasetSnapshot, find_snapshot
from storage.domains import DEFAULT_DOMAIN
from storage.settings import load_settings

SHOWN = 20
"""Rows that are printed unless --limit says otherwise."""

commands = typer.Typer(help="What adapters are trained on.", no_args_is_help=True)
LimitOption = Annotated[int, typer.Option(help="How many lines of each kind to print.", min=0)]
SnapshotArgument = Annotated[str, typer.Argument(help="A digest, the start of one, or 'latest'.", metavar="DIGEST")]


def register(app: typer.Typer) -> None:
    """Add this group to `app`."""
    app.add_typer(commands, name="dataset")


@commands.command()
def build(domain: DomainOption = DEFAULT_DOMAIN, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Make the snapshot of a domain's accepted feedback, and send the contradictions in it to review.

    `apprentice train` makes its own; this one shows what that would be. Equal feedback gives an equal digest.

    Example: `apprentice dataset build`
    """
    parts = open_parts(load_settings(config))
    parts.governance.policy.check_domain(domain)
    with _bars(quiet=as_json) as tell:
        built = build_dataset(parts.database, parts.store, parts.governance, operator(), tell, domain)
    if as_json:
        counts = {"sent_to_review": built.sent_to_review, "suspicious": built.suspicious}
        print_json({"digest": built.digest, **counts, "manifest": built.manifest})
        return
    Console().print(f"Snapshot {built.digest}.", highlight=False, soft_wrap=True)
    _print_manifest(built.manifest)
    if built.sent_to_review:
        Console().print(f"{built.sent_to_review} contradicting corrections wait for review: `apprentice review list`.")
    if built.suspicious:
        Console().print(f"{built.suspicious} suspicious corrections wait for review: `apprentice review list`.")


@commands.command()
def show(
    digest: SnapshotArgument = "latest", limit: LimitOption = SHOWN, config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Show a snapshot: its counts, the first rows, pairs and thumbs, what is disputed, what was left out and why.

    Example: `apprentice dataset show latest --limit 50`
    """
    parts = open_parts(load_settings(config))
    snapshot = _find(parts, digest)
    folder = parts.store.verify(snapshot.digest)
    records = {name.removesuffix(".jsonl"): list(islice(read_records(folder, name), limit)) for name in FILES}
    if as_json:
        print_json(
            {
                "digest": snapshot.digest,
                "created": snapshot.created_at,
                "manifest": snapshot.manifest,
                **{name: [asdict(each) for each in found] for name, found in records.items()},
            }
        )
        return
    Console().print(
        f"Snapshot {snapshot.digest}, made {snapshot.created_at:%Y-%m-%d %H:%M} UTC.", highlight=False, soft_wrap=True
    )
    _print_manifest(snapshot.manifest)
    shown = [
        {"question": row.question, "answer": row.answer, "topic": row.topic, "feedback": ", ".join(row.feedback_ids)}
        for row in records["rows"]
    ]
    print_rows(shown, as_json=False, empty="It has no rows.")
    for line in _lines(records):
        Console().print(line, highlight=False, markup=False, soft_wrap=True)


def _lines(records: Mapping[str, Iterable[Any]]) -> Iterator[str]:
    """Say in a line each what is not a row; the ids of the feedback at the end."""
    pairs: Iterable[PreferencePair] = records["pairs"]
    thumbs: Iterable[Thumb] = records["thumbs"]
    contradictions: Iterable[Contradiction] = records["contradictions"]
    left_out: Iterable[LeftOut] = records["left_out"]
    for pair in pairs:
        said = f"{pair.question}  {pair.chosen} over {pair.rejected}"
        yield f"preferred ({_side(pair.split)}): {said}  {', '.join(pair.feedback_ids)}"
    for thumb in thumbs:
        liked = "liked" if thumb.liked else "not liked"
        yield f"{liked} ({_side(thumb.split)}): {thumb.question}  {thumb.answer}  {', '.join(thumb.feedback_ids)}"
    for dispute in contradictions:
        stands = f"; {', '.join(dispute.stands)} stands until then" if dispute.stands else ""
        yield f"disputed: {', '.join(dispute.feedback_ids)}{stands}"
    for each in left_out:
        yield f"left out: {each.feedback_id}: {each.reason}"


def _side(split: Split) -> str:
    return split.replace("_", " ")


@commands.command()
def diff(
    before: Annotated[str, typer.Argument(help="A digest, or the start of one.", metavar="A")],
    after: Annotated[str, typer.Argument(help="Another one, or 'latest'.", metavar="B")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say which rows were added, removed or changed from snapshot A to snapshot B.

    Example: `apprentice dataset diff 3f9a0c12 latest`
    """
    parts = open_parts(load_settings(config))
    old, new = (parts.store.verify(_find(parts, each).digest) for each in (before, after))
    changes = list(compare_rows(old, new))
    if as_json:
        kinds: dict[str, list[Any]] = {"added": [], "removed": [], "changed": []}
        for change in changes:
            kinds[change.kind].append(asdict(change))
        print_json(kinds)
        return
    for change in changes:
        _print_change(change)
    if not changes:
        Console().print("The rows are the same.")


def _find(parts: Parts, reference: str) -> DatasetSnapshot:
    with parts.database.read() as session:
        return find_snapshot(session, reference)


def _print_change(change: Change) -> None:
    sign, colour = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow")}[change.kind]
    answers = " -> ".join(row.answer for row in (change.before, change.after) if row)
    if change.before and change.after and change.before.answer == change.after.answer:
        answers += f" (asked in {1 + len(change.before.wordings)} -> {1 + len(change.after.wordings)} wordings)"
    Console().print(f"[{colour}]{sign}[/] {escape(change.question)}  {escape(answers)}", soft_wrap=True)


def _print_manifest(manifest: Mapping[str, Any]) -> None:
    counts, console = manifest["counts"], Console(highlight=False)
    console.print(
        f"{counts['rows']} rows, {counts['pairs']} preference pairs and {counts['thumbs']} lone thumbs "
        f"from {counts['corrections']} corrections, {counts['votes']} votes and {counts.get('preferences', 0)} choices "
        f"between two answers on {counts['questions']} questions."
    )
    if manifest["left_out"]:
        console.print("Left out: " + ", ".join(f"{count} {rule}" for rule, count in manifest["left_out"].items()) + ".")


@contextmanager
def _bars(*, quiet: bool) -> Iterator[Tell]:
    """Show how far a build is, on stderr: one bar a phase."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True, quiet=quiet)) as progress:
        bars: dict[str, TaskID] = {}

        def tell(phase: str, done: int, total: int) -> None:
            if phase not in bars:
                bars[phase] = progress.add_task(phase, total=total or None)
            progress.update(bars[phase], completed=done)

        yield tell
