"""What one question's feedback comes to: which correction is in force, which contradict, what people prefer.

Pure: everything about one question goes in, in the order in which it was said, and its records come out.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from learning.curation.preferring import Favoured, add_pairs, weigh
from learning.curation.settlement import Said, Settlement, ids_of
from learning.curation.snapshot import Contradiction, PreferencePair, Row, Split, Thumb
from learning.curation.text import fold

MAX_WORDINGS = 20
"""Wordings kept with a row: the first ones in the order of the alphabet."""


@dataclass
class Answer:
    """One answer to the question, and who liked it or not (the latest vote of each)."""

    text: str
    likes: list[Said] = field(default_factory=list)
    dislikes: list[Said] = field(default_factory=list)

    @property
    def lead(self) -> int:
        """How many more like it than not."""
        return len(self.likes) - len(self.dislikes)


def settle(group: Sequence[Said], split: Split) -> Settlement:
    """Settle one question. `split` is the side of what rests on votes alone; what has a correction is trained on."""
    result = Settlement()
    said = [item for item in group if item.kind == "correction"]
    standing = _judge(_in_force(said, result), result)
    answers = _tally([item for item in group if item.kind in {"up", "down"}], said, result)
    favoured = weigh([item for item in group if item.kind == "preference"], result)
    if not standing and result.contradictions:
        votes = [vote for answer in answers for vote in (*answer.likes, *answer.dislikes)]
        choices = [choice for each in favoured for choice in each.said]
        result.leave_out([*votes, *choices], "contradiction", "corrections of its question disagree")
    elif not standing:
        _settle_votes(answers, split, result)
        add_pairs(favoured, [answer.text for answer in answers if answer.lead < 0], split, result)
    else:
        _settle_versions(list(_by_answer(standing).values()), group, answers, favoured, result)
    return result


# Corrections


def _in_force(corrections: Iterable[Said], result: Settlement) -> list[Said]:
    """Drop what was replaced: by the same person later, or by a correction of the corrected answer.

    What a reviewer settled is replaced only by what was settled later.
    """
    current: dict[str, Said] = {}
    by_place: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    by_answer: defaultdict[str, list[str]] = defaultdict(list)
    for new in corrections:
        place = new.person, new.words
        replaced = [
            current[each]
            for each in dict.fromkeys([*by_place[place], *by_answer[fold(new.answer)]])
            if each in current and (new.settled or not current[each].settled)
        ]
        result.leave_out(replaced, "superseded", f"superseded by {new.id}")
        for old in replaced:
            del current[old.id]
        current[new.id] = new
        by_place[place].append(new.id)
        by_answer[fold(new.text)].append(new.id)
    return list(current.values())


def _judge(corrections: list[Said], result: Settlement) -> list[Said]:
    """Return the corrections that stand, and note those that contradict each other.

    A question that was misspelled may be another question: what reviewers accepted for each spelling stands.
    """
    if len(_by_answer(corrections)) <= 1:
        return corrections
    winners: dict[str, Said] = {}
    for item in sorted((item for item in corrections if item.settled), key=lambda item: item.settled):
        winners[item.words] = item
    accepted = {fold(winner.text) for winner in winners.values()}
    standing, contested = [], []
    for item in corrections:
        own = winners.get(item.words)
        if item.settled and own and fold(own.text) != fold(item.text):
            result.leave_out([item], "superseded", f"a reviewer accepted {own.id} later")
        elif fold(own.text) == fold(item.text) if own else fold(item.text) in accepted:
            standing.append(item)
        else:
            contested.append(item)
    if contested:
        stands = tuple(winner.id for winner in winners.values())
        result.contradictions.append(Contradiction(ids_of(contested), stands))
        result.leave_out(contested, "contradiction", "corrections of its question disagree")
    return standing


def _by_answer(corrections: Iterable[Said]) -> dict[str, list[Said]]:
    groups: defaultdict[str, list[Said]] = defaultdict(list)
    for item in corrections:
        groups[fold(item.text)].append(item)
    return groups


def _version_of(answer: Answer, versions: list[list[Said]]) -> list[Said]:
    """Return the corrections that votes on this answer belong to: where several stand, those of the same words."""
    words = {item.words for item in (*answer.likes, *answer.dislikes)}
    return next((version for version in versions if words & {item.words for item in version}), versions[0])


def _settle_versions(
    versions: list[list[Said]],
    group: Sequence[Said],
    answers: Sequence[Answer],
    favoured: Sequence[Favoured],
    result: Settlement,
) -> None:
    """Settle what has corrections; a choice between two answers counts with the correction that was chosen."""
    by_text = {fold(version[-1].text): version for version in versions}
    for version in versions:
        votes = [each for each in answers if _version_of(each, versions) is version]
        choices = [each for each in favoured if by_text.get(fold(each.chosen)) is version]
        _settle_version(version, group, votes, choices, result)
    for each in favoured:
        if fold(each.chosen) not in by_text:
            result.leave_out(each.said, "corrected", f"correction {versions[0][-1].id} says otherwise")


def _settle_version(
    version: list[Said], group: Sequence[Said], answers: list[Answer], favoured: list[Favoured], result: Settlement
) -> None:
    latest = version[-1]
    rejected: dict[str, tuple[str, list[Said]]] = {}
    for item in version:
        if item.answer:
            rejected.setdefault(fold(item.answer), (item.answer, []))[1].append(item)
    for choice in favoured:
        rejected.setdefault(fold(choice.rejected), (choice.rejected, []))[1].extend(choice.said)
    liked: list[Said] = []
    for answer in answers:
        key = fold(answer.text)
        if (key == fold(latest.text)) is not (answer.lead > 0):
            result.leave_out([*answer.likes, *answer.dislikes], "corrected", f"correction {latest.id} says otherwise")
        elif answer.lead > 0:
            liked += answer.likes
        else:
            rejected.setdefault(key, (answer.text, []))[1].extend(answer.dislikes)
    rejected.pop(fold(latest.text), None)
    result.rows.append(_row(version, group))
    result.pairs += [
        PreferencePair(latest.question, latest.text, text, ids_of({latest, *items}))
        for text, items in rejected.values()
    ]
    if liked:
        result.thumbs.append(Thumb(latest.question, latest.text, liked=True, feedback_ids=ids_of(liked)))


def _row(version: list[Said], group: Sequence[Said]) -> Row:
    latest, words = version[-1], {item.words for item in version}
    public = (item for item in group if item in version or (not item.private and item.words in words))
    wordings = {fold(item.question): item.question for item in public}
    wordings.pop(fold(latest.question))
    return Row(
        latest.question,
        latest.text,
        ids_of(version),
        tuple(sorted({item.person for item in version})),
        any(item.private for item in version),
        tuple(wording for _, wording in sorted(wordings.items())[:MAX_WORDINGS]),
    )


# Votes


def _tally(votes: Sequence[Said], corrections: Sequence[Said], result: Settlement) -> list[Answer]:
    """Count the latest vote of each person on each answer; return the answers on which more are of one mind."""
    rejected_by = {(item.person, fold(item.answer)): item for item in corrections}
    latest: dict[tuple[str, str], Said] = {}
    for vote in votes:
        place = vote.person, fold(vote.answer)
        if place in rejected_by:
            result.leave_out([vote], "superseded", f"superseded by {rejected_by[place].id}")
            continue
        if place in latest:
            result.leave_out([latest[place]], "superseded", f"superseded by {vote.id}")
        latest[place] = vote
    answers: dict[str, Answer] = {}
    for vote in latest.values():
        answer = answers.setdefault(fold(vote.answer), Answer(vote.answer))
        (answer.likes if vote.kind == "up" else answer.dislikes).append(vote)
    return [answer for answer in answers.values() if _is_decided(answer, result)]


def _is_decided(answer: Answer, result: Settlement) -> bool:
    """Tell whether a majority is of one mind, and leave out the others' votes."""
    result.votes += len(answer.likes) + len(answer.dislikes)
    fewer, more = sorted((answer.likes, answer.dislikes), key=len)
    result.minority += len(fewer)
    if len(fewer) == len(more):
        result.leave_out([*fewer, *more], "divided", "as many like the answer as do not")
        return False
    result.leave_out(fewer, "outvoted", "more people say the opposite of the answer")
    fewer.clear()
    return True


def _settle_votes(answers: Sequence[Answer], split: Split, result: Settlement) -> None:
    """Make pairs of the best answer over each that people did not like; what is left over are lone thumbs."""
    liked = sorted((answer for answer in answers if answer.lead > 0), key=_standing)
    disliked = [answer for answer in answers if answer.lead < 0]
    best = liked.pop() if liked and disliked else None
    for answer in disliked if best else ():
        assert best is not None
        ids = ids_of([*best.likes, *answer.dislikes])
        result.pairs.append(PreferencePair(best.likes[-1].question, best.text, answer.text, ids, split))
    for answer in liked or (() if best else disliked):
        votes = answer.likes or answer.dislikes
        thumb = Thumb(votes[-1].question, answer.text, bool(answer.likes), ids_of(votes), split)
        result.thumbs.append(thumb)


def _standing(answer: Answer) -> tuple[int, str, str]:
    return answer.lead, answer.likes[-1].at, answer.text
