"""Is what somebody asks the very question that was corrected, perhaps in other words? Strict on purpose.

The answer is then given as it is, without a model; and a wrong fact given for certain is worse than none. "What port
does search use?" is nearly "What port does billing use?" in every measure of similarity, so each expression is held
against the other side, and one that has no counterpart there decides.
"""

import re

from learning.accepted import Known
from learning.lexical import Concept, concepts_of, stems_of

COVERED = 0.65
"""Share of the corrected question's expressions that must be asked for: below it, "what is a VPN?" asked for the VPN
portal among the near misses that docs/benchmarks.md tells of."""
QUESTION_WORD = re.compile(r"\b(who|whose|where|when|why|how (?:long|often|many|much|fast|large|big|far|old)|how)\b")
DEFINITION = re.compile(r"\bwhat(?:'s| is| are)\b")


def is_same_question(asked: str, known: Known) -> bool:
    """Whether `asked` asks for what `known` answers, as far as words can say it."""
    expressions, corrected = concepts_of(asked), concepts_of(known.question)
    if not expressions or not corrected or not _ask_for_the_same(asked.lower(), known.question.lower()):
        return False
    told = frozenset(stems_of(f"{known.question} {known.answer}"))
    wanted = frozenset(stems_of(asked))
    covered = sum(_is_in(expression, wanted) for expression in corrected) / len(corrected)
    return all(_is_in(expression, told) for expression in expressions) and covered >= COVERED


def _is_in(expression: Concept, stems: frozenset[str]) -> bool:
    return any(stems.issuperset(form) for form in (expression.stems, *expression.others))


def _ask_for_the_same(asked: str, corrected: str) -> bool:
    """Whether the question words agree; "what" and "which" ask for anything but reasons, "what is" not for a time."""
    one, other = _question_word(asked), _question_word(corrected)
    if (one and other) or one == "why":
        return one == other
    return not (other and DEFINITION.search(asked))


def _question_word(question: str) -> str:
    found = QUESTION_WORD.search(question)
    return found[0] if found else ""
