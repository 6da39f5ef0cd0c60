from pathlib import Path

from bot.slack import names
from bot.slack.manifest import manifest_text, read_manifest


def test_the_manifest_names_the_shortcut_that_the_code_listens_to() -> None:
    assert [shortcut.callback_id for shortcut in read_manifest().shortcuts] == [names.CORRECT_SHORTCUT]


def test_the_manifest_asks_for_socket_mode_and_nothing_that_is_not_used() -> None:
    manifest = read_manifest()
    assert manifest.socket_mode
    assert manifest.events == {"agent_session_stopped", "app_home_opened", "app_mention", "message.im"}
    assert "channels:history" not in manifest.scopes


def test_the_manifest_that_operators_are_pointed_to_is_the_one_that_the_code_reads() -> None:
    assert (Path(__file__).parents[3] / "deploy" / "slack-manifest.json").read_text() == manifest_text()
