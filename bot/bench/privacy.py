"""`apprentice bench privacy`: how much of what marked lines hold is found, and how much of what is found is right.

A line is text in which [[kind|datum]] marks each datum; "¦" in it is nothing, and lines that begin with # are comments.
"""

import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from detect_secrets.core.scan import scan_file
from detect_secrets.settings import default_settings

from governance.privacy.detection import find
from governance.privacy.findings import Finding, Kind
from storage.errors import ConfigurationError

MARK = re.compile(r"\[\[(\w+)\|(.*?)\]\]")
KEEPS_SCANNERS_AWAY = "¦"

Detect = Callable[[Sequence[str]], list[list[Finding]]]

SECRET_KINDS: Mapping[str, Kind] = {
    "Private Key": "private_key",
    "Public IP (ipv4)": "ip",
    "Secret Keyword": "password",
    "Basic Auth Credentials": "password",
}
"""Which of our kinds a type of `detect-secrets` is; all others are keys."""
EXPRESSIONS: Mapping[Kind, str] = {
    "email": r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}",
    "phone": r"(?:\+?\d{1,3}[ .-]?)?(?:\(\d{2,4}\)[ .-]?)?\d{2,4}[ ./-]\d{2,4}[ .-]?\d{2,4}(?:[ .-]?\d{2,4})?",
    "card": r"\b(?:\d[ -]?){13,16}\b",
    "iban": r"\b[A-Z]{2}\d{2}[ ]?(?:[A-Z0-9]{4}[ ]?){2,7}[A-Z0-9]{1,4}\b",
    "national_id": r"\b\d{3}-\d{2}-\d{4}\b",
    "ip": r"\b(?:\d{1,3}\.){3}\d{1,3}\b",
    "password": r"(?i:(?<=password: )|(?<=password is )|(?<=password=))\S+",
    "key": r"\b(?:AKIA[0-9A-Z]{16}|ghp_\w{36}|xox[abp]-[\w-]{10,}|sk-[\w-]{20,}|[0-9a-fA-F]{32,})\b",
    "private_key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "birth_date": r"\b\d{1,2}[./-]\d{1,2}[./-]\d{4}\b",
}
"""The list that one finds in any answer to "regular expressions for personal data", a kind at a time."""


@dataclass(frozen=True)
class Line:
    """One line as people write it, and what has to be found in it; `language` is that of its file."""

    language: str
    text: str
    marked: tuple[Finding, ...]


def read_lines(folder: Path) -> list[Line]:
    """Read the files lines_LANGUAGE.txt of a folder.

    Raises:
        ConfigurationError: there are none, or a mark in one names no kind.

    """
    files = sorted(folder.glob("lines_*.txt"))
    if not files:
        raise ConfigurationError(
            f"{folder} has no file lines_LANGUAGE.txt. Give the folder that holds the marked lines."
        )
    return [
        _parse(file, line)
        for file in files
        for line in file.read_text("utf-8").splitlines()
        if line and not line.startswith("#")
    ]


def _parse(file: Path, line: str) -> Line:
    text, marked, at = "", [], 0
    line = line.replace(KEEPS_SCANNERS_AWAY, "")
    for match in MARK.finditer(line):
        kind: Any = match[1]
        if kind not in get_args(Kind):
            raise ConfigurationError(
                f"{file}: {kind!r} in {line!r} is no kind. Allowed are: {', '.join(get_args(Kind))}."
            )
        text += line[at : match.start()]
        marked.append(Finding(len(text), len(text) + len(match[2]), kind, "mark"))
        text, at = text + match[2], match.end()
    return Line(file.stem.removeprefix("lines_"), text + line[at:], tuple(marked))


def measure(lines: Sequence[Line]) -> dict[str, Any]:
    """Return the figures of our detectors, of `detect-secrets`, and of plain expressions, on the same lines.

    Of each kind, and of all: how many are marked, the share of them that is found with every letter and digit
    (`recall`), how many findings there are, and the share of them that touch a mark of their kind (`precision`). Both
    are None where there is nothing to divide by. `clean_lines` is the share of the unmarked lines left alone.
    """
    sides: dict[str, Detect] = {
        "ours": find_with_ours,
        "detect_secrets": find_with_detect_secrets,
        "expressions": find_plainly,
    }
    return {
        "lines": len(lines),
        "unmarked_lines": sum(not line.marked for line in lines),
        "languages": dict(sorted(Counter(line.language for line in lines).items())),
        **{name: _score(detect, lines) for name, detect in sides.items()},
    }


def _score(detect: Detect, lines: Sequence[Line]) -> dict[str, Any]:
    marked, covered, found, right, clean = Counter[str](), Counter[str](), Counter[str](), Counter[str](), 0
    begun = time.perf_counter()
    results = detect([line.text for line in lines])
    seconds = time.perf_counter() - begun
    for line, findings in zip(lines, results, strict=True):
        clean += not line.marked and not findings
        marked.update(mark.kind for mark in line.marked)
        covered.update(mark.kind for mark in line.marked if _is_covered(line.text, mark, findings))
        found.update(each.kind for each in findings)
        right.update(each.kind for each in findings if any(_touch(each, mark) for mark in line.marked))
    kinds = {kind: _row(marked[kind], covered[kind], found[kind], right[kind]) for kind in get_args(Kind)}
    return {
        "kinds": kinds,
        "all": _row(marked.total(), covered.total(), found.total(), right.total()),
        "clean_lines": _share(clean, sum(not line.marked for line in lines)),
        "lines_per_second": round(len(lines) / seconds),
    }


def _row(marked: int, covered: int, found: int, right: int) -> dict[str, Any]:
    return {"marked": marked, "recall": _share(covered, marked), "found": found, "precision": _share(right, found)}


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 3) if whole else None


def _is_covered(text: str, mark: Finding, findings: Sequence[Finding]) -> bool:
    """Tell whether findings of its kind hold every letter and digit of a mark."""
    places = {at for each in findings if each.kind == mark.kind for at in range(each.start, each.end)}
    return all(at in places for at in range(mark.start, mark.end) if text[at].isalnum())


def _touch(finding: Finding, mark: Finding) -> bool:
    return finding.kind == mark.kind and finding.start < mark.end and mark.start < finding.end


def find_with_ours(texts: Sequence[str]) -> list[list[Finding]]:
    """Find with all our detectors."""
    return [find(text) for text in texts]


# What one would use instead


def find_with_detect_secrets(texts: Sequence[str]) -> list[list[Finding]]:
    """Find with all that `detect-secrets` has, as its command does: in a file, here of one text a line."""
    found: list[list[Finding]] = [[] for _ in texts]
    with tempfile.TemporaryDirectory() as folder, default_settings():
        file = Path(folder) / "lines.txt"
        file.write_text("\n".join(texts), "utf-8")
        for secret in scan_file(str(file)):
            number = secret.line_number - 1
            found[number] += _place(texts[number], secret.secret_value, secret.type)
    return found


def _place(text: str, value: str | None, secret_type: str) -> Iterator[Finding]:
    start = text.find(value) if value else -1
    if value and start >= 0:
        yield Finding(start, start + len(value), SECRET_KINDS.get(secret_type, "key"), secret_type)


def find_plainly(texts: Sequence[str]) -> list[list[Finding]]:
    """Find with one expression a kind, and nothing else."""
    return [
        [
            Finding(match.start(), match.end(), kind, "expression")
            for kind, expression in EXPRESSIONS.items()
            for match in re.finditer(expression, text)
        ]
        for text in texts
    ]
