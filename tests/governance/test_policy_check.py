"""A policy that contradicts itself is refused with what to do; any other one is told in plain words."""

from pathlib import Path

import pytest

from governance.policy import BUILTIN, PRESETS, Policy, load_policy
from governance.policy_check import check_policy
from governance.policy_words import explain_policy
from storage.errors import ConfigurationError

BASIS = """
name = "ours"
[gates.as_told]
at_least = 0.9
[gates.leaks]
at_most = 0
"""


def policy(tmp_path: Path, content: str) -> Policy:
    path = tmp_path / "policy.toml"
    path.write_text(BASIS + content, encoding="utf-8")
    return load_policy(path)


@pytest.mark.parametrize("name", PRESETS)
def test_a_packaged_policy_contradicts_itself_nowhere_and_gives_a_reason_for_each_value(name: str) -> None:
    preset = load_policy(f"{BUILTIN}{name}")
    assert preset.name == name
    assert check_policy(preset).contradictions == ()
    assert {"as_told", "in_other_words", "general_lost", "leaks"} <= preset.gates.keys()


def test_the_presets_of_regulated_fields_ask_for_two_people_and_a_review() -> None:
    for name in PRESETS[1:]:
        preset = load_policy(f"{BUILTIN}{name}")
        assert preset.approval.quorum == 2
        assert preset.approval.max_contributor_share <= 0.3
        assert preset.feedback.corrections_need_review
        assert preset.people.external == "ignore"
        assert preset.rollout.canary_share > 0
        assert preset.rollback.automatic
        assert preset.privacy.sector == name
        assert preset.privacy.private_teaches == "never"
        assert preset.retention.questions_days


def test_an_unknown_packaged_policy_is_answered_with_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"no packaged policy 'builtin:church'.*builtin:healthcare"):
        load_policy("builtin:church")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[gates.general_lost]\nat_most = 2", ["gates.general_lost.at_most is 2", "a share, 0 to 1"]),
        ("[gates.general_kl]\nat_most = -1", ["gates.general_kl.at_most is -1", "never below 0"]),
        (
            '[gates.refusals_kept]\nat_least = 1.0\n[evidence]\njudge_by = "interval"\nundecided = "reject"',
            ["gates.refusals_kept.at_least is 1", "no adapter can pass", "estimate"],
        ),
        (
            '[feedback]\ncorrections_need_review = true\ntrusted = ["U1"]',
            ["feedback.trusted", "feedback.corrections_need_review", "Leave one of them out"],
        ),
        (
            "[feedback]\ncorrections_need_review = true\nchannels_may_trust = true",
            ["feedback.channels_may_trust", "Set one of them to false"],
        ),
        (
            '[approval]\napprovers = ["U1", "U2"]\nquorum = 2\n[training]\nstarters = ["U1"]',
            ["approval.quorum is 2", "training.starters", "1 are left", "Name another"],
        ),
        (
            "[approval]\ndelegation_days = 14",
            ["approval.delegation_days is 14", "approval.approvers has every member", "set it to 0"],
        ),
        ("[gates.canaries_lost]\nat_most = 0", ["gates.canaries_lost", "the policy has none", "[[canaries]]"]),
        (
            '[feedback]\ntrusted = ["U1"]\ntrusted_from = 2',
            ["feedback.trusted_from", "feedback.trusted", "Set it to 0"],
        ),
        (
            "[domains.hr.gates.as_told]\nat_least = 3.0",
            ["In domain hr: gates.as_told.at_least is 3"],
        ),
    ],
)
def test_a_contradiction_is_named_with_its_keys_and_what_to_do(tmp_path: Path, content: str, says: list[str]) -> None:
    (found,) = check_policy(policy(tmp_path, content)).contradictions
    for part in says:
        assert part in found


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('[approval]\napprovers = ["U1", "U2"]\nquorum = 2', "a run that one of them starts can never be approved"),
        ('[feedback]\nreviewers = ["U1"]', "whose own corrections nobody can accept"),
        ('[evidence]\njudge_by = "interval"\nundecided = "reject"', "nearly every adapter is rejected"),
        ('[[canaries]]\nquestion = "Why?"\nmust_contain = ["So"]', "no gate that bounds them"),
        ("[rollout]\ncanary_share = 0.1\n[rollback]\nautomatic = false", "nobody takes a bad one out"),
    ],
)
def test_what_its_author_may_not_have_meant_is_a_warning(tmp_path: Path, content: str, says: str) -> None:
    found = check_policy(policy(tmp_path, content))
    assert found.contradictions == ()
    (warning,) = found.warnings
    assert says in warning


def test_a_policy_is_told_in_plain_words_with_what_is_special_in_each_domain(tmp_path: Path) -> None:
    said = "\n".join(
        explain_policy(
            policy(
                tmp_path,
                '[approval]\napprovers = ["U1", "U2", "U3"]\nquorum = 2\ndelegation_days = 14\n'
                "[rollout]\nshadow_share = 0.5\ncanary_share = 0.1\n"
                '[curation]\ngroups = { sales = ["U4"] }\nmax_group_share = 0.4\n'
                '[people]\nguests = "ignore"\n[domains.hr.approval]\nquorum = 4\n[domains.it]',
            )
        )
    )
    assert "2 approvals are needed, by: U1, U2, U3. One rejection ends it." in said
    assert (
        "An approved adapter answers 50% of the questions unseen for 24 hours, then answers 10% of the people" in said
    )
    assert "An approver can hand their vote to one member for at most 14 days" in said
    assert "as_told at least 0.9, leaks at most 0." in said
    assert (
        "of one of these groups say is at most 40% of what is taught, once it is more than 100 records: sales." in said
    )
    assert "Guests are ignored" in said
    assert "of what it holds is masked: private key, key, password, card" in said
    assert "What is said in private teaches never." in said
    assert "Adapters that learned from somebody who is erased are taken out at once." in said
    assert "Only people take an adapter out again." in said
    assert "Channels with the domain hr have an adapter of their own. There: 4 approvals are needed" in said
    assert "Channels with the domain it have an adapter of their own, under the rules of the domain default." in said
