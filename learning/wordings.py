"""Other wordings of a corrected question, made by rules from the question and its answer.

Plain fine-tuning ties an answer to the exact words of one question. Here every pass over a fact asks for it in another
form: other question words, key words only, synonyms, the statement turned into a question. What may identify a fact is
what it says; so a wording always keeps a word that no other fact of the same snapshot uses.
"""

import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from governance.poisoning.remarks import FUNCTION_WORDS
from learning.lexicon import FRAMES, OPENERS, PREFIXES, SUFFIXES, VERBS
from learning.thesaurus import WORD, load_thesaurus

QUESTION_WORD = re.compile(
    r"^(?P<wh>what|which|who|where|when|why|how(?: (?:long|often|many|much|fast|large|big|far|old|high))?)\b",
    re.IGNORECASE,
)
REPLACED = (0, 0, 1, 1, 2, 2)
"""How many expressions of a wording are replaced; each number as often as it is listed."""
ATTEMPTS = 8
"""How often a wording that lost its distinguishing words is drawn again before the question itself is taken."""


@dataclass(frozen=True)
class Fact:
    """A question with the answer that it should get; `wordings` are people's other questions for the same answer."""

    question: str
    answer: str
    wordings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Topic:
    """What a fact is about: phrases of content words from its question and answer, and its distinguishing stems."""

    phrases: tuple[str, ...]
    statement: str
    kind: str
    stems: frozenset[str]


class Wordings:
    """Draws wordings of the facts of one snapshot; knows which words tell its facts apart."""

    def __init__(self, facts: Sequence[Fact]) -> None:
        self._facts = list(facts)
        counts = Counter(stem for fact in facts for stem in _stems(_content(fact)))
        self._topics = [_topic(fact, counts) for fact in facts]

    def draw(self, index: int, random_source: random.Random) -> str:
        """Return one wording of the question of fact `index`; equal random states give equal wordings."""
        topic, fact = self._topics[index], self._facts[index]
        question = random_source.choice((fact.question, *fact.wordings)) if fact.wordings else fact.question
        for _ in range(ATTEMPTS):
            wording = _compose(topic, question, random_source)
            if not topic.stems or topic.stems & _stems(WORD.findall(wording.lower())):
                return _surface(_replace_synonyms(wording, random_source), random_source)
        return question


def held_out_wordings(facts: Sequence[Fact]) -> list[str]:
    """Return one other wording of each fact's question, always the same: evaluation asks it, training leaves it out."""
    wordings = Wordings(facts)
    sources = [random.Random(f"held out: {fact.question}") for fact in facts]  # noqa: S311 - wordings, not secrets
    return [_another(wordings, index, fact, sources[index]) for index, fact in enumerate(facts)]


def _another(wordings: Wordings, index: int, fact: Fact, source: random.Random) -> str:
    plain = fact.question.casefold().rstrip("?")
    draws = (wordings.draw(index, source) for _ in range(ATTEMPTS))
    return next((drawn for drawn in draws if plain not in drawn.casefold()), fact.question.lower().rstrip("?"))


def same_wording(first: str, second: str) -> bool:
    """Whether two wordings differ in nothing but case, white space and marks."""
    return WORD.findall(first.lower()) == WORD.findall(second.lower())


def _compose(topic: Topic, question: str, random_source: random.Random) -> str:
    draw = random_source.random()
    if draw < 0.16 or not topic.phrases:  # noqa: PLR2004 - shares of the forms, which sum to one
        return question
    if draw < 0.26:  # noqa: PLR2004
        return _indirect(question, random_source)
    if draw < 0.38 and topic.statement:  # noqa: PLR2004
        return topic.statement
    if draw < 0.50:  # noqa: PLR2004
        return _drop_words(question, random_source)
    phrases = _some_phrases(topic, random_source)
    if draw < 0.64:  # noqa: PLR2004
        return phrases
    kind = topic.kind if random_source.random() < 0.75 else random_source.choice(sorted(FRAMES))  # noqa: PLR2004
    return random_source.choice(FRAMES[kind]).format(topic=phrases)


def _some_phrases(topic: Topic, random_source: random.Random) -> str:
    count = random_source.choice((1, 1, 2, 2, 3))
    chosen = random_source.sample(topic.phrases, min(count, len(topic.phrases)))
    joiner = random_source.choice((" ", " for ", " of ", " in ", " on ", " and "))
    return joiner.join(chosen)


