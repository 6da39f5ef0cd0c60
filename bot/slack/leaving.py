"""What is left to do when a workspace removed the app: its token is forgotten, and what waits for it is closed."""

import asyncio
from datetime import UTC, datetime

from bot.slack.jobs import Uninstalled
from bot.slack.parts import SlackParts


class LeavingDesk:
    """Sees workspaces off."""

    def __init__(self, parts: SlackParts) -> None:
        self._parts = parts

    async def leave(self, job: Uninstalled) -> None:
        """Forget the workspace, unless it has installed the app again since then."""
        at = datetime.fromtimestamp(job.at + 1, UTC)  # the end of the second that the event names
        await asyncio.to_thread(self._parts.governance.uninstall_workspace, job.workspace, at)
