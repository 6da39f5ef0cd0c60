"""All tables in one place, for migrations: importing this module fills `metadata`."""

from sqlmodel import SQLModel

from storage.adapter_days import AdapterDay
from storage.adapters import Adapter
from storage.audit import AuditRecord
from storage.break_glass import BreakGlass
from storage.channels import ChannelChange
from storage.comparisons import BlindComparison
from storage.datasets import DatasetSnapshot
from storage.delegations import Delegation
from storage.feedback import Feedback
from storage.inbox import InboxEvent
from storage.installations import Installation
from storage.interactions import Interaction, UsedFeedback
from storage.leases import Lease
from storage.outbox import OutboxCall
from storage.pauses import Pause
from storage.people import Person, Workspace
from storage.pins import Pin
from storage.policies import PolicyDecision, PolicyVersion
from storage.proposals import Decision, Proposal
from storage.reviews import ReviewMessage
from storage.rollbacks import Rollback
from storage.runs import Run
from storage.shadows import AnswerFailure, ShadowAnswer
from storage.user_groups import UserGroup

metadata = SQLModel.metadata

__all__ = [
    "Adapter",
    "AdapterDay",
    "AnswerFailure",
    "AuditRecord",
    "BlindComparison",
    "BreakGlass",
    "ChannelChange",
    "DatasetSnapshot",
    "Decision",
    "Delegation",
    "Feedback",
    "InboxEvent",
    "Installation",
    "Interaction",
    "Lease",
    "OutboxCall",
    "Pause",
    "Person",
    "Pin",
    "PolicyDecision",
    "PolicyVersion",
    "Proposal",
    "ReviewMessage",
    "Rollback",
    "Run",
    "ShadowAnswer",
    "UsedFeedback",
    "UserGroup",
    "Workspace",
    "metadata",
]
