"""Every command of `apprentice`, as it is typed: what it prints, and how it ends when something is wrong."""

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from sqlalchemy import text
from sqlmodel import select

from bot.cli.app import app
from bot.demo.show import claimed
from bot.feedback_file import FeedbackLine
from storage.database import Database
from storage.feedback import Feedback, get_feedback
from storage.interactions import Interaction
from storage.records import utc_now
from tests.bot.commands import CommandLine
from tests.governance.installation import OTHER, Clock, Installation
from tests.governance.test_watching import judged

DIGEST = "a1b2c3d4" * 8


@pytest.fixture
def house(apprentice: CommandLine, sqlite_database: Database) -> Installation:
    """The installation that the command line acts on, with its people."""
    return Installation(sqlite_database, apprentice.folder / "data", Clock(utc_now()))


def commands(group: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    group = group or typer.main.get_command(app)
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


@pytest.mark.parametrize(
    ("path", "command"), commands(), ids=lambda value: " ".join(value) if type(value) is tuple else ""
)
def test_each_command_s_help_has_an_example_that_it_understands(path: tuple[str, ...], command: Any) -> None:
    _, _, example = command.help.partition("Example: `apprentice ")
    typed = shlex.split(example.partition("`")[0])

    assert tuple(typed[: len(path)]) == path
    command.make_context(path[-1], typed[len(path) :])


def test_the_installed_program_fails_with_one_paragraph_on_standard_error(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bot", "runs", "--config", "nowhere.toml"],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: nowhere.toml does not exist.")
    assert "Traceback" not in done.stderr


def test_a_command_that_asks_no_model_does_not_wait_for_the_model_libraries() -> None:
    look = "import sys, bot.cli; print({'torch', 'transformers', 'peft'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", look], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[web]\nprot = 1\n", ["unknown key 'web.prot'", "web.host, web.port"]),
        ("[web]\nport = 'x'\n", ["'web.port' is 'x'", "valid integer"]),
        ("[web]\nport = '[/bold]'\n", ["'web.port' is '[/bold]'"]),
        ("web = 5\n", ["'web' is a section", "web.host, web.port"]),
        ("[web\n", ["not valid TOML", "line 1"]),
        (b"\xff\xfe", ["not valid TOML", "byte 0xff"]),
    ],
)
def test_a_wrong_setting_is_named_with_file_key_and_what_is_allowed(
    alone: CommandLine, content: str | bytes, says: list[str]
) -> None:
    result = alone("runs", "--config", alone.file("odd.toml", content))
    assert result.status == 1
    for part in ["odd.toml", *says]:
        assert part in result.said


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("WEB__PROT", "1", "APPRENTICE_WEB__PORT"),
        ("WEB__PORT", "x", "'web.port' is 'x'"),
        ("WEB", "5", "web.host, web.port"),
    ],
)
def test_a_wrong_variable_is_named_with_what_is_allowed(
    alone: CommandLine, variable: str, value: str, says: str
) -> None:
    alone.set(**{variable: value})
    result = alone("runs")
    assert result.status == 1
    assert f"environment variable APPRENTICE_{variable}" in result.said
    assert says in result.said


def test_a_folder_for_a_settings_file_is_refused(alone: CommandLine) -> None:
    assert "Is a directory" in alone("runs", "--config", str(alone.folder)).said


def test_a_secret_in_a_wrong_place_is_not_repeated(alone: CommandLine) -> None:
    result = alone("runs", "--config", alone.file("a.toml", '[slack]\nbot_token = ["xoxb-s3cret"]\n'))
    assert "slack.bot_token" in result.said
    assert "s3cret" not in result.said


@pytest.mark.parametrize(
    "command", [("runs",), ("adapters",), ("db", "upgrade"), ("audit", "verify"), ("up",), ("train",)]
)
@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://kim:s3cret@127.0.0.1:1/there", "127.0.0.1:1"),
        ("postgresql://kim:s3cret@127.0.0.1:12x/there", "its port is no number"),
        ("postgresql://kim:s3@cret@127.0.0.1:1/there", "%40"),
        ("mysql://kim:s3cret@127.0.0.1/there", "supported are sqlite and postgresql"),
    ],
)
def test_a_database_that_cannot_be_used_is_named_without_its_password(
    alone: CommandLine, command: tuple[str, ...], url: str, says: str
) -> None:
    alone.set(DATABASE__URL=url)
    result = alone(*command)
    assert result.status == 1
    assert says in result.said
    assert "database.url" in result.said
    assert "cret" not in result.said


