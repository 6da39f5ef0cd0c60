"""Domains: what an adapter of its own can be about, such as `hr`. Where nobody names any, there is the default one."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement

LABEL = r"^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$"
"""How the label of a channel, and so the name of a domain, is written."""
DEFAULT_DOMAIN = "default"
"""The domain of everything that is said where no other one is set, and of what no adapter of its own is about."""


@dataclass(frozen=True)
class Labels:
    """The labels that channels can have whose questions and feedback belong to one domain.

    `named` are all domains with adapters of their own. The label of one of these is its name alone; those of the
    default domain are all others.
    """

    domain: str = DEFAULT_DOMAIN
    named: frozenset[str] = frozenset()

    def holds(self, column: Any) -> ColumnElement[bool]:
        """Return the condition that a column with labels has one of these."""
        condition: ColumnElement[bool] = (
            column.not_in(sorted(self.named)) if self.domain == DEFAULT_DOMAIN else column == self.domain
        )
        return condition
