"""Each piece of feedback is in the snapshot's records, or is named with the rule that left it out."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from governance.policy import CurationRules
from learning.curation import build_snapshot
from tests.learning.curation.said import Said, later, left_out, named

QUESTIONS = ["Where is the kiln?", "where's our kiln", "Who leads accessibility?", "Who leads accesibility?", " "]
ANSWERS = ["In hall Ash.", "in hall ash", "In hall Oak.", "Mira.", "", "Where is the kiln"]
RULES = CurationRules(
    max_person_share=0.3,
    cap_from=2,
    always_kept=1,
    max_topic_share=0.5,
    groups={"potters": ["ada", "bo"]},
    max_group_share=0.4,
)

feedback = st.builds(
    Said,
    id=st.just(""),
    person_id=st.sampled_from(["ada", "bo", "cy", "di"]),
    kind=st.sampled_from(["up", "down", "correction", "preference"]),
    question=st.sampled_from(QUESTIONS),
    answer=st.sampled_from(ANSWERS),
    text=st.sampled_from(ANSWERS),
    private=st.booleans(),
    created_at=st.integers(0, 5).map(later),
    review_reason=st.sampled_from([None, "contradiction", "private"]),
    reviewed_at=st.sampled_from([None, later(1), later(2)]),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(feedback, max_size=14), st.randoms(use_true_random=False))
def test_everything_is_accounted_for_in_any_order(items: list[Said], source: object) -> None:
    said = [Said(**{**vars(item), "id": f"f{place:02}"}) for place, item in enumerate(items)]
    snapshot = build_snapshot(said, RULES)

    assert named(snapshot) | left_out(snapshot).keys() == {item.id for item in said}
    assert not named(snapshot) & left_out(snapshot).keys()
    assert len(snapshot.left_out) == len(left_out(snapshot))
    contested = {each for contradiction in snapshot.contradictions for each in contradiction.feedback_ids}
    assert all(left_out(snapshot)[each] == "contradiction" for each in contested)
    assert Counter(each.rule for each in snapshot.left_out) == snapshot.manifest["left_out"]
    source.shuffle(said)  # type: ignore[attr-defined]
    assert build_snapshot(said, RULES).digest == snapshot.digest
