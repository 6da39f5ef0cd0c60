"""Proposed policies in Slack: one message each in the approvers' channel, and the decisions that people take on it."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from slack_sdk.web.async_client import AsyncWebClient
from sqlmodel import Session

from bot.slack import blocks
from bot.slack.directory import Directory
from bot.slack.outbox import Outbox
from bot.slack.parts import SlackParts
from bot.slack.policy_blocks import policy_message
from bot.slack.policy_jobs import PolicyVote, PolicyWithdrawal
from bot.slack.posting import Said, Subject, keep_one, show_decidable
from governance.approvals import Electorate
from governance.policy_changes import PolicyCase, electorates_of, read_policy_case
from storage.errors import ApprenticeError
from storage.people import names_of
from storage.policies import get_version, note_version_shown

METADATA = "apprentice_policy"
"""The type of the metadata by which a message that was posted, but not noted, is found again."""


@dataclass(frozen=True)
class Shown:
    """What a policy's message shows, read at one moment; `people` has the names of all whom it may name."""

    case: PolicyCase
    electorates: Mapping[str, Electorate]
    people: Mapping[str, str]


async def show_policy(client: AsyncWebClient, parts: SlackParts, version_id: str) -> None:
    """Make Slack show a proposed policy as it is: post it in the approvers' channel, or bring its message up to date.

    Does nothing when the message says already what is so, or when it was decided before it was ever posted.

    Raises:
        ConfigurationError: the bot sees no channel of that name.

    """
    async with parts.drawing:  # two at once could leave the older drawing on top
        shown = await asyncio.to_thread(_read, parts, version_id)
        version, case = shown.case.version, shown.case
        await show_decidable(
            client,
            parts,
            version,
            (version.shown_state, version.shown_decisions),
            partial(Subject, METADATA, version.id, version.created_at),
            (version.state, len(case.decisions)),
            partial(policy_message, case, shown.people, shown.electorates),
            partial(_note, parts, version_id),
            waits=version.state == "proposed",
        )


class PolicyDesk:
    """Takes the decisions on proposed policies, and what is withdrawn."""

    def __init__(self, parts: SlackParts, client: AsyncWebClient, outbox: Outbox, directory: Directory) -> None:
        self._parts = parts
        self._client = client
        self._outbox = outbox
        self._directory = directory

    async def decide(self, job: PolicyVote) -> None:
        """Decide through governance; who may not, or comes too late, is told so, and nobody else."""
        await self._do(job, partial(self._decide, job))

    async def withdraw(self, job: PolicyWithdrawal) -> None:
        """Withdraw through governance, likewise."""
        await self._do(job, partial(self._withdraw, job))

    async def _do(self, job: PolicyVote | PolicyWithdrawal, act: Callable[[str], str]) -> None:
        """Do what this person asks, show it to all, and tell them alone what `act` returns, if anything."""
        person = await self._directory.person(job.team, job.user)
        reply = await asyncio.to_thread(act, person)
        await self._keep_one_message(job)
        await show_policy(self._client, self._parts, job.version_id)
        if reply:
            await self._outbox.whisper(f"{job.key}/reply", job.channel, job.user, blocks.escape(reply))

    def _decide(self, job: PolicyVote, person: str) -> str:
        policies = self._parts.governance.policies
        try:
            outcome = policies.decide(job.version_id, person, job.verdict, job.reason)
        except ApprenticeError as error:
            return str(error)
        return outcome.message if outcome.version.state == "proposed" else ""

    def _withdraw(self, job: PolicyWithdrawal, person: str) -> str:
        try:
            self._parts.governance.policies.withdraw(job.version_id, person, job.reason)
        except ApprenticeError as error:
            return str(error)
        return ""

    async def _keep_one_message(self, job: PolicyVote | PolicyWithdrawal) -> None:
        """Take note of the message whose button was pressed, or remove it when another one is noted."""
        async with self._parts.drawing:
            noted = (await asyncio.to_thread(_read, self._parts, job.version_id)).case.version.message_ts
            note = partial(_note, self._parts, job.version_id)
            await keep_one(self._client, noted, job.channel, job.message_ts, note)


def read_shown(parts: SlackParts, session: Session, version_id: str) -> Shown:
    """Read what a policy's message shows."""
    case = read_policy_case(session, get_version(session, version_id))
    electorates = electorates_of(session, case, parts.governance.clock())
    decided = [person for each in case.decisions for person in each.people]
    return Shown(case, electorates, names_of(session, [case.version.proposed_by, *decided]))


def _read(parts: SlackParts, version_id: str) -> Shown:
    with parts.database.read() as session:
        return read_shown(parts, session, version_id)


def _note(parts: SlackParts, version_id: str, channel: str, ts: str, said: Said) -> None:
    with parts.database.transaction() as session:
        note_version_shown(session, version_id, channel, ts, *said)
