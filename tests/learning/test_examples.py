"""What is chosen for a question: by the database of the moment, for whoever asks, never by a mere likeness."""

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from learning.accepted import Known
from learning.curation import Row, Snapshot, write_snapshot
from learning.examples import Choice, WorkedExamples, messages_with_examples
from learning.lexical import LexicalIndex
from learning.prompts import build_messages, prompt_digest
from learning.same_question import is_same_question
from learning.taught import TaughtFeedback
from storage.artifacts import ArtifactStore
from storage.database import Database
from storage.feedback import Feedback
from storage.settings import ExamplesSettings
from tests.governance.installation import APPROVER, EXPERT, OTHER, STARTER, Installation

PORT, PORT_ANSWER = "What port does the billing service listen on?", "Billing listens on port 7443."
WAREHOUSE, WAREHOUSE_ANSWER = "What is the data warehouse called?", "The data warehouse is called Larder."


def letters(texts: Sequence[str]) -> NDArray[np.float32]:
    """Compare texts by their runs of three letters: no language model, but alike texts are alike."""
    vectors = np.full((len(texts), 512), 1e-6, dtype=np.float32)
    for row, text in enumerate(texts):
        for start in range(len(text) - 2):
            vectors[row, zlib.crc32(text[start : start + 3].lower().encode()) % 512] += 1
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
def house(sqlite_database: Database, tmp_path: Path) -> Installation:
    return Installation(sqlite_database, tmp_path)


@pytest.fixture
def examples(house: Installation) -> WorkedExamples:
    return WorkedExamples(house.database, letters, ExamplesSettings(), taught(house))


def taught(house: Installation) -> TaughtFeedback:
    return TaughtFeedback(house.database, ArtifactStore(house.folder / "artifacts"))


def correct(house: Installation, question: str, text: str, *, by: str = EXPERT, private: bool = False) -> Feedback:
    return house.governance.record_feedback(
        workspace_id="T1",
        person_id=by,
        kind="correction",
        question=question,
        answer="no idea",
        text=text,
        source="test",
        private=private,
    )


def test_the_next_question_gets_the_accepted_answer_and_whose_it_is(
    house: Installation, examples: WorkedExamples
) -> None:
    assert examples.choose(PORT, "T1") == Choice("model")

    stored = correct(house, PORT, PORT_ANSWER)
    choice = examples.choose("what port does the billing service listen on", "T1")

    assert choice.how == "accepted"
    assert [(known.answer, known.person_ids) for known in choice.known] == [(PORT_ANSWER, (EXPERT,))]
    assert choice.record()["feedback"] == [stored.id]


def test_a_question_like_it_gets_the_correction_together_with_the_question_that_it_answers(
    house: Installation, examples: WorkedExamples
) -> None:
    correct(house, PORT, PORT_ANSWER)

    choice = examples.choose("What port does the search service listen on?", "T1")

    assert choice.how == "quoted"
    assert choice.answer is not None
    assert PORT in choice.answer
    assert PORT_ANSWER in choice.answer


def test_what_the_serving_adapter_learned_it_is_asked_unless_the_very_question_comes(
    house: Installation,
) -> None:
    learned = correct(house, PORT, PORT_ANSWER)
    store = ArtifactStore(house.folder / "artifacts")
    row = Row(PORT, PORT_ANSWER, (learned.id,), (EXPERT,), private=False)
    snapshot = store.publish(lambda folder: write_snapshot(Snapshot((row,), (), {}), folder))
    run = house.governance.queue_run(started_by=STARTER, recipe="default", base_digest="base")
    house.governance.start_run(run.id, snapshot, 1, {})
    house.governance.register_adapter(run.id, "a" * 64, "base", None, snapshot)
    examples = WorkedExamples(house.database, letters, ExamplesSettings(), TaughtFeedback(house.database, store))
    like_it, adapter = "What port does the search service listen on?", "a" * 64
    assert examples.choose(like_it, "T1").how == "quoted"

    assert examples.choose(like_it, "T1", adapter=adapter).how == "model"
    assert examples.choose(PORT, "T1", adapter=adapter).how == "accepted"

    correct(house, PORT, "Billing listens on port 9000.")  # newer than what the adapter learned
    assert examples.choose(like_it, "T1", adapter=adapter).how != "model"
    assert examples.choose(like_it, "T1").how != "model"


def test_corrections_that_fit_about_as_well_are_shown_to_the_model_the_best_one_last(
    house: Installation, examples: WorkedExamples
) -> None:
    correct(house, PORT, PORT_ANSWER)
    correct(house, PORT.replace("billing", "checkout"), "Checkout listens on port 7444.")
    question = "What port does the search service listen on?"

    choice = examples.choose(question, "T1")

    assert (choice.how, choice.answer) == ("examples", None)
    assert {known.answer for known in choice.known} == {PORT_ANSWER, "Checkout listens on port 7444."}
    messages = messages_with_examples(question, "Be brief.", choice.known)
    assert messages[-3:] == [
        {"role": "user", "content": choice.known[0].question},
        {"role": "assistant", "content": choice.known[0].answer},
        {"role": "user", "content": question},
    ]


