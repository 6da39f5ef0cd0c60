"""Puts the parts together from the settings; the only place that knows how each is made."""

import logging
from dataclasses import dataclass

from governance.audit import AuditLog
from governance.flows import Governance
from governance.policy import load_policy
from governance.policy_versions import why_not_in_force
from storage.artifacts import ArtifactStore
from storage.database import Database
from storage.settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parts:
    """What every command needs; the model and Slack are started only by those that use them."""

    settings: Settings
    database: Database
    store: ArtifactStore
    audit: AuditLog
    governance: Governance


def open_parts(settings: Settings, *, upgrade: bool = False) -> Parts:
    """Open the database, the artifact store, the policy and the audit log.

    The embedded database is made and upgraded by itself; a PostgreSQL one only with `upgrade`. Once a policy is in
    force in the database, that is the one that holds, and it is said where the file is another.

    Raises:
        ApprenticeError: one of them cannot be opened; the message says which, and what to do.

    """
    configured = load_policy(settings.governance.policy)
    database = Database(settings.database_url)
    database.check_connection()
    if upgrade or database.is_sqlite:
        database.upgrade()
    database.check_schema()
    audit = AuditLog(key_folder=settings.data_folder / "keys", checkpoint_folder=settings.checkpoint_folder)
    governance = Governance(database, configured, audit)
    governance.policies.follow()
    if difference := why_not_in_force(configured, settings.governance.policy, governance.policy):
        log.warning("%s", difference)
    return Parts(
        settings=settings,
        database=database,
        store=ArtifactStore(settings.artifact_folder),
        audit=audit,
        governance=governance,
    )
