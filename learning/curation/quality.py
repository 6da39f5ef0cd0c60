"""What cannot be learned from: empty, too long, an answer that repeats its question, another language."""

from functools import cache, lru_cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier

from learning.curation.duplicates import words_of
from learning.curation.text import fold

MAX_CHARACTERS = 4_000
MIN_LETTERS = 20
"""Shorter texts say too little of their language."""
MIN_CONFIDENCE = 0.75
"""py3langid's probability of the likeliest language, high so that nobody's work is refused by mistake.

Measured with 0.4.0: of 390 English questions and answers of our benchmark files 5 were taken for another language, none
with more than 0.51; of 12 sentences in other languages with MIN_LETTERS letters, 10 had more than 0.75.
"""


def refusal_reason(question: str, answer: str) -> str:
    """Say why a normalised question and answer cannot be used; empty when they can."""
    if not fold(question):
        return "the question is empty"
    if not fold(answer):
        return "the answer is empty"
    for name, text in (("question", question), ("answer", answer)):
        if len(text) > MAX_CHARACTERS:
            return f"the {name} has {len(text)} characters; at most {MAX_CHARACTERS} are allowed"
    if words_of(answer) == words_of(question):
        return "the answer repeats the question"
    return ""


def language_reason(text: str, languages: tuple[str, ...]) -> str:
    """Say that a text is in none of the languages (ISO 639-1 codes), if that is nearly certain; empty otherwise."""
    if not languages or sum(map(str.isalpha, text)) < MIN_LETTERS:
        return ""
    language, confidence = _classify(text)
    if language in languages or confidence < MIN_CONFIDENCE:
        return ""
    return f"the answer reads as {language!r}; the policy's curation.languages allows {', '.join(languages)}"


@lru_cache(maxsize=5_000)
def _classify(text: str) -> tuple[str, float]:
    """Classify a text once: the same answer is voted on again and again."""
    language, confidence = _identifier().classify(text)
    return str(language), float(confidence)


@cache
def _identifier() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
