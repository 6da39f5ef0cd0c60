"""The home tab as blocks. Pure: what one person may know goes in, a view comes out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.slack import blocks, names
from bot.slack.my_data import data_button
from bot.slack.overview import Overview, counted, proposal_line, serving_text, training_text
from storage.feedback import WAITING, Said, Votes
from storage.proposals import Proposal

SHOWN = 5
"""Of each kind of thing that waits; of what was learned, twice as many."""
QUESTION_LIMIT = 200

Links = Mapping[str, str | None]


@dataclass(frozen=True)
class Review:
    """A correction that waits for review: its question, and where it was answered; empty where that is private."""

    question: str
    channel: str
    answer_ts: str


@dataclass(frozen=True)
class Contributions:
    """What a person said, and how many of their corrections the adapter learned that answers now."""

    said: list[Said]
    live: int


@dataclass(frozen=True)
class Page:
    """What one person sees; `pinned` says what answers them because of a pin, as mrkdwn, and is empty without one."""

    overview: Overview
    votes: Votes
    adapter_votes: Votes | None
    learned: list[str]
    decisions: list[Proposal]
    reviews: list[Review]
    mine: Contributions
    wants_news: bool
    pinned: str = ""


def home_view(page: Page, links: Links) -> dict[str, Any]:
    """Give the view; `links` has the addresses of messages, by their ts."""
    return {
        "type": "home",
        "blocks": [
            blocks.header("Apprentice"),
            blocks.section(f"*Answering now*\n{serving_text(page.overview)}\n{_rates(page)}"),
            *([blocks.section(page.pinned)] if page.pinned else []),
            *_waiting(page, links),
            {"type": "divider"},
            *_learned(page.learned),
            blocks.section(f"*What you gave*\n{_mine(page.mine)}"),
            _news_box(wanted=page.wants_news),
            data_button(),
            {"type": "divider"},
            blocks.section(f"*Training*\n{training_text(page.overview)}"),
            blocks.context(
                "Ask me in *Messages*, or mention me in a channel. Under each answer, say whether it is good, or press "
                f"*Correct this* and write the right one. `{names.COMMAND} help` says what else I can do."
            ),
        ],
    }


def _rates(page: Page) -> str:
    text = f"Votes of the last 30 days: {_rate(page.votes)}."
    return text + (f" On this adapter's answers: {_rate(page.adapter_votes)}." if page.adapter_votes else "")


def _rate(votes: Votes) -> str:
    count = votes.up + votes.down
    return f"{votes.up / count:.0%} good ({votes.up:,} of {counted(count, 'vote')})" if count else "no votes yet"


def _waiting(page: Page, links: Links) -> blocks.Blocks:
    """Give what waits for this person; nothing when nothing does."""
    found = []
    if page.decisions:
        shown = [proposal_line(each, links.get(each.message_ts)) for each in page.decisions[:SHOWN]]
        found.append(_list("Waiting for your decision", shown, len(page.decisions) - SHOWN))
    if page.reviews:
        shown = [_review(each, links.get(each.answer_ts)) for each in page.reviews[:SHOWN]]
        found.append(_list("Waiting for your review", shown, len(page.reviews) - SHOWN))
    return [blocks.section(text) for text in found]


def _review(review: Review, link: str | None) -> str:
    if not review.question:
        return "• a correction that not everybody may read"
    return f"• {_question(review.question)}" + (f" (<{link}|the answer>)" if link else "")


def _learned(questions: list[str]) -> blocks.Blocks:
    most = 2 * SHOWN
    shown = [f"• {_question(question)}" for question in questions[:most]]
    text = _list("Learned this week", shown, len(questions) - most) if shown else "*Learned this week*\nNothing yet."
    return [blocks.section(text)]


def _mine(mine: Contributions) -> str:
    if not mine.said:
        return "Nothing yet. When an answer is wrong, press *Correct this* under it."
    corrections = [each for each in mine.said if each.kind == "correction"]
    waiting = sum(each.number for each in corrections if each.state in WAITING)
    votes = sum(each.number for each in mine.said if each.kind != "correction")
    more = f", {waiting:,} waiting for review" if waiting else ""
    told = counted(sum(each.number for each in corrections), "correction")
    return f"{told}, {mine.live:,} of them live{more}. {counted(votes, 'vote')}."


def _news_box(*, wanted: bool) -> dict[str, Any]:
    option = {"text": blocks.plain("Tell me when my corrections go live"), "value": names.NEWS_WANTED}
    box = {"type": "checkboxes", "action_id": names.NEWS_ACTION, "options": [option]}
    return {"type": "actions", "elements": [box | ({"initial_options": [option]} if wanted else {})]}


def _list(title: str, lines: list[str], more: int) -> str:
    return "\n".join([f"*{title}*", *lines, *([f"and {more:,} more"] if more > 0 else [])])


def _question(question: str) -> str:
    return blocks.escape(blocks.clip(" ".join(question.split()), QUESTION_LIMIT))
