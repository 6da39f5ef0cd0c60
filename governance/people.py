"""Who is answered, whose feedback counts, and who may set up a channel. Pure: reads nothing, writes nothing."""

from governance.policy import PeopleRules, Policy
from governance.roles import KINDS, has_role, why_lacking
from storage.people import Person


def is_answered(rules: PeopleRules, person: Person) -> bool:
    """Tell whether the policy lets this person ask."""
    return has_role(rules, "asker", person.standing)


def why_no_answer(policy: Policy, person: Person) -> str:
    """Return why this person is not answered, or an empty string."""
    return why_lacking(policy, "ask", person.id, person.standing)


def why_no_feedback(policy: Policy, person: Person) -> str:
    """Return why this person's feedback does not count, or an empty string."""
    return why_lacking(policy, "give_feedback", person.id, person.standing)


def why_not_set(policy: Policy, person: Person) -> str:
    """Return why this person may not change the settings of a channel that they are in, or an empty string."""
    if person.standing != "member":
        return f"{KINDS[person.standing]} cannot change the settings of a channel; ask a member of the workspace."
    return why_lacking(policy, "set_channel", person.id, person.standing)
