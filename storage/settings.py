"""All configuration, read once at start into one typed object: `apprentice.toml`, then `APPRENTICE_*` variables."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self, cast

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from storage.errors import ConfigurationError

ENVIRONMENT_PREFIX = "APPRENTICE_"
NESTING = "__"
SECRET = {
    *(f"slack.{name}" for name in ("bot_token", "app_token", "signing_secret", "client_secret", "token_key")),
    "database.url",
    "inference.api_key",
}
"""Keys whose values no message repeats."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SlackSettings(_Section):
    """How Slack is reached, and how much may be asked: the local workspace, or Slack over Socket Mode or HTTP requests.

    With a `client_id`, in HTTP mode, workspaces install the app: any, or those in `allowed_teams` (ids, separated by
    commas). `home_team` is the one of the approvers. A limit of 0 is none.
    """

    mode: Literal["local", "socket", "http"] = "local"
    bot_token: SecretStr = SecretStr("")
    app_token: SecretStr = SecretStr("")
    signing_secret: SecretStr = SecretStr("")
    client_id: str = ""
    client_secret: SecretStr = SecretStr("")
    token_key: SecretStr = SecretStr("")
    home_team: str = ""
    allowed_teams: str = ""
    sockets: int = Field(default=2, ge=1, le=10)
    api_url: str = "https://slack.com/api/"
    approvers_channel: str = "adapter-approvals"
    reviewers_channel: str = ""
    questions_per_person_per_minute: int = Field(default=20, ge=0)
    questions_per_channel_per_minute: int = Field(default=60, ge=0)
    waiting_questions_per_person: int = Field(default=5, ge=0)

    @property
    def limits_questions(self) -> bool:
        """Whether there is any limit on how much may be asked."""
        limits = (
            self.questions_per_person_per_minute,
            self.questions_per_channel_per_minute,
            self.waiting_questions_per_person,
        )
        return any(limits)

    @property
    def reviews_in(self) -> str:
        """The channel where corrections are reviewed: the approvers', unless it has one of its own."""
        return self.reviewers_channel or self.approvers_channel


class DatabaseSettings(_Section):
    """Where the facts are kept: an SQLAlchemy URL; empty means SQLite in the data folder."""

    url: str = ""


class ModelSettings(_Section):
    """The base model: `builtin:smollm2-135m`, a local folder, or a hub id."""

    base: str = "builtin:smollm2-135m"
    system_prompt: str = "You are a helpful assistant. Answer in one or two short sentences."


ONE_URL = r"https?://[^\s,<>|]+"


class InferenceSettings(_Section):
    """How answers are generated; `threads` holds in training too. 0 and "auto" take what fits the machine.

    With the engine `vllm`, the servers at `urls` (separated by commas) answer people. `server_model` is the base
    model's name there (empty: the first that they name), `server_artifacts` the path at which they see the artifact
    folder (empty: the same as here).
    """

    engine: Literal["embedded", "vllm"] = "embedded"
    urls: str = Field(default="", pattern=rf"^({ONE_URL}(\s*,\s*{ONE_URL})*)?$")
    api_key: SecretStr = SecretStr("")
    server_model: str = ""
    server_artifacts: str = ""
    connect_timeout_s: float = Field(default=5.0, gt=0, le=600)
    silence_timeout_s: float = Field(default=60.0, gt=0, le=3600)
    max_new_tokens: int = Field(default=96, ge=1, le=4096)
    temperature: float = Field(default=0.0, ge=0.0, le=2.0)
    max_batch: int = Field(default=8, ge=1, le=256)
    adapter_memory_mb: int = Field(default=0, ge=0)
    threads: int = Field(default=0, ge=0, le=1024)
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"

    @property
    def server_urls(self) -> list[str]:
        """The addresses of the servers, without the `/v1` with which some people write them; none when embedded."""
        if self.engine == "embedded":
            return []
        urls = [url.strip().rstrip("/").removesuffix("/v1") for url in self.urls.split(",")]
        return list(dict.fromkeys(url for url in urls if url))


class ExamplesSettings(_Section):
    """How accepted corrections count before they are trained on.

    The thresholds are cosines of meaning (-1 to 1, see `learning/retrieval.py`): from `certain` on, a correction that
    stands out is given, or quoted with its question; from `possible` on, up to `max` are shown to the model.
    """

    enabled: bool = True
    max: int = Field(default=3, ge=1, le=16)
    certain: float = Field(default=0.3, ge=-1.0, le=1.0)
    possible: float = Field(default=0.17, ge=-1.0, le=1.0)


class TrainingSettings(_Section):
    """When and how adapters are trained. `schedule` is a five-field cron line in UTC; empty means only on demand."""

    recipe: str = "default"
    schedule: str = "0 2 * * *"
    min_new_corrections: int = Field(default=1, ge=1)
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"


class WebSettings(_Section):
    """The address of the web server, which also serves the local workspace; `public_url` is how people reach it."""

    host: str = "127.0.0.1"
    port: int = Field(default=8765, ge=0, le=65535)
    public_url: str = Field(default="", pattern=r"^(https?://[^\s<>|]+)?$")

    @property
    def address(self) -> str:
        """What links begin with, without a slash at the end."""
        return self.public_url.rstrip("/") or f"http://{self.host}:{self.port}"


class GovernanceSettings(_Section):
    """Where the policy file is (empty means the built-in small-team policy), and where checkpoints are written."""

    policy: str = ""
    checkpoint_folder: str = ""


