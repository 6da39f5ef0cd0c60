"""The app's home: what each person sees there, what they may not see, and what they can choose."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from bot.slack import names
from bot.slack.approvals import note_promotion
from bot.slack.home_view import Contributions, Page, Review, home_view
from bot.slack.overview import Answering, Overview
from bot.slack.prompts import PROMPTS
from bot.slack.proposals import show_proposal
from bot.workspace.blocks import view_problems
from storage.adapters import Adapter
from storage.feedback import Said, Votes
from storage.people import get_person, person_id
from storage.proposals import Proposal, list_proposals
from storage.runs import Run
from tests.bot.slack.conftest import (
    ADA,
    MARCUS,
    PRIYA,
    Bot,
    Message,
    Town,
    all_done,
    eventually,
    find_element,
    interactions,
    use_policy,
)
from tests.bot.slack.proposing import corrected, proposed, read_proposal, taught
from tests.bot.slack.test_feedback import press_vote

LATELY = datetime(2026, 1, 1, tzinfo=UTC)


async def opened(bot: Bot, town: Town, user: str) -> Message:
    """Open the home tab as this person; return it as it is once everything is done."""
    await town.post("opened", user=user, tab="home")
    return await published(bot, town, user)


async def published(bot: Bot, town: Town, user: str) -> Message:
    await all_done(bot, 1)

    async def view() -> Message | None:
        return (await town.http.get("client/home", params={"user": user})).json()["view"]

    return await eventually(view)


def text_of(view: Message, title: str = "") -> str:
    """Return the text of the section with this title; without one, of all sections."""
    texts = [block["text"]["text"] for block in view["blocks"] if block["type"] == "section"]
    return "\n".join(text for text in texts if text.startswith(f"*{title}"))


async def test_the_home_tab_says_what_answers_and_how_to_use_it(bot: Bot, town: Town) -> None:
    view = await opened(bot, town, ADA)
    assert "The base model" in text_of(view, "Answering now")
    assert "no votes yet" in text_of(view, "Answering now")
    assert "No training is under way" in text_of(view, "Training")
    assert "Correct this" in str(view["blocks"])
    assert "Waiting for" not in text_of(view)


async def test_of_each_persons_votes_on_an_answer_the_newest_counts_in_the_approval_rate(bot: Bot, town: Town) -> None:
    answer = await town.answer(await town.mention(ADA, "kite wind"))
    await eventually(lambda: asyncio.to_thread(interactions, bot))
    await press_vote(town, ADA, answer, "positive")
    await press_vote(town, ADA, answer, "negative")
    await press_vote(town, PRIYA, answer, "positive")
    await press_vote(town, MARCUS, answer, "positive")
    await all_done(bot, 5)

    view = await opened(bot, town, PRIYA)

    assert "67% good (2 of 3 votes)" in text_of(view, "Answering now")
    assert "0 corrections, 0 of them live. 1 vote." in text_of(view, "What you gave")


async def test_what_was_learned_this_week_is_shown_but_not_what_others_said_in_private(bot: Bot, town: Town) -> None:
    use_policy(bot, privacy={"private_teaches": "always"})
    await corrected(bot, PRIYA, question="When is <payday>?")
    await corrected(bot, PRIYA, question="Which knot holds the bridle?", text="A larks head knot.", private=True)
    digest = await taught(bot)

    adas, priyas = await opened(bot, town, ADA), await opened(bot, town, PRIYA)

    assert f"Adapter `{digest[:12]}`, since <!date^" in text_of(adas, "Answering now")
    assert text_of(adas, "Learned this week") == "*Learned this week*\n• When is &lt;payday&gt;?"
    assert "bridle" not in str(adas)
    assert "Which knot holds the bridle?" in text_of(priyas, "Learned this week")
    assert "2 corrections, 2 of them live" in text_of(priyas, "What you gave")
    assert "Nothing yet" in text_of(adas, "What you gave")


async def test_a_proposal_waits_on_the_home_of_those_who_may_decide_and_leads_to_its_message(
    bot: Bot, town: Town
) -> None:
    proposal_id, _ = await proposed(bot)
    await show_proposal(bot.client, bot.parts, proposal_id)
    message_ts = read_proposal(bot, proposal_id).message_ts

    started, taught_most, free = [await opened(bot, town, user) for user in (ADA, PRIYA, MARCUS)]

    assert f"message={message_ts}|The proposal>" in text_of(free, "Waiting for your decision")
    assert "Waiting for your decision" not in text_of(started)
    assert "Waiting for your decision" not in text_of(taught_most)


async def test_a_correction_waits_on_the_home_of_those_who_may_review_it(bot: Bot, town: Town) -> None:
    use_policy(bot, feedback={"corrections_need_review": True, "reviewers": [MARCUS, PRIYA]})
    await corrected(bot, PRIYA)
    await corrected(bot, ADA, question="Which knot holds the bridle?", private=True)

    adas, priyas, marcuss = [await opened(bot, town, user) for user in (ADA, PRIYA, MARCUS)]

    assert "Waiting for your review" not in text_of(adas)
    assert "1 correction, 0 of them live, 1 waiting for review" in text_of(adas, "What you gave")
    assert "payday" not in text_of(priyas, "Waiting for your review")
    assert "• When is payday?" in text_of(marcuss, "Waiting for your review")
    assert "not everybody may read" in text_of(marcuss, "Waiting for your review")
    assert "bridle" not in str(marcuss)


async def test_a_correction_that_waits_for_review_leads_to_the_answer_that_it_is_about(bot: Bot, town: Town) -> None:
    use_policy(bot, feedback={"corrections_need_review": True})
    answer = await town.answer(await town.mention(ADA, "kite wind"))
    await eventually(lambda: asyncio.to_thread(interactions, bot))
    async with town.watch(ADA):
        await town.press(ADA, answer, names.CORRECT_ACTION)
        await town.submit(ADA, await town.view(ADA), names.CORRECTION_BLOCK, "Fly it at 12 knots.")
    await all_done(bot, 2)

    view = await opened(bot, town, MARCUS)

    assert f"• kite wind (<{town.url.rstrip('/')}/?channel=CASK&message={answer['ts']}|" in text_of(
        view, "Waiting for your review"
    )


async def tick(town: Town, user: str, view: Message, *values: str) -> None:
    """Leave exactly these boxes of the home tab ticked."""
    block, box = find_element(view, names.NEWS_ACTION)
    chosen = [option for option in box["options"] if option["value"] in values]
    action = {"block_id": block["block_id"], "action_id": names.NEWS_ACTION, "type": box["type"]}
    await town.post("action", user=user, view_id=view["id"], action=action | {"selected_options": chosen})


async def test_who_does_not_want_news_of_their_corrections_gets_none(bot: Bot, town: Town) -> None:
    await corrected(bot, PRIYA)
    view = await opened(bot, town, PRIYA)
    assert "initial_options" in find_element(view, names.NEWS_ACTION)[1]
    await tick(town, PRIYA, view)
    await all_done(bot, 2)
    assert "initial_options" not in find_element(await published(bot, town, PRIYA), names.NEWS_ACTION)[1]

    await go_live(bot, 4)

    assert await town.history(PRIYA, await town.dm(PRIYA)) == []


async def test_who_wants_news_again_gets_them(bot: Bot, town: Town) -> None:
    await corrected(bot, PRIYA)
    view = await opened(bot, town, PRIYA)
    await tick(town, PRIYA, view)
    await tick(town, PRIYA, view, names.NEWS_WANTED)
    await all_done(bot, 3)
    with bot.parts.database.read() as session:
        assert get_person(session, person_id("TLOCAL", PRIYA)).no_news_since is None

    await go_live(bot, 5)

    (told,) = await town.history(PRIYA, await town.dm(PRIYA))
    assert "What you corrected is live" in told["text"]


async def go_live(bot: Bot, jobs: int) -> None:
    """Have an adapter go live of which Priya taught everything, and everybody told who is to be."""
    await taught(bot, shares={person_id("TLOCAL", PRIYA): 1.0})
    with bot.parts.database.read() as session:
        (proposal,) = list_proposals(session)
    await note_promotion(bot.parts, proposal.id)
    await all_done(bot, jobs)


async def test_opening_the_messages_suggests_prompts(bot: Bot, town: Town) -> None:
    channel = await town.dm(ADA)
    async with town.watch(ADA):
        await town.post("opened", user=ADA, channel=channel, tab="messages")
        await all_done(bot, 1)

        async def suggested() -> list[Message]:
            return town.prompts.get(ADA, [])

        assert [prompt["title"] for prompt in await eventually(suggested)] == [prompt["title"] for prompt in PROMPTS]


def full_page() -> Page:
    """Give a page on which everything is long and there is much of it."""
    adapter = Adapter(digest="a" * 64, state="serving", base_digest="b", created_at=LATELY, serving_since=LATELY)
    proposal = Proposal(
        id="prop_1", adapter_digest="a" * 64, dataset_digest="", report_digest="", policy_digest="", started_by="",
        state="open", channel="C1", message_ts="1.1", created_at=LATELY, expires_at=LATELY + timedelta(days=7),
    )  # fmt: skip
    runs = [Run(id="run_1", state="interrupted", started_by="", recipe="", base_digest="", created_at=LATELY)] * 20
    overview = Overview(Answering(adapter, None, 0.0, None), {}, runs, None, "", LATELY, 100_000, 1, [proposal] * 50)
    return Page(
        overview=overview,
        votes=Votes(99_999, 1),
        adapter_votes=Votes(0, 0),
        learned=["&" * 4_000] * 2_000,
        decisions=[proposal] * 50,
        reviews=[Review("<" * 4_000, "C1", "1.1")] * 50,
        mine=Contributions([Said("correction", "accepted", 100_000, LATELY, LATELY)], 99_000),
        wants_news=True,
    )


def test_the_fullest_home_is_one_that_slack_shows() -> None:
    view = home_view(full_page(), {"1.1": "https://example.com/" + "x" * 80})
    assert view_problems(view) == []


@pytest.mark.parametrize(("votes", "says"), [(Votes(1, 0), "100% good (1 of 1 vote)"), (Votes(0, 0), "no votes yet")])
def test_the_rate_of_the_adapter_that_answers_is_said_beside_the_rate_of_all(votes: Votes, says: str) -> None:
    page = full_page()
    view = home_view(Page(**{**vars(page), "adapter_votes": votes}), {})
    assert f"On this adapter's answers: {says}." in text_of(view, "Answering now")
