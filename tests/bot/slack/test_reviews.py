"""Corrections that wait for review: shown, decided and told in Slack; what was said in private stays hidden."""

import asyncio
from dataclasses import replace

import pytest

from bot.reconcile import Reconciler
from bot.slack import names
from bot.slack.reviews import AT_ONCE, tell_authors
from bot.workspace.seed import AppDefinition
from storage.feedback import Feedback, get_feedback, list_feedback
from storage.people import person_id
from storage.reviews import note_review_shown, review_message
from tests.bot.slack.conftest import (
    ADA,
    APPROVALS,
    ASK,
    MARCUS,
    PRIYA,
    Bot,
    Message,
    Town,
    all_done,
    eventually,
    interactions,
    jobs_in,
)
from tests.bot.slack.proposing import Watch, known_members, use_policy

ASKED, TOLD, OTHERWISE = "When is payday?", "On the 26th.", "On the 1st."
WAITS = "A correction waits for review"
REVIEWED = {"corrections_need_review": True}


async def waiting(
    bot: Bot,
    text: str = TOLD,
    *,
    user: str = PRIYA,
    question: str = ASKED,
    private: bool = False,
    source: str = "import",
) -> str:
    """Let somebody correct an answer under the policy in force, outside Slack; return the feedback's id."""
    team = await known_members(bot)
    feedback = await asyncio.to_thread(
        bot.parts.governance.record_feedback, workspace_id=team, person_id=person_id(team, user), kind="correction",
        question=question, answer="On Mondays.", text=text, source=source, private=private,
    )  # fmt: skip
    return feedback.id


async def look(bot: Bot) -> None:
    await Reconciler(bot.parts, bot.client).look()


async def shown(town: Town, channel: str = APPROVALS) -> list[Message]:
    """Return the messages of reviews that a channel has."""
    messages = await town.history(MARCUS, channel)
    return [each for each in messages if each.get("metadata", {}).get("event_type") == "apprentice_review"]


async def told(town: Town, user: str) -> list[str]:
    """Return what the bot wrote to somebody directly."""
    channel = await town.dm(user)
    return [str(message["blocks"]) for message in await town.history(user, channel) if message["user"] == town.bot]


def stored(bot: Bot, feedback_id: str) -> Feedback:
    with bot.parts.database.read() as session:
        return get_feedback(session, feedback_id)


async def reviewed(bot: Bot, feedback_id: str) -> Feedback:
    """Wait until somebody decided."""

    async def decided() -> Feedback | None:
        feedback = await asyncio.to_thread(stored, bot, feedback_id)
        return feedback if feedback.state != "pending_review" else None

    return await eventually(decided)


async def message_without_buttons(town: Town) -> str:
    """Wait until the only message of a review tells of a decision; return what it shows."""

    async def changed() -> str:
        (message,) = await shown(town)
        return "" if WAITS in message["text"] else str(message["blocks"])

    content = await eventually(changed)
    assert "'actions'" not in content
    return content


async def test_reviewers_see_who_corrected_what_and_why_it_waits_and_their_yes_counts(bot: Bot, town: Town) -> None:
    use_policy(bot, feedback=REVIEWED)
    answer = await town.answer(await town.mention(ADA, "kite wind"))
    await eventually(lambda: asyncio.to_thread(interactions, bot))
    async with town.watch(PRIYA):
        await town.press(PRIYA, answer, names.CORRECT_ACTION)
        await town.submit(PRIYA, await town.view(PRIYA), names.CORRECTION_BLOCK, "Fly it at 12 knots.")
    (whispered,) = await eventually(lambda: town.whispers(PRIYA))
    assert "A reviewer looks at your correction" in whispered
    await look(bot)

    (message,) = await shown(town)
    content = str(message["blocks"])
    (about,) = interactions(bot)
    assert message["text"] == f"{WAITS}."
    for part in ("Priya Raman", "kite wind", about.answer, "Fly it at 12 knots.", "every correction reviewed"):
        assert part in content
    await town.press(MARCUS, message, names.ACCEPT_CORRECTION_ACTION)

    assert "Accepted by Marcus Lindqvist." in await message_without_buttons(town)
    with bot.parts.database.read() as session:
        assert [row.state for row in list_feedback(session)] == ["accepted"]
    await look(bot)
    (news,) = await eventually(lambda: told(town, PRIYA))
    assert "Marcus Lindqvist accepted your correction" in news
    assert "Fly it at 12 knots." in news


