"""What people's choices between two answers come to, when they were shown both and not told whose they are. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from learning.curation.settlement import Said, Settlement, ids_of
from learning.curation.snapshot import PreferencePair, Split
from learning.curation.text import fold


@dataclass
class Favoured:
    """An answer that more people chose over another one than the other way round, and who did (their latest choice)."""

    chosen: str
    rejected: str
    said: list[Said]

    @property
    def key(self) -> tuple[str, str]:
        """The two answers as they are compared."""
        return fold(self.chosen), fold(self.rejected)


def weigh(preferences: Iterable[Said], result: Settlement) -> list[Favoured]:
    """Count the latest choice of each person between each two answers; return what most chose."""
    latest: dict[tuple[str, frozenset[str]], Said] = {}
    for item in preferences:
        answers = frozenset((fold(item.text), fold(item.answer)))
        if not item.answer or len(answers) == 1:
            result.leave_out([item], "refused", "there are no two answers to choose from")
            continue
        earlier = latest.get((item.person, answers))
        if earlier is not None:
            result.leave_out([earlier], "superseded", f"superseded by {item.id}")
        latest[item.person, answers] = item
    sides: defaultdict[frozenset[str], dict[str, Favoured]] = defaultdict(dict)
    for (_, answers), item in latest.items():
        favoured = Favoured(item.text, item.answer, [])
        sides[answers].setdefault(fold(item.text), favoured).said.append(item)
    return [winner for each in sides.values() if (winner := _winner(list(each.values()), result)) is not None]


def _winner(sides: Sequence[Favoured], result: Settlement) -> Favoured | None:
    """Return the side that most chose, and leave out the others' choices; None when nothing is decided."""
    *fewer, most = sorted(sides, key=lambda side: len(side.said))
    against = [item for side in fewer for item in side.said]
    result.votes += len(against) + len(most.said)
    result.minority += len(against)
    if len(against) == len(most.said):
        result.leave_out([*against, *most.said], "divided", "as many prefer the one answer as the other")
        return None
    result.leave_out(against, "outvoted", "more people prefer the other answer")
    return most


def add_pairs(favoured: Iterable[Favoured], disliked: Iterable[str], split: Split, result: Settlement) -> None:
    """Make pairs of what was favoured, unless more people voted against it; a pair that votes made too stays one."""
    bad = {fold(text) for text in disliked}
    for each in favoured:
        if fold(each.chosen) in bad:
            result.leave_out(each.said, "outvoted", "more people voted against the answer that was chosen")
            continue
        known = {(fold(pair.chosen), fold(pair.rejected)): place for place, pair in enumerate(result.pairs)}
        place = known.get(each.key)
        if place is None:
            question = each.said[-1].question
            result.pairs.append(PreferencePair(question, each.chosen, each.rejected, ids_of(each.said), split))
        else:
            pair = result.pairs[place]
            result.pairs[place] = replace(pair, feedback_ids=(*pair.feedback_ids, *ids_of(each.said)))
