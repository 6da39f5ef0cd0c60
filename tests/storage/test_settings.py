"""Settings: where each value comes from, and what is said about a wrong one."""

from pathlib import Path

import pytest

from storage.errors import ConfigurationError
from storage.settings import allowed_keys, load_settings


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in __import__("os").environ if name.upper().startswith("APPRENTICE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "apprentice.toml"


def refusal(path: Path | None = None) -> str:
    with pytest.raises(ConfigurationError) as error:
        load_settings(path)
    return str(error.value)


def test_without_file_and_variables_the_defaults_hold(config: Path) -> None:
    settings = load_settings()
    assert settings.database_url == f"sqlite:///{config.parent / 'data' / 'apprentice.db'}"
    assert settings.slack.mode == "local"
    assert settings.policy_path is None


def test_a_variable_overrides_the_file_which_overrides_the_default(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text('[web]\nport = 1111\nhost = "0.0.0.0"\n')
    monkeypatch.setenv("APPRENTICE_WEB__PORT", "2222")
    settings = load_settings()
    assert (settings.web.port, settings.web.host, settings.inference.max_batch) == (2222, "0.0.0.0", 8)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[slak]\n", ["unknown key 'slak'", "slack.bot_token", "web.port"]),
        ('[slack]\nbot_tokn = "x"\n', ["unknown key 'slack.bot_tokn'", "slack.bot_token", "slack.app_token"]),
        ("[web]\nport = 70000\n", ["'web.port' is 70000", "less than or equal to 65535"]),
        ('[web]\npublic_url = "apprentice.example"\n', ["'web.public_url' is 'apprentice.example'", "match pattern"]),
        ('[inference]\nurls = "gpu:8000"\n', ["'inference.urls' is 'gpu:8000'", "match pattern"]),
        ('[slack]\nmode = "telepathy"\n', ["'slack.mode' is 'telepathy'", "'local', 'socket' or 'http'"]),
        ('[inference]\nmax_new_tokens = "many"\n', ["'inference.max_new_tokens' is 'many'", "valid integer"]),
        ("[web\nport = 1\n", ["not valid TOML", "line 1"]),
    ],
)
def test_a_wrong_key_or_value_is_named_with_its_file_and_what_is_allowed(
    config: Path, content: str, says: list[str]
) -> None:
    config.write_text(content)
    message = refusal()
    for part in ["apprentice.toml", *says]:
        assert part in message


@pytest.mark.parametrize(
    ("content", "address"),
    [("", "http://127.0.0.1:8765"), ('[web]\npublic_url = "https://a.example/bot/"\n', "https://a.example/bot")],
)
def test_links_begin_with_the_public_address(config: Path, content: str, address: str) -> None:
    config.write_text(content)
    assert load_settings().web.address == address


def test_reviews_are_in_the_approvers_channel_unless_another_is_named(config: Path) -> None:
    config.write_text('[slack]\napprovers_channel = "yes"\n')
    assert load_settings().slack.reviews_in == "yes"
    config.write_text('[slack]\napprovers_channel = "yes"\nreviewers_channel = "look"\n')
    assert load_settings().slack.reviews_in == "look"


@pytest.mark.parametrize(
    ("content", "urls"),
    [
        ('urls = "http://gpu:8000"\n', []),
        ('engine = "vllm"\nurls = "http://gpu:8000/v1/"\n', ["http://gpu:8000"]),
        ('engine = "vllm"\nurls = "http://a:1, http://b:2/v1, http://a:1/"\n', ["http://a:1", "http://b:2"]),
    ],
)
def test_servers_that_answer_are_named_once_each_with_or_without_v1(
    config: Path, content: str, urls: list[str]
) -> None:
    config.write_text(f"[inference]\n{content}")
    assert load_settings().inference.server_urls == urls


def test_several_mistakes_are_told_at_once(config: Path) -> None:
    config.write_text("[web]\nport = -1\nhots = 'x'\n")
    assert "web.port" in refusal()
    assert "web.hots" in refusal()


def test_an_unknown_variable_is_refused(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPRENTICE_WEB_PORT", "1")
    message = refusal()
    assert "APPRENTICE_WEB_PORT" in message
    assert "APPRENTICE_WEB__PORT" in message


def test_a_wrong_value_in_a_variable_is_blamed_on_the_variable(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPRENTICE_WEB__PORT", "http")
    assert "environment variable APPRENTICE_WEB__PORT" in refusal()


def test_a_file_that_was_named_must_exist(config: Path) -> None:
    assert "nowhere.toml" in refusal(config.parent / "nowhere.toml")


def test_a_file_that_is_no_text_is_refused(config: Path) -> None:
    config.write_bytes(b"\xff\xfe\x00")
    assert "not valid TOML" in refusal()


def test_tokens_do_not_show_when_settings_are_printed(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPRENTICE_SLACK__BOT_TOKEN", "xoxb-very-secret")
    settings = load_settings()
    assert "very-secret" not in repr(settings)
    assert "very-secret" not in settings.model_dump_json()
    assert settings.slack.bot_token.get_secret_value() == "xoxb-very-secret"


def test_settings_apart_share_the_model_and_nothing_that_people_use(
    config: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config.write_text('data_folder = "/srv"\n[governance]\npolicy = "strict.toml"\n[slack]\nmode = "socket"\n')
    monkeypatch.setenv("APPRENTICE_DATABASE__URL", "postgresql://house/apprentice")
    monkeypatch.setenv("APPRENTICE_DATA_FOLDER", "/srv/data")
    monkeypatch.setenv("APPRENTICE_MODEL__BASE", "/srv/model")
    monkeypatch.setenv("APPRENTICE_TRAINING__RECIPE", "/srv/own.toml")
    monkeypatch.setenv("APPRENTICE_INFERENCE__THREADS", "3")
    monkeypatch.setenv("APPRENTICE_INFERENCE__ENGINE", "vllm")
    monkeypatch.setenv("APPRENTICE_INFERENCE__URLS", "http://gpu:8000")

    apart = load_settings(config).apart(tmp_path)

    assert apart.database_url == f"sqlite:///{tmp_path / 'apprentice.db'}"
    assert (apart.data_folder, apart.slack.mode, apart.governance.policy) == (tmp_path, "local", "")
    assert (apart.training.schedule, apart.web.port) == ("", 0)
    assert (apart.inference.engine, apart.inference.server_urls) == ("embedded", [])
    assert apart.slack.questions_per_person_per_minute == apart.slack.waiting_questions_per_person == 0
    assert (apart.model.base, apart.training.recipe, apart.inference.threads) == ("/srv/model", "/srv/own.toml", 3)


def test_every_setting_can_be_given_as_a_variable(config: Path) -> None:
    assert "slack.bot_token" in allowed_keys()
    assert "data_folder" in allowed_keys()
    assert all(key == key.lower() for key in allowed_keys())
