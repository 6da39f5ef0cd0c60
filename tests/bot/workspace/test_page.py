"""The workspace's page in a real browser: people write, see answers grow, press buttons, fill in forms."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError

from bot.workspace.model import Faults
from tests.bot.workspace.conftest import Town
from tests.bot.workspace.test_contract import BOX, BUTTON, FEEDBACK, FORM, HOME
from tests.browser import open_browser

USED = re.compile(r"- (button|textbox|combobox|checkbox|spinbutton|link|img|tab)\b")
NAMED = re.compile(r"- \w+ (\"|/)")
"""In an aria snapshot: what a person uses, and that with a name."""


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with open_browser() as browser:
        yield browser


@pytest.fixture
async def page(browser: Browser, town: Town) -> AsyncIterator[Page]:
    page = await browser.new_page(viewport={"width": 1280, "height": 800})
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    await page.goto(f"{town.url}/workspace/?user=UADA&channel=C1")
    await expect(page.get_by_role("heading", name="# general")).to_be_visible()
    yield page
    assert problems == []


async def test_a_person_writes_and_everybody_in_the_channel_sees_it(page: Page, town: Town) -> None:
    await page.get_by_label("Message #general").fill("hello, *all*")
    await page.get_by_label("Message #general").press("Enter")
    await expect(page.locator("article strong", has_text="all")).to_be_visible()

    await page.get_by_label("Choose who you are").select_option("UBOB")
    await expect(page.locator("article", has_text="hello")).to_contain_text("Ada Lindgren")
    assert [message.text for message in town.workspace.messages("C1")] == ["hello, *all*"]


async def test_a_streamed_answer_grows_in_the_thread(page: Page, town: Town) -> None:
    ts = await town.people.send("UADA", "C1", "a question")
    stream = await town.client().chat_stream(
        channel="C1", thread_ts=ts, recipient_team_id=town.workspace.team_id, recipient_user_id="UADA", buffer_size=1
    )
    await stream.append(markdown_text="**bold** begin")
    await page.get_by_role("button", name="1 reply").click()
    thread = page.get_by_label("Thread", exact=True)
    await expect(thread.locator(".caret")).to_contain_text("bold begin")
    await stream.stop(markdown_text="ning")
    await expect(thread.locator("article").last).to_contain_text("bold beginning")
    await expect(thread.locator(".caret")).to_have_count(0)


async def test_a_vote_and_a_form_with_an_error_go_through_the_app(page: Page, town: Town) -> None:
    app, votes, saved = AsyncApp(client=town.client()), [], []

    @app.action("vote")
    async def vote(ack: Any, body: dict[str, Any]) -> None:
        await ack()
        votes.append(body["actions"][0]["value"])

    @app.action("open")
    async def open_form(ack: Any, body: dict[str, Any]) -> None:
        await ack()
        await app.client.views_open(trigger_id=body["trigger_id"], view=FORM)

    @app.view("form")
    async def save(ack: Any, view: dict[str, Any]) -> None:
        text = view["state"]["values"]["answer"]["text"]["value"]
        if text == "no":
            await ack(response_action="errors", errors={"answer": "Not that."})
            return
        saved.append(text)
        await ack()

    blocks = [{"type": "context_actions", "elements": [FEEDBACK]}, {"type": "actions", "elements": [BUTTON]}]
    await town.client().chat_postMessage(channel="C1", text="an answer", blocks=blocks)
    async with town.running(app):
        await page.get_by_role("button", name="Good").click()
        await expect(page.get_by_role("button", name="Good")).to_have_attribute("aria-pressed", "true")
        await town.people.send("UBOB", "C1", "something else")  # the messages are drawn again
        await expect(page.locator("article", has_text="something else")).to_be_visible()
        await expect(page.get_by_role("button", name="Good")).to_have_attribute("aria-pressed", "true")
        await page.get_by_label("Choose who you are").select_option("UBOB")
        await expect(page.get_by_role("button", name="Good")).to_have_attribute("aria-pressed", "false")
        await page.get_by_label("Choose who you are").select_option("UADA")
        await expect(page.get_by_role("button", name="Good")).to_have_attribute("aria-pressed", "true")
        await page.get_by_role("button", name="Open").click()
        form = page.get_by_role("dialog", name="Form")
        await form.get_by_label("Answer").fill("no")
        await form.get_by_role("button", name="Save").click()
        await expect(form.get_by_text("Not that.")).to_be_visible()
        await expect(form.get_by_label("Answer")).to_have_value("no")
        await form.get_by_label("Answer").fill("yes")
        await form.get_by_role("button", name="Save").click()
        await expect(form).to_have_count(0)
    assert (votes, saved) == (["up"], ["yes"])


async def test_what_only_one_person_sees_is_shown_once_with_its_thread_open_or_closed(page: Page, town: Town) -> None:
    ts = await town.people.send("UADA", "C1", "a question")
    await town.client().chat_postMessage(channel="C1", thread_ts=ts, text="an answer")
    await town.client().chat_postEphemeral(channel="C1", user="UADA", thread_ts=ts, text="between us")
    whisper = page.locator("article", has_text="between us").locator("visible=true")
    await expect(whisper).to_have_count(1)

    await page.get_by_role("button", name="1 reply").click()
    thread = page.get_by_label("Thread", exact=True)
    await expect(thread.locator("article", has_text="between us")).to_be_visible()
    await expect(whisper).to_have_count(1)

    await page.get_by_role("button", name="Close the thread").click()
    await expect(whisper).to_have_count(1)


async def test_a_choice_in_what_only_one_person_sees_reaches_the_app_which_puts_something_in_its_place(
    page: Page, town: Town
) -> None:
    app, chosen = AsyncApp(client=town.client()), []

    @app.action("why")
    async def choose(ack: Any, body: dict[str, Any], respond: Any) -> None:
        await ack()
        chosen.append((body["actions"][0]["selected_option"]["value"], "message" in body))
        await respond(text="Noted.", replace_original=True)

    option = {"text": {"type": "plain_text", "text": "Outdated"}, "value": "outdated"}
    select = {
        "type": "static_select",
        "action_id": "why",
        "placeholder": {"type": "plain_text", "text": "What is wrong with it?"},
        "options": [option],
    }
    blocks = [{"type": "actions", "elements": [select]}]
    await town.client().chat_postEphemeral(channel="C1", user="UADA", text="Recorded.", blocks=blocks)
    async with town.running(app):
        await page.get_by_label("What is wrong with it?").select_option("Outdated")
        await expect(page.locator("article", has_text="Noted.")).to_be_visible()
        await expect(page.get_by_label("What is wrong with it?")).to_have_count(0)
    assert chosen == [("outdated", False)]


async def test_boxes_and_moments_on_the_home_tab(page: Page, town: Town) -> None:
    app, chosen = AsyncApp(client=town.client()), []

    @app.action("news")
    async def choose(ack: Any, body: dict[str, Any]) -> None:
        await ack()
        ticked = body["actions"][0]["selected_options"]
        chosen.append([option["value"] for option in ticked])
        box = {**BOX, "initial_options": ticked} if ticked else BOX
        await app.client.views_publish(
            user_id="UADA", view={**HOME, "blocks": [HOME["blocks"][0], {"type": "actions", "elements": [box]}]}
        )

    await town.client().views_publish(user_id="UADA", view=HOME)
    async with town.running(app):
        await page.get_by_role("button", name="Apprentice").click()
        await page.get_by_role("tab", name="Home").click()
        await expect(page.get_by_title("2026-01-01 00:00 UTC")).to_contain_text("2026")
        await page.get_by_label("Tell me").check()
        await expect(page.get_by_label("Tell me")).to_be_checked()
        await page.get_by_label("Tell me").uncheck()
        await expect(page.get_by_label("Tell me")).not_to_be_checked()
    assert chosen == [["yes"], []]


async def test_what_people_write_is_never_run(page: Page, town: Town) -> None:
    nasty = "<img src=x onerror=document.title='owned'> [x](javascript:document.title='owned') <script>1</script>"
    await town.people.send("UBOB", "C1", nasty)
    await town.client().chat_postMessage(
        channel="C1", text="x", blocks=[{"type": "section", "text": {"type": "mrkdwn", "text": nasty}}]
    )
    await expect(page.locator("article")).to_have_count(2)
    assert await page.title() == "Local workspace"
    assert await page.locator("article img, article script, article a").count() == 0


async def test_a_moment_is_shown_in_the_readers_own_time_zone(page: Page, town: Town) -> None:
    town.workspace.members["UBOB"] = replace(town.workspace.members["UBOB"], time_zone="Asia/Tokyo")
    token = "open until <!date^1767306600^{date_short_pretty} at {time}|2026-01-01 22:30 UTC>."
    await town.client().chat_postMessage(channel="C1", text=token)

    await expect(page.locator("article")).to_contain_text("open until Jan 1, 2026 at 10:30")
    await page.get_by_label("Choose who you are").select_option("UBOB")
    await expect(page.locator("article")).to_contain_text("open until Jan 2, 2026 at 7:30")


async def test_a_mention_of_a_user_group_shows_its_handle(page: Page, town: Town) -> None:
    group = town.people.create_user_group("UADA", "leads", "Team leads", ["UBOB"])
    await page.get_by_label("Choose who you are").select_option("UBOB")  # who reads the page anew
    await town.client().chat_postMessage(channel="C1", text=f"Who can decide: <!subteam^{group.id}>.")
    await expect(page.locator("article .mention")).to_have_text("@leads")


async def test_people_are_chosen_in_a_form_which_keeps_them_when_it_is_refused(page: Page, town: Town) -> None:
    app, sent = AsyncApp(client=town.client()), []
    element = {"type": "multi_users_select", "action_id": "people", "initial_users": ["UADA"]}
    chooser = {**FORM, "blocks": [{**FORM["blocks"][0], "element": element}]}

    @app.action("open")
    async def open_form(ack: Any, body: dict[str, Any]) -> None:
        await ack()
        await app.client.views_open(trigger_id=body["trigger_id"], view=chooser)

    @app.view("form")
    async def save(ack: Any, view: dict[str, Any]) -> None:
        sent.append(view["state"]["values"]["answer"]["people"]["selected_users"])
        await (ack(response_action="errors", errors={"answer": "Once more."}) if len(sent) == 1 else ack())

    await town.client().chat_postMessage(channel="C1", text="x", blocks=[{"type": "actions", "elements": [BUTTON]}])
    async with town.running(app):
        await page.get_by_role("button", name="Open").click()
        form = page.get_by_role("dialog", name="Form")
        await expect(form.get_by_label("Answer")).to_have_values(["UADA"])
        await form.get_by_label("Answer").select_option(["UADA", "UBOB"])
        await form.get_by_role("button", name="Save").click()
        await expect(form.get_by_text("Once more.")).to_be_visible()
        await form.get_by_role("button", name="Save").click()
        await expect(form).to_have_count(0)
    assert sent == [["UADA", "UBOB"]] * 2


async def test_direct_messages_of_several_people_are_listed_by_their_names(page: Page, town: Town) -> None:
    town.workspace.open_group(["UADA", "UBOB", town.workspace.bot_user])
    await page.get_by_role("button", name="Apprentice, Bob Berg").click()
    await expect(page.get_by_label("Message Apprentice, Bob Berg")).to_be_visible()


async def test_the_guide_leads_from_step_to_step(page: Page, town: Town) -> None:
    step = {"id": "a", "title": "Ask", "body": "Be *Bob*.", "user": "UBOB", "channel": "C1", "state": "active"}
    guide = {"title": "Guide", "intro": "Play.", "steps": [{**step, "suggestion": "<@UAPPBOT> why?"}], "done": False}
    town.workspace.set_guide(guide)
    panel = page.get_by_label("Guide", exact=True)
    await panel.get_by_role("button", name="Be Bob Berg").click()
    await panel.get_by_role("button", name="Put it in the composer").click()
    await expect(page.get_by_label("Message #general")).to_have_value("@Apprentice why?")
    await page.get_by_label("Message #general").press("Enter")
    await expect(page.locator("article .mention", has_text="@Apprentice")).to_be_visible()
    assert [message.text for message in town.workspace.messages("C1")] == ["<@UAPPBOT> why?"]


async def test_a_feedback_button_that_is_pressed_again_is_let_go_and_keeps_the_focus(page: Page, town: Town) -> None:
    app, votes = AsyncApp(client=town.client()), []

    @app.action("vote")
    async def vote(ack: Any, body: dict[str, Any]) -> None:
        votes.append(body["actions"][0]["value"])
        await ack()

    blocks = [{"type": "context_actions", "elements": [FEEDBACK]}]
    await town.client().chat_postMessage(channel="C1", text="an answer", blocks=blocks)
    good = page.get_by_role("button", name="Good")
    async with town.running(app):
        await good.click()
        await expect(good).to_have_attribute("aria-pressed", "true")
        await page.reload()
        await expect(good).to_have_attribute("aria-pressed", "true")
        await good.press("Enter")
        await expect(good).to_have_attribute("aria-pressed", "false")
        await town.people.send("UBOB", "C1", "something else")  # the messages are drawn again
        await expect(page.locator("article", has_text="something else")).to_be_visible()
        await expect(good).to_be_focused()
    assert votes == ["up"]


async def test_faults_are_set_in_a_panel_which_shows_what_is_left_of_each(page: Page, town: Town) -> None:
    toggle, panel = page.get_by_role("button", name="Faults", exact=True), page.get_by_role("form", name="Faults")
    await expect(panel).to_be_hidden()
    await toggle.press("Enter")
    await expect(toggle).to_have_attribute("aria-expanded", "true")
    await panel.get_by_label("Calls failed, 500").fill("2")
    await panel.get_by_label("Slack's rate limits").check()
    await panel.get_by_role("button", name="Set").click()
    await expect(panel.get_by_role("status").filter(has_text="2 left")).to_be_visible()

    with pytest.raises(SlackApiError):
        await town.client(retry_handlers=[]).auth_test()

    await expect(panel.get_by_label("Calls failed, 500")).to_have_value("1")
    await expect(panel.get_by_role("status").filter(has_text="1 left")).to_be_visible()
    assert (town.workspace.faults.fail_next, town.workspace.faults.rate_limits) == (1, True)
    await panel.get_by_label("Answers cut off").fill("3")
    town.workspace.take_fault("fail_next")
    await expect(panel.get_by_label("Calls failed, 500")).to_have_value("0")
    await expect(panel.get_by_label("Answers cut off")).to_have_value("3")
    await panel.get_by_role("button", name="All off").click()
    await expect(panel.get_by_label("Calls failed, 500")).to_have_value("0")
    assert town.workspace.faults == Faults()


async def test_a_status_is_shown_until_the_app_answers(page: Page, town: Town) -> None:
    ts = await town.people.send("UADA", "C1", "a question")
    await town.client().assistant_threads_setStatus(channel_id="C1", thread_ts=ts, status="is thinking")
    status = page.get_by_text("Apprentice is thinking")
    await expect(status).to_be_visible()
    await town.people.send("UBOB", "C1", "me too", thread_ts=ts)
    await expect(page.get_by_role("button", name="1 reply")).to_be_visible()
    await expect(status).to_be_visible()
    await town.client().chat_postMessage(channel="C1", thread_ts=ts, text="an answer")
    await expect(status).to_have_count(0)


async def test_everything_that_can_be_used_has_a_name(page: Page, town: Town) -> None:
    icon = {
        "type": "icon_button",
        "action_id": "drop",
        "icon": "trash",
        "text": {"type": "plain_text", "text": "Remove"},
    }
    picture = {"type": "image", "image_url": "data:image/gif;base64,R0lGODlhAQABAAAAACw=", "alt_text": "A kite"}
    blocks = [{"type": "context_actions", "elements": [FEEDBACK, icon]}, {"type": "context", "elements": [picture]}]
    await town.client().chat_postMessage(channel="C1", text="an answer", blocks=blocks)
    await expect(page.get_by_role("img", name="A kite")).to_be_visible()
    await expect(page.get_by_role("button", name="Remove")).to_be_visible()
    await page.get_by_role("button", name="Faults", exact=True).click()

    tree = await page.locator("body").aria_snapshot()
    used = [line for line in tree.splitlines() if USED.search(line)]
    assert len(used) > 20
    assert [line for line in used if not NAMED.search(line)] == []
