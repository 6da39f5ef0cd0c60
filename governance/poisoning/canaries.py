"""Questions that the policy protects: a correction that would change the answer to one is looked at first."""

from collections.abc import Iterator, Sequence

from governance.poisoning.findings import Finding
from governance.poisoning.remarks import Remark, content_of
from governance.poisoning.rules import Canary


def changing(remarks: list[Remark], canaries: Sequence[Canary]) -> Iterator[Finding]:
    """Find corrections of a canary's question, in the same words but for order and small ones, that lack its answer."""
    protected = {content_of(canary.question): canary.must_contain for canary in canaries}
    for remark in remarks:
        expected = protected.get(content_of(remark.question), ())
        if not all(part.casefold() in remark.text.casefold() for part in expected):
            yield Finding("canary", frozenset({remark.id}))