async def test_a_correction_is_declined_with_a_reason_that_its_author_is_told(bot: Bot, town: Town) -> None:
    use_policy(bot, feedback=REVIEWED)
    feedback_id = await waiting(bot)
    await look(bot)
    async with town.watch(MARCUS):
        await town.press(MARCUS, (await shown(town))[0], names.DECLINE_CORRECTION_ACTION)
        view = await town.view(MARCUS)
        refused = await town.submit(MARCUS, view, names.REASON_BLOCK, "  ")
        taken = await town.submit(MARCUS, view, names.REASON_BLOCK, "It is <the> 25th.")

    assert "say why" in refused["errors"][names.REASON_BLOCK]
    assert taken["ok"]
    assert "Declined by Marcus Lindqvist: It is &lt;the&gt; 25th." in await message_without_buttons(town)
    assert stored(bot, feedback_id).reviewer_reason == "It is <the> 25th."
    await look(bot)
    (news,) = await eventually(lambda: told(town, PRIYA))
    assert "declined your correction" in news
    assert "It is &lt;the&gt; 25th." in news


@pytest.mark.parametrize("action", [names.ACCEPT_CORRECTION_ACTION, names.DECLINE_CORRECTION_ACTION])
async def test_nobody_reviews_their_own_correction_and_only_they_are_told_so(bot: Bot, town: Town, action: str) -> None:
    use_policy(bot, feedback=REVIEWED)
    feedback_id = await waiting(bot)
    await look(bot)
    async with town.watch(PRIYA):
        await town.press(PRIYA, (await shown(town))[0], action)
        if action == names.DECLINE_CORRECTION_ACTION:
            said = str((await town.view(PRIYA))["blocks"])
        else:
            (said,) = await eventually(lambda: town.whispers(PRIYA, APPROVALS))

    assert "this correction is yours" in said
    assert await town.whispers(MARCUS, APPROVALS) == []
    assert stored(bot, feedback_id).state == "pending_review"


async def test_what_the_command_line_decides_shows_in_the_message_and_is_told_once(bot: Bot, town: Town) -> None:
    use_policy(bot, feedback=REVIEWED)
    feedback_id = await waiting(bot)
    await look(bot)
    marcus = person_id(stored(bot, feedback_id).workspace_id, MARCUS)

    await asyncio.to_thread(bot.parts.governance.review_feedback, feedback_id, marcus, accept=False, reason="No.")
    for _ in range(2):
        await look(bot)

    (message,) = await shown(town)
    assert "Declined by Marcus Lindqvist: No." in str(message["blocks"])
    await all_done(bot, 1)
    assert len(await told(town, PRIYA)) == 1


async def test_what_was_decided_before_it_was_shown_is_told_to_its_author_only(bot: Bot, town: Town) -> None:
    use_policy(bot, feedback=REVIEWED)
    feedback_id = await waiting(bot)
    marcus = person_id(stored(bot, feedback_id).workspace_id, MARCUS)
    await asyncio.to_thread(bot.parts.governance.review_feedback, feedback_id, marcus, accept=True)

    await look(bot)

    assert await shown(town) == []
    (news,) = await eventually(lambda: told(town, PRIYA))
    assert "accepted your correction" in news


async def test_two_who_decide_at_once_decide_once_and_the_later_is_told(bot: Bot, town: Town) -> None:
    use_policy(bot, feedback=REVIEWED)
    feedback_id = await waiting(bot)
    await look(bot)
    (message,) = await shown(town)

    await asyncio.gather(*(town.press(user, message, names.ACCEPT_CORRECTION_ACTION) for user in (ADA, MARCUS)))

    await all_done(bot, 2)
    winner = (await reviewed(bot, feedback_id)).reviewed_by or ""
    (late,) = {ADA, MARCUS} - {winner.rpartition("/")[2]}
    assert "does not wait for a review: it is accepted" in (await town.whispers(late, APPROVALS))[0]
    assert len([*await town.whispers(ADA, APPROVALS), *await town.whispers(MARCUS, APPROVALS)]) == 1


async def test_a_decision_that_is_taken_up_again_after_a_crash_is_no_error(bot: Bot, town: Town) -> None:
    use_policy(bot, feedback=REVIEWED)
    await waiting(bot)
    await look(bot)
    await town.press(MARCUS, (await shown(town))[0], names.ACCEPT_CORRECTION_ACTION)
    (event,) = await all_done(bot, 1)
    with bot.parts.database.transaction() as session:
        event.state = "received"
        session.add(event)

    await eventually(lambda: handled_again(bot))

    assert await town.whispers(MARCUS, APPROVALS) == []


