"""The roles that people have, and which of them each action needs: one table, which all checks of the rules read.

Who has a role is what the policy says; which of its lists counts for an action is in the table too. What else an action
asks for, such as that nobody decides on an adapter of their own run, stands with that action. Pure: reads and writes
nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Literal, NamedTuple, get_args

from governance.policy import PeopleRules, Policy
from governance.user_groups import EVERYBODY, Principal, names, people_in_words, troubles

Role = Literal["asker", "corrector", "reviewer", "approver", "operator", "auditor"]
"""Askers are answered, correctors teach, reviewers judge corrections, approvers adapters; operators keep all running,
auditors check the log."""
ByStanding = Literal["asker", "corrector"]
"""Roles that people have by what they are in the workspace; the policy's [people] says so, and names nobody."""

Action = Literal[
    "ask", "compare", "give_feedback",
    "withdraw_feedback", "see_own_data", "choose_news", "open_home", "stop_answer", "unpin_self", "revoke_delegation",
    "review", "decide", "delegate_vote",
    "start_training", "pause_training", "resume_training", "cancel_run", "set_channel", "pin_self",
    "roll_back", "erase_person", "pin_others", "unpin_others", "export_person",
    "check_log", "export_log", "break_glass", "answer_break_glass", "decide_on_policy", "withdraw_policy",
]  # fmt: skip
"""All that a person can do. `check_log` is to verify, prove and watch it; the slash command's texts go with `ask`."""

OPERATOR = "operator:"
"""How the id begins of whoever uses the command line; no person's does. They could end the process as well, and read
what it keeps, so they are always operators and auditors."""
KINDS = {"guest": "guests", "external": "people of other organisations", "bot": "other apps"}


class Need(NamedTuple):
    """What an action needs: `role`, or none at all, because one's own is at stake; `what` one does, in words.

    `named` returns those to whom the policy gives the role for this. Without it nobody is named: the role goes with
    what somebody is in the workspace, or with the command line.
    """

    role: Role | None
    what: str
    named: Callable[[Policy], Sequence[str]] | None = None


def _reviewers(policy: Policy) -> Sequence[str]:
    return policy.feedback.reviewers


def _approvers(policy: Policy) -> Sequence[str]:
    return policy.approval.approvers


def _starters(policy: Policy) -> Sequence[str]:
    return policy.training.starters or policy.approval.approvers


def _setters(policy: Policy) -> Sequence[str]:
    return policy.channels.settings_by


def _pinners(policy: Policy) -> Sequence[str]:
    return policy.rollout.pins_by or policy.approval.approvers


def _emergency(policy: Policy) -> Sequence[str]:
    return policy.break_glass.who


def _told(policy: Policy) -> Sequence[str]:
    return [*policy.break_glass.tell, *policy.approval.approvers]


def _operators(policy: Policy) -> Sequence[str]:
    return policy.roles.operators


NEEDED: Mapping[Action, Need] = {
    "ask": Need("asker", "ask"),
    "compare": Need("corrector", "choose between two answers"),
    "give_feedback": Need("corrector", "vote, correct and prefer"),
    "withdraw_feedback": Need(None, "take back what they said"),
    "see_own_data": Need(None, "see what is kept about them"),
    "choose_news": Need(None, "choose what they are told"),
    "open_home": Need(None, "open the home tab"),  # which shows to each what they may do
    "stop_answer": Need(None, "stop an answer that they see"),
    "unpin_self": Need(None, "end their own pin"),
    "revoke_delegation": Need(None, "take their vote back"),
    "withdraw_policy": Need(None, "withdraw a policy that they proposed"),
    "review": Need("reviewer", "review corrections", _reviewers),
    "decide": Need("approver", "decide on adapters", _approvers),
    "decide_on_policy": Need("approver", "decide on a change of policy", _approvers),
    "answer_break_glass": Need("approver", "answer an emergency", _told),
    "delegate_vote": Need("approver", "hand on a vote where that is allowed", _approvers),
    "start_training": Need("operator", "start, pause or resume training", _starters),
    "pause_training": Need("operator", "start, pause or resume training", _starters),
    "resume_training": Need("operator", "start, pause or resume training", _starters),
    "cancel_run": Need("approver", "cancel the runs of others", _approvers),
    "set_channel": Need("operator", "change the settings of channels", _setters),
    "pin_self": Need("operator", "choose which adapter answers you", _pinners),
    "break_glass": Need("operator", "break the glass", _emergency),
    "roll_back": Need("operator", "take an adapter out", _operators),
    "erase_person": Need("operator", "erase what somebody said", _operators),
    "pin_others": Need("operator", "pin others"),
    "unpin_others": Need("operator", "end the pins of others"),
    "export_person": Need("operator", "write down what is kept about somebody"),
    "check_log": Need("auditor", "check the audit log"),
    "export_log": Need("auditor", "export the audit log"),
}


