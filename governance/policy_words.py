"""A policy in plain words, for whoever has to agree to it without reading TOML. Pure."""

from collections.abc import Iterator

from governance.poisoning.rules import PoisoningRules
from governance.policy import Gate, Policy
from governance.privacy.rules import TREATMENTS
from governance.roles import explain_roles
from governance.user_groups import people_in_words
from storage.domains import DEFAULT_DOMAIN


def explain_policy(policy: Policy) -> list[str]:
    """Say in plain words what a policy allows and asks for, a sentence each, the domains' own rules last."""
    sentences = [*_who(policy), *_going_live(policy), *_teaching(policy), *_privacy(policy), *_asking(policy)]
    for domain in policy.domains:
        rules = policy.rules_of(domain)
        own = [each for each in _going_live(rules) if each not in sentences]
        sentences.append(
            f"Channels with the domain {domain} have an adapter of their own"
            + (f". There: {' '.join(own)}" if own else f", under the rules of the domain {DEFAULT_DOMAIN}.")
        )
    return sentences


def _bound(gate: Gate) -> str:
    return f"{'at most' if gate.at_least is None else 'at least'} {gate.bound:g}"


def _who(policy: Policy) -> Iterator[str]:
    yield from explain_roles(policy)
    yield "The schedule starts training too."


def _going_live(rules: Policy) -> Iterator[str]:
    approval, evidence = rules.approval, rules.evidence
    gates = ", ".join(f"{name} {_bound(gate)}" for name, gate in rules.gates.items())
    how = "the whole 95 % interval" if evidence.judge_by == "interval" else "the measured value"
    yield f"An adapter is proposed when it keeps these bounds, judged by {how}: {gates}."
    what = "people decide" if evidence.undecided == "propose" else "it is rejected"
    yield f"Where fewer than {evidence.min_questions} questions were asked, {what}."
    needed = "One approval is needed" if approval.quorum == 1 else f"{approval.quorum} approvals are needed"
    yield (
        f"{needed}, by: {people_in_words(approval.approvers)}. One rejection ends it. Whoever started the run does not "
        f"decide, nor whoever wrote more than {approval.max_contributor_share:.0%} of the corrections. A "
        f"proposal is open for {approval.expiry_days} days."
    )
    if approval.delegation_days:
        yield (
            f"An approver can hand their vote to one member for at most {approval.delegation_days} days; one human has "
            "one vote all the same."
        )
    yield from _emergency(rules)
    yield _stages(rules)
    yield _taking_out(rules)


def _emergency(rules: Policy) -> Iterator[str]:
    glass = rules.break_glass
    if glass.who:
        freeze = "also" if glass.through_freezes else "not"
        yield (
            f"In an emergency an adapter is taken live without its approvals, {freeze} in a freeze, by: "
            f"{people_in_words(glass.who)}. One of these is told at once: {people_in_words(glass.tell)}. Unless the "
            f"approvals are given within {glass.confirm_hours:g} hours, it is taken out again."
        )


def _stages(rules: Policy) -> str:
    rollout = rules.rollout
    stages = []
    if rollout.shadow_share:
        stages.append(f"answers {rollout.shadow_share:.0%} of the questions unseen for {rollout.shadow_hours:g} hours")
    if rollout.canary_share:
        stages.append(f"answers {rollout.canary_share:.0%} of the people for {rollout.canary_hours:g} hours")
    frozen = f" Nothing goes live in these times (UTC): {', '.join(rollout.freeze)}." if rollout.freeze else ""
    return f"An approved adapter {', then '.join([*stages, 'answers everybody'])}.{frozen}"


def _taking_out(rules: Policy) -> str:
    rollback = rules.rollback
    if not rollback.automatic:
        return "Only people take an adapter out again."
    return (
        f"For {rollback.watch_days} days it is taken out by itself when a share of its answers that is higher by more "
        f"than {rollback.margin:.0%} is voted down or corrected, fails, or takes longer than {rollback.slow_seconds:g} "
        f"s; that is wrong in at most {rollback.alpha:.1%} of the cases, for each of the three."
    )


