"""A thumb on an answer is a vote; taken off, the vote is taken back."""

import pytest

from storage import inbox
from tests.bot.slack.conftest import ADA, ASK, PRIYA, Bot, Town, all_done, eventually
from tests.bot.slack.saying import answers_kept, asked_and_answered, feedback, press_vote, told


@pytest.mark.parametrize(
    ("emoji", "kind", "recorded"),
    [
        ("+1", "up", "Recorded: a good answer"),
        ("thumbsup::skin-tone-4", "up", "Recorded: a good answer"),
        ("-1::skin-tone-2", "down", "Recorded: a bad answer"),
        ("thumbsdown", "down", "Recorded: a bad answer"),
    ],
)
async def test_a_thumb_on_an_answer_is_a_vote_and_its_voter_is_told(
    bot: Bot, town: Town, emoji: str, kind: str, recorded: str
) -> None:
    answer = await asked_and_answered(bot, town)

    await town.react(PRIYA, answer, emoji)

    await told(town, PRIYA, recorded)
    (vote,) = feedback(bot)
    assert (vote.kind, vote.source, vote.state) == (kind, "reaction", "accepted")
    assert vote.answer == answer["text"].strip()
    assert vote.person_id.endswith(f"/{PRIYA}")
    assert await town.whispers(ADA) == []


async def test_only_thumbs_on_answers_are_kept(bot: Bot, town: Town) -> None:
    answer = await asked_and_answered(bot, town)
    posted = await bot.client.chat_postMessage(channel=ASK, text="no answer to anything")
    messages = {message["ts"]: message for message in await town.history(ADA)}

    await town.react(ADA, answer, "eyes")
    await town.react(ADA, messages[answer["thread_ts"]], "+1")
    await town.react(ADA, messages[posted["ts"]], "+1")
    await town.react(PRIYA, answer, "+1")

    assert [job.kind for job in await all_done(bot, 2)] == ["question", "reaction"]
    assert len(feedback(bot)) == 1


async def test_a_thumb_that_is_taken_off_takes_the_vote_back(bot: Bot, town: Town) -> None:
    answer = await asked_and_answered(bot, town)
    await town.react(PRIYA, answer, "-1")
    await town.react(PRIYA, answer, "-1", add=False)

    await all_done(bot, 3)
    assert [(vote.kind, vote.state) for vote in feedback(bot)] == [("down", "withdrawn")]
    _, last = await town.whispers(PRIYA)
    assert last.startswith("Taken back: your vote")


async def test_a_thumb_that_is_taken_off_after_another_vote_changes_nothing(bot: Bot, town: Town) -> None:
    answer = await asked_and_answered(bot, town)
    await town.react(PRIYA, answer, "+1")
    await press_vote(town, PRIYA, answer, "negative")
    await town.react(PRIYA, answer, "+1", add=False)

    await all_done(bot, 4)
    assert [(vote.kind, vote.state) for vote in feedback(bot)] == [("up", "accepted"), ("down", "accepted")]
    assert len(await town.whispers(PRIYA)) == 2


async def test_a_thumb_counts_once_however_often_slack_delivers_it(bot: Bot, town: Town) -> None:
    answer = await asked_and_answered(bot, town)
    await town.post("faults", redeliver_next=1)
    await town.react(PRIYA, answer, "+1")
    await town.react(ADA, answer, "+1")

    await all_done(bot, 3)
    assert len(feedback(bot)) == 2


async def test_a_thumb_on_an_answer_that_is_still_being_written_counts_once_it_is_there(bot: Bot, town: Town) -> None:
    await town.post("faults", delay_ms=100)  # so that the answer is in the making for a while
    asked = await town.mention(ADA, "kite wind")

    async def growing() -> list[str]:
        with bot.parts.database.read() as session:
            return [ts for event in inbox.in_hand(session, "question") for ts in event.payload["begun"]]

    (ts,) = await eventually(growing)
    await town.react(PRIYA, {"channel": ASK, "ts": ts}, "+1")
    await town.post("faults", delay_ms=0)

    await town.answer(asked)
    await answers_kept(bot, 1)
    await told(town, PRIYA, "Recorded: a good answer")
    assert [vote.kind for vote in feedback(bot)] == ["up"]
