"""Nobody's share, and no topic's, is greater than the policy allows; what is cut is named."""

from collections import Counter
from dataclasses import replace

from governance.policy import CurationRules
from learning.curation import build_snapshot
from learning.curation.balance import cap
from tests.learning.curation.said import Said, later, left_out, vote

STRICT = CurationRules(max_person_share=0.4, cap_from=3, always_kept=2, max_topic_share=1.0)


def rules_of(person: str, count: int, topic: str = "zebra", start: int = 0) -> list[Said]:
    return [
        Said(f"{person}{number:03}", person, question=f"Which {topic} has {person}{number}?", text=f"Number {number}.",
             created_at=later(number))
        for number in range(start, start + count)
    ]  # fmt: skip


def test_one_person_s_share_is_kept_to_the_policy_s_and_the_oldest_stay() -> None:
    said = [*rules_of("ada", 30), *rules_of("bo", 3), *rules_of("cy", 3)]
    snapshot = build_snapshot(said, STRICT)

    assert snapshot.shares() == {"ada": 0.4, "bo": 0.3, "cy": 0.3}
    assert {row.feedback_ids[0] for row in snapshot.rows if "ada" in row.person_ids} == {
        f"ada{number:03}" for number in range(4)
    }
    assert left_out(snapshot) == {f"ada{number:03}": "person_share" for number in range(4, 30)}
    assert {pair.feedback_ids for pair in snapshot.pairs} == {row.feedback_ids for row in snapshot.rows}


def test_people_who_keep_saying_the_same_have_one_share_together_and_those_who_agree_once_do_not() -> None:
    both = [replace(each, id=f"eve too {each.id}", person_id="eve") for each in rules_of("mallory", 30)]
    others = [*rules_of("bo", 3), *rules_of("cy", 3)]
    snapshot = build_snapshot([*rules_of("mallory", 30), *both, *others], STRICT)

    kept = [row for row in snapshot.rows if row.person_ids == ("eve", "mallory")]
    assert len(kept) == 4
    assert set(left_out(snapshot).values()) == {"person_share"}

    agreed = [replace(each, id=f"eve too {each.id}", person_id="eve") for each in rules_of("mallory", 2)]
    assert len(build_snapshot([*rules_of("mallory", 2), *agreed, *others], STRICT).rows) == 8


def test_people_who_keep_liking_the_same_have_one_share_together_and_others_still_count_as_many() -> None:
    liked = [
        vote(f"{person}{number}", "up", f"Lie {number}", person, question=f"What is lie {number}?")
        for person in ("mallory", "eve", "trudy")
        for number in range(20)
    ]
    honest = [
        vote(f"{person}{number}", "up", f"{person} {number}", person, question=f"What is {person} {number}?")
        for person in ("bo", "cy")
        for number in range(6)
    ]
    snapshot = build_snapshot([*liked, *honest], STRICT)

    assert sum(thumb.answer.startswith("Lie") for thumb in snapshot.thumbs) == 8
    assert sum(not thumb.answer.startswith("Lie") for thumb in snapshot.thumbs) == 12


def test_what_only_people_of_one_named_group_say_has_the_group_s_share() -> None:
    sales = [said for person in ("T1/U1", "T1/U2", "T1/U3") for said in rules_of(person, 6)]
    both = [replace(each, id=f"too {each.id}", person_id="T1/U2") for each in sales[:6]]
    others = [said for person in ("bo", "cy", "di") for said in rules_of(person, 2)]
    rules = CurationRules(
        groups={"sales": ["U1", "T1/U2", "U3"]}, max_group_share=0.4, cap_from=3, always_kept=2, max_person_share=1.0
    )

    snapshot = build_snapshot([*sales, *both, *others], rules)

    assert sum(person.startswith("T1/") for row in snapshot.rows for person in row.person_ids[:1]) == 4
    assert len(snapshot.rows) == 10
    assert set(left_out(snapshot).values()) == {"group_share"}
    agreed = [replace(each, id=f"bo too {each.id}", person_id="bo") for each in sales]
    assert len(build_snapshot([*sales, *agreed, *others], rules).rows) == 24
    assert len(build_snapshot([*sales, *others], rules.model_copy(update={"groups": {}})).rows) == 24


