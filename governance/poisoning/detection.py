"""All detectors over what people said lately, under the rules of the policy. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from governance.poisoning.bursts import copies, person_bursts, subject_bursts
from governance.poisoning.canaries import changing
from governance.poisoning.findings import Finding
from governance.poisoning.groups import colluding
from governance.poisoning.refusals import eroding
from governance.poisoning.remarks import Place, Remark, answers_of, latest
from governance.poisoning.rules import Canary, PoisoningRules
from governance.poisoning.triggers import triggers


def find(
    remarks: Sequence[Remark], rules: PoisoningRules, trust: Mapping[str, int], canaries: Sequence[Canary] = ()
) -> list[Finding]:
    """Return what the rules find in remarks, in any order; `trust` counts what reviewers accepted of each person.

    What a found correction replaced is found with it: it would be in force again.
    """
    unsettled = [each for each in remarks if not each.settled]
    versions: defaultdict[Place, set[str]] = defaultdict(set)
    for remark in unsettled:
        versions[remark.place].add(remark.id)
    along = {remark.id: versions[remark.place] for remark in unsettled}
    standing = latest(unsettled)
    return [
        replace(finding, ids=frozenset().union(*(along[each] for each in finding.ids)))
        for finding in (*_find(standing, rules, trust), *changing(standing, canaries))
    ]


def _find(standing: list[Remark], rules: PoisoningRules, trust: Mapping[str, int]) -> Iterator[Finding]:
    answers = answers_of(standing)
    if rules.person_corrections:
        yield from person_bursts(standing, rules.person_corrections, rules.person_minutes, trust)
    if rules.subject_people:
        yield from subject_bursts(standing, rules.subject_people, rules.subject_minutes)
    if rules.copying_people:
        yield from copies(standing, answers, rules.copying_people, rules.subject_minutes)
    if rules.group_questions:
        yield from colluding(standing, answers, rules.group_questions)
    if rules.trigger_questions:
        yield from triggers(standing, answers, rules.trigger_questions)
    if rules.refusals:
        yield from eroding(standing)
