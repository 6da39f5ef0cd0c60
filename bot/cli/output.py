"""What commands share: their common arguments and options, tables, and times as people read them."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from governance.policy import BUILTIN, PRESETS

SHORT_DIGEST = 12

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="The settings file; apprentice.toml in this folder by default.", metavar="FILE"
    ),
]
DomainOption = Annotated[
    str, typer.Option(help="The domain whose adapter is meant; the policy names them.", metavar="DOMAIN")
]
PolicyArgument = Annotated[
    str,
    typer.Argument(
        help=f"A policy file, or a packaged one: {', '.join(f'{BUILTIN}{name}' for name in PRESETS)}.", metavar="FILE"
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def print_json(value: object) -> None:
    """Print a value as indented JSON; times as ISO 8601."""
    print(json.dumps(value, indent=2, default=str, ensure_ascii=False))


def print_rows(rows: Sequence[Mapping[str, Any]], *, as_json: bool, empty: str) -> None:
    """Print rows as a table whose columns are the keys of the first row, or as a JSON list."""
    if as_json:
        print_json([dict(row) for row in rows])
        return
    if not rows:
        Console().print(empty)
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for key in rows[0]:
        table.add_column(key.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(key, value)) for key, value in row.items()))
    Console().print(table)


def _cell(key: str, value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    return str(value)[:SHORT_DIGEST] if key == "digest" else str(value)