async def handled_again(bot: Bot) -> bool:
    (event,) = await asyncio.to_thread(jobs_in, bot)
    return event.state == "done" and event.attempts == 2


class TestWhatWasSaidInPrivate:
    @pytest.fixture
    async def feedback_id(self, bot: Bot) -> str:
        use_policy(bot, feedback={"private_need_review": True, "reviewers": [MARCUS]})
        feedback_id = await waiting(bot, private=True)
        await look(bot)
        return feedback_id

    async def test_is_hidden_from_the_channel_and_opened_by_who_may_review_it(
        self, bot: Bot, town: Town, feedback_id: str
    ) -> None:
        (message,) = await shown(town)
        for secret in (ASKED, TOLD, "Priya"):
            assert secret not in str(message)
        async with town.watch(MARCUS):
            await town.press(MARCUS, message, names.OPEN_REVIEW_ACTION)
            view = await town.view(MARCUS)
            for part in (ASKED, TOLD, "On Mondays.", "Priya Raman"):
                assert part in str(view["blocks"])
            await town.press_in_view(MARCUS, view, names.ACCEPT_CORRECTION_ACTION)
            await town.view_with(MARCUS, "Taken in")

        assert (await reviewed(bot, feedback_id)).state == "accepted"
        content = await message_without_buttons(town)
        assert "Accepted by Marcus Lindqvist" in content
        assert TOLD not in content

    async def test_is_not_opened_by_anybody_else(self, bot: Bot, town: Town, feedback_id: str) -> None:
        async with town.watch(ADA):
            await town.press(ADA, (await shown(town))[0], names.OPEN_REVIEW_ACTION)
            view = await town.view(ADA)

        assert "does not let you review" in str(view)
        assert TOLD not in str(view)

    async def test_is_declined_for_a_reason_that_only_its_author_is_told(
        self, bot: Bot, town: Town, feedback_id: str
    ) -> None:
        async with town.watch(MARCUS):
            await town.press(MARCUS, (await shown(town))[0], names.OPEN_REVIEW_ACTION)
            await town.press_in_view(MARCUS, await town.view(MARCUS), names.DECLINE_CORRECTION_ACTION)
            form = await town.view_with(MARCUS, "Why?")
            assert (await town.submit(MARCUS, form, names.REASON_BLOCK, "Ada is paid on the 25th."))["ok"]

        content = await message_without_buttons(town)
        assert "Declined by Marcus Lindqvist." in content
        assert "25th" not in content
        await look(bot)
        (news,) = await eventually(lambda: told(town, PRIYA))
        assert "Ada is paid on the 25th." in news


async def contested(bot: Bot, *, private: bool = False) -> tuple[str, str]:
    """Let Priya and Ada disagree, and curation find out."""
    one, other = await waiting(bot), await waiting(bot, OTHERWISE, user=ADA, private=private)
    await asyncio.to_thread(bot.parts.governance.contest_feedback, [((one, other), ())])
    return one, other


async def test_a_contradiction_is_shown_with_both_texts_and_their_authors(bot: Bot, town: Town) -> None:
    await contested(bot)
    await look(bot)

    first, second = await shown(town)
    for message in (first, second):
        for part in ("Priya Raman", TOLD, "Ada Lindgren", OTHERWISE, "say otherwise", "It contradicts"):
            assert part in str(message["blocks"])
    await town.press(ADA, first, names.ACCEPT_CORRECTION_ACTION)
    (said,) = await eventually(lambda: town.whispers(ADA, APPROVALS))
    assert "contradicts one of yours" in said


async def test_what_looks_like_an_attempt_to_steer_is_shown_with_why_and_what_it_was_found_with(
    bot: Bot, town: Town
) -> None:
    use_policy(bot, poisoning={"copying_people": 2})
    text = "Refunds are paid out only within the first fourteen days."
    first = await waiting(bot, text, question="Where is the kiln?", source="modal")
    await look(bot)
    assert await shown(town) == []

    await waiting(bot, text, user=ADA, question="Who owns billing?", source="modal")
    await look(bot)

    message, other = await shown(town)
    for part in ("because several people gave nearly the same text", "Found together with this by Ada", "Who owns"):
        assert part in str(message["blocks"])
    assert "Found together with this by Priya Raman" in str(other["blocks"])
    await town.press(ADA, message, names.ACCEPT_CORRECTION_ACTION)
    (said,) = await eventually(lambda: town.whispers(ADA, APPROVALS))
    assert "found together with one of yours" in said
    await town.press(MARCUS, message, names.ACCEPT_CORRECTION_ACTION)
    assert (await reviewed(bot, first)).state == "accepted"


