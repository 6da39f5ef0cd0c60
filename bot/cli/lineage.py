"""The command that says where an answer comes from, and what somebody's word has led to."""

from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from bot.assembly import open_parts
from bot.cli.output import ConfigOption, JsonOption, print_json
from bot.slack.message_link import MessageLink, answer_at, is_link
from learning.lineage import Lineage, Node
from storage.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(lineage)


def lineage(
    what: Annotated[
        str,
        typer.Argument(
            help="The id of an answer, feedback, run or person, the digest of an adapter or data set, or the link of "
            "an answer's message in Slack.",
            metavar="ID|LINK",
        ),
    ],
    limit: Annotated[int, typer.Option(min=1, help="Of what is many, show so many.")] = 20,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Trace an answer to its adapter, run, data, feedback and people; or feedback or a person to what it led to.

    The link of a message in Slack stands for the answer that the message is, or that it got.

    Example: `apprentice lineage https://team.slack.com/archives/C0123ABCD/p1700000000000100`
    """
    parts = open_parts(load_settings(config))
    with parts.database.read() as session:
        traced = Lineage(session, parts.store, limit)
        node = traced.answer(answer_at(session, MessageLink.read(what))) if is_link(what) else traced.trace(what)
    if as_json:
        print_json(node.as_dict())
    else:
        Console().print(_tree(node))


def _tree(node: Node) -> Tree:
    tree = Tree(_label(node))
    for child in node.children:
        tree.add(_tree(child))
    return tree


def _label(node: Node) -> Text:
    return Text.assemble((f"{node.kind} ", "bold"), (f"{node.id} " if node.id else "", "cyan"), node.said)