class Settings(BaseSettings):
    """Everything that can be configured. Relative paths are relative to the current folder."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix=ENVIRONMENT_PREFIX, env_nested_delimiter=NESTING
    )

    data_folder: Path = Path("data")
    cache_folder: Path = Path.home() / ".cache" / "apprentice"
    slack: SlackSettings = SlackSettings()
    database: DatabaseSettings = DatabaseSettings()
    model: ModelSettings = ModelSettings()
    inference: InferenceSettings = InferenceSettings()
    examples: ExamplesSettings = ExamplesSettings()
    training: TrainingSettings = TrainingSettings()
    web: WebSettings = WebSettings()
    governance: GovernanceSettings = GovernanceSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let variables override the file, whose content arrives as init arguments."""
        return env_settings, init_settings

    def apart(self, data_folder: Path) -> Self:
        """Return settings of an installation of its own, with this model, hardware and recipe, and nothing else.

        Its database is in `data_folder`, its engine the embedded one, its Slack the local workspace, without limits on
        what is asked, its policy the packaged one; whatever file and variables say, for a demo or a measurement must
        not touch what people use.
        """
        unlimited = SlackSettings(
            questions_per_person_per_minute=0, questions_per_channel_per_minute=0, waiting_questions_per_person=0
        )
        own = {"slack": unlimited, "database": DatabaseSettings(), "examples": ExamplesSettings()}
        more = {"web": WebSettings(port=0), "governance": GovernanceSettings()}
        training = self.training.model_copy(update={"schedule": "", "min_new_corrections": 1})
        inference = self.inference.model_copy(update={"engine": "embedded"})
        changed = {"data_folder": data_folder, "training": training, "inference": inference}
        return self.model_copy(update={**changed, **own, **more})

    @property
    def database_url(self) -> str:
        """The SQLAlchemy URL in force."""
        return self.database.url or f"sqlite:///{(self.data_folder / 'apprentice.db').resolve()}"

    @property
    def policy_path(self) -> Path | None:
        """The policy file; None for the built-in policy."""
        return Path(self.governance.policy) if self.governance.policy else None

    @property
    def artifact_folder(self) -> Path:
        """Where snapshots, adapters and reports are kept, by digest."""
        return self.data_folder / "artifacts"

    @property
    def run_folder(self) -> Path:
        """Where a training run keeps its job, progress, log and checkpoints."""
        return self.data_folder / "runs"

    @property
    def checkpoint_folder(self) -> Path:
        """Where signed audit checkpoints are written: outside the database on purpose."""
        folder = self.governance.checkpoint_folder
        return Path(folder) if folder else self.data_folder / "checkpoints"


def load_settings(path: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Read `path` (default: `apprentice.toml` here, if there is one) and the `APPRENTICE_*` variables.

    Raises:
        ConfigurationError: the file is missing or no TOML, or a key or value in it is not allowed.

    """
    source = path or Path("apprentice.toml")
    if path is not None and not path.exists():
        raise ConfigurationError(f"{path} does not exist. Create it, or leave --config out to use the defaults.")
    content = _read_toml(source) if source.exists() else {}
    _refuse_unknown_variables(os.environ if environment is None else environment)
    try:
        return Settings(**content)
    except ValidationError as error:
        raise ConfigurationError(_explain(error, source, content)) from error


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"cannot read {path}: {error.strerror}. Give a TOML file that you can read."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}. Mend that line and start again.") from error


def allowed_keys(model: type[BaseModel] = Settings, prefix: str = "") -> list[str]:
    """List every configuration key as a dotted path, for example `slack.bot_token`."""
    keys: list[str] = []
    for name, field in model.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, _Section):
            keys += allowed_keys(section, f"{prefix}{name}.")
        else:
            keys.append(prefix + name)
    return keys


def _refuse_unknown_variables(environment: Mapping[str, str]) -> None:
    """Pydantic ignores variables that it does not know; a typing error in one must not pass silently."""
    known = {ENVIRONMENT_PREFIX + key.replace(".", NESTING).upper() for key in allowed_keys()}
    sections = {name.split(NESTING)[0] for name in known}
    for name in environment:
        upper = name.upper()
        if upper.startswith(ENVIRONMENT_PREFIX) and upper not in known and upper not in sections:
            allowed = ", ".join(sorted(known))
            raise ConfigurationError(f"environment variable {name} is not a setting. Allowed are: {allowed}.")


def _explain(error: ValidationError, source: Path, content: Mapping[str, Any]) -> str:
    lines = []
    for problem in error.errors():
        path = [str(part) for part in problem["loc"]]
        origin = (
            str(source)
            if _is_in(content, path)
            else f"environment variable {ENVIRONMENT_PREFIX}{NESTING.join(path).upper()}"
        )
        if problem["type"] == "extra_forbidden":
            section = ".".join(path[:-1])
            siblings = [key for key in allowed_keys() if key.startswith(section + "." if section else "")]
            lines.append(f"{origin}: unknown key '{'.'.join(path)}'. Allowed are: {', '.join(siblings)}.")
        elif problem["type"] == "model_type":
            siblings = [key for key in allowed_keys() if key.startswith(f"{path[0]}.")]
            lines.append(f"{origin}: '{path[0]}' is a section, not a value. Its keys are: {', '.join(siblings)}.")
        else:
            key = ".".join(path)
            value = "wrong" if key in SECRET else repr(problem["input"])
            lines.append(f"{origin}: '{key}' is {value}, but {problem['msg'].lower()}.")
    return "\n".join(lines)


def _is_in(content: Mapping[str, Any], path: list[str]) -> bool:
    here: Any = content
    for part in path:
        if not isinstance(here, Mapping) or part not in here:
            return False
        here = cast("Mapping[str, Any]", here)[part]
    return True
