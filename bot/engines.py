"""Which engine answers people, as the settings say: the embedded one, or servers beside it."""

from pathlib import Path

from learning.answering_engine import AnsweringEngine
from learning.engine import Engine
from learning.fleet import Fleet
from learning.model_server import ModelServer, ServerSettings
from learning.server_engine import ServerEngine
from storage.errors import ConfigurationError
from storage.settings import InferenceSettings


def open_answering(inference: InferenceSettings, embedded: Engine) -> AnsweringEngine:
    """Return what answers people; servers were looked at by then. Closing it leaves the embedded engine open.

    Raises:
        ConfigurationError: servers are to answer, and none is named.

    """
    if inference.engine == "embedded":
        return embedded
    elsewhere = Path(inference.server_artifacts) if inference.server_artifacts else None
    answering = ServerEngine(embedded, Fleet(open_servers(inference)), elsewhere)
    answering.start()
    return answering


def open_servers(inference: InferenceSettings) -> list[ModelServer]:
    """Return the servers that are to answer people; none of them was asked anything yet.

    Raises:
        ConfigurationError: none is named.

    """
    if not inference.server_urls:
        raise ConfigurationError(
            'inference.engine is "vllm", and inference.urls names no server. Set it to one, such as '
            "http://127.0.0.1:8000, or to several, separated by commas."
        )
    settings = ServerSettings(
        model=inference.server_model,
        api_key=inference.api_key.get_secret_value(),
        connect_timeout_s=inference.connect_timeout_s,
        timeout_s=inference.silence_timeout_s,
    )
    return [ModelServer(url, settings) for url in inference.server_urls]