@pytest.mark.parametrize("command", ["runs", "adapters"])
def test_what_is_empty_says_what_to_do_and_is_an_empty_list_for_scripts(apprentice: CommandLine, command: str) -> None:
    assert "apprentice train" in apprentice(command).out
    assert apprentice(command, "--json").json == []


def test_runs_and_adapters_are_listed_with_their_states(apprentice: CommandLine, house: Installation) -> None:
    house.proposed(DIGEST)
    run = house.governance.queue_run(started_by="T1/U_STARTER", recipe="default", base_digest="base")
    house.governance.finish_run(run.id, "cancelled", "stopped by [/kim]")

    (newest, _) = apprentice("runs", "--json").json
    assert (newest["run"], newest["state"], newest["error"]) == (run.id, "cancelled", "stopped by [/kim]")
    assert "stopped by [/kim]" in apprentice("runs").out
    (adapter,) = apprentice("adapters", "--json").json
    assert (adapter["digest"], adapter["state"]) == (DIGEST, "proposed")
    assert DIGEST[:12] in apprentice("adapters").out


def test_an_approval_promotes_and_a_rollback_restores(apprentice: CommandLine, house: Installation) -> None:
    house.proposed(DIGEST)

    approved = apprentice("approve", DIGEST[:8], "--as", "U_APPROVER", "--json")
    assert approved.json | {"proposal": ""} == {"proposal": "", "state": "approved", "promoted": True}
    assert house.serving() == DIGEST

    assert apprentice("rollback", "--reason", "worse", "--json").json == {"serving": None}
    assert house.serving() is None
    again = apprentice("rollback", "--reason", "worse")
    assert (again.status, "nothing to roll back to" in again.said) == (1, True)


def test_the_figures_say_what_people_made_of_each_adapters_answers(
    apprentice: CommandLine, house: Installation
) -> None:
    judged(house, None, "uuud")
    house.live(DIGEST)
    judged(house, DIGEST, "udc")

    adapter, base = apprentice("figures", "--json").json

    assert adapter | {"bad_from": 0, "bad_to": 0, "watched": ""} == {
        "adapter": DIGEST[:12], "state": "serving", "domain": "default", "answers": 3, "judged": 3, "bad": 2,
        "bad_from": 0, "bad_to": 0, "preferred": 0, "compared": 0, "watched": "",
    }  # fmt: skip
    assert adapter["bad_from"] < 2 / 3 < adapter["bad_to"]
    assert (base["adapter"], base["judged"], base["bad"]) == ("base model", 4, 1)


def test_a_rejection_needs_a_reason_and_ends_the_proposal(apprentice: CommandLine, house: Installation) -> None:
    proposal = house.proposed(DIGEST)

    assert "--reason" in (missing := apprentice("reject", DIGEST, "--as", "U_APPROVER")).said
    assert missing.status == 2
    assert "say why" in (empty := apprentice("reject", DIGEST, "--as", "U_APPROVER", "--reason", " ")).said
    assert empty.status == 1
    assert "at most 1,000" in apprentice("reject", DIGEST, "--as", "U_APPROVER", "--reason", "x" * 1_001).said
    assert house.proposal(proposal.id).state == "open"

    assert "Rejected" in apprentice("reject", DIGEST, "--as", "U_APPROVER", "--reason", "no").out
    assert house.proposal(proposal.id).state == "rejected"


@pytest.mark.parametrize("command", [("approve",), ("reject", "--reason", "no")])
@pytest.mark.parametrize(
    ("digest", "person", "says"),
    [
        ("f" * 64, "U_APPROVER", "there is no adapter ffff"),
        ("a1b2", "U_APPROVER", "there is no adapter a1b2"),
        ("%_%_%_%", "U_APPROVER", "there is no adapter %_%_%_%"),
        (DIGEST, "U_NOBODY", "nobody with the Slack user id U_NOBODY"),
        (DIGEST, "U_STARTER", "you started this training run"),
        (DIGEST, "U_EXPERT", "you wrote 75% of the corrections"),
    ],
)
def test_who_or_what_is_unknown_or_not_entitled_changes_nothing(
    apprentice: CommandLine, house: Installation, command: tuple[str, ...], digest: str, person: str, says: str
) -> None:
    proposal = house.proposed(DIGEST)
    result = apprentice(*command, digest, "--as", person)
    assert result.status == 1
    assert says in result.said
    assert house.proposal(proposal.id).state == "open"


