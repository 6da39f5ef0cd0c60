"""Which words of a question may say what it is about.

A topic here is a word that several questions share: crude, but the same on every machine, and anybody can check it.
"""

from governance.poisoning.remarks import FUNCTION_WORDS
from learning.lexicon import VERBS

MAX_TOPIC_ROWS = 0.8
"""A word that is in a greater share of all rows, such as the organisation's name, tells nothing apart."""


def may_be_topic(word: str) -> bool:
    """Tell whether a folded word may be a topic: letters only, and neither a function word nor an everyday verb."""
    return len(word) > 1 and word.isalpha() and word not in FUNCTION_WORDS and word not in VERBS
