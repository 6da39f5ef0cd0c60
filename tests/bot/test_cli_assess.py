"""`apprentice assess` as it is typed: what it refuses before any work."""

import pytest

from tests.bot.commands import CommandLine


@pytest.mark.parametrize(
    ("arguments", "problem", "status"),
    [
        (["x", "--data", "none.json"], "none.json cannot be read: No such file", 1),
        (["x", "--data", "empty.json"], "empty.json is not a benchmark file: facts", 1),
        (["x", "--data", "empty.json", "--limit", "0"], "--limit", 2),
        (["x"], "--data", 2),
        (["--data", "empty.json"], "MODEL", 2),
    ],
)
def test_bad_input_is_refused_before_any_work(
    alone: CommandLine, arguments: list[str], problem: str, status: int
) -> None:
    alone.file("empty.json", '{"facts": []}')

    result = alone("assess", *arguments)

    assert (result.status, result.out) == (status, "")
    assert problem in result.said
