"""One made-up installation: four people, a policy, an audit log, and a clock that the test moves."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from governance.audit import AuditLog
from governance.flows import Governance
from governance.gates import Metric
from governance.membership import Listed
from governance.policy import Policy, load_policy
from storage.adapters import Adapter, find_adapter, serving_adapter
from storage.audit import read_audit_records
from storage.database import Database
from storage.domains import DEFAULT_DOMAIN
from storage.people import Profile, Standing, ensure_person, ensure_workspace, keep_profile
from storage.proposals import Proposal, get_proposal, proposal_for

STARTER, EXPERT, APPROVER, OTHER = "T1/U_STARTER", "T1/U_EXPERT", "T1/U_APPROVER", "T1/U_OTHER"
ALL, NONE = Metric(1.0, 20, 0.84, 1.0), Metric(0.0, 20, 0.0, 0.16)
GOOD = {
    "as_told": ALL,
    "in_other_words": ALL,
    "general_lost": NONE,
    "general_kl": NONE,
    "refusals_kept": ALL,
    "leaks": NONE,
    "mean_answer_tokens_ratio": ALL,
}
"""What passes every gate of the packaged policy."""
BAD = GOOD | {"general_lost": Metric(0.5, 20, 0.3, 0.7)}


@dataclass
class Clock:
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now

    def advance(self, **length: float) -> None:
        self.now += timedelta(**length)


@dataclass
class Installation:
    database: Database
    folder: Path
    clock: Clock = field(default_factory=Clock)
    policy: Policy = field(default_factory=load_policy)

    def __post_init__(self) -> None:
        self.audit = AuditLog(self.folder / "keys", self.folder / "checkpoints")
        self.governance = Governance(self.database, self.policy, self.audit, self.clock)
        with self.database.transaction() as session:
            ensure_workspace(session, "T1", "Made up", self.clock())
            for person in (STARTER, EXPERT, APPROVER, OTHER):
                ensure_person(session, "T1", person.partition("/")[2], person, self.clock())

    def use_policy(self, **sections: dict[str, object]) -> None:
        """Go on under a policy in which these values are different."""
        content = self.policy.model_dump()
        for name, changes in sections.items():
            content[name] |= changes
        self.policy = Policy.model_validate(content)
        self.governance = Governance(self.database, self.policy, self.audit, self.clock)

    def meet(self, person: str, standing: Standing) -> None:
        """Have somebody in the database who is no ordinary member."""
        with self.database.transaction() as session:
            keep_profile(session, "T1", person.partition("/")[2], Profile(person, standing=standing), self.clock())

    def read_groups(self, **members: list[str]) -> None:
        """Have it read from Slack who is in which user group, by its id; those that are not named are not there."""
        listed = {
            key: Listed(key.lower(), is_enabled=True, members=[person.partition("/")[2] for person in people])
            for key, people in members.items()
        }
        self.governance.keep_user_groups("T1", listed, self.clock())

    def evaluated(self, digest: str, metrics: dict[str, Metric] | None = None, domain: str = DEFAULT_DOMAIN) -> str:
        run = self.governance.queue_run(started_by=STARTER, recipe="default", base_digest="base", domain=domain)
        self.governance.start_run(run.id, f"snapshot-of-{digest}", 4, {})
        self.governance.finish_run(run.id, "succeeded")
        self.governance.register_adapter(run.id, digest, "base", None, f"snapshot-of-{digest}")
        self.governance.record_evaluation(digest, f"report-of-{digest}", metrics or GOOD)
        return digest

    def proposed(
        self, digest: str = "a" * 64, shares: dict[str, float] | None = None, domain: str = DEFAULT_DOMAIN
    ) -> Proposal:
        return self.governance.propose(
            self.evaluated(digest, domain=domain), {EXPERT: 0.75, OTHER: 0.25} if shares is None else shares
        )

    def live(self, digest: str, domain: str = DEFAULT_DOMAIN) -> str:
        self.governance.decide(self.proposed(digest, domain=domain).id, APPROVER, "approve")
        return digest

    def adapter(self, digest: str) -> Adapter:
        with self.database.read() as session:
            return find_adapter(session, digest)

    def proposal(self, proposal_id: str) -> Proposal:
        with self.database.read() as session:
            return get_proposal(session, proposal_id)

    def proposal_of(self, digest: str) -> Proposal | None:
        with self.database.read() as session:
            return proposal_for(session, digest)

    def serving(self, domain: str = DEFAULT_DOMAIN) -> str | None:
        with self.database.read() as session:
            found = serving_adapter(session, domain)
            return found.digest if found else None

    def log(self) -> list[str]:
        with self.database.read() as session:
            return [record.body for record in read_audit_records(session)]