def test_votes_of_a_named_group_have_its_share_too() -> None:
    votes = [
        vote(f"{person}{number}", "up", f"{person} {number}", person, question=f"What is {person} {number}?")
        for person in ("ada", "eve", "bo", "cy")
        for number in range(6)
    ]
    rules = CurationRules(groups={"sales": ["ada", "eve"]}, max_group_share=0.25, cap_from=3, always_kept=2)

    assert build_snapshot(votes, rules).manifest["left_out"] == {"group_share": 8}


def test_where_few_contribute_nobody_is_cut() -> None:
    snapshot = build_snapshot([*rules_of("ada", 30), *rules_of("bo", 1)], STRICT)

    assert len(snapshot.rows) == 31


def test_the_packaged_shares_leave_everybody_a_hundred() -> None:
    few = [said for person in ("bo", "cy", "di", "ed") for said in rules_of(person, 2)]
    snapshot = build_snapshot([*rules_of("ada", 150), *few])

    assert Counter(person for row in snapshot.rows for person in row.person_ids)["ada"] == 100


def test_what_several_say_or_a_reviewer_accepted_is_not_one_person_s_and_stays() -> None:
    said = [*rules_of("ada", 30), *rules_of("bo", 3), *rules_of("cy", 3)]
    agreed = [Said(f"too-{each.id}", f"by {each.id}", question=each.question, text=each.text) for each in said[10:20]]
    vouched = [
        Said(each.id, "ada", question=each.question, text=each.text, reviewed_at=later(99)) for each in said[20:30]
    ]
    snapshot = build_snapshot([*said[:20], *agreed, *vouched, *said[30:]], STRICT)

    learned = {each for row in snapshot.rows for each in row.feedback_ids}
    assert {each.id for each in said[10:30]} <= learned


def test_what_is_left_of_a_person_who_is_cut_is_spread_over_their_topics() -> None:
    said = [*rules_of("ada", 40, "zebra"), *rules_of("ada", 5, "tiger", start=50)]
    others = [*rules_of("bo", 8, "tapir"), *rules_of("cy", 8, "tapir")]
    snapshot = build_snapshot([*said, *others], STRICT)

    topics = Counter(row.topic for row in snapshot.rows if row.person_ids == ("ada",))
    assert topics == {"zebra": 5, "tiger": 5}


def test_one_topic_s_share_is_kept_to_the_policy_s() -> None:
    rules = CurationRules(max_topic_share=0.5, cap_from=2, always_kept=1, max_person_share=1.0)
    said = [*rules_of("ada", 6, "zebra"), *rules_of("ada", 3, "tiger", 10), *rules_of("bo", 3, "tapir", 20)]

    snapshot = build_snapshot(said, rules)

    assert snapshot.manifest["topics"] == {"zebra": 6, "tapir": 3, "tiger": 3}
    more = build_snapshot([*said, *rules_of("bo", 4, "zebra", 30)], rules)
    assert more.manifest["topics"]["zebra"] <= len(more.rows) / 2
    assert set(left_out(more).values()) <= {"topic_share"}


def test_one_person_s_votes_are_kept_to_the_policy_s_share_too() -> None:
    votes = [
        vote(f"{person}{number}", "up", f"{person} {number}", person, question=f"What is {person} {number}?")
        for person, count in (("ada", 20), ("bo", 3), ("cy", 3))
        for number in range(count)
    ]
    snapshot = build_snapshot(votes, STRICT)

    assert sum(thumb.feedback_ids[0].startswith("ada") for thumb in snapshot.thumbs) == 4
    assert snapshot.manifest["left_out"] == {"person_share": 16}


def test_the_cap_is_the_largest_that_keeps_the_share() -> None:
    for own in ([10, 3, 3], [9, 9, 1], [50, 40, 30, 1], [7, 7, 7]):
        for others in (0, 4):
            held: dict[str | None, int] = {f"p{place}": count for place, count in enumerate(own)}
            most = cap(held | {None: others}, "person", STRICT)
            kept = [min(count, most) if most else count for count in own]
            share = max(kept) / (others + sum(kept))
            assert share <= 0.4 or most == STRICT.always_kept
            if most and most > STRICT.always_kept:
                more = [min(count, most + 1) for count in own]
                assert max(more) / (others + sum(more)) > 0.4
