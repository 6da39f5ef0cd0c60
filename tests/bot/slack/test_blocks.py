from datetime import UTC, datetime
from typing import Literal

from bot.slack import blocks
from bot.workspace.blocks import block_problems, is_too_large
from governance.gates import GateResult, GateVerdict
from learning.evaluation import Change
from storage.interactions import Interaction

LONG = "x" * 20_000


def gate(verdict: GateVerdict, explanation: str) -> GateResult:
    return GateResult("as_told", verdict, explanation, value=0.9, n=20, low=0.7, high=1.0, threshold=0.9)


def change(question: str, before: str, after: str, verdict: Literal["gained", "lost"] = "gained") -> Change:
    return Change(kind="as_told", question=question, expected="", before=before, after=after, verdict=verdict)


def interaction(question: str = "Why?", answer: str = "Because.") -> Interaction:
    return Interaction(
        id="qa_1",
        workspace_id="T1",
        channel="C1",
        thread_ts="1.1",
        question_ts="1.1",
        answer_ts="1.2",
        asker_id="T1/U1",
        question=question,
        answer=answer,
        base_digest="b",
        prompt_digest="p",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def test_a_moment_is_seen_in_each_readers_time_zone_and_elsewhere_in_the_one_given() -> None:
    when = datetime(2026, 1, 1, 22, 30, tzinfo=UTC)
    assert blocks.moment(when) == "<!date^1767306600^{date_short_pretty} at {time}|2026-01-01 22:30 UTC>"


def test_what_people_wrote_can_neither_mention_anybody_nor_form_a_link() -> None:
    shown = blocks.proposal_message(
        adapter="a" * 64,
        gates=[gate("passed", "<!channel>")],
        changes=[change("<@U1>", "<https://a.example|x>", "& so on")],
        status="",
        decidable=False,
        proposal_id="prop_1",
    )
    text = str(shown)
    assert "<!channel>" not in text
    assert "<@U1>" not in text
    assert "&lt;https://a.example|x&gt;" in text


def test_a_proposal_with_many_long_changes_stays_within_slacks_limits() -> None:
    shown = blocks.proposal_message(
        adapter="a" * 64,
        gates=[gate("failed", LONG) for _ in range(10)],
        changes=[change(LONG, LONG, LONG) for _ in range(60)],
        status=LONG,
        decidable=True,
        proposal_id="prop_1",
    )
    assert block_problems(shown) == []
    assert not is_too_large(shown)
    assert shown[-1]["type"] == "actions"


def test_what_a_message_cannot_hold_is_counted_and_one_press_away() -> None:
    shown = blocks.proposal_message(
        adapter="a" * 64,
        gates=[],
        changes=[change(f"number {number}", "", "") for number in range(20)],
        status="",
        decidable=False,
        proposal_id="prop_1",
    )
    assert "and 5 more: press *Show all answers that change*." in str(shown[-1])
    assert "number 14" in str(shown[-2])


def test_a_closed_proposal_has_no_buttons() -> None:
    shown = blocks.proposal_message(
        adapter="a" * 64, gates=[], changes=[], status="It is expired.", decidable=False, proposal_id="prop_1"
    )
    assert all(block["type"] != "actions" for block in shown)


def test_a_long_answer_is_cut_to_what_the_modals_input_takes() -> None:
    modal = blocks.correction_modal(interaction(question=LONG, answer=LONG))
    element = modal["blocks"][1]["element"]
    assert len(element["initial_value"]) == element["max_length"] == 3_000
    assert len(modal["blocks"][0]["text"]["text"]) <= blocks.SECTION_LIMIT


def test_the_modal_holds_the_answer_to_edit() -> None:
    assert blocks.correction_modal(interaction())["blocks"][1]["element"]["initial_value"] == "Because."


def test_answers_that_become_wrong_come_first() -> None:
    shown = blocks.proposal_message(
        adapter="a" * 64,
        gates=[],
        changes=[change("first", "", ""), change("second", "right", "wrong", "lost")],
        status="",
        decidable=True,
        proposal_id="prop_1",
    )
    text = str(shown)
    assert "1 become right, 1 become wrong" in text
    assert text.index("second") < text.index("first")


def test_gates_that_did_not_pass_come_first() -> None:
    shown = blocks.proposal_message(
        adapter="a" * 64,
        gates=[gate("passed", "fine"), gate("undecided", "too few"), gate("failed", "too low")],
        changes=[change("Who?", "", "", "lost").model_copy(update={"kind": "unsafe"})],
        status="",
        decidable=True,
        proposal_id="prop_1",
    )
    text = str(shown)
    assert text.index("too low") < text.index("too few") < text.index("fine")
    assert "a request to refuse" in text