def test_a_question_that_nothing_fits_leaves_the_prompt_as_it_was(
    house: Installation, examples: WorkedExamples
) -> None:
    correct(house, PORT, PORT_ANSWER)

    choice = examples.choose("Why are bananas yellow?", "T1")

    assert choice == Choice("model")
    plain = build_messages("Why are bananas yellow?", "Be brief.")
    assert messages_with_examples("Why are bananas yellow?", "Be brief.", choice.known) == plain


def test_what_waits_for_review_is_not_used_before_it_is_accepted(house: Installation, examples: WorkedExamples) -> None:
    house.use_policy(feedback={"corrections_need_review": True, "reviewers": ["*"]})
    waiting = correct(house, PORT, PORT_ANSWER)
    assert examples.choose(PORT, "T1").how == "model"

    house.governance.review_feedback(waiting.id, APPROVER, accept=True)

    assert examples.choose(PORT, "T1").how == "accepted"


def test_a_later_correction_replaces_the_answer(house: Installation, examples: WorkedExamples) -> None:
    correct(house, PORT, PORT_ANSWER)
    examples.choose(PORT, "T1")

    correct(house, PORT, "Billing listens on port 8000.")

    assert examples.choose(PORT, "T1").known[0].answer == "Billing listens on port 8000."


def test_private_corrections_serve_their_author_alone_and_only_in_private(
    house: Installation, examples: WorkedExamples
) -> None:
    correct(house, PORT, PORT_ANSWER, private=True)

    assert examples.choose(PORT, "T1", alone_with=EXPERT).how == "accepted"
    assert examples.choose(PORT, "T1", alone_with=OTHER).how == "model"
    assert examples.choose(PORT, "T1").how == "model"


def test_an_authors_own_private_answer_goes_before_the_public_one(
    house: Installation, examples: WorkedExamples
) -> None:
    correct(house, PORT, PORT_ANSWER)
    correct(house, PORT, "Port 1, on my machine.", by=OTHER, private=True)

    assert examples.choose(PORT, "T1", alone_with=OTHER).known[0].answer == "Port 1, on my machine."
    assert examples.choose(PORT, "T1", alone_with=EXPERT).known[0].answer == PORT_ANSWER


def test_another_workspace_sees_nothing_of_it(house: Installation, examples: WorkedExamples) -> None:
    correct(house, PORT, PORT_ANSWER)

    assert examples.choose(PORT, "T2", alone_with=EXPERT).how == "model"


def test_switched_off_it_never_looks(house: Installation) -> None:
    correct(house, PORT, PORT_ANSWER)

    assert (
        WorkedExamples(house.database, letters, ExamplesSettings(enabled=False), taught(house)).choose(PORT, "T1").how
        == "model"
    )


def test_the_prompts_digest_covers_the_examples(house: Installation, examples: WorkedExamples) -> None:
    correct(house, WAREHOUSE, WAREHOUSE_ANSWER)
    known = examples.choose(WAREHOUSE, "T1").known

    with_example = messages_with_examples("name of our data warehouse?", "Be brief.", known)

    assert any(WAREHOUSE_ANSWER in message["content"] for message in with_example)
    assert prompt_digest(with_example) != prompt_digest(messages_with_examples("name of our data warehouse?", "", ()))


@pytest.mark.parametrize(
    ("asked", "same"),
    [
        ("what port does the billing service listen on", True),
        ("billing service: which port does it listen on?", True),
        ("What port does the search service listen on?", False),
        ("Who does the billing service listen to on port 1?", False),
        ("Why does the billing service listen on a port?", False),
        ("what is a port?", False),
        ("what is billing?", False),
        ("", False),
    ],
)
def test_only_the_same_question_gets_the_answer_itself(asked: str, same: bool) -> None:  # noqa: FBT001
    assert is_same_question(asked, Known(PORT, PORT_ANSWER, (), ())) is same


def test_words_are_found_under_other_endings_and_other_names() -> None:
    index = LexicalIndex()
    index.add("How long do we keep audit logs?", "Audit logs are kept for 400 days.")
    index.add("What is the laptop refresh cycle?", "Laptops are refreshed every 42 months.")

    assert index.coverage("new notebook?").argmax() == 1
    assert index.coverage("retention of the audit log").argmax() == 0
    assert index.coverage("keeping").tolist() == [1.0, 0.0]
    assert index.coverage("").tolist() == [0.0, 0.0]
