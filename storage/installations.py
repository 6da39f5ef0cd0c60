"""The workspaces that installed the app by themselves, each with the token of its bot, which is kept encrypted."""

from datetime import datetime

from sqlmodel import Field, Session, SQLModel, col, select

from storage.records import time_field


class Installation(SQLModel, table=True):
    """The app in one workspace; `token` is what only the holder of the key can read."""

    __tablename__ = "installation"

    workspace_id: str = Field(primary_key=True)
    workspace_name: str
    bot_id: str
    bot_user_id: str
    scopes: str
    token: str
    installed_by: str
    installed_at: datetime = time_field()


def save_installation(session: Session, installation: Installation) -> None:
    """Keep an installation, in place of an earlier one of the same workspace."""
    session.merge(installation)
    session.flush()


def find_installation(session: Session, workspace_id: str) -> Installation | None:
    """Return the app's installation in a workspace; None when it is not installed there."""
    return session.get(Installation, workspace_id)


def list_installations(session: Session) -> list[Installation]:
    """Return all installations, the oldest first."""
    order = (col(Installation.installed_at), col(Installation.workspace_id))
    return list(session.exec(select(Installation).order_by(*order)))


def remove_installation(session: Session, installation: Installation) -> None:
    """Forget an installation and its token."""
    session.delete(installation)
    session.flush()