def _indirect(question: str, random_source: random.Random) -> str:
    """Turn "Where is the X?" into "tell me where the X is": the auxiliary moves behind or goes."""
    opener = random_source.choice(OPENERS)
    words = question.rstrip(" ?.!").split()
    for position, word in enumerate(words[:4]):
        if word.lower() in {"is", "are", "does", "do", "did", "was", "were"}:
            moved = [] if word.lower() in {"does", "do", "did"} else [word]
            return " ".join([opener, *(w.lower() if i == 0 else w for i, w in enumerate(words[:position])),
                             *words[position + 1 :], *moved])  # fmt: skip
    return " ".join([opener, words[0].lower(), *words[1:]]) if words else question


def _drop_words(question: str, random_source: random.Random) -> str:
    words = question.rstrip(" ?.!").split()
    kept = [word for word in words if random_source.random() > (0.5 if word.lower() in FUNCTION_WORDS else 0.2)]
    return " ".join(kept or words)


def _replace_synonyms(text: str, random_source: random.Random) -> str:
    """Put other expressions for up to three of those that the thesaurus knows."""
    found = load_thesaurus().find(text)
    count = min(random_source.choice(REPLACED), len(found))
    for place in sorted(random_source.sample(found, count), key=lambda place: place.start, reverse=True):
        text = text[: place.start] + random_source.choice(place.others) + text[place.end :]
    return text


def _surface(text: str, random_source: random.Random) -> str:
    """Vary case, question mark and politeness as people in a chat do."""
    bare = text.rstrip(" ?.!")
    if random_source.random() < 0.5:  # noqa: PLR2004
        bare = bare[:1].lower() + bare[1:] if random_source.random() < 0.5 else bare.lower()  # noqa: PLR2004
    prefix = random_source.choice(PREFIXES) if random_source.random() < 0.2 else ""  # noqa: PLR2004
    suffix = random_source.choice(SUFFIXES) if random_source.random() < 0.1 else ""  # noqa: PLR2004
    return f"{prefix}{bare}{suffix}{'?' if random_source.random() < 0.75 else ''}"  # noqa: PLR2004


def _topic(fact: Fact, counts: Mapping[str, int]) -> Topic:
    known = _values(fact)
    question = _phrases(fact.question, known, cut_verbs=True)
    answer = _phrases(fact.answer, known, cut_verbs=True)
    distinct = {phrase.lower(): phrase for phrase in [*question, *question, *answer]}
    stems = frozenset(stem for stem in _stems(_content(fact)) if counts[stem] == 1)
    return Topic(tuple(distinct.values()), _statement(fact, known), _kind(fact.question), stems)


def _values(fact: Fact) -> frozenset[str]:
    """Find the words of the answer that are its news: figures, names, addresses that the question does not have."""
    asked = {word.lower() for word in WORD.findall(fact.question)}
    words = [word for word in WORD.findall(fact.answer) if word.lower() not in asked]
    first = WORD.findall(fact.answer)[:1]
    return frozenset(
        word.lower()
        for word in words
        if re.search(r"[\d#@./:-]", word) or (word[:1].isupper() and ([word] != first or _asks_who(fact.question)))
    )


def _asks_who(question: str) -> bool:
    return bool(re.match(r"(?:who|which|what)\b", question, re.IGNORECASE))


def _phrases(text: str, values: frozenset[str], *, cut_verbs: bool) -> list[str]:
    runs: list[list[str]] = [[]]
    for word in WORD.findall(text):
        lower = word.lower()
        if lower in FUNCTION_WORDS or lower in values or (cut_verbs and stem(lower) in VERBS):
            runs.append([])
        else:
            runs[-1].append(word)
    return [" ".join(run) for run in runs if run]


def _statement(fact: Fact, values: frozenset[str]) -> str:
    """Replace the news of the answer by a question word: "Payroll runs on the 26th" gives "Payroll runs on what"."""
    words, done = [], False
    for word in fact.answer.rstrip(" .!").split():
        if word.lower().strip(".,") in values:
            if not done:
                words.append("what")
            done = True
        else:
            words.append(word)
    return " ".join(words) if done and len(words) > 2 else ""  # noqa: PLR2004 - fewer ask for nothing


def _content(fact: Fact) -> list[str]:
    values = _values(fact)
    words = WORD.findall(f"{fact.question} {fact.answer}".lower())
    return [word for word in words if word not in FUNCTION_WORDS and word not in values and stem(word) not in VERBS]


def stem(word: str) -> str:
    """Cut the commonest English endings; enough to see "deploys" and "deploy" as one."""
    for ending in ("ies", "ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:  # noqa: PLR2004
            return word[: -len(ending)]
    return word


def _stems(words: Sequence[str]) -> set[str]:
    return {stem(word) for word in words}


def _kind(question: str) -> str:
    found = QUESTION_WORD.match(question.strip())
    word = found["wh"].lower() if found else "what"
    return {"who": "who", "where": "where", "when": "when", "how": "how"}.get(word, _amount_kind(word))


def _amount_kind(word: str) -> str:
    return "amount" if word.startswith("how") else "what"
