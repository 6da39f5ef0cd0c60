"""Which Web API client a job is done with: each workspace that installed the app has its own token."""

from dataclasses import dataclass

from slack_sdk.web.async_client import AsyncWebClient


@dataclass(frozen=True)
class Clients:
    """The clients of the workspaces that the app is installed in; today one."""

    home: AsyncWebClient

    def of(self, team: str) -> AsyncWebClient:  # noqa: ARG002 - one workspace so far
        """Return the client of a workspace; without one (an empty `team`), of the workspace that has the approvers."""
        return self.home
