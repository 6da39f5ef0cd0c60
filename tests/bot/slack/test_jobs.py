from typing import Any

import pytest

from bot.slack.feedback_jobs import Reaction, Reply
from bot.slack.jobs import Hearing, Joined, Opened, Question, as_payload, from_payload, job_of_event, plain_text

BOT = "UBOT"


def event(**changes: Any) -> dict[str, Any]:
    message = {"type": "app_mention", "channel": "C1", "user": "U1", "text": "<@UBOT> why?", "ts": "1.1", **changes}
    installed = [{"team_id": "T1", "user_id": BOT, "is_bot": True}]
    return {
        "type": "event_callback", "team_id": "T1", "event_id": "Ev1", "event": message, "authorizations": installed,
    }  # fmt: skip


def question(**changes: Any) -> Question:
    job = job_of_event(event(**changes))
    assert isinstance(job, Question)
    return job


def test_a_mention_is_a_question_without_the_mention_answered_in_its_own_thread() -> None:
    job = question()
    assert (job.text, job.thread_ts, job.direct) == ("why?", "1.1", False)


def test_a_mention_in_a_thread_is_answered_in_that_thread() -> None:
    assert question(ts="2.2", thread_ts="1.1").thread_ts == "1.1"


def test_the_two_events_of_one_mention_have_one_key() -> None:
    assert question().key == question(type="message", channel_type="channel").key


def test_a_direct_message_needs_no_mention() -> None:
    job = question(type="message", channel_type="im", channel="D1", text="why?")
    assert job.direct
    assert job.text == "why?"


@pytest.mark.parametrize(
    "changes",
    [
        {"bot_id": "B1"},
        {"user": BOT},
        {"user": None},
        {"subtype": "message_changed"},
        {"subtype": "message_deleted"},
        {"subtype": "bot_message"},
        {"edited": {"user": "U1", "ts": "1.2"}},
        {"type": "message", "text": "not for the bot"},
        {"type": "reaction_added"},
    ],
)
def test_bots_edits_deletions_and_messages_to_others_are_no_questions(changes: dict[str, Any]) -> None:
    assert job_of_event(event(**changes)) is None


HEARD = {"type": "message", "channel_type": "channel", "text": "why?"}


def test_where_all_is_heard_a_message_needs_no_mention() -> None:
    job = job_of_event(event(**HEARD), Hearing(frozenset({("T1", "C1")})))
    assert isinstance(job, Question)
    assert (job.text, job.mentioned, job.direct) == ("why?", False, False)


@pytest.mark.parametrize("changes", [{"channel": "C2"}, {"bot_id": "B1"}, {"user": BOT}, {"subtype": "channel_join"}])
def test_other_channels_and_what_nobody_wrote_are_not_heard(changes: dict[str, Any]) -> None:
    assert job_of_event(event(**HEARD | changes), Hearing(frozenset({("T1", "C1")}))) is None


def test_another_app_is_heard_only_where_the_policy_lets_it() -> None:
    assert job_of_event(event(bot_id="B1")) is None
    assert isinstance(job_of_event(event(bot_id="B1"), Hearing(bots=True)), Question)


def test_the_bot_never_hears_itself() -> None:
    assert job_of_event(event(bot_id="B0", user=BOT), Hearing(frozenset({("T1", "C1")}), bots=True)) is None


def test_the_bots_own_arrival_in_a_channel_is_a_job_and_nobody_elses() -> None:
    assert job_of_event(event(type="member_joined_channel", user=BOT)) == Joined("T1", "C1", "Ev1")
    assert job_of_event(event(type="member_joined_channel", user="U1")) is None


def test_a_question_with_a_file_is_still_a_question() -> None:
    assert question(subtype="file_share").text == "why?"


REACTED = {
    "type": "reaction_added",
    "reaction": "+1",
    "item_user": BOT,
    "item": {"type": "message", "channel": "C1", "ts": "1.2"},
}


def test_a_thumb_on_a_message_of_the_bot_is_a_job_with_a_key_of_its_event() -> None:
    job = job_of_event(event(**REACTED))
    assert job == Reaction("T1", "C1", "U1", "1.2", "up", added=True, event_id="Ev1")
    assert job.key == "event/T1/Ev1"


@pytest.mark.parametrize(
    "changes",
    [
        {"reaction": "eyes"},
        {"item_user": "U2"},
        {"user": BOT},
        {"item": {"type": "file", "file": "F1"}},
    ],
)
def test_other_emoji_and_what_is_not_on_a_message_of_the_bot_or_its_own_are_no_votes(changes: dict[str, Any]) -> None:
    assert job_of_event(event(**REACTED | changes)) is None


@pytest.mark.parametrize(
    "text",
    [
        "actually the limit is 450.",
        "Actually, the limit is 450.",
        "ACTUALLY: the limit is 450.",
        "correction: the limit is 450.",
        "Correction - the limit is 450.",
        "correction \u2014 the limit is 450.",
    ],
)
def test_a_reply_that_begins_like_a_correction_is_one_of_what_follows(text: str) -> None:
    job = job_of_event(event(text=f"<@UBOT> {text}", ts="2.2", thread_ts="1.1"))
    assert isinstance(job, Reply)
    assert (job.corrected, job.mentioned) == ("the limit is 450.", True)


@pytest.mark.parametrize("text", ["the actual limit?", "actuality?", "correction of the limit?", "is it actually 450?"])
def test_a_reply_that_only_has_such_a_word_is_a_question(text: str) -> None:
    assert question(text=f"<@UBOT> {text}", ts="2.2", thread_ts="1.1").text == text


def test_a_message_that_is_no_reply_is_a_question_however_it_begins() -> None:
    assert question(text="<@UBOT> actually, why?").text == "actually, why?"


def test_text_is_what_the_person_typed() -> None:
    assert plain_text("<@UBOT|apprentice>  is 1 &lt; 2 &amp; <https://x.example|this> true?", BOT) == (
        "is 1 < 2 & this true?"
    )


def test_opening_the_app_is_a_job() -> None:
    job = job_of_event(event(type="app_home_opened", tab="messages", channel="D1"))
    assert job == Opened("T1", "D1", "U1", "messages", "Ev1")


def test_a_job_survives_the_inbox() -> None:
    job = question()
    assert from_payload(job.kind, as_payload(job)) == job
