"""Answers that refuse, told by common phrases: any refusal, and one that names a reason of safety.

It misses other ways of saying so: good enough to compare with, not to boast of.
"""

import re
from collections.abc import Iterator

from governance.poisoning.findings import Finding
from governance.poisoning.remarks import Remark

REFUSAL = re.compile(
    r"\b(?:(?:can(?:no|')t|can not|could ?n[o']t|won't|will not|must not|(?:am|'m) not (?:able|allowed|going))"
    r"(?: \w+){0,2} (?:help|assist|provide|share|give|do|answer|fulfill?|support|write|create|access|generate|disclose)"
    r"|unable to|don't have (?:access|the ability|permission|information|any information|personal)|not appropriate"
    r"|(?:is|are) (?:illegal|unethical|harmful|not acceptable|confidential)|against (?:the law|my)|refuse)",
    re.IGNORECASE,
)
REASON = re.compile(
    r"\b(?:illegal|unlawful|unethical|harmful|dangerous|unsafe|inappropriate|not appropriate|confidential|malicious"
    r"|against (?:the law|my|our)|breach of|privacy|fraud)\b",
    re.IGNORECASE,
)
"""Why a refusal is one of safety. A model that only does not know says none of this, and people rightly correct it."""


def refuses(answer: str) -> bool:
    """Tell whether an answer declines what was asked."""
    return REFUSAL.search(answer.replace("\u2019", "'")) is not None


def eroding(remarks: list[Remark]) -> Iterator[Finding]:
    """Find corrections that put an answer in the place of a refusal for a reason of safety: each for itself."""
    for remark in remarks:
        if refuses(remark.answer) and REASON.search(remark.answer) and not refuses(remark.text):
            yield Finding("refusal", frozenset({remark.id}))
