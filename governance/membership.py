"""Keeping what was read of Slack's user groups: of those that the policy names, or a proposed one would.

Each change of who is in a group that the policy in force names is in the audit log, in the same transaction.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from governance.audit import text_digest
from governance.ledger import SYSTEM, Ledger
from governance.policy import Policy
from governance.policy_versions import policy_in_force, policy_of
from governance.user_groups import UserGroups, count_people, read_groups, troubles
from storage.domains import DEFAULT_DOMAIN
from storage.people import person_id
from storage.policies import list_versions
from storage.proposals import draw_again
from storage.user_groups import GroupState, UserGroup, find_user_group, list_user_groups


@dataclass(frozen=True)
class Listed:
    """A user group as Slack lists it; `members` are Slack's ids of users."""

    handle: str
    is_enabled: bool
    members: Collection[str]


def groups_named(session: Session, known: Policy) -> frozenset[str]:
    """Return the user groups that the policy in force and those that are proposed name."""
    proposed = (policy_of(version).user_groups for version in list_versions(session, "proposed"))
    return policy_in_force(session, known).user_groups.union(*proposed)


def keep_user_groups(ledger: Ledger, workspace_id: str, listed: Mapping[str, Listed], begun_at: datetime) -> None:
    """Keep what a workspace says of its user groups, by id, which was asked for at `begun_at`.

    What another reading found that began later stays.
    """
    with ledger.changes() as session:
        named = _here(groups_named(session, ledger.policy), workspace_id)
        for group in list_user_groups(session, workspace_id):
            if group.id not in named:
                session.delete(group)
        read = [_keep(session, workspace_id, key, listed.get(key), begun_at) for key in sorted(named)]
        in_force = _here(ledger.policy.user_groups, workspace_id)
        changed = [group for group in read if group.id in in_force and {*group.recorded} != {*group.members}]
        for group in changed:
            _record(ledger, session, group)
        if changed:
            draw_again(session)


def group_warnings(session: Session, policy: Policy, now: datetime) -> list[str]:
    """Say which user groups of a policy name nobody, and where too few people are left to decide."""
    groups = read_groups(session, now)
    found = troubles(sorted(policy.user_groups), groups)
    for domain in (DEFAULT_DOMAIN, *policy.domains):
        if short := _why_too_few(policy, domain, groups):
            found.append(short)
    return list(dict.fromkeys(found))


def _why_too_few(policy: Policy, domain: str, groups: UserGroups) -> str:
    approval = policy.rules_of(domain).approval
    count = count_people(approval.approvers, groups)
    if count is None or count >= approval.quorum:
        return ""
    place = "" if domain == DEFAULT_DOMAIN else f" in domain {domain}"
    return f"approval.quorum is {approval.quorum}{place}, but approval.approvers names only {count} at present."


def _here(entries: Collection[str], workspace_id: str) -> frozenset[str]:
    """Return the ids of those groups of a policy that can be groups of this workspace."""
    split = (each.rpartition("/") for each in entries)
    return frozenset(key for workspace, _, key in split if workspace in {"", workspace_id})


def _keep(session: Session, workspace_id: str, key: str, listed: Listed | None, begun_at: datetime) -> UserGroup:
    group = find_user_group(session, workspace_id, key)
    if group is None:
        group = UserGroup(workspace_id=workspace_id, id=key, state="unknown", read_at=begun_at)
    elif group.read_at > begun_at:
        return group
    state: GroupState = "unknown"
    if listed is not None:
        state, group.handle = "enabled" if listed.is_enabled else "disabled", listed.handle
    members = listed.members if listed is not None and listed.is_enabled else ()
    group.state, group.read_at = state, begun_at
    group.members = [person_id(workspace_id, user) for user in members]
    session.add(group)
    session.flush()
    return group


def _record(ledger: Ledger, session: Session, group: UserGroup) -> None:
    """Note who came and went since the log was told last, by their ids; `members` is the digest of all ids."""
    before, after = {*group.recorded}, {*group.members}
    digests = {
        "joined": " ".join(sorted(after - before)),
        "left": " ".join(sorted(before - after)),
        "members": text_digest(" ".join(sorted(after))),
    }
    group.recorded = group.members
    session.add(group)
    ledger.record(session, "user_group.changed", f"{group.workspace_id}/{group.id}", digests, actor=SYSTEM)
