"""Who is answered, whose feedback counts, and who may set up a channel. Pure: reads nothing, writes nothing."""

from governance.policy import PeopleRules, Policy, names
from storage.people import Person

KINDS = {"guest": "guests", "external": "people of other organisations", "bot": "other apps"}


def is_answered(rules: PeopleRules, person: Person) -> bool:
    """Tell whether the policy lets this person ask."""
    return _welcome(rules, person) != "ignore"


def why_no_answer(rules: PeopleRules, person: Person) -> str:
    """Return why this person is not answered, or an empty string."""
    return "" if is_answered(rules, person) else f"The policy does not let me answer {KINDS[person.standing]}."


def why_no_feedback(rules: PeopleRules, person: Person) -> str:
    """Return why this person's feedback does not count, or an empty string."""
    if person.standing == "member" or (person.standing != "bot" and _welcome(rules, person) == "answer"):
        return ""
    return (
        f"Thank you, but feedback of {KINDS[person.standing]} does not count here; members of the workspace teach me."
    )


def why_not_set(policy: Policy, person: Person) -> str:
    """Return why this person may not change the settings of a channel that they are in, or an empty string."""
    if person.standing != "member":
        return f"{KINDS[person.standing]} cannot change the settings of a channel; ask a member of the workspace."
    if not names(policy.channels.settings_by, person.id):
        return f"the policy {policy.name!r} does not let you change the settings of channels."
    return ""


def why_not_meant(people: list[str], person: Person | None) -> str:
    """Return why a list of the policy that says "*" does not mean this person, or an empty string.

    "*" means the members of the workspace; guests and others can be named, by their ids.
    """
    if person is None or person.standing == "member" or names([each for each in people if each != "*"], person.id):
        return ""
    return f"{KINDS[person.standing]} cannot do this unless the policy names them."


def _welcome(rules: PeopleRules, person: Person) -> str:
    return {"guest": rules.guests, "external": rules.external, "bot": rules.bots}.get(person.standing, "answer")