async def test_a_contradiction_with_something_private_is_told_to_no_channel(bot: Bot, town: Town) -> None:
    await contested(bot, private=True)
    await look(bot)

    for message in await shown(town):
        assert OTHERWISE not in str(message)
        assert "'Open'" in str(message["blocks"])


async def test_many_at_once_come_a_few_a_minute_the_oldest_first(bot: Bot, town: Town) -> None:
    watch = Watch()
    use_policy(bot, clock=watch, feedback=REVIEWED)
    for number in range(AT_ONCE + 2):
        await waiting(bot, f"Answer {number}.")
        watch.advance(seconds=0.1)
    for _ in range(2):
        await look(bot)
    messages = await shown(town)
    assert [f"Answer {number}." in str(each) for number, each in enumerate(messages)] == [True] * AT_ONCE
    assert ["2 more wait" in str(each) for each in messages] == [False] * (AT_ONCE - 1) + [True]

    watch.advance(minutes=1, seconds=1)
    await look(bot)

    assert len(await shown(town)) == AT_ONCE + 2
    assert "more wait" not in str((await shown(town))[-1])


async def test_reviews_have_a_channel_of_their_own_where_one_is_set(bot: Bot, town: Town) -> None:
    slack = bot.parts.settings.slack.model_copy(update={"reviewers_channel": "ask-apprentice"})
    object.__setattr__(bot.parts, "settings", bot.parts.settings.model_copy(update={"slack": slack}))
    use_policy(bot, feedback=REVIEWED)
    await waiting(bot)
    await look(bot)

    assert len(await shown(town, ASK)) == 1
    assert await shown(town, APPROVALS) == []


def forget_message(bot: Bot, feedback_id: str) -> None:
    """Leave the database as a process does that posted the message and died before noting it."""
    with bot.parts.database.transaction() as session:
        note_review_shown(session, feedback_id, "", "", None)


async def test_a_message_that_was_posted_but_not_noted_is_found_again(bot: Bot, town: Town) -> None:
    use_policy(bot, feedback=REVIEWED)
    feedback_id = await waiting(bot)
    await look(bot)
    forget_message(bot, feedback_id)

    await look(bot)

    (message,) = await shown(town)
    with bot.parts.database.read() as session:
        assert review_message(session, feedback_id).message_ts == message["ts"]


class TestWhereTheAppMayNotReadTheChannel:
    @pytest.fixture
    def app_definition(self, app_definition: AppDefinition) -> AppDefinition:
        return replace(app_definition, scopes=app_definition.scopes - {"channels:history"})

    async def test_a_second_message_works_and_goes_when_its_button_is_pressed(self, bot: Bot, town: Town) -> None:
        use_policy(bot, feedback=REVIEWED)
        feedback_id = await waiting(bot)
        await look(bot)
        forget_message(bot, feedback_id)
        await look(bot)
        forgotten, noted = await shown(town)

        await town.press(MARCUS, forgotten, names.ACCEPT_CORRECTION_ACTION)

        await all_done(bot, 1)
        (left,) = await shown(town)
        assert left["ts"] == noted["ts"]
        assert "Accepted by Marcus Lindqvist" in str(left["blocks"])


async def test_a_correction_that_its_author_took_back_is_shown_as_that_and_not_in_words(bot: Bot, town: Town) -> None:
    use_policy(bot, feedback=REVIEWED)
    feedback_id = await waiting(bot)
    await look(bot)
    (message,) = await shown(town)
    assert TOLD in str(message["blocks"])

    author = stored(bot, feedback_id).person_id
    await asyncio.to_thread(bot.parts.governance.withdraw_feedback, feedback_id, author)
    await look(bot)

    text = await message_without_buttons(town)
    assert "Its author has taken it back." in text
    assert TOLD not in text


async def test_nobody_is_told_of_a_decision_on_what_they_took_back_meanwhile(connected_bot: Bot, town: Town) -> None:
    use_policy(connected_bot, feedback=REVIEWED)
    feedback_id = await waiting(connected_bot)
    rules, author = connected_bot.parts.governance, stored(connected_bot, feedback_id).person_id
    await asyncio.to_thread(rules.review_feedback, feedback_id, author.replace(PRIYA, MARCUS), accept=True)
    await tell_authors(connected_bot.parts)
    await asyncio.to_thread(rules.withdraw_feedback, feedback_id, author)

    connected_bot.start_worker()

    assert [job.kind for job in await all_done(connected_bot, 1)] == ["review_news"]
    assert await told(town, PRIYA) == []
