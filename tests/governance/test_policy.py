"""The policy file: what is allowed in it, and what is said when something is not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from governance.policy import Policy, load_policy
from storage.errors import ConfigurationError

VALID = """
name = "ours"
[gates.as_told]
at_least = 0.9
[approval]
approvers = ["U1", "U2"]
quorum = 2
"""


def load(tmp_path: Path, content: str) -> Policy:
    path = tmp_path / "policy.toml"
    path.write_text(content, encoding="utf-8")
    return load_policy(path)


def test_the_packaged_policy_asks_one_person_who_neither_started_nor_wrote_most() -> None:
    policy = load_policy(None)
    assert policy.name == "small-team"
    assert policy.approval.quorum == 1
    assert policy.approval.approvers == ["*"]
    assert policy.approval.max_contributor_share == 0.5
    assert {"as_told", "in_other_words", "general_lost", "general_kl", "leaks"} <= set(policy.gates)


def test_the_digest_follows_the_rules_and_not_their_layout(tmp_path: Path) -> None:
    plain = load(tmp_path, VALID)
    assert plain.digest == load(tmp_path, "# a comment\n" + VALID.replace("\n[", "\n\n[")).digest
    assert plain.digest != load(tmp_path, VALID.replace("0.9", "0.91")).digest


@pytest.mark.parametrize("known_as", [None, "f" * 64], ids=["its own", "that of an earlier release"])
@pytest.mark.parametrize(
    "copied",
    [
        lambda policy, change: policy.model_copy(update=change),
        lambda policy, change: policy.model_copy(update=change, deep=True),
    ],
    ids=["model_copy", "deep"],
)
def test_a_copy_in_which_something_is_different_has_a_digest_of_its_own(
    tmp_path: Path, copied: Callable[[Policy, dict[str, Any]], Policy], known_as: str | None
) -> None:
    policy = load(tmp_path, VALID)
    policy = policy.known_as(known_as) if known_as else policy
    before = policy.digest
    assert before == (known_as or load(tmp_path, VALID).digest)

    assert copied(policy, {"name": "theirs"}).digest == load(tmp_path, VALID.replace("ours", "theirs")).digest
    assert (copied(policy, {}).digest, policy.digest) == (before, before)


@pytest.mark.parametrize(("given", "kept"), [("[2, 24, 2]", (24.0, 2.0)), ("[]", ()), ("[0.5]", (0.5,))])
def test_reminders_are_kept_in_the_order_in_which_they_come(
    tmp_path: Path, given: str, kept: tuple[float, ...]
) -> None:
    policy = load(tmp_path, VALID.replace("quorum = 2", f"remind_hours_before = {given}"))
    assert policy.approval.remind_hours_before == kept


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("quorum = 2", "quorums = 2"), ["approval.quorums", "quorum", "expiry_days"]),
        (("[approval]", "[approvals]"), ["approvals", "approval", "gates"]),
        (("at_least = 0.9", "atleast = 0.9"), ["gates.as_told.atleast", "at_least", "at_most"]),
        (("at_least = 0.9", 'at_least = "high"'), ["gates.as_told.at_least", "'high'", "number"]),
        (("at_least = 0.9", "at_least = 0.9\nat_most = 1.0"), ["gates.as_told", "exactly one"]),
        (("quorum = 2", "quorum = 3"), ["approval", "quorum is 3", "only 2 approvers"]),
        (("quorum = 2", "quorum = 0"), ["approval.quorum", "greater than or equal to 1"]),
        (("quorum = 2", "max_contributor_share = 2.0"), ["approval.max_contributor_share", "less than or equal to 1"]),
        (("quorum = 2", "remind_hours_before = [0]"), ["approval.remind_hours_before", "greater than 0"]),
        (("quorum = 2", 'remind_hours_before = ["a day"]'), ["approval.remind_hours_before", "'a day'", "number"]),
        (("quorum = 2", "remind_hours_before = [169]"), ["approval", "169", "open for 168 hours only"]),
        (('approvers = ["U1", "U2"]', "approvers = []"), ["approval.approvers", "at least 1"]),
        (('name = "ours"', ""), ["name", "missing"]),
        (("[gates.as_told]", "[gates.as_tolld]"), ["gates.as_tolld", "'as_told'", "'general_kept'"]),
        (('name = "ours"', "name ="), ["not valid TOML"]),
        (("[gates.as_told]", "[gates.leaks]\nor_questions = 1"), ["or_questions", "leaks", "general_lost"]),
        (("quorum = 2", "[domains.hr.aproval]\nquorum = 1"), ["domains.hr.aproval", "gates", "approval", "rollback"]),
        (
            ("quorum = 2", "[domains.hr.approval]\nquorums = 1"),
            ["domains.hr.approval.quorums", "quorum", "expiry_days"],
        ),
        (("quorum = 2", "[poisoning]\ncopying = 3"), ["poisoning.copying", "copying_people", "look_back_days"]),
        (
            ("quorum = 2", '[[canaries]]\nquestion = "Why?"\nmust_contain = []'),
            ["canaries.0.must_contain"],
        ),
        (("quorum = 2", '[curation]\ngroups = { hr = ["*"] }'), ["curation.groups", "'hr' is '*'", "name its people"]),
        (("quorum = 2", '[curation]\ngroups = { hr = ["S1"] }'), ["curation.groups", "user group S1", "own ids"]),
        (
            ("quorum = 2", '[curation]\ngroups = { hr = ["U1"], it = ["U1"] }'),
            ["curation.groups", "U1 is in two groups, 'hr' and 'it'", "leave one out"],
        ),
        (("quorum = 2", "[domains.default]"), ["'default'", "policy's own"]),
        (("quorum = 2", "[domains.HR]"), ["domains.HR", "pattern"]),
    ],
)
def test_a_wrong_key_or_value_is_named_with_its_file_and_what_is_allowed(
    tmp_path: Path, change: tuple[str, str], says: list[str]
) -> None:
    with pytest.raises(ConfigurationError) as error:
        load(tmp_path, VALID.replace(*change))
    for part in ["policy.toml", *says]:
        assert part in str(error.value)


def test_a_missing_policy_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.toml"):
        load_policy(tmp_path / "nowhere.toml")
