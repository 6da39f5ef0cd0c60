from learning.thesaurus import THESAURUS_FILE, Thesaurus, load_thesaurus

SMALL = Thesaurus([("laptop", "notebook"), ("how long", "for what time"), ("long", "lengthy"), ("do", "party")])


def test_the_longest_expression_at_a_place_is_found_once() -> None:
    text = "How long does a laptop last?"

    found = SMALL.find(text)

    assert [text[place.start : place.end] for place in found] == ["How long", "laptop"]
    assert [place.others for place in found] == [("for what time",), ("notebook",)]


def test_a_function_word_alone_is_never_an_expression() -> None:
    assert SMALL.find("What do I do?") == []


def test_an_expression_of_two_groups_has_the_others_of_both() -> None:
    both = Thesaurus([("order", "purchase"), ("order", "sequence")])

    assert both.find("order")[0].others == ("purchase", "sequence")


def test_every_line_of_the_list_is_a_group() -> None:
    groups = [line.split("|") for line in THESAURUS_FILE.read_text(encoding="utf-8").splitlines()]

    assert len(groups) > 3000
    assert all(len(group) > 1 and all(member.strip() for member in group) for group in groups)
    assert load_thesaurus().find("who do I ask about a new laptop?")
