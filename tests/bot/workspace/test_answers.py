"""Streams, task lines and the Stop button of the local workspace, against the real Slack SDK; and in its page."""

from typing import Any

import pytest
from playwright.async_api import Page, expect
from slack_sdk.errors import SlackApiError
from slack_sdk.models.messages.chunk import MarkdownTextChunk, TaskUpdateChunk
from slack_sdk.web.async_chat_stream import AsyncChatStream

from bot.workspace.model import AppDefinition
from bot.workspace.people import ActionRefusedError
from tests.bot.workspace.conftest import Town, definition
from tests.bot.workspace.test_contract import error_of
from tests.bot.workspace.test_page import browser, page

__all__ = ["browser", "page"]

LOOKING = TaskUpdateChunk(id="look", title="Looking it up", status="in_progress")
LOOKED = TaskUpdateChunk(id="look", title="Looked it up", status="complete", output="Found two.")
MARKDOWN = r"""## Kites
**Osprey** and *Heron*, ***both***, __new__: [order](https://shop.example/a_b), not \*this\*.

3. three
4. four

| kite | price |
|:-----|------:|
| Osprey \| old | **90** |
| Heron | `70` |

```py
a | b
|---|---|
```
The end."""


async def start(town: Town) -> tuple[str, AsyncChatStream]:
    ts = await town.people.send("UADA", "C1", "a question")
    stream = await town.client().chat_stream(
        channel="C1", thread_ts=ts, recipient_team_id=town.workspace.team_id, recipient_user_id="UADA", buffer_size=1
    )
    return ts, stream


async def test_a_task_line_changes_in_place(town: Town) -> None:
    ts, stream = await start(town)
    await stream.append(chunks=[LOOKING, MarkdownTextChunk(text="It is ")])
    await stream.stop(markdown_text="so.", chunks=[LOOKED])

    (message,) = town.workspace.messages("C1", thread_ts=ts)
    assert message.text == "It is so."
    assert message.tasks == [{"id": "look", "title": "Looked it up", "status": "complete", "output": "Found two."}]


@pytest.mark.parametrize(
    "chunk",
    [
        {"type": "task_update", "id": "a", "title": "no status"},
        {"type": "task_update", "id": "a", "title": "wrong status", "status": "running"},
        {"type": "task_update", "title": "no id", "status": "complete"},
        {"type": "task_update", "id": "a", "title": "x" * 257, "status": "complete"},
    ],
)
async def test_a_task_line_that_slack_would_not_take_is_refused(town: Town, chunk: dict[str, Any]) -> None:
    _, stream = await start(town)
    with pytest.raises(SlackApiError) as caught:
        await stream.append(chunks=[chunk])
    assert error_of(caught) == "invalid_chunks"


async def test_a_stream_takes_its_content_in_one_way_only(town: Town) -> None:
    _, stream = await start(town)
    await stream.append(markdown_text="in chunks, as the SDK sends it")
    with pytest.raises(SlackApiError) as caught:
        await town.client().chat_appendStream(channel="C1", ts=str(stream.ts), markdown_text="in another way")
    assert error_of(caught) == "streaming_mode_mismatch"


async def test_a_person_stops_what_the_app_streams_while_it_says_that_it_works(town: Town) -> None:
    ts, stream = await start(town)
    await stream.append(markdown_text="Once upon a time ")
    with pytest.raises(ActionRefusedError, match="nothing to stop"):
        town.people.stop("UBOB", "C1", ts)
    await town.client().agents_sessions_setStatus(channel_id="C1", thread_ts=ts, status="processing")
    town.people.stop("UBOB", "C1", ts)

    (message,) = town.workspace.messages("C1", thread_ts=ts)
    assert not message.streaming
    with pytest.raises(SlackApiError) as caught:
        await stream.append(markdown_text="there was")
    assert error_of(caught) == "stopped_by_user"


async def test_an_app_that_does_not_hear_of_the_button_is_warned_and_there_is_none(town: Town) -> None:
    town.workspace.app = deaf()
    ts, _ = await start(town)
    answer = await town.client().agents_sessions_setStatus(channel_id="C1", thread_ts=ts, status="processing")
    assert answer["warning"] == "missing_agent_session_stopped_event_subscription"
    assert not town.workspace.is_stoppable("C1", ts)


def deaf() -> AppDefinition:
    app = definition()
    return AppDefinition(app.name, app.bot_token, app.app_token, app.scopes, app.events - {"agent_session_stopped"})


async def test_the_page_shows_standard_markdown_as_slack_does(page: Page, town: Town) -> None:
    await town.client().chat_postMessage(channel="C1", markdown_text=MARKDOWN)
    message = page.locator("article").last

    await expect(message.locator("strong")).to_have_text(["Kites", "Osprey", "both", "new", "90"])
    await expect(message.locator("em")).to_have_text(["Heron", "both"])
    await expect(message.get_by_role("link", name="order")).to_have_attribute("href", "https://shop.example/a_b")
    await expect(message).to_contain_text("not *this*.")
    await expect(message.locator("ol")).to_have_attribute("start", "3")
    await expect(message.get_by_role("columnheader")).to_have_text(["kite", "price"])
    await expect(message.get_by_role("cell")).to_have_text(["Osprey | old", "90", "Heron", "70"])
    await expect(message.locator("pre")).to_have_text("a | b\n|---|---|")
    await expect(message).to_contain_text("The end.")


async def test_the_page_shows_task_lines_and_a_stop_button_with_names_that_are_read_out(page: Page, town: Town) -> None:
    ts, stream = await start(town)
    await stream.append(chunks=[LOOKING, MarkdownTextChunk(text="It is so.")])
    await town.client().agents_sessions_setStatus(channel_id="C1", thread_ts=ts, status="processing")
    await page.get_by_role("button", name="1 reply").click()
    thread = page.get_by_label("Thread", exact=True)
    lines = thread.get_by_role("list", name="What was done for this answer")
    await expect(lines.get_by_role("img", name="under way")).to_be_visible()
    await stream.append(chunks=[LOOKED])
    await expect(lines.get_by_role("img", name="done")).to_be_visible()
    await expect(lines).to_contain_text("Looked it up")

    await thread.get_by_role("button", name="Stop the answer").click()
    await expect(thread.locator(".caret")).to_have_count(0)
    await town.client().agents_sessions_setStatus(channel_id="C1", thread_ts=ts, status="active")
    await expect(page.get_by_role("button", name="Stop the answer")).to_have_count(0)
