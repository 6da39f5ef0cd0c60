"""What is wrong with an answer: asked of whoever votes against it, and kept with the vote."""

from bot.slack import names
from storage.feedback import standing_votes
from tests.bot.slack.conftest import PRIYA, Bot, Message, Town, all_done, find_element, interactions
from tests.bot.slack.saying import asked_and_answered, correct, feedback, has, press_vote, told


async def choose(town: Town, user: str, message: Message, reason: str) -> None:
    """Choose a reason in the select that a vote against an answer brings."""
    _, select = find_element(message, names.VOTE_REASON_ACTION)
    (value,) = [option["value"] for option in select["options"] if option["value"].endswith(f":{reason}")]
    await town.choose(user, message, names.VOTE_REASON_ACTION, value)


async def test_the_reason_is_kept_with_the_vote_and_the_message_says_so(bot: Bot, town: Town) -> None:
    answer = await asked_and_answered(bot, town)
    await press_vote(town, PRIYA, answer, "negative")

    await choose(town, PRIYA, await told(town, PRIYA, "Recorded: a bad answer. "), "outdated")

    message = await told(town, PRIYA, "Recorded: a bad answer, because it is outdated.")
    assert not has(message, names.VOTE_REASON_ACTION)
    first, second = feedback(bot)
    assert (first.kind, first.reason) == ("down", None)
    assert (second.kind, second.reason, second.state) == ("down", "outdated", "accepted")
    assert (second.interaction_id, second.person_id) == (first.interaction_id, first.person_id)


async def test_a_good_answer_needs_no_reason(bot: Bot, town: Town) -> None:
    answer = await asked_and_answered(bot, town)
    await press_vote(town, PRIYA, answer, "positive")

    message = await told(town, PRIYA, "Recorded: a good answer")

    assert not has(message, names.VOTE_REASON_ACTION)


async def test_the_message_goes_on_to_offer_the_correction(bot: Bot, town: Town) -> None:
    answer = await asked_and_answered(bot, town)
    await town.react(PRIYA, answer, "-1")
    await choose(town, PRIYA, await told(town, PRIYA, "Recorded: a bad answer. "), "wrong")

    await correct(town, PRIYA, await told(town, PRIYA, "Recorded: a bad answer, because it is wrong"), "12 knots.")

    await all_done(bot, 4)
    assert [(row.kind, row.reason, row.text) for row in feedback(bot)] == [
        ("down", None, ""), ("down", "wrong", ""), ("correction", None, "12 knots."),
    ]  # fmt: skip


async def test_a_reason_for_a_vote_that_was_changed_since_is_not_kept(bot: Bot, town: Town) -> None:
    answer = await asked_and_answered(bot, town)
    await press_vote(town, PRIYA, answer, "negative")
    message = await told(town, PRIYA, "Recorded: a bad answer")
    await press_vote(town, PRIYA, answer, "positive")

    await choose(town, PRIYA, message, "style")

    await all_done(bot, 4)
    assert [vote.kind for vote in feedback(bot)] == ["down", "up"]
    assert any("does not stand any more" in text for text in await town.whispers(PRIYA))


async def test_a_thumb_that_is_taken_off_takes_its_reason_with_it(bot: Bot, town: Town) -> None:
    answer = await asked_and_answered(bot, town)
    await town.react(PRIYA, answer, "-1")
    await choose(town, PRIYA, await told(town, PRIYA, "Recorded: a bad answer. "), "unsafe")
    await told(town, PRIYA, "Recorded: a bad answer, because")

    await town.react(PRIYA, answer, "-1", add=False)

    await all_done(bot, 4)
    (about,) = interactions(bot)
    with bot.parts.database.read() as session:
        assert standing_votes(session, about.id, feedback(bot)[0].person_id) == []