def _teaching(policy: Policy) -> Iterator[str]:
    feedback = policy.feedback
    if feedback.corrections_need_review:
        yield f"Every correction waits until somebody else accepts it, of: {people_in_words(feedback.reviewers)}."
    elif feedback.trusted:
        yield (
            f"Corrections by {people_in_words(feedback.trusted)} count at once; those of all others wait until one of "
            f"these accepts them: {people_in_words(feedback.reviewers)}."
        )
    elif feedback.trusted_from:
        yield (
            f"Corrections count at once by those of whom reviewers accepted {feedback.trusted_from} already; those of "
            f"others, and those that contradict each other, wait until one of these accepts them: "
            f"{people_in_words(feedback.reviewers)}."
        )
    else:
        yield (
            "Corrections count at once; those that contradict each other wait until one of these decides: "
            f"{people_in_words(feedback.reviewers)}."
        )
    if feedback.private_need_review and not feedback.corrections_need_review:
        yield "Corrections said in a direct message wait for a review too."
    if policy.curation.groups:
        yield (
            f"What only people of one of these groups say is at most {policy.curation.max_group_share:.0%} of what is "
            f"taught, once it is more than {policy.curation.always_kept} records: {', '.join(policy.curation.groups)}."
        )
    if policy.canaries:
        yield f"The answers to {len(policy.canaries)} questions are protected: who corrects one waits for a review."
    if found := _suspicions(policy.poisoning):
        yield f"What looks like an attempt to steer the assistant waits for a review: {'; '.join(found)}."


def _suspicions(rules: PoisoningRules) -> list[str]:
    said = {
        f"more than {rules.person_corrections} corrections by one person in {rules.person_minutes:g} minutes, and one "
        "more for each that reviewers accepted of theirs": rules.person_corrections,
        f"{rules.subject_people} people on one subject in {rules.subject_minutes:g} minutes": rules.subject_people,
        f"{rules.copying_people} people with nearly the same text in that time": rules.copying_people,
        f"the same few people who alone say the same about {rules.group_questions} questions": rules.group_questions,
        f"a phrase that goes with one answer in {rules.trigger_questions} unrelated questions": rules.trigger_questions,
        "what replaces a refusal for a reason of safety": rules.refusals,
    }
    return [sentence for sentence, is_on in said.items() if is_on]


def _privacy(policy: Policy) -> Iterator[str]:
    treated = {kind: policy.privacy.treatment(kind) for kind in TREATMENTS}
    masked, aside = (
        ", ".join(kind.replace("_", " ") for kind, treatment in treated.items() if treatment == wanted) or "nothing"
        for wanted in ("mask", "quarantine")
    )
    yield f"Before feedback is kept, of what it holds is masked: {masked}; set aside for a reviewer: {aside}."
    teaches = {"never": "never", "reviewed": "only once a reviewer accepted it", "always": "as anything else"}
    yield f"What is said in private teaches {teaches[policy.privacy.private_teaches]}."
    kept = policy.retention
    questions = f"for {kept.questions_days} days" if kept.questions_days else "for good"
    feedback = f"for {kept.feedback_days} days" if kept.feedback_days else "for good"
    yield f"Questions without feedback are kept {questions}, declined and withdrawn feedback {feedback}."
    fate = (
        "are taken out at once"
        if policy.erasure.adapters == "retire"
        else "answer until a run without them is approved"
    )
    yield f"Adapters that learned from somebody who is erased {fate}."


def _asking(policy: Policy) -> Iterator[str]:
    words = {
        "answer": "are answered and teach",
        "answer_no_feedback": "are answered and do not teach",
        "ignore": "are ignored",
    }
    yield f"Guests {words[policy.people.guests]}; people of other organisations {words[policy.people.external]}."
    answers = policy.people.answers_to_a_bot
    bots = "are ignored" if policy.people.bots == "ignore" else f"get {answers} answers in a thread at most"
    yield f"Other apps {bots}."
