"""The local workspace against the real Slack SDK and Bolt: what Slack takes is taken, what it refuses is refused."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler

from bot.workspace.people import ActionRefusedError
from bot.workspace.seed import load_workspace
from tests.bot.workspace.conftest import BOT, Town, definition, new_workspace, open_town

PATIENCE = 15
FORM: dict[str, Any] = {
    "type": "modal",
    "callback_id": "form",
    "title": {"type": "plain_text", "text": "Form"},
    "submit": {"type": "plain_text", "text": "Save"},
    "blocks": [
        {
            "type": "input",
            "block_id": "answer",
            "label": {"type": "plain_text", "text": "Answer"},
            "element": {"type": "plain_text_input", "action_id": "text"},
        }
    ],
}
BUTTON = {"type": "button", "action_id": "open", "text": {"type": "plain_text", "text": "Open"}, "value": "v"}
FEEDBACK = {
    "type": "feedback_buttons",
    "action_id": "vote",
    "positive_button": {"text": {"type": "plain_text", "text": "Good"}, "value": "up"},
    "negative_button": {"text": {"type": "plain_text", "text": "Bad"}, "value": "down"},
}


def error_of(caught: pytest.ExceptionInfo[SlackApiError]) -> str:
    return str(caught.value.response["error"])


async def test_a_message_that_the_app_posts_is_seen_with_its_blocks(town: Town) -> None:
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": "*hello*"}}]
    posted = await town.client().chat_postMessage(channel="C1", text="hello", blocks=blocks)

    (message,) = town.workspace.messages("C1")
    assert posted["ts"] == message.ts
    assert message.blocks[0]["text"]["text"] == "*hello*"


async def test_a_streamed_answer_grows_and_ends_with_its_blocks(town: Town) -> None:
    ts = await town.people.send("UADA", "C1", "a question")
    stream = await town.client().chat_stream(
        channel="C1", thread_ts=ts, recipient_team_id=town.workspace.team_id, recipient_user_id="UADA", buffer_size=4
    )
    await stream.append(markdown_text="one two ")
    (message,) = town.workspace.messages("C1", thread_ts=ts)
    assert (message.streaming, message.text) == (True, "one two ")

    await stream.stop(markdown_text="three", blocks=[{"type": "context_actions", "elements": [FEEDBACK]}])
    assert (message.streaming, message.text, len(message.blocks)) == (False, "one two three", 1)


async def test_a_stream_in_a_channel_needs_its_recipient(town: Town) -> None:
    ts = await town.people.send("UADA", "C1", "a question")
    with pytest.raises(SlackApiError) as caught:
        await town.client().chat_startStream(channel="C1", thread_ts=ts)
    assert error_of(caught) == "missing_recipient_team_id"


@pytest.mark.parametrize(
    ("token", "method", "arguments", "error"),
    [
        ("xoxb-wrong", "auth.test", {}, "invalid_auth"),
        ("xapp-local-test", "chat.postMessage", {"channel": "C1", "text": "x"}, "not_allowed_token_type"),
        (BOT, "team.info", {}, "missing_scope"),
        (BOT, "no.such", {}, "unknown_method"),
        (BOT, "chat.postMessage", {"text": "x"}, "invalid_arguments"),
        (BOT, "chat.postMessage", {"channel": "C9", "text": "x"}, "channel_not_found"),
        (BOT, "chat.postMessage", {"channel": "C1", "text": "x" * 40_001}, "msg_too_long"),
        (BOT, "chat.postMessage", {"channel": "C1", "blocks": [{"type": "nonsense"}]}, "invalid_blocks"),
        (BOT, "chat.postMessage", {"channel": "C1"}, "no_text"),
        (BOT, "views.open", {"trigger_id": "1.2", "view": FORM}, "invalid_trigger_id"),
    ],
)
async def test_what_slack_refuses_is_refused_with_its_code(
    town: Town, token: str, method: str, arguments: dict[str, Any], error: str
) -> None:
    with pytest.raises(SlackApiError) as caught:
        await town.client(token).api_call(method, json=arguments)
    assert error_of(caught) == error


async def test_a_rate_limit_is_waited_out_by_the_sdk(town: Town) -> None:
    town.workspace.faults.rate_limit_next, town.workspace.faults.retry_after = 1, 0
    client = town.client(retry_handlers=[AsyncRateLimitErrorRetryHandler(max_retry_count=1)])
    await client.chat_postMessage(channel="C1", text="after the wait")
    assert [message.text for message in town.workspace.messages("C1")] == ["after the wait"]


async def test_a_call_that_fails_is_not_done(town: Town) -> None:
    town.workspace.faults.fail_next = 1
    with pytest.raises(SlackApiError) as caught:
        await town.client(retry_handlers=[]).chat_postMessage(channel="C1", text="lost")
    assert caught.value.response.status_code == 500
    assert town.workspace.messages("C1") == []


async def test_a_call_whose_answer_is_lost_is_done(town: Town) -> None:
    town.workspace.faults.drop_next = 1
    with pytest.raises(aiohttp.ClientError):
        await town.client(retry_handlers=[]).chat_postMessage(channel="C1", text="there")
    assert [message.text for message in town.workspace.messages("C1")] == ["there"]


@pytest.mark.parametrize("lost", ["acknowledgement", "connection"])
async def test_an_event_is_delivered_again_at_once_when_its_acknowledgement_or_connection_is_lost(
    town: Town, lost: str
) -> None:
    app, seen, twice = AsyncApp(client=town.client()), list[str](), asyncio.Event()
    town.sockets.retry_pause_s = 0.01
    town.workspace.faults.lose_acks_next = int(lost == "acknowledgement")

    @app.middleware
    async def arrive(body: dict[str, Any], next_: Any) -> None:
        seen.append(body["event"]["ts"])
        if lost == "connection" and len(seen) == 1:
            await town.sockets.drop()
        if len(seen) > 1:
            twice.set()
        await next_()

    async with town.running(app):
        ts = await town.people.send("UADA", "C1", "hi")
        await asyncio.wait_for(twice.wait(), PATIENCE)
    assert seen == [ts, ts]


async def test_metadata_is_given_only_to_who_asks_for_it(town: Town) -> None:
    metadata = {"event_type": "kind", "event_payload": {"id": "1"}}
    await town.client().chat_postMessage(channel="C1", text="marked", metadata=metadata)
    (plain,) = (await town.client().conversations_history(channel="C1"))["messages"]
    (full,) = (await town.client().conversations_history(channel="C1", include_all_metadata=True))["messages"]
    assert "metadata" not in plain
    assert full["metadata"] == metadata


async def test_a_mention_reaches_bolt_as_two_events_of_one_message(town: Town) -> None:
    app, seen = AsyncApp(client=town.client()), asyncio.Queue[tuple[str, str]]()

    @app.event("app_mention")
    async def mentioned(event: dict[str, Any]) -> None:
        await seen.put(("app_mention", event["ts"]))

    @app.event("message")
    async def written(event: dict[str, Any]) -> None:
        await seen.put(("message", event["ts"]))

    async with town.running(app):
        ts = await town.people.send("UADA", "C1", f"<@{town.workspace.bot_user}> hi")
        got = {await asyncio.wait_for(seen.get(), PATIENCE), await asyncio.wait_for(seen.get(), PATIENCE)}
    assert got == {("app_mention", ts), ("message", ts)}


async def test_a_click_on_a_feedback_button_reaches_bolt_with_its_value(town: Town) -> None:
    app, seen = AsyncApp(client=town.client()), asyncio.Queue[str]()

    @app.action("vote")
    async def voted(ack: Any, body: dict[str, Any]) -> None:
        await ack()
        await seen.put(body["actions"][0]["value"])

    blocks = [{"type": "context_actions", "elements": [FEEDBACK]}]
    posted = await town.client().chat_postMessage(channel="C1", text="an answer", blocks=blocks)
    async with town.running(app):
        await town.people.click("UADA", "C1", posted["ts"], "vote", "down")
        assert await asyncio.wait_for(seen.get(), PATIENCE) == "down"


async def test_a_form_shows_its_errors_and_then_closes(town: Town) -> None:
    app = AsyncApp(client=town.client())

    @app.action("open")
    async def open_form(ack: Any, body: dict[str, Any]) -> None:
        await ack()
        await app.client.views_open(trigger_id=body["trigger_id"], view=FORM)

    @app.view("form")
    async def check(ack: Any, view: dict[str, Any]) -> None:
        text = view["state"]["values"]["answer"]["text"]["value"]
        await (ack() if text == "right" else ack(response_action="errors", errors={"answer": "Not that."}))

    blocks = [{"type": "actions", "elements": [BUTTON]}]
    posted = await town.client().chat_postMessage(channel="C1", text="press", blocks=blocks)
    async with town.running(app):
        await town.people.click("UADA", "C1", posted["ts"], "open")
        async with asyncio.timeout(PATIENCE):
            while not town.workspace.open_views("UADA"):
                await asyncio.sleep(0.02)
        (view,) = town.workspace.open_views("UADA")
        required = await town.people.submit("UADA", view["id"], {"answer": {"text": ""}})
        wrong = await town.people.submit("UADA", view["id"], {"answer": {"text": "wrong"}})
        right = await town.people.submit("UADA", view["id"], {"answer": {"text": "right"}})
    assert list(required) == ["answer"]
    assert wrong == {"answer": "Not that."}
    assert right == {}
    assert town.workspace.open_views("UADA") == []


async def test_a_trigger_expires_and_works_once(town: Town) -> None:
    trigger = town.workspace.new_trigger("UADA")
    await town.client().views_open(trigger_id=trigger, view=FORM)
    with pytest.raises(SlackApiError) as caught:
        await town.client().views_open(trigger_id=trigger, view=FORM)
    assert error_of(caught) == "exchanged_trigger_id"

    late = town.workspace.new_trigger("UADA")
    town.workspace._triggers[late] = ("UADA", 0.0)
    with pytest.raises(SlackApiError) as caught:
        await town.client().views_open(trigger_id=late, view=FORM)
    assert error_of(caught) == "expired_trigger_id"


async def test_an_event_waits_for_the_app_and_survives_a_restart(tmp_path: Path) -> None:
    workspace = new_workspace()
    workspace.persist(tmp_path / "workspace.json")
    async with open_town(workspace) as town:
        ts = await town.people.send("UADA", "C1", f"<@{workspace.bot_user}> while nobody listens")
        workspace.save()

    async with open_town(load_workspace(tmp_path / "workspace.json", definition())) as town:
        app, seen = AsyncApp(client=town.client()), asyncio.Queue[str]()

        @app.event("app_mention")
        async def mentioned(event: dict[str, Any]) -> None:
            await seen.put(event["ts"])

        @app.event("message")
        async def written() -> None:
            pass

        async with town.running(app):
            assert await asyncio.wait_for(seen.get(), PATIENCE) == ts
        assert [message.ts for message in town.workspace.messages("C1")] == [ts]


async def test_a_dropped_socket_comes_back_and_nothing_is_lost(town: Town) -> None:
    app, seen = AsyncApp(client=town.client()), asyncio.Queue[str]()

    @app.event("app_mention")
    async def mentioned(event: dict[str, Any]) -> None:
        await seen.put(event["text"])

    @app.event("message")
    async def written() -> None:
        pass

    async with town.running(app):
        await town.sockets.drop()
        await town.people.send("UADA", "C1", f"<@{town.workspace.bot_user}> after the drop")
        assert "after the drop" in await asyncio.wait_for(seen.get(), 60)


async def test_an_interaction_that_nobody_answers_is_told_to_the_person(town: Town) -> None:
    posted = await town.client().chat_postMessage(
        channel="C1", text="press", blocks=[{"type": "actions", "elements": [BUTTON]}]
    )
    with pytest.raises(ActionRefusedError, match="did not answer"):
        await town.people.click("UADA", "C1", posted["ts"], "open")
