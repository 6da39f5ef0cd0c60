import pytest

from bot.slack.manifest import manifest_text
from bot.slack.wording import COMMANDS, HoursError, Wish, help_text, meant, read_hours, read_wish


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("", Wish("help")),
        ("  \n", Wish("help")),
        ("STATUS", Wish("status")),
        (" help? ", Wish("help")),
        ("ask  What is  payday?", Wish("ask", "What is  payday?")),
        ("Ask:\nWhat is payday?", Wish("ask", "What is payday?")),
        ("my data", Wish("my-data")),
        ("MY_DATA", Wish("my-data")),
        ("pause 8", Wish("pause", "8")),
        ("Launch the kite", Wish("help", "the kite", unknown="Launch")),
    ],
)
def test_a_command_is_read_whatever_its_case_and_white_space(text: str, wish: Wish) -> None:
    assert read_wish(text) == wish


@pytest.mark.parametrize(("word", "command"), [("staus", "status"), ("Mydata", "my-data"), ("/help", "help")])
def test_a_word_that_comes_near_a_command_is_recognised(word: str, command: str) -> None:
    assert meant(word) == command


def test_a_word_that_comes_near_nothing_is_not_guessed_at() -> None:
    assert meant("umbrella") is None


@pytest.mark.parametrize(("text", "hours"), [("", None), ("8", 8.0), ("1,5h", 1.5), ("2.5 Hours", 2.5)])
def test_hours_are_read_as_people_write_them(text: str, hours: float | None) -> None:
    assert read_hours(text) == hours


@pytest.mark.parametrize("text", ["soon", "-3", "8 days", "inf", "1e3"])
def test_what_is_no_number_of_hours_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(HoursError, match="pause 8"):
        read_hours(text)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_and_manifest_name_every_command(command: str) -> None:
    assert f"`/apprentice {command}" in help_text()
    assert command in manifest_text()
