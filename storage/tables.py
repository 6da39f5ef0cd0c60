"""All tables in one place, for migrations: importing this module fills `metadata`."""

from sqlmodel import SQLModel

from storage.adapters import Adapter
from storage.audit import AuditRecord
from storage.datasets import DatasetSnapshot
from storage.feedback import Feedback
from storage.inbox import InboxEvent
from storage.interactions import Interaction
from storage.leases import Lease
from storage.outbox import OutboxCall
from storage.people import Person, Workspace
from storage.proposals import Decision, Proposal
from storage.runs import Run

metadata = SQLModel.metadata

__all__ = [
    "Adapter",
    "AuditRecord",
    "DatasetSnapshot",
    "Decision",
    "Feedback",
    "InboxEvent",
    "Interaction",
    "Lease",
    "OutboxCall",
    "Person",
    "Proposal",
    "Run",
    "Workspace",
    "metadata",
]
