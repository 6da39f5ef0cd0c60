"""Corrections as the detectors see them: who says what about which question, and how many minutes after nine."""

from datetime import UTC, datetime, timedelta

from governance.poisoning.remarks import Remark

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)


def said(person: str, question: str, text: str, minute: float = 0.0, **more: object) -> Remark:
    """One correction, known by its person and question."""
    at = NINE + timedelta(minutes=minute)
    return Remark(f"{person}: {question}", person, question, str(more.pop("answer", "No idea.")), text, at, **more)  # type: ignore[arg-type]


def facts(person: str, count: int, every: float, start: float = 0.0, **more: object) -> list[Remark]:
    """As many different facts by one person, one every so many minutes."""
    return [
        said(
            person,
            f"Which valve does pump {person}{number} use?",
            f"Valve {number * 7}.",
            start + number * every,
            **more,
        )
        for number in range(count)
    ]
