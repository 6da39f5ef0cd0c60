"""Who may do what: every action of the table, tried by people of each role through the functions that do it."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from inspect import isfunction
from typing import get_args

import pytest

from governance.errors import NotEntitledError
from governance.flows import Governance
from governance.people import why_no_answer
from governance.pinning import BASE, Subject
from governance.policy import Policy, load_policy
from governance.policy_words import explain_policy
from governance.roles import NEEDED, Action, Need, Role, why_lacking
from governance.user_groups import Principal, read_principal
from storage.channels import ChannelSettings
from storage.feedback import Feedback
from storage.people import get_person
from tests.governance.installation import APPROVER, EXPERT, OTHER, STARTER, Installation
from tests.governance.test_comparing import shown

KIM = "operator:kim"
WHY = "the refund limit that it answers is wrong"
STRANGER, ASKER, CORRECTOR, REVIEWER, OPERATOR = (
    f"T1/U_{name}" for name in ("STRANGER", "ASKER", "CORRECTOR", "REVIEWER", "OPERATOR")
)
ROLES: Mapping[str, frozenset[Role]] = {
    STRANGER: frozenset(),
    ASKER: frozenset({"asker"}),
    CORRECTOR: frozenset({"asker", "corrector"}),
    REVIEWER: frozenset({"asker", "corrector", "reviewer"}),
    APPROVER: frozenset({"asker", "corrector", "approver"}),
    OPERATOR: frozenset({"asker", "corrector", "operator"}),
}


@pytest.fixture
def staffed(sqlite_house: Installation) -> Installation:
    """An installation whose policy gives each role to one person."""
    for person in (CORRECTOR, REVIEWER, OPERATOR):
        sqlite_house.meet(person, "member")
    sqlite_house.meet(ASKER, "guest")
    sqlite_house.meet(STRANGER, "external")
    give_roles(sqlite_house, APPROVER, REVIEWER, OPERATOR)
    return sqlite_house


@pytest.fixture
def grouped(staffed: Installation) -> Installation:
    """The same, where the policy gives each role to a user group in which that person is."""
    give_roles(staffed, "SAPPROVERS", "SREVIEWERS", "T1/SOPERATORS")
    staffed.read_groups(SAPPROVERS=[APPROVER], SREVIEWERS=[REVIEWER], SOPERATORS=[OPERATOR])
    return staffed


def give_roles(house: Installation, approver: str, reviewer: str, operator: str) -> None:
    house.use_policy(
        approval={"approvers": [approver], "delegation_days": 7},
        feedback={"corrections_need_review": True, "reviewers": [reviewer]},
        training={"starters": [operator]},
        channels={"settings_by": [operator]},
        rollout={"pins_by": [operator]},
        roles={"operators": [operator]},
        break_glass={"who": [operator], "tell": [approver]},
    )


def said(house: Installation, person: str) -> Feedback:
    return house.governance.record_feedback(
        workspace_id="T1", person_id=person, kind="correction", question="q", answer="a", text="b", source="slack"
    )


def decide_on_policy(house: Installation, person: str, digest: str) -> None:
    policies = house.governance.policies
    policies.put_first_in_force(KIM)
    wanted = Policy.model_validate(house.policy.model_dump() | {"name": digest})
    version = policies.propose(wanted, KIM).id
    foretold = policies.may_decide(version, person)
    as_foretold(foretold, lambda: policies.decide(version, person, "reject", "it is not needed"))


def break_glass(house: Installation, person: str, digest: str) -> None:
    house.governance.break_glass(house.proposed(digest, {}).id, person, WHY)


def answer_break_glass(house: Installation, person: str, digest: str) -> None:
    glass, _ = house.governance.break_glass(house.proposed(digest, {}).id, OPERATOR, WHY)
    house.governance.note_break_glass_seen(glass.id, person)


def ask(house: Installation, person: str, digest: str) -> None:
    with house.database.read() as session:
        refuse(why_no_answer(house.policy, get_person(session, person)))


def compare(house: Installation, person: str, digest: str) -> None:
    comparison = shown(house, int(digest, 16), person, None, house.evaluated(digest))
    house.governance.record_preference(comparison, person, "a")


def give_feedback(house: Installation, person: str, digest: str) -> None:
    said(house, person)


def withdraw_feedback(house: Installation, person: str, digest: str) -> None:
    standing = {ASKER: "guest", STRANGER: "external"}.get(person, "member")
    house.meet(person, "member")  # who said something and is a guest now can take it back all the same
    feedback = said(house, person)
    house.meet(person, standing)  # type: ignore[arg-type]
    house.governance.withdraw_feedback(feedback.id, person)


def review(house: Installation, person: str, digest: str) -> None:
    feedback = said(house, OTHER)
    foretold = house.governance.may_review(feedback.id, person)
    as_foretold(foretold, lambda: house.governance.review_feedback(feedback.id, person, accept=True))


def decide(house: Installation, person: str, digest: str) -> None:
    proposal = house.proposed(digest, {}).id
    foretold = house.governance.may_decide(proposal, person)
    as_foretold(foretold, lambda: house.governance.decide(proposal, person, "reject", "it rambles"))


def delegate_vote(house: Installation, person: str, digest: str) -> None:
    house.governance.delegate_vote(person, OTHER, house.clock() + timedelta(days=1), "on leave")


def start_training(house: Installation, person: str, digest: str) -> None:
    refuse(house.governance.may_start_training(person))


def pause_training(house: Installation, person: str, digest: str) -> None:
    house.governance.pause_training(person)


def resume_training(house: Installation, person: str, digest: str) -> None:
    house.governance.pause_training(KIM)
    house.governance.resume_training(person)


def cancel_run(house: Installation, person: str, digest: str) -> None:
    run = house.governance.queue_run(started_by=STARTER, recipe="default", base_digest="base")
    house.governance.cancel_run(run.id, person)


def set_channel(house: Installation, person: str, digest: str) -> None:
    settings, foretold = ChannelSettings(answers="off"), house.governance.may_set_channel(person)
    as_foretold(foretold, lambda: house.governance.change_channel("T1", "C1", settings, person))


def pin(subject: str) -> Callable[[Installation, str, str], None]:
    def do(house: Installation, person: str, digest: str) -> None:
        pinned = Subject("person", subject or person)
        house.governance.pin(pinned, BASE, actor=person, reason="to compare", days=7)

    return do


def unpin(subject: str) -> Callable[[Installation, str, str], None]:
    def do(house: Installation, person: str, digest: str) -> None:
        pin(subject or person)(house, KIM, digest)
        house.governance.unpin(subject or person, person)

    return do


def roll_back(house: Installation, person: str, digest: str) -> None:
    house.live(digest)
    house.governance.rollback(person, "wrong limits")


def erase_person(house: Installation, person: str, digest: str) -> None:
    house.governance.erase_person(EXPERT, person)


def as_foretold(refusal: str, do: Callable[[], object]) -> None:
    """Do something, which is refused in the words in which that was foretold, or not at all."""
    if not refusal:
        do()
        return
    with pytest.raises(NotEntitledError) as refused:
        do()
    assert str(refused.value) == refusal
    raise refused.value


def refuse(refusal: str) -> None:
    if refusal:
        raise NotEntitledError(refusal)


def by_the_table(action: Action) -> Callable[[Installation, str, str], None]:
    """Do what governance has no function for: it is one's own, or done by commands, whose tests see that they ask."""

    def do(house: Installation, person: str, digest: str) -> None:
        with house.database.read() as session:
            refuse(why_lacking(house.policy, action, read_principal(session, person, house.clock())))

    return do


