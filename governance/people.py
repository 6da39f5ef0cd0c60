"""Who is answered, whose feedback counts, and who may set up a channel. Pure: reads nothing, writes nothing."""

from governance.policy import PeopleRules, Policy
from governance.roles import KINDS, has_role, why_lacking
from governance.user_groups import Principal
from storage.people import Person


def is_answered(rules: PeopleRules, person: Person) -> bool:
    """Tell whether the policy lets this person ask."""
    return has_role(rules, "asker", person.standing)


def why_no_answer(policy: Policy, person: Person) -> str:
    """Return why this person is not answered, or an empty string."""
    return why_lacking(policy, "ask", Principal(person.id, person.standing))


def why_no_feedback(policy: Policy, person: Person) -> str:
    """Return why this person's feedback does not count, or an empty string."""
    return why_lacking(policy, "give_feedback", Principal(person.id, person.standing))


def why_no_comparison(policy: Policy, person: Person) -> str:
    """Return why this person is shown no two answers to choose between, or an empty string."""
    return why_lacking(policy, "compare", Principal(person.id, person.standing))


def why_not_set(policy: Policy, who: Principal) -> str:
    """Return why somebody may not change the settings of a channel that they are in, or an empty string."""
    if who.standing != "member":
        return f"{KINDS[who.standing]} cannot change the settings of a channel; ask a member of the workspace."
    return why_lacking(policy, "set_channel", who)
