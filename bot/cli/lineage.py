"""The command that says where something comes from, and what it led to."""

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from bot.assembly import open_parts
from bot.cli.output import ConfigOption, JsonOption, print_json
from bot.slack.message_link import MessageLink, answer_at, is_link
from learning.lineage import Direction, Node, Trace, trace
from storage.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(lineage)


def lineage(
    what: Annotated[
        str,
        typer.Argument(
            help="The id of an answer, feedback, run or person, the digest of an adapter or data set, the place of a "
            "row (DIGEST/rows/12), or the link of an answer's message in Slack.",
            metavar="ID|LINK",
        ),
    ],
    back: Annotated[bool, typer.Option("--back", help="Only where it comes from.")] = False,
    forward: Annotated[bool, typer.Option("--forward", help="Only what it led to.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Of what is many, show so many.")] = 10,
    everything: Annotated[bool, typer.Option("--all", help="Show all, however much it is.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say where an answer, adapter, run, data set, row, feedback or person comes from, and what it led to.

    The link of a message in Slack stands for the answer that the message is, or that it got. What was said is not
    shown, only that it was erased. docs/decisions/0039-lineage-both-ways.md has the shape of the JSON.

    Example: `apprentice lineage https://team.slack.com/archives/C0123ABCD/p1700000000000100 --back`
    """
    parts = open_parts(load_settings(config))
    with parts.database.read() as session:
        traced = trace(
            session,
            parts.store,
            answer_at(session, MessageLink.read(what)) if is_link(what) else what,
            limit=None if everything else limit,
            directions=_directions(back=back, forward=forward),
        )
    if as_json:
        print_json(traced.as_dict())
    else:
        Console().print(_tree(traced))


def _directions(*, back: bool, forward: bool) -> Sequence[Direction]:
    """Return what was asked for; neither flag means both."""
    if back == forward:
        return ("back", "forward")
    return ("back",) if back else ("forward",)


def _tree(traced: Trace) -> Tree:
    tree = Tree(_label(traced.node))
    for heading, nodes in (("Comes from", traced.back), ("Led to", traced.forward)):
        if nodes is not None:
            branch = tree.add(Text(heading if nodes else f"{heading}: nothing", "bold green"))
            for node in nodes:
                _add(branch, node)
    return tree


def _add(tree: Tree, node: Node) -> None:
    branch = tree.add(_label(node))
    for child in node.children:
        _add(branch, child)


def _label(node: Node) -> Text:
    name = (f"{node.id} " if node.id else "", "cyan")
    said = (node.said, "red" if node.erased else "")
    return Text.assemble((f"{node.kind} ", "bold"), name, said, (" (see above)" if node.again else "", "dim"))
