"""The local workspace against the real Slack SDK and Bolt: what Slack takes is taken, what it refuses is refused."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.workspace.people import ActionRefusedError
from bot.workspace.seed import Member, load_workspace
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
OPTION = {"text": {"type": "plain_text", "text": "Tell me"}, "value": "yes"}
BOX = {"type": "checkboxes", "action_id": "news", "options": [OPTION]}
SINCE = {"type": "mrkdwn", "text": "since <!date^1767225600^{date_short_pretty} at {time}|2026-01-01 00:00 UTC>"}
HOME: dict[str, Any] = {
    "type": "home",
    "blocks": [{"type": "section", "text": SINCE}, {"type": "actions", "elements": [BOX]}],
}
BUTTON = {"type": "button", "action_id": "open", "text": {"type": "plain_text", "text": "Open"}, "value": "v"}
POST = {"channel": "C1", "text": "x"}
STATUS = {"channel_id": "C1", "thread_ts": "1.1", "status": "is thinking"}
PROMPTS = {"channel_id": "C1", "prompts": [{"title": "Ask", "message": "What can you do?"}] * 5}
FEEDBACK = {
    "type": "feedback_buttons",
    "action_id": "vote",
    "positive_button": {"text": {"type": "plain_text", "text": "Good"}, "value": "up"},
    "negative_button": {"text": {"type": "plain_text", "text": "Bad"}, "value": "down"},
}


def metadata(text: str) -> dict[str, Any]:
    return {"event_type": "kept", "event_payload": {"id": text}}


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
        (BOT, "views.publish", {"user_id": "UADA", "view": FORM}, "invalid_arguments"),
        (BOT, "users.info", {"user": "UNOBODY"}, "user_not_found"),
        (BOT, "chat.postMessage", {**POST, "metadata": {"event_type": "x"}}, "invalid_metadata_format"),
        (BOT, "chat.postMessage", {**POST, "metadata": metadata("x" * 8_000)}, "metadata_too_large"),
        (BOT, "assistant.threads.setStatus", {**STATUS, "loading_messages": ["x"] * 11}, "invalid_arguments"),
        (BOT, "assistant.threads.setStatus", {**STATUS, "loading_messages": ["x" * 51]}, "invalid_arguments"),
        (BOT, "assistant.threads.setSuggestedPrompts", PROMPTS, "invalid_arguments"),
    ],
)
async def test_what_slack_refuses_is_refused_with_its_code(
    town: Town, token: str, method: str, arguments: dict[str, Any], error: str
) -> None:
    with pytest.raises(SlackApiError) as caught:
        await town.client(token).api_call(method, json=arguments)
    assert error_of(caught) == error


async def begin_stream(town: Town, text: str) -> dict[str, str]:
    asked = await town.people.send("UADA", "C1", "a question")
    recipient = {"recipient_team_id": town.workspace.team_id, "recipient_user_id": "UADA"}
    begun = await town.client().chat_startStream(channel="C1", thread_ts=asked, markdown_text=text, **recipient)
    return {"channel": "C1", "ts": begun["ts"]}


async def test_a_stream_ends_by_itself_after_five_minutes_and_its_message_can_still_be_changed(town: Town) -> None:
    stream = await begin_stream(town, "an answer")
    await town.client().chat_appendStream(**stream, markdown_text=" and more")
    town.clock.advance(301)

    for method in ("chat.appendStream", "chat.stopStream"):
        with pytest.raises(SlackApiError) as caught:
            await town.client().api_call(method, json={**stream, "markdown_text": "too late"})
        assert error_of(caught) == "message_not_in_streaming_state"
    assert (await town.client().chat_update(**stream, text="whole"))["text"] == "whole"


async def test_a_stream_refuses_what_takes_it_past_what_a_message_holds(town: Town) -> None:
    stream = await begin_stream(town, "x" * 12_000)
    with pytest.raises(SlackApiError) as caught:
        await town.client().chat_appendStream(**stream, markdown_text="y")
    assert error_of(caught) == "msg_too_long"
    await town.client().chat_stopStream(**stream)
    assert town.workspace.messages("C1")[-1].text == "x" * 12_000


async def test_a_stream_that_goes_far_past_what_a_message_holds_is_lost_without_a_word(town: Town) -> None:
    stream = await begin_stream(town, "x" * 11_000)
    await town.client().chat_appendStream(**stream, markdown_text="y" * 2_001)
    with pytest.raises(SlackApiError) as caught:
        await town.client().chat_stopStream(**stream)
    assert error_of(caught) == "message_not_found"
    assert len(town.workspace.messages("C1")) == 1


@pytest.mark.parametrize(
    "chunk",
    [
        {"type": "task_update", "id": "1", "title": "Searching", "status": "busy"},
        {"type": "task_update", "id": "1", "status": "pending"},
        {"type": "blocks", "blocks": [{"type": "nonsense"}]},
        {"type": "nonsense"},
    ],
)
async def test_a_stream_refuses_chunks_that_are_none(town: Town, chunk: dict[str, Any]) -> None:
    stream = await begin_stream(town, "")
    task = {"type": "task_update", "id": "1", "title": "Searching", "status": "complete"}
    await town.client().chat_appendStream(**stream, chunks=[task])
    with pytest.raises(SlackApiError) as caught:
        await town.client().api_call("chat.appendStream", json={**stream, "chunks": [chunk]})
    assert error_of(caught) == "invalid_chunks"


async def test_what_only_one_person_sees_cannot_be_changed_found_or_replied_to(town: Town) -> None:
    whispered = await town.client().chat_postEphemeral(channel="C1", user="UADA", text="between us")
    message = {"channel": "C1", "ts": whispered["message_ts"]}
    for method, arguments, error in (
        ("chat.update", {**message, "text": "x"}, "message_not_found"),
        ("chat.delete", message, "message_not_found"),
        ("reactions.add", {"channel": "C1", "timestamp": message["ts"], "name": "eyes"}, "message_not_found"),
        ("chat.postMessage", {**POST, "thread_ts": message["ts"]}, "thread_not_found"),
    ):
        with pytest.raises(SlackApiError) as caught:
            await town.client().api_call(method, json=arguments)
        assert error_of(caught) == error
    assert (await town.client().conversations_history(channel="C1"))["messages"] == []


async def test_metadata_is_given_only_to_who_asks_for_it_and_what_the_page_needs_to_nobody(town: Town) -> None:
    await town.client().chat_postMessage(**POST, metadata=metadata("pp_1"))

    plain = (await town.client().conversations_history(channel="C1"))["messages"][0]
    full = (await town.client().conversations_history(channel="C1", include_all_metadata=True))["messages"][0]

    assert "metadata" not in plain
    assert full["metadata"] == metadata("pp_1")
    assert plain.keys() == {"type", "ts", "user", "text", "bot_id"}


async def test_a_status_goes_with_the_reply_and_after_two_minutes_by_itself(town: Town) -> None:
    ts = await town.people.send("UADA", "C1", "a question")
    status = {**STATUS, "thread_ts": ts}
    await town.client().assistant_threads_setStatus(**status)
    assert town.workspace.status_of("C1", ts) == "is thinking"
    town.clock.advance(121)
    assert town.workspace.status_of("C1", ts) == ""

    await town.client().assistant_threads_setStatus(**status)
    await town.client().chat_postMessage(channel="C1", thread_ts=ts, text="an answer")
    assert town.workspace.status_of("C1", ts) == ""


async def test_a_response_url_takes_five_answers_within_half_an_hour(town: Town) -> None:
    await town.client().auth_test()
    used, old = (town.workspace.new_response_url("C1", "UADA", None) for _ in range(2))
    answers = [await AsyncWebhookClient(used).send(text="x") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [404]
    assert answers[-1].body == "used_url"

    town.clock.advance(1_801)
    assert (await AsyncWebhookClient(old).send(text="x")).body == "expired_url"


async def test_the_apps_own_id_names_one_open_form(town: Town) -> None:
    named, client = {**FORM, "external_id": "mine"}, town.client()
    await client.views_open(trigger_id=town.workspace.new_trigger("UADA"), view=named)
    with pytest.raises(SlackApiError) as caught:
        await client.views_open(trigger_id=town.workspace.new_trigger("UADA"), view=named)
    assert error_of(caught) == "duplicate_external_id"


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
    town.workspace.faults.refuse_ack_next = int(lost == "acknowledgement")

    @app.middleware
    async def arrive(body: dict[str, Any], next_: Any) -> None:
        seen.append(body["event"]["ts"])
        if lost == "connection" and len(seen) == 1:
            await town.sockets.drop()
        if len(seen) > 1:
            twice.set()
        await next_()

    @app.event("message")
    async def acknowledge() -> None:
        """Be there: Bolt acknowledges only what something listens to, and all else comes again after a while."""

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


async def test_guests_strangers_and_shared_channels_are_described_as_slack_does(town: Town) -> None:
    members = town.workspace.members
    members["UADA"] = replace(members["UADA"], is_ultra_guest=True, time_zone="Asia/Tokyo", display_name="Ada L.")
    members["UBOB"] = replace(members["UBOB"], team_id="TOTHER")
    town.workspace.channels["C1"].is_ext_shared = True

    ada, bob = [(await town.client().users_info(user=user))["user"] for user in ("UADA", "UBOB")]
    channel = (await town.client().conversations_info(channel="C1"))["channel"]

    assert (ada["is_restricted"], ada["is_ultra_restricted"], ada["team_id"]) == (True, True, town.workspace.team_id)
    assert (ada["tz"], ada["tz_offset"], ada["profile"]["display_name"]) == ("Asia/Tokyo", 32_400, "Ada L.")
    assert (bob["is_restricted"], bob["team_id"]) == (False, "TOTHER")
    assert channel["is_ext_shared"]


async def test_a_stream_for_somebody_of_another_organisation_names_their_workspace(town: Town) -> None:
    town.workspace.members["UBOB"] = replace(town.workspace.members["UBOB"], team_id="TOTHER")
    ts = await town.people.send("UBOB", "C1", "a question")
    begin = {"channel": "C1", "thread_ts": ts, "recipient_user_id": "UBOB"}

    with pytest.raises(SlackApiError) as caught:
        await town.client().chat_startStream(**begin, recipient_team_id=town.workspace.team_id)
    assert error_of(caught) == "missing_recipient_team_id"
    assert (await town.client().chat_startStream(**begin, recipient_team_id="TOTHER"))["ok"]


async def test_who_is_brought_into_a_channel_reaches_bolt_once(town: Town) -> None:
    app, seen = AsyncApp(client=town.client()), asyncio.Queue[tuple[str, str, str]]()

    @app.event("member_joined_channel")
    async def joined(event: dict[str, Any]) -> None:
        await seen.put((event["user"], event["channel_type"], event["inviter"]))

    channel = town.people.create_channel("UADA", "new")
    async with town.running(app):
        for user in (town.workspace.bot_user, town.workspace.bot_user, "UBOB"):
            town.people.invite("UADA", channel.id, user)
        got = [await asyncio.wait_for(seen.get(), PATIENCE) for _ in range(2)]
    assert sorted(got) == [(town.workspace.bot_user, "C", "UADA"), ("UBOB", "C", "UADA")]
    assert seen.empty()


async def test_direct_messages_of_several_people_need_their_own_scopes(town: Town) -> None:
    group = town.workspace.open_group(["UADA", "UBOB", town.workspace.bot_user])
    for call in (
        town.client().conversations_open(users=["UADA", "UBOB"]),
        town.client().conversations_info(channel=group.id),
    ):
        with pytest.raises(SlackApiError) as caught:
            await call
        assert error_of(caught) == "missing_scope"


async def test_what_another_app_writes_reaches_bolt_with_its_bot_id(town: Town) -> None:
    town.workspace.members["UDEPLOYER"] = Member("UDEPLOYER", "deployer", "Deployer", is_bot=True)
    town.workspace.channels["C1"].members += ("UDEPLOYER",)
    app, seen = AsyncApp(client=town.client()), asyncio.Queue[tuple[str, str]]()

    @app.event("app_mention")
    async def mentioned(event: dict[str, Any]) -> None:
        await seen.put((event["user"], event["bot_id"]))

    @app.event("message")
    async def written() -> None:
        pass

    async with town.running(app):
        await town.people.send("UDEPLOYER", "C1", f"<@{town.workspace.bot_user}> deployed")
        assert await asyncio.wait_for(seen.get(), PATIENCE) == ("UDEPLOYER", "BDEPLOYER")


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


async def test_a_feedback_button_is_a_toggle_and_letting_it_go_tells_the_app_nothing(town: Town) -> None:
    app, votes = AsyncApp(client=town.client()), []

    @app.action("vote")
    async def voted(ack: Any, body: dict[str, Any]) -> None:
        votes.append(body["actions"][0]["value"])
        await ack()

    blocks = [{"type": "context_actions", "elements": [FEEDBACK]}]
    posted = await town.client().chat_postMessage(channel="C1", text="an answer", blocks=blocks)
    async with town.running(app):
        for value in ("down", "down", "down", "up"):  # pressed, let go, pressed, changed
            await town.people.click("UADA", "C1", posted["ts"], "vote", value)
        await town.people.click("UBOB", "C1", posted["ts"], "vote", "up")
    assert votes == ["down", "down", "up", "up"]
    (message,) = town.workspace.messages("C1")
    assert message.pressed == {"UADA": {"vote": "up"}, "UBOB": {"vote": "up"}}


async def test_a_ticked_box_on_the_home_tab_reaches_bolt_with_its_view_and_no_channel(town: Town) -> None:
    app, chosen = AsyncApp(client=town.client()), []

    @app.action("news")
    async def choose(ack: Any, body: dict[str, Any]) -> None:
        await ack()
        chosen.append((body["view"]["type"], "channel" in body, body["actions"][0]["selected_options"]))

    await town.client().views_publish(user_id="UADA", view=HOME)
    home = town.workspace.homes["UADA"]["id"]
    async with town.running(app):
        await town.people.click_in_view("UADA", home, "news", "yes")
        with pytest.raises(ActionRefusedError, match="no such box"):
            await town.people.click_in_view("UADA", home, "news", "no")
        with pytest.raises(ActionRefusedError, match="closed"):
            await town.people.click_in_view("UBOB", home, "news", "yes")
    assert chosen == [("home", False, [OPTION])]


async def test_a_click_on_what_only_one_person_sees_reaches_bolt_without_the_message(town: Town) -> None:
    app, clicked = AsyncApp(client=town.client()), []

    @app.action("open")
    async def click(ack: Any, body: dict[str, Any]) -> None:
        await ack()
        clicked.append(("message" in body, body["container"]["is_ephemeral"]))

    told = await town.client().chat_postEphemeral(
        channel="C1", user="UADA", text="x", blocks=[{"type": "actions", "elements": [BUTTON]}]
    )
    async with town.running(app):
        await town.people.click("UADA", "C1", told["message_ts"], "open")
    assert clicked == [(False, True)]


async def test_a_command_is_not_run_in_a_thread(town: Town) -> None:
    ts = await town.people.send("UADA", "C1", "a question")
    with pytest.raises(ActionRefusedError, match="not supported in threads"):
        await town.people.send("UADA", "C1", "/apprentice help", ts)


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
    town.clock.advance(3.1)
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
