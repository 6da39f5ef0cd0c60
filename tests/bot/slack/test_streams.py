"""Answers that are longer than a message, or take longer than Slack keeps a stream."""

from dataclasses import dataclass, field

import pytest

from bot.slack.jobs import Question
from bot.slack.pace import Pace
from bot.slack.running import RunningAnswer
from bot.slack.stream import FLUSH, MESSAGE_LIMIT, AnswerStream
from bot.slack.tasks import answered, answering
from tests.bot.slack.conftest import ADA, ASK, Bot, Message, Town

BUTTONS = [{"type": "context", "elements": [{"type": "mrkdwn", "text": "the end"}]}]
SENTENCE = "The quick kite flies over the lazy depot and turns in the wind. "


@dataclass
class Writer:
    """An answer that a test writes itself."""

    stream: AnswerStream
    thread: str
    town: Town
    answer: RunningAnswer
    now: float = 0.0
    begun: list[str] = field(default_factory=list)

    async def messages(self) -> list[Message]:
        return [m for m in await self.town.history(ADA) if m.get("thread_ts") == self.thread and m["user"] != ADA]


@pytest.fixture
async def writer(connected_bot: Bot, town: Town) -> Writer:
    asked = await town.send(ADA, "tell me everything")
    team = str((await connected_bot.client.auth_test())["team_id"])
    answer = RunningAnswer()
    question = Question(team, ASK, ADA, "tell me everything", asked, asked, direct=False)

    async def remember(timestamps: list[str]) -> None:
        writer.begun = list(timestamps)

    stream = AnswerStream(connected_bot.client, question, remember, answer, Pace(roll_over=240), lambda: writer.now)
    writer = Writer(stream, asked, town, answer)
    return writer


def said(messages: list[Message]) -> str:
    """Return what a reader sees of an answer in several messages."""
    return "".join(
        next((block["text"] for block in message.get("blocks", []) if block["type"] == "markdown"), message["text"])
        for message in messages
    )


def endings(messages: list[Message]) -> list[bool]:
    return [bool(message.get("blocks")) for message in messages]


async def test_an_answer_that_no_message_can_hold_goes_on_in_the_next_after_a_whole_sentence(writer: Writer) -> None:
    for _ in range(100):
        await writer.stream.append(SENTENCE * 4)
    last = await writer.stream.stop(BUTTONS)

    messages = await writer.messages()
    assert len(messages) == len(writer.begun) == 3
    assert all(len(message["text"]) <= MESSAGE_LIMIT for message in messages)
    assert said(messages) == SENTENCE * 400
    assert all(message["text"].endswith(" ") for message in messages)
    assert endings(messages) == [False, False, True]
    assert messages[-1]["ts"] == last
    assert not any(message["streaming"] for message in messages)


async def test_a_text_that_comes_at_once_is_split_as_well(writer: Writer) -> None:
    await writer.stream.append("Paragraph.\n\n" * 1_500)
    await writer.stream.stop(BUTTONS)

    messages = await writer.messages()
    assert len(messages) == 2
    assert messages[0]["text"].endswith("Paragraph.\n\n")
    assert said(messages) == "Paragraph.\n\n" * 1_500


async def test_a_code_block_that_is_split_is_code_in_both_messages(writer: Writer) -> None:
    await writer.stream.append("```py\n" + "print('kite')\n" * 1_000)
    await writer.stream.stop(BUTTONS)

    first, second = await writer.messages()
    assert first["text"].endswith("print('kite')\n```")
    assert second["text"].startswith("```py\nprint('kite')\n")
    assert second["text"].endswith("```")
    assert said([first, second]).count("print('kite')\n") == 1_000


async def test_a_table_that_is_split_has_its_head_in_both_messages(writer: Writer) -> None:
    head, row = "| kite | price |\n|---|---|\n", "| Osprey | 90 |\n"
    await writer.stream.append(head + row * 1_000)
    await writer.stream.stop(BUTTONS)

    first, second = await writer.messages()
    assert first["text"].startswith(head)
    assert first["text"].endswith(row)
    assert second["text"].startswith(head + row)
    assert said([first, second]).count(row) == 1_000


