"""Which Web API client a job is done with: each workspace that installed the app has its own token."""

from slack_sdk.web.async_client import AsyncWebClient

from storage.errors import ApprenticeError


class NotInstalledError(ApprenticeError):
    """The app is not, or no longer, installed in a workspace, so nothing can be said there."""


class Clients:
    """The client of the one workspace whose token is in the settings."""

    def __init__(self, home: AsyncWebClient) -> None:
        self.home = home

    async def of(self, team: str) -> AsyncWebClient:  # noqa: ARG002 - there is one workspace
        """Return the client of a workspace; without one (an empty `team`), of the workspace that has the approvers.

        Raises:
            NotInstalledError: that workspace has no installation.

        """
        return self.home

    async def teams(self) -> list[str]:
        """Return the workspaces that there are clients of; the only one may go without its id."""
        return [""]