DOING: Mapping[Action, Callable[[Installation, str, str], None]] = {
    "ask": ask,
    "compare": compare,
    "give_feedback": give_feedback,
    "withdraw_feedback": withdraw_feedback,
    "unpin_self": unpin(""),
    "review": review,
    "decide": decide,
    "delegate_vote": delegate_vote,
    "start_training": start_training,
    "pause_training": pause_training,
    "resume_training": resume_training,
    "cancel_run": cancel_run,
    "set_channel": set_channel,
    "pin_self": pin(""),
    "roll_back": roll_back,
    "erase_person": erase_person,
    "pin_others": pin(OTHER),
    "unpin_others": unpin(OTHER),
    "decide_on_policy": decide_on_policy,
    "break_glass": break_glass,
    "answer_break_glass": answer_break_glass,
}
OF_THE_COMMAND_LINE: frozenset[Action] = frozenset(
    {"pin_others", "unpin_others", "export_person", "check_log", "export_log"}
)


class Recording(dict[Action, Need]):
    """The table, which keeps which of its rows were asked."""

    def __init__(self) -> None:
        super().__init__(NEEDED)
        self.asked: set[Action] = set()

    def __getitem__(self, action: Action) -> Need:
        self.asked.add(action)
        return super().__getitem__(action)


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Recording:
    """The table of roles, in place of the one that the rules ask."""
    table = Recording()
    monkeypatch.setattr("governance.roles.NEEDED", table)
    return table


