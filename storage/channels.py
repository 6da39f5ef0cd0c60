"""How the bot behaves in each channel. Rows are added, never edited; a channel's latest is in force."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast

from sqlmodel import Field, Session, SQLModel, col, func, select

from storage.domains import DEFAULT_DOMAIN
from storage.records import json_field, time_field

Answers = Literal["mentions", "all", "off"]


@dataclass(frozen=True)
class ChannelSettings:
    """What can be set of a channel; the defaults hold where nobody has set anything.

    `answers`: to mentions, to all that is written outside of threads of people, or to nothing. `language`: `auto`, or
    the ISO 639-1 code of the language to answer in. `domain`: what the channel's questions are about. `trusted`: Slack
    user ids of those whose corrections in this channel need no review; nobody named means that the channel adds no
    rule of its own.
    """

    answers: Answers = "mentions"
    language: str = "auto"
    domain: str = DEFAULT_DOMAIN
    trusted: tuple[str, ...] = ()


class ChannelChange(SQLModel, table=True):
    """The settings of a channel from one moment on, and who set them."""

    __tablename__ = "channel_change"

    id: int | None = Field(default=None, primary_key=True)
    workspace_id: str = Field(foreign_key="workspace.id", index=True)
    channel: str = Field(index=True)
    answers: str
    language: str
    domain: str
    trusted: list[str] = json_field(list)
    changed_by: str = Field(foreign_key="person.id")
    created_at: datetime = time_field()


def channel_settings(session: Session, workspace_id: str, channel: str) -> ChannelSettings:
    """Return the settings in force; the defaults for a channel that nobody has set."""
    latest = session.exec(
        select(ChannelChange)
        .where(ChannelChange.workspace_id == workspace_id, ChannelChange.channel == channel)
        .order_by(col(ChannelChange.id).desc())
        .limit(1)
    ).first()
    if latest is None:
        return ChannelSettings()
    return ChannelSettings(cast("Answers", latest.answers), latest.language, latest.domain, tuple(latest.trusted))


def set_channel(
    session: Session, workspace_id: str, channel: str, settings: ChannelSettings, changed_by: str, now: datetime
) -> None:
    """Put settings into force."""
    session.add(
        ChannelChange(
            workspace_id=workspace_id,
            channel=channel,
            answers=settings.answers,
            language=settings.language,
            domain=settings.domain,
            trusted=list(settings.trusted),
            changed_by=changed_by,
            created_at=now,
        )
    )


def channels_that_answer_all(session: Session) -> set[tuple[str, str]]:
    """Return workspace and channel of each channel that is set to `all`."""
    latest = select(func.max(ChannelChange.id)).group_by(col(ChannelChange.workspace_id), col(ChannelChange.channel))
    rows = session.exec(select(ChannelChange).where(col(ChannelChange.id).in_(latest), ChannelChange.answers == "all"))
    return {(row.workspace_id, row.channel) for row in rows}
