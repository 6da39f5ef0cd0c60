"""Workspaces that install the app and leave it again, each with its audit record."""

import logging
from datetime import datetime

from governance.ledger import SYSTEM, Ledger
from storage.inbox import close_waiting
from storage.installations import Installation, find_installation, remove_installation, save_installation
from storage.user_groups import remove_user_groups

log = logging.getLogger(__name__)

LEFT = "its workspace removed the app"


def install(ledger: Ledger, installation: Installation) -> None:
    """Keep an installation; whoever installed the app is its actor."""
    with ledger.changes() as session:
        save_installation(session, installation)
        ledger.record(session, "workspace.installed", installation.workspace_id, {}, actor=installation.installed_by)
    log.info("workspace %s installed the app", installation.workspace_id)


def uninstall(ledger: Ledger, workspace_id: str, at: datetime) -> None:
    """Forget token and user groups of a workspace that removed the app at that time, and close what waits for it.

    One that has installed the app again since then keeps everything: Slack's events may come late. The second of the
    two events that tell of a removal finds nothing to do.
    """
    with ledger.changes() as session:
        installation = find_installation(session, workspace_id)
        if installation is not None and installation.installed_at > at:
            return
        if installation is not None:
            remove_installation(session, installation)
        remove_user_groups(session, workspace_id)
        closed = close_waiting(session, workspace_id, LEFT, at, ledger.clock())
        if installation is not None or closed:
            ledger.record(session, "workspace.uninstalled", workspace_id, {}, actor=SYSTEM)
    log.warning("workspace %s removed the app; %d waiting events of it are closed", workspace_id, closed)
