"""What the app relies on in Slack, asked of our local workspace and of a double that others wrote: both must agree."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from tests.bot.workspace.conftest import BOT, Town
from tests.bot.workspace.test_contract import FORM
from tests.emulate.server import emulate_server

HOME = {"type": "home", "blocks": [{"type": "divider"}]}
SECTION = [{"type": "section", "text": {"type": "mrkdwn", "text": "*hello*"}}]


@dataclass
class Double:
    """A double of Slack with one channel, in which a person is and the bot may write."""

    client: AsyncWebClient
    channel: str
    person: str
    trigger: Callable[[], Awaitable[str]]


@pytest.fixture(scope="module")
def emulate_url() -> Iterator[str]:
    with emulate_server() as url:
        yield url


@pytest.fixture
def emulate(emulate_url: str) -> Double:
    client, person = AsyncWebClient(token=BOT, base_url=f"{emulate_url}/api/"), "U000000001"

    async def trigger() -> str:
        return str((await client.api_call("views.generateTriggerId", json={"user_id": person}))["trigger_id"])

    return Double(client, "C000000001", person, trigger)


@pytest.fixture
async def ours(town: Town) -> Double:
    async def trigger() -> str:
        return town.workspace.new_trigger("UADA")

    return Double(town.client(), "C1", "UADA", trigger)


@pytest.fixture(params=["ours", pytest.param("emulate", marks=pytest.mark.emulate)])
def double(request: pytest.FixtureRequest) -> Double:
    found: Double = request.getfixturevalue(request.param)
    return found


async def refusal(call: Awaitable[Any]) -> str:
    with pytest.raises(SlackApiError) as caught:
        await call
    return str(caught.value.response["error"])


async def test_the_bot_is_told_who_it_is(double: Double) -> None:
    told = await double.client.auth_test()
    assert all(told[name] for name in ("team_id", "team", "user_id", "user", "bot_id", "url"))


async def test_a_call_without_a_token_is_refused(double: Double) -> None:
    nobody = AsyncWebClient(base_url=double.client.base_url)
    assert await refusal(nobody.auth_test()) == "not_authed"


async def test_a_message_is_posted_changed_and_linked_to(double: Double) -> None:
    posted = await double.client.chat_postMessage(channel=double.channel, text="hello", blocks=SECTION)
    changed = await double.client.chat_update(channel=double.channel, ts=posted["ts"], text="good day")
    link = await double.client.chat_getPermalink(channel=double.channel, message_ts=posted["ts"])

    assert posted["message"]["blocks"][0]["text"] == SECTION[0]["text"]
    assert (changed["ts"], changed["text"]) == (posted["ts"], "good day")
    assert not changed["message"].get("blocks"), "a text without blocks takes the blocks away"
    assert link["permalink"].startswith("http")


async def test_a_thread_is_begun_by_a_reply(double: Double) -> None:
    first = await double.client.chat_postMessage(channel=double.channel, text="a question")
    reply = await double.client.chat_postMessage(channel=double.channel, text="an answer", thread_ts=first["ts"])
    assert reply["message"]["thread_ts"] == first["ts"] != reply["ts"]


async def test_what_only_one_person_sees_cannot_be_found_again(double: Double) -> None:
    whispered = await double.client.chat_postEphemeral(channel=double.channel, user=double.person, text="between us")
    ts = whispered["message_ts"]
    assert await refusal(double.client.chat_update(channel=double.channel, ts=ts, text="x")) == "message_not_found"
    assert await refusal(double.client.chat_delete(channel=double.channel, ts=ts)) == "message_not_found"


@pytest.mark.parametrize(
    ("method", "arguments", "error"),
    [
        ("chat.postMessage", {"channel": "CNONE", "text": "x"}, "channel_not_found"),
        ("chat.postMessage", {}, "no_text"),
        ("chat.postMessage", {"text": "x", "metadata": "no object"}, "invalid_metadata_format"),
        ("chat.postEphemeral", {"user": "UNONE", "text": "x"}, "user_not_found"),
        ("chat.update", {"ts": "1.1", "text": "x"}, "message_not_found"),
        ("chat.getPermalink", {"message_ts": "1.1"}, "message_not_found"),
        ("views.open", {"trigger_id": "1.2", "view": FORM}, "invalid_trigger_id"),
        ("views.update", {"view_id": "VNONE", "view": FORM}, "not_found"),
        ("views.publish", {"user_id": "UNONE", "view": HOME}, "user_not_found"),
    ],
)
async def test_refusals_have_the_same_code(double: Double, method: str, arguments: dict[str, Any], error: str) -> None:
    call = double.client.api_call(method, json={"channel": double.channel, **arguments})
    assert await refusal(call) == error


async def test_a_trigger_opens_one_form_which_can_be_changed(double: Double) -> None:
    trigger = await double.trigger()
    opened = (await double.client.views_open(trigger_id=trigger, view=FORM))["view"]
    changed = (await double.client.views_update(view_id=opened["id"], view=FORM, hash=opened["hash"]))["view"]

    assert (changed["id"], changed["root_view_id"]) == (opened["id"], opened["id"])
    assert await refusal(double.client.views_open(trigger_id=trigger, view=FORM)) == "exchanged_trigger_id"
    stale = double.client.views_update(view_id=opened["id"], view=FORM, hash=opened["hash"])
    assert await refusal(stale) == "hash_conflict"


async def test_an_id_of_the_apps_own_names_one_open_form(double: Double) -> None:
    named = {**FORM, "external_id": "mine"}
    opened = (await double.client.views_open(trigger_id=await double.trigger(), view=named))["view"]
    again = double.client.views_open(trigger_id=await double.trigger(), view=named)

    assert await refusal(again) == "duplicate_external_id"
    changed = (await double.client.views_update(external_id="mine", view=named))["view"]
    assert changed["id"] == opened["id"]


async def test_a_home_is_published_again_and_again(double: Double) -> None:
    first = (await double.client.views_publish(user_id=double.person, view=HOME))["view"]
    second = (await double.client.views_publish(user_id=double.person, view=HOME, hash=first["hash"]))["view"]
    assert (second["id"], second["type"]) == (first["id"], "home")
    assert second["hash"] != first["hash"]
    stale = double.client.views_publish(user_id=double.person, view=HOME, hash=first["hash"])
    assert await refusal(stale) == "hash_conflict"