async def test_a_message_that_grows_for_minutes_is_ended_before_slack_gives_it_up(writer: Writer) -> None:
    writer.stream.tell(answering("the base model"))
    for minute in range(6):
        writer.now = minute * 60.0
        await writer.stream.append(SENTENCE)
    writer.stream.tell(answered("the base model"))
    await writer.stream.stop(BUTTONS)

    messages = await writer.messages()
    assert len(messages) == 2
    assert said(messages) == SENTENCE * 6
    assert endings(messages) == [False, True]
    assert [task["status"] for message in messages for task in message["tasks"]] == ["complete", "complete"]


async def test_what_slack_did_not_take_any_more_is_in_the_next_message_and_nothing_is_said_twice(
    writer: Writer,
) -> None:
    await writer.stream.append(SENTENCE)
    await writer.stream.append("a few words ")  # not sent yet
    await writer.town.post("faults", end_streams=True)
    await writer.stream.append(SENTENCE)
    last = await writer.stream.stop(BUTTONS)

    messages = await writer.messages()
    assert said(messages) == f"{SENTENCE}a few words {SENTENCE}"
    assert len(messages) == 2
    assert messages[-1]["ts"] == last


async def test_a_stream_that_slack_gave_up_before_the_end_gets_its_buttons_and_its_last_words_all_the_same(
    writer: Writer,
) -> None:
    await writer.stream.append(SENTENCE)
    await writer.stream.append("The end.")
    await writer.town.post("faults", end_streams=True)
    last = await writer.stream.stop(BUTTONS)

    (message,) = await writer.messages()
    assert message["ts"] == last
    assert said([message]) == f"{SENTENCE}The end."
    assert message["blocks"][-1]["type"] == "context"
    assert not message["streaming"]


async def test_where_that_message_cannot_be_written_anew_the_rest_comes_in_one_more(writer: Writer) -> None:
    await writer.stream.append('"' * 10_000)  # as JSON more than Slack takes in blocks
    await writer.stream.append("The end.")
    await writer.town.post("faults", end_streams=True)
    last = await writer.stream.stop(BUTTONS)

    first, second = await writer.messages()
    assert said([first, second]) == '"' * 10_000 + "The end."
    assert endings([first, second]) == [False, True]
    assert second["ts"] == last
    assert writer.begun == [first["ts"], last]


async def test_after_somebody_pressed_stop_no_new_message_is_begun(connected_bot: Bot, writer: Writer) -> None:
    await writer.stream.append(SENTENCE)
    await connected_bot.client.agents_sessions_setStatus(channel_id=ASK, thread_ts=writer.thread, status="processing")
    await writer.town.post("stop", user=ADA, channel=ASK, thread_ts=writer.thread)
    await writer.stream.append(SENTENCE)
    await writer.stream.stop(BUTTONS, "(stopped)")

    (message,) = await writer.messages()
    assert writer.answer.stopped.is_set()
    assert said([message]) == f"{SENTENCE}{SENTENCE}(stopped)"


async def test_nobody_is_mentioned_by_what_a_model_says(writer: Writer) -> None:
    for piece in ("Ask <", "@UPRIYA> or <!chan", "nel>, ", "x" * FLUSH):
        await writer.stream.append(piece)
    await writer.stream.stop(BUTTONS)

    (message,) = await writer.messages()
    assert message["text"].startswith("Ask &lt;@UPRIYA> or &lt;!channel>, ")


async def test_an_answer_of_nothing_still_has_its_buttons(writer: Writer) -> None:
    last = await writer.stream.stop(BUTTONS)
    (message,) = await writer.messages()
    assert (message["ts"], endings([message])) == (last, [True])
