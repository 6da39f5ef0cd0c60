"""What is wrong with a policy whose every value is allowed: rules that contradict each other, or can never be kept.

Pure: a policy goes in, sentences come out, each naming the keys and what to do.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import get_args

from governance.policy import Gate, Policy, ShareFigure
from governance.user_groups import EVERYBODY, is_group

SHARES = frozenset(get_args(ShareFigure))


@dataclass(frozen=True)
class Findings:
    """`contradictions` make a policy useless as it is; `warnings` are what its author may not have meant."""

    contradictions: tuple[str, ...]
    warnings: tuple[str, ...]


def check_policy(policy: Policy) -> Findings:
    """Look for what contradicts itself, in the policy's own rules and in those of each domain."""
    contradictions = (*_handles(policy), *_everywhere(policy, _contradictions))
    return Findings(contradictions, tuple(_everywhere(policy, _warnings)))


def _everywhere(policy: Policy, look: Callable[[Policy], Iterator[str]]) -> Iterator[str]:
    own = list(look(policy))
    yield from own
    for domain in policy.domains:
        for sentence in look(policy.rules_of(domain)):
            if sentence not in own:
                yield f"In domain {domain}: {sentence}"


def _handles(policy: Policy) -> Iterator[str]:
    for key, people in policy.people_named.items():
        for each in people:
            if each.rpartition("/")[2].startswith("@"):
                yield (
                    f"{key} has {each!r}, which names nobody: handles change hands. Name a user group by its id, such "
                    "as S0614TZR7, which Slack copies from the group's menu, and a person by theirs."
                )


def _contradictions(rules: Policy) -> Iterator[str]:
    for name, gate in rules.gates.items():
        yield from _impossible_gate(name, gate, rules)
    if rules.feedback.corrections_need_review and rules.feedback.trusted:
        yield (
            "feedback.trusted names people whose corrections need no review, and feedback.corrections_need_review asks "
            "for a review of every correction. Leave one of them out."
        )
    if "canaries_lost" in rules.gates and not rules.canaries:
        yield (
            "gates.canaries_lost bounds how many canaries an adapter may lose, and the policy has none. Add questions "
            "with their answers as [[canaries]], or leave the gate out."
        )
    if rules.feedback.trusted_from and (rules.feedback.corrections_need_review or rules.feedback.trusted):
        yield (
            "feedback.trusted_from says when somebody new needs no review any more, which "
            "feedback.corrections_need_review and feedback.trusted decide without it. Set it to 0, or leave those out."
        )
    if rules.feedback.corrections_need_review and rules.feedback.channels_may_trust:
        yield (
            "feedback.channels_may_trust lets a channel name people whose corrections need no review, and "
            "feedback.corrections_need_review asks for a review of every correction. Set one of them to false."
        )
    if rules.approval.delegation_days and EVERYBODY in rules.approval.approvers:
        yield (
            f"approval.delegation_days is {rules.approval.delegation_days}, and approval.approvers has every member, "
            "who all have a vote of their own. Name the approvers, or set it to 0."
        )
    left = _approvers_left(rules)
    if left is not None and left < rules.approval.quorum and rules.training.starters:
        yield (
            f"approval.quorum is {rules.approval.quorum}, and whoever starts a run does not decide on it: everybody in "
            f"training.starters is an approver too, so that {left} are left. Name another approver, or another starter."
        )


def _impossible_gate(name: str, gate: Gate, rules: Policy) -> Iterator[str]:
    lowest, highest = 0.0, 1.0 if name in SHARES else float("inf")
    key = f"gates.{name}.{'at_most' if gate.at_least is None else 'at_least'}"
    if name != "preference_gain" and not lowest <= gate.bound <= highest:
        range_ = "a share, 0 to 1" if name in SHARES else "never below 0"
        yield f"{key} is {gate.bound:g}, but {name} is {range_}: the gate always says the same. Mend the bound."
    edge = gate.bound in {0.0, 1.0} and name in SHARES
    strict = edge and (gate.at_least == 1.0 or gate.at_most == 0.0)
    if strict and rules.evidence.judge_by == "interval" and rules.evidence.undecided == "reject":
        yield (
            f'{key} is {gate.bound:g}, evidence.judge_by is "interval" and evidence.undecided is "reject": no number '
            'of questions shows so much, so no adapter can pass. Give a bound short of it, or judge by "estimate".'
        )


def _approvers_left(rules: Policy) -> int | None:
    """Count the approvers of a run that one of them started; None where anybody can approve."""
    approvers = set(rules.approval.approvers)
    starters = set(rules.training.starters or approvers)
    if EVERYBODY in approvers or any(map(is_group, approvers)) or not starters <= approvers:
        return None
    return len(approvers) - 1


def _warnings(rules: Policy) -> Iterator[str]:
    left = _approvers_left(rules)
    if left is not None and left < rules.approval.quorum and not rules.training.starters:
        yield (
            f"approval.quorum is {rules.approval.quorum} of {left + 1} approvers, who are also those that may start "
            "training: a run that one of them starts can never be approved, only scheduled ones can. Name "
            "training.starters, or another approver."
        )
    reviewers = set(rules.feedback.reviewers)
    if len(reviewers) == 1 and EVERYBODY not in reviewers and not any(map(is_group, reviewers)):
        yield (
            "feedback.reviewers names one person, whose own corrections nobody can accept where they need a review. "
            "Name a second one."
        )
    if rules.evidence.judge_by == "interval" and rules.evidence.undecided == "reject":
        yield (
            'evidence.judge_by is "interval" and evidence.undecided is "reject": with the few questions of a small '
            "data set nearly every adapter is rejected. docs/evaluation.md says how many each gate needs."
        )
    if rules.canaries and "canaries_lost" not in rules.gates:
        yield (
            "the policy has canaries and no gate that bounds them: the report says how many an adapter lost, and it is "
            "proposed all the same. Add [gates.canaries_lost] with at_most = 0 and min_questions = 1."
        )
    if not rules.rollback.automatic and rules.rollout.canary_share:
        yield (
            "rollout.canary_share lets a share of the people try an adapter, and rollback.automatic is false: nobody "
            "takes a bad one out unless a person does."
        )
