"""The command's frame: its groups, the --config option, and errors as one clear paragraph with exit status 1."""

import sys
from typing import NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from bot.cli import (
    adapters,
    approvers,
    assess,
    audit,
    bench,
    break_glass,
    data,
    dataset,
    documents,
    evaluate,
    figures,
    lineage,
    operate,
    person,
    pins,
    policy,
    review,
    runs,
)
from storage.errors import ApprenticeError

app = typer.Typer(
    help="Apprentice: a Slack assistant that learns from corrections, and can prove how.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
operate.register(app)
adapters.register(app)
approvers.register(app)
break_glass.register(app)
figures.register(app)
pins.register(app)
policy.register(app)
lineage.register(app)
documents.register(app)
runs.register(app)
evaluate.register(app)
assess.register(app)
bench.register(app)
data.register(app)
dataset.register(app)
review.register(app)
person.register(app)
audit.register(app)


def main() -> None:
    """Run the command line; an expected error is printed without a traceback."""
    try:
        app()
    except ApprenticeError as error:
        _fail(str(error))
    except OSError as error:
        if error.filename is None:
            raise
        _fail(f"cannot use {error.filename}: {error.strerror}. Check that path, its permissions and the disk.")


def _fail(message: str) -> NoReturn:
    Console(stderr=True).print(f"[bold red]error:[/] {escape(message)}", highlight=False, soft_wrap=True)
    sys.exit(1)