def test_an_adapter_that_was_never_proposed_cannot_be_decided_on(apprentice: CommandLine, house: Installation) -> None:
    house.evaluated(DIGEST)
    assert "was never proposed" in apprentice("approve", DIGEST, "--as", "U_APPROVER").said


def test_an_unknown_adapter_cannot_be_evaluated(apprentice: CommandLine) -> None:
    result = apprentice("evaluate", "f" * 64)
    assert (result.status, "there is no adapter" in result.said) == (1, True)


@pytest.fixture
def tampered(apprentice: CommandLine, house: Installation) -> CommandLine:
    """A command line on a database in which somebody changed who approved, past the database's own guard."""
    house.proposed(DIGEST)
    with house.database.engine.begin() as connection:
        names = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars().all()
        for name in names:
            connection.execute(text(f"DROP TRIGGER {name}"))
        connection.execute(
            text("UPDATE audit_record SET body = replace(body, 'STARTER', 'SOMEBODY') WHERE sequence = 1")
        )
    return apprentice


def test_a_whole_audit_log_verifies(apprentice: CommandLine, house: Installation) -> None:
    house.proposed(DIGEST)
    result = apprentice("audit", "verify", "--json")
    assert (result.status, result.json["verified"], result.json["records"]) == (0, True, len(house.log()))
    assert f"Verified: {len(house.log())} records" in apprentice("audit", "verify").out


def test_a_tampered_audit_log_does_not_verify_and_the_record_is_named(tampered: CommandLine) -> None:
    told = tampered("audit", "verify")
    assert (told.status, "record 1 was edited" in told.out) == (1, True)
    found = tampered("audit", "verify", "--json")
    assert (found.status, found.json["verified"], found.json["first_bad"]) == (1, False, 1)


def test_the_schema_is_made_and_upgrading_again_changes_nothing(alone: CommandLine) -> None:
    first, second = alone("db", "upgrade"), alone("db", "upgrade")
    assert (first.status, second.status) == (0, 0)
    assert "was empty" in first.out
    assert "already" in second.out
    again = alone("db", "upgrade", "--json").json
    assert again["before"] == again["revision"]


GOOD = [
    {"question": "Who signs off?", "person": "U1", "correction": "Mira signs off."},
    {"question": "Two\u2028lines [/b]?", "person": "U2", "vote": "up", "answer": "Yes,\nboth. \u00e9\U0001f600",
     "private": True},
    {"question": "Who signs off?", "person": "U2", "vote": "down", "reason": "outdated", "answer": "Tom."},
    {"question": "Who signs off?", "person": "U1", "preferred": "Mira.", "answer": "Nobody."},
]  # fmt: skip


