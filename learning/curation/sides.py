"""Which questions are held out: drawn one by one, but none that shares its words with a question that is trained on.

Held out in one wording and trained on in another, a question would be evidence of nothing. Here, unlike in merging
(duplicates.py), taking two questions for one costs little: both are trained on.
"""

import hashlib
from collections.abc import Iterator
from hashlib import blake2b
from itertools import combinations

from learning.curation.duplicates import words_of
from learning.curation.snapshot import Split
from learning.lexical import stems_of

MAX_STEMS = 8
"""Of a question, its longest: a question of 40 words would have 780 pairs of them."""
MAX_SHARING = 10
"""Two words that more questions share are a turn of phrase; one question is seldom asked in more wordings."""
GIST_BYTES = 8


def draw_side(words: str, held_out_share: float) -> Split:
    """Draw a side by a question's words, so that it stays there when feedback is added."""
    drawn = int.from_bytes(hashlib.sha256(words.encode()).digest()[:8], "big") / 2**64
    return "held_out" if drawn < held_out_share else "train"


def gists_of(question: str) -> Iterator[bytes]:
    """Give what stands for each two words of a question that carry meaning, or for its only one."""
    stems = sorted(set(stems_of(" ".join(words_of(question)))), key=lambda stem: (-len(stem), stem))[:MAX_STEMS]
    for pair in combinations(sorted(stems), 2) if len(stems) > 1 else [tuple(stems)]:
        yield blake2b("\0".join(pair).encode(), digest_size=GIST_BYTES).digest()