def why_lacking(policy: Policy, action: Action, who: Principal) -> str:
    """Return why somebody lacks the role that an action needs, and who has it; empty when they have it.

    Whom a list of the policy means, `why_not_meant` says.
    """
    need = NEEDED[action]
    match need.role:
        case None:
            return ""
        case "asker" | "corrector" as role:
            return _why_unwelcome(policy.people, role, who.standing)
        case "operator" | "auditor" if who.id.startswith(OPERATOR):
            return ""
        case role:
            return _why_unnamed(policy, need, role, who)


def why_not_meant(people: Sequence[str], role: Role, who: Principal) -> str:
    """Return why a list of the policy that says "*" does not mean this person, or an empty string.

    "*" means the members of the workspace; guests and others can be named, by their ids or in a user group.
    """
    if who.standing == "member" or names([each for each in people if each != EVERYBODY], who.id, who.groups):
        return ""
    return f"{KINDS[who.standing]} cannot do this unless the policy names them as {role}s, as it does members."


def has_role(rules: PeopleRules, role: ByStanding, standing: str) -> bool:
    """Tell whether people of this standing are answered, or teach. Other apps never teach."""
    welcome = {"guest": rules.guests, "external": rules.external, "bot": rules.bots}.get(standing, "answer")
    if role == "asker":
        return welcome != "ignore"
    return standing != "bot" and welcome == "answer"


def explain_roles(policy: Policy) -> Iterator[str]:
    """Say who has each role, a sentence a role."""
    for role in get_args(Role):
        yield f"{role.capitalize()}s: {'; '.join(_holders(policy, role))}."


def _holders(policy: Policy, role: Role) -> Iterator[str]:
    match role:
        case "asker" | "corrector":
            others = [kind for standing, kind in KINDS.items() if has_role(policy.people, role, standing)]
            yield ", ".join(["every member", *others])
        case "operator" | "auditor":
            yield "whoever uses the command line"
    needs = [need for need in NEEDED.values() if need.role == role and need.named]
    for what, same in groupby(needs, key=lambda need: need.what):
        named = next(same).named
        assert named is not None
        if people := named(policy):
            yield f"to {what}, {people_in_words(people)}"


def _why_unwelcome(rules: PeopleRules, role: ByStanding, standing: str) -> str:
    if has_role(rules, role, standing):
        return ""
    if role == "asker":
        return f"The policy does not let me answer {KINDS[standing]}."
    return f"Thank you, but feedback of {KINDS[standing]} does not count here; members of the workspace teach me."


def _why_unnamed(policy: Policy, need: Need, role: Role, who: Principal) -> str:
    if need.named is None:
        return f"only whoever uses the command line is {_a(role)} who may {need.what}."
    people = need.named(policy)
    if names(people, who.id, who.groups):
        return why_not_meant(people, role, who)
    refusal = (
        f"the policy {policy.name!r} does not let you {need.what}: it does not name you as {_a(role)}. "
        f"It names: {people_in_words(people, who.groups)}."
    )
    return " ".join([refusal, *troubles(people, who.groups)])


def _a(role: Role) -> str:
    return f"{'an' if role[0] in 'aeiou' else 'a'} {role}"
