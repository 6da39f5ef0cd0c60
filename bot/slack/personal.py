"""What people ask for themselves: the slash command, what is kept about them, what they want to be told."""

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.answering import Answering
from bot.slack.commands import CommandDesk
from bot.slack.directory import Directory
from bot.slack.home import Home
from bot.slack.my_data import MyData
from bot.slack.outbox import Outbox
from bot.slack.parts import SlackParts
from bot.slack.requests import Command, DataRequest, NewsChoice


class PersonalDesk:
    """Does what one person asked for; nobody else sees what comes of it."""

    def __init__(
        self,
        parts: SlackParts,
        client: AsyncWebClient,
        outbox: Outbox,
        directory: Directory,
        answering: Answering,
        home: Home,
    ) -> None:
        self._home = home
        self._data = MyData(parts, client, outbox, directory)
        self._commands = CommandDesk(parts, client, outbox, directory, answering, self._data)

    async def do(self, job: Command | DataRequest | NewsChoice) -> None:
        """Do a job."""
        match job:
            case Command():
                await self._commands.obey(job)
            case DataRequest():
                await self._data.send(job)
            case NewsChoice():
                await self._home.choose_news(job)