def jsonl(rows: list[dict[str, object]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def kept(database: Database) -> list[tuple[object, ...]]:
    with database.read() as session:
        rows = session.exec(select(Feedback)).all()
    return sorted(
        (row.id, row.person_id, row.kind, row.question, row.answer, row.text, row.reason or "", row.private)
        for row in rows
    )


def test_feedback_is_imported_once_and_comes_back_from_its_export(alone: CommandLine, database: Database) -> None:
    alone.use(database)
    file = alone.file("in.jsonl", jsonl(GOOD))

    assert "Imported 4; 0 were there" in alone("feedback", "import", file).out
    assert "Imported 0; 4 were there" in alone("feedback", "import", file).out
    assert alone("feedback", "import", file, "--json").json == {
        "imported": 0, "skipped": 4, "masked": 0, "set_aside": 0, "suspicious": 0
    }  # fmt: skip
    assert len(kept(database)) == 4

    exported = str(alone.folder / "out.jsonl")
    assert "Exported 4" in alone("feedback", "export", exported).out
    assert alone("feedback", "export", exported, "--json").json == {"exported": 4}
    alone.set(DATABASE__URL="", DATA_FOLDER=str(alone.folder / "elsewhere"))
    assert "Imported 4; 0 were there" in alone("feedback", "import", exported).out
    assert kept(Database(f"sqlite:///{alone.folder / 'elsewhere' / 'apprentice.db'}")) == kept(database)


def test_what_was_taken_back_is_not_exported_and_does_not_come_back_by_an_import(
    apprentice: CommandLine, house: Installation
) -> None:
    file, exported = apprentice.file("in.jsonl", jsonl(GOOD)), str(apprentice.folder / "out.jsonl")
    apprentice("feedback", "import", file)
    with house.database.read() as session:
        (corrected,) = session.exec(select(Feedback).where(Feedback.kind == "correction")).all()
    house.governance.withdraw_feedback(corrected.id, corrected.person_id)

    assert "Exported 3" in apprentice("feedback", "export", exported).out
    assert "Imported 0; 4 were there" in apprentice("feedback", "import", file).out
    with house.database.read() as session:
        assert get_feedback(session, corrected.id).state == "withdrawn"


def test_feedback_without_a_reason_has_the_id_that_it_had_before_there_were_reasons() -> None:
    line = FeedbackLine(question="q", person="U1", vote="down", answer="a")
    assert line.key == "fb_e9bf17dc16eb26d1"
    assert line.model_copy(update={"reason": "wrong"}).key != line.key


WRONG = {
    "not JSON": "expected ident",
    '{"question": "", "person": "U1", "correction": "x"}': "must not be empty",
    '{"question": "q", "person": "U1"}': "give one of 'correction', 'preferred' and 'vote'",
    '{"question": "q", "person": "U1", "correction": "  "}': "give one of 'correction'",
    '{"question": "q", "person": "U1", "preferred": "a", "vote": "up", "answer": "b"}': "give one of 'correction'",
    '{"question": "q", "person": "U1", "preferred": "a"}': "'preferred' the 'answer' that was not",
    json.dumps({"question": "q", "person": "U1", "correction": "x" * 50_000}): "50,000 characters; at most 4,000",
    '{"question": "q", "person": "U1", "vote": "sideways", "answer": "a"}': "'up' or 'down'",
    '{"question": "q", "person": "U1", "vote": "up"}': "a vote needs the 'answer'",
    '{"question": "q", "person": "U1", "vote": "up", "answer": "a", "reason": "wrong"}': "Only a vote against",
    '{"question": "q", "person": "U1", "vote": "down", "answer": "a", "reason": "boring"}': "reason: Input should be",
    '{"question": "q", "person": "T1/U1", "correction": "x"}': "Slack's ids",
    '{"question": "q\\u0000", "person": "U1", "correction": "x"}': "NUL",
    '{"question": "q", "person": "U1", "correction": "x", "colour": "red"}': "colour: Extra inputs",
    "[1]": "an object",
}  # fmt: skip


def test_all_wrong_lines_are_named_and_nothing_is_imported(alone: CommandLine, database: Database) -> None:
    alone.use(database)
    lines = [jsonl(GOOD[:1]), *(line + "\n" for line in WRONG)]
    result = alone("feedback", "import", alone.file("in.jsonl", "".join(lines)))
    assert result.status == 1
    named = result.err.splitlines()[1:]
    assert [line.partition(":")[0] for line in named] == [f"line {number}" for number in range(2, 2 + len(WRONG))]
    for line, says in zip(named, WRONG.values(), strict=True):
        assert says in line
    assert kept(database) == []


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("binary.jsonl", b'{"question": "\xff"}', "UTF-8"),
        ("nowhere.jsonl", None, "No such file"),
        (".", None, "Is a directory"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    apprentice: CommandLine, sqlite_database: Database, name: str, content: bytes | None, says: str
) -> None:
    path = apprentice.file(name, content) if content else str(apprentice.folder / name)
    result = apprentice("feedback", "import", path)
    assert result.status == 1
    assert path in result.said
    assert says in result.said
    assert kept(sqlite_database) == []


@pytest.mark.parametrize("where", [".", "nowhere/out.jsonl"])
def test_an_export_that_cannot_be_written_leaves_nothing_behind(apprentice: CommandLine, where: str) -> None:
    before = sorted(apprentice.folder.iterdir())
    result = apprentice("feedback", "export", str(apprentice.folder / where))
    assert (result.status, "cannot write" in result.said) == (1, True)
    assert [path for path in apprentice.folder.iterdir() if path.name.startswith(".")] == []
    assert set(before) <= set(apprentice.folder.iterdir())


def test_a_demo_does_not_empty_a_folder_that_no_demo_made(alone: CommandLine) -> None:
    thesis = Path(alone.file("thesis.txt", "years of work"))
    result = alone("demo", "--script", "--folder", str(alone.folder))
    assert (result.status, "no demo made" in result.said) == (1, True)
    assert thesis.read_text() == "years of work"


def test_a_demo_does_not_empty_the_folder_of_one_that_runs(alone: CommandLine) -> None:
    folder = alone.folder / "demo"
    with claimed(folder):
        (folder / "apprentice.db").write_text("in use")
        result = alone("demo", "--folder", str(folder))
        assert (result.status, "another demo runs" in result.said) == (1, True)
        assert (folder / "apprentice.db").read_text() == "in use"


def test_a_result_file_of_the_demo_needs_the_script(alone: CommandLine) -> None:
    result = alone("demo", "--json", "result.json")
    assert (result.status, "--script" in result.said) == (2, True)


def test_a_result_file_that_cannot_be_written_is_named_before_the_story_begins(alone: CommandLine) -> None:
    result = alone("demo", "--script", "--folder", str(alone.folder / "demo"), "--json", "nowhere/result.json")
    assert (result.status, "nowhere/result.json" in result.said) == (1, True)
    assert not (alone.folder / "demo").exists()


def test_the_manifest_is_printed_for_either_way_to_reach_slack(apprentice: CommandLine) -> None:
    sockets = apprentice("manifest").json
    requests = apprentice("manifest", "--http", "https://bot.example.org").json
    refused = apprentice("manifest", "--http", "bot.example.org")

    assert sockets["settings"]["socket_mode_enabled"]
    assert requests["settings"]["interactivity"]["request_url"] == "https://bot.example.org/slack/events"
    assert refused.status == 1
    assert "Give one with https://" in refused.said


def test_lineage_shows_a_tree_and_says_what_is_unknown(apprentice: CommandLine, sqlite_database: Database) -> None:
    house = Installation(sqlite_database, apprentice.folder)
    house.live(DIGEST)
    said = apprentice("lineage", DIGEST[:12])
    assert "adapter " + DIGEST in said.out.replace("\n", "")
    assert "run " in said.out
    assert [words in said.out for words in ("Comes from", "Led to: nothing")] == [True, True]
    assert apprentice("lineage", DIGEST, "--json").json["kind"] == "adapter"
    assert "nothing is called qa_none" in apprentice("lineage", "qa_none").said


def test_lineage_of_a_message_s_link_is_that_of_its_answer_also_when_its_words_were_erased(
    house: Installation, apprentice: CommandLine
) -> None:
    channel = "https://team.slack.com/archives/C0HELPDESK/"
    empty = apprentice("lineage", f"{channel}p1700000000000100").said
    with house.database.transaction() as session:
        session.add_all([answered("1", "1700000000.000100"), answered("2", "1700000000.000900", question="")])

    assert [apprentice("lineage", channel + where, "--json").json["id"] for where in LINKS] == ["qa_1", "qa_1", "qa_2"]
    assert "Is the link of another channel or workspace? Workspaces known here: Made up (T1)." in empty
    elsewhere = apprentice("lineage", "https://other.slack.com/archives/C0ELSEWHERE/p1700000000000100")
    assert (elsewhere.status, elsewhere.out) == (1, "")
    assert "nothing was answered in the channel C0ELSEWHERE of other.slack.com" in elsewhere.said
    assert "neither an answer nor a question" in apprentice("lineage", f"{channel}p1700000000000777").said
    assert "Choose “Copy link” at the message" in apprentice("lineage", channel).said


def test_the_link_of_a_question_with_several_answers_names_them(house: Installation, apprentice: CommandLine) -> None:
    with house.database.transaction() as session:
        session.add_all([answered(number, f"1700000000.00010{number}") for number in "12"])

    said = apprentice("lineage", "https://team.slack.com/archives/C0HELPDESK/p1699999999000000").said
    assert "that message got 2 answers: qa_1, qa_2." in said


LINKS = (
    "p1700000000000100",
    "p1700000000000100?thread_ts=1699999999.000000&cid=C0HELPDESK",
    "p1700000000000900",
)


def answered(number: str, ts: str, question: str = "q") -> Interaction:
    return Interaction(
        id=f"qa_{number}", workspace_id="T1", channel="C0HELPDESK", thread_ts="1699999999.000000",
        question_ts="1699999999.000000", answer_ts=ts, asker_id=OTHER, question=question, answer="a",
        base_digest="base", prompt_digest="p", created_at=utc_now(),
    )  # fmt: skip
