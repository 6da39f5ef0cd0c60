"""Who may set up a channel, what its settings mean for reviews, and what the audit log says of a change."""

import json

import pytest

from governance.channels import check_settings, settings_digest
from governance.errors import NotEntitledError
from storage.channels import ChannelSettings, channel_settings
from storage.errors import InvalidChannelSettingsError
from storage.feedback import Feedback
from storage.interactions import Interaction
from storage.people import Standing
from tests.governance.installation import EXPERT, OTHER, Installation

CHANNEL, GUEST = "C1", "T1/U_GUEST"


def corrected(house: Installation, person: str, *, private: bool = False) -> Feedback:
    """Correct an answer that was given in the channel."""
    interaction = Interaction(
        id=f"qa_{person}", workspace_id="T1", channel=CHANNEL, thread_ts="1.0", question_ts="1.0", answer_ts="1.1",
        asker_id=OTHER, question="Where is the kiln?", answer="No idea.", base_digest="base", prompt_digest="prompt",
        created_at=house.clock(),
    )  # fmt: skip
    with house.database.transaction() as session:
        session.add(interaction)
    return house.governance.record_feedback(
        workspace_id="T1", person_id=person, kind="correction", question="Where is the kiln?", answer="No idea.",
        text="In hall Ash.", source="slack", interaction_id=f"qa_{person}", private=private,
    )  # fmt: skip


def test_a_change_is_in_force_and_audited_with_what_was_before_and_after(house: Installation) -> None:
    after = ChannelSettings("all", "de", "hr", ("U_EXPERT",))

    assert house.governance.change_channel("T1", CHANNEL, after, OTHER)

    with house.database.read() as session:
        assert channel_settings(session, "T1", CHANNEL) == after
    record = json.loads(house.log()[-1])
    assert (record["action"], record["object"], record["actor"]) == ("channel.changed", f"T1/{CHANNEL}", OTHER)
    assert record["digests"]["before"] == settings_digest(ChannelSettings())
    assert record["digests"]["after"] == settings_digest(after)
    assert house.audit.verify(house.database).verified


def test_saving_what_is_in_force_already_changes_nothing(sqlite_house: Installation) -> None:
    sqlite_house.governance.change_channel("T1", CHANNEL, ChannelSettings(answers="off"), OTHER)
    records = sqlite_house.log()

    assert not sqlite_house.governance.change_channel("T1", CHANNEL, ChannelSettings(answers="off"), EXPERT)
    assert sqlite_house.log() == records


@pytest.mark.parametrize(
    ("rules", "person", "standing"),
    [
        ({}, GUEST, "guest"),
        ({}, GUEST, "external"),
        ({}, GUEST, "bot"),
        ({"settings_by": ["U_GUEST"]}, GUEST, "guest"),
        ({"settings_by": ["U_EXPERT"]}, OTHER, "member"),
    ],
)
def test_who_may_not_set_up_a_channel_is_refused_and_nothing_is_changed(
    sqlite_house: Installation, rules: dict[str, object], person: str, standing: Standing
) -> None:
    sqlite_house.use_policy(channels=rules)
    sqlite_house.meet(person, standing)
    records = sqlite_house.log()

    assert sqlite_house.governance.may_set_channel(person)
    with pytest.raises(NotEntitledError):
        sqlite_house.governance.change_channel("T1", CHANNEL, ChannelSettings(answers="off"), person)
    assert sqlite_house.log() == records


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        (ChannelSettings(answers="sometimes"), "answers"),  # type: ignore[arg-type]
        (ChannelSettings(language="klingon"), "language"),
        (ChannelSettings(domain=""), "domain"),
        (ChannelSettings(domain="two words"), "domain"),
        (ChannelSettings(domain="x" * 41), "domain"),
        (ChannelSettings(trusted=tuple(f"U{number}" for number in range(51))), "trusted"),
    ],
)
def test_impossible_settings_are_refused_by_field(settings: ChannelSettings, field: str) -> None:
    with pytest.raises(InvalidChannelSettingsError) as refusal:
        check_settings(settings)
    assert refusal.value.field == field


@pytest.mark.parametrize(
    ("rules", "person", "private", "why"),
    [
        ({}, EXPERT, False, None),
        ({}, OTHER, False, "not_trusted"),
        ({"trusted": ["U_OTHER"]}, OTHER, False, "not_trusted"),
        ({"trusted": ["U_OTHER"]}, EXPERT, False, "not_trusted"),
        ({"corrections_need_review": True}, EXPERT, False, "every_correction"),
        ({"trusted": ["U_OTHER"], "channels_may_trust": True}, EXPERT, False, None),
        ({"corrections_need_review": True, "channels_may_trust": True}, EXPERT, False, None),
        ({"corrections_need_review": True, "channels_may_trust": True}, OTHER, False, "every_correction"),
        ({"private_need_review": True, "channels_may_trust": True}, EXPERT, True, "private"),
    ],
)
def test_the_stricter_of_policy_and_channel_decides_unless_the_policy_lets_channels_trust(
    sqlite_house: Installation,
    rules: dict[str, object],
    person: str,
    private: bool,  # noqa: FBT001
    why: str | None,
) -> None:
    sqlite_house.use_policy(feedback=rules)
    sqlite_house.governance.change_channel("T1", CHANNEL, ChannelSettings(trusted=("U_EXPERT",)), EXPERT)

    assert corrected(sqlite_house, person, private=private).review_reason == why