@pytest.mark.parametrize("named_by", ["staffed", "grouped"])
@pytest.mark.parametrize("action", get_args(Action))
def test_an_action_is_done_by_those_who_have_its_role_and_by_nobody_else(
    request: pytest.FixtureRequest, table: Recording, action: Action, named_by: str
) -> None:
    house: Installation = request.getfixturevalue(named_by)
    do, role = DOING.get(action, by_the_table(action)), NEEDED[action].role
    entitled = {person for person, roles in ROLES.items() if role is None or role in roles}
    done = set()
    for number, person in enumerate(ROLES, start=1):
        try:
            do(house, person, f"{number:064x}")
        except NotEntitledError:
            continue
        done.add(person)

    assert done == (set() if action in OF_THE_COMMAND_LINE else entitled)
    assert role is None or action in table.asked


@pytest.mark.parametrize(
    "action",
    ["start_training", "pause_training", "resume_training", "cancel_run", "roll_back", "erase_person", "pin_others",
     "unpin_others"],
)  # fmt: skip
def test_whoever_uses_the_command_line_is_an_operator_whatever_the_policy_says(
    staffed: Installation, action: Action
) -> None:
    DOING[action](staffed, KIM, "a" * 64)
    assert not any(why_lacking(staffed.policy, other, Principal(KIM)) for other in OF_THE_COMMAND_LINE)


def test_a_refusal_says_which_role_is_needed_and_who_has_it(staffed: Installation) -> None:
    policy = staffed.policy
    assert why_lacking(policy, "review", Principal(CORRECTOR)) == (
        "the policy 'small-team' does not let you review corrections: it does not name you as a reviewer. "
        "It names: T1/U_REVIEWER."
    )
    assert why_lacking(load_policy(), "decide", Principal(ASKER, "guest")) == (
        "guests cannot do this unless the policy names them as approvers, as it does members."
    )
    assert why_lacking(policy, "export_log", Principal(OPERATOR)) == (
        "only whoever uses the command line is an auditor who may export the audit log."
    )


def test_the_policy_in_words_says_who_has_which_role(staffed: Installation) -> None:
    found = explain_policy(staffed.policy)

    assert found[:3] == [
        "Askers: every member, guests.",
        "Correctors: every member.",
        "Reviewers: to review corrections, T1/U_REVIEWER.",
    ]
    assert found[3].startswith(
        "Approvers: to decide on adapters, T1/U_APPROVER; to decide on a change of policy, T1/U_A"
    )
    assert found[3].endswith("to cancel the runs of others, T1/U_APPROVER.")
    assert found[4].startswith("Operators: whoever uses the command line; to start, pause or resume training, T1/U_OP")
    assert found[5] == "Auditors: whoever uses the command line."


BY_PEOPLE: Mapping[str, Action] = {
    "record_feedback": "give_feedback",
    "record_preference": "compare",
    "withdraw_feedback": "withdraw_feedback",
    "may_review": "review",
    "review_feedback": "review",
    "may_set_channel": "set_channel",
    "change_channel": "set_channel",
    "erase_person": "erase_person",
    "queue_run": "start_training",
    "may_start_training": "start_training",
    "cancel_run": "cancel_run",
    "pause_training": "pause_training",
    "resume_training": "resume_training",
    "may_decide": "decide",
    "decide": "decide",
    "delegate_vote": "delegate_vote",
    "revoke_delegation": "revoke_delegation",
    "rollback": "roll_back",
    "break_glass": "break_glass",
    "confirm_break_glass": "decide",
    "note_break_glass_seen": "answer_break_glass",
    "undo_break_glass": "answer_break_glass",
    "pin": "pin_others",
    "unpin": "unpin_others",
}
BY_ITSELF = {
    "install_workspace", "uninstall_workspace", "contest_feedback", "look_for_poisoning", "screen_stored",
    "enforce_retention", "let_go", "register_snapshot", "start_run", "resume_run", "note_progress", "keep_curve",
    "finish_run", "register_adapter", "record_evaluation", "propose", "advance_rollout", "take_out_if_worse",
    "expire_proposals", "due_reminders", "take_out_unconfirmed", "user_groups_to_read", "keep_user_groups",
    "user_group_warnings",
}  # fmt: skip
"""What follows from what people did, or from the time; who installs an app in a workspace, Slack decides."""


ASKS = {"check_role"}
"""What commands ask that do something elsewhere."""


def test_the_table_has_what_people_do_through_the_rules() -> None:
    public = {name for name, member in vars(Governance).items() if isfunction(member) and not name.startswith("_")}

    assert public == BY_PEOPLE.keys() | BY_ITSELF | ASKS
    assert set(BY_PEOPLE.values()) <= NEEDED.keys()
    assert set(get_args(Action)) == NEEDED.keys()
    assert {need.role for need in NEEDED.values() if need.role} == set(get_args(Role))
