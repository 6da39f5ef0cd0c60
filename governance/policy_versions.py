"""Reads the policy in force as it was approved, whatever release of this software reads it."""

import hashlib

from pydantic import ValidationError
from sqlmodel import Session

from governance.policy import Policy
from storage.errors import ConfigurationError
from storage.policies import PolicyVersion, digest_in_force, version_in_force


def policy_of(version: PolicyVersion) -> Policy:
    """Return a stored policy, known by the digest under which it was approved.

    All its keys are stored with their values, so a later release that has other defaults changes nothing of it; a key
    that only the later release knows has that release's default, and leaves the digest as it was.

    Raises:
        ConfigurationError: it was changed since, or this release does not know what it says.

    """
    if hashlib.sha256(version.content.encode()).hexdigest() != version.digest:
        raise ConfigurationError(
            f"the policy {version.name!r} ({version.id}) is not what was approved: its content has another digest than "
            f"{version.digest[:12]}. Somebody changed the database; put it back from a backup."
        )
    try:
        policy = Policy.model_validate_json(version.content)
    except ValidationError as error:
        raise ConfigurationError(
            f"this release cannot read the policy {version.name!r} ({version.digest[:12]}): {error}. Use the release "
            "that it was approved with, and have one approved there that both can read."
        ) from error
    return policy if policy.canonical == version.content else policy.known_as(version.digest)


def policy_in_force(session: Session, known: Policy) -> Policy:
    """Return the policy in force; `known` where that is it, and as long as none ever was in force.

    Raises:
        ConfigurationError: it cannot be read.

    """
    if digest_in_force(session) in {None, known.digest}:
        return known
    version = version_in_force(session)
    return policy_of(version) if version is not None else known


def why_not_in_force(configured: Policy, source: str, policy: Policy) -> str:
    """Say that the policy which the settings name is not the one in force; "" where it is."""
    if configured.canonical == policy.canonical:
        return ""
    return (
        f"the file {source} differs from the policy in force, {policy.name!r} ({policy.digest[:12]}), which holds on. "
        f"`apprentice policy propose {source}` asks for the approval of the change."
    )
