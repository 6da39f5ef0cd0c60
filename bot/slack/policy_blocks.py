"""What Slack shows of a proposed policy: what it would change, in words and key by key, and who decided what. Pure."""

from collections.abc import Mapping
from typing import Any

from bot.slack import blocks, names
from bot.slack.deciding import said_by, who_decides
from governance.approvals import Electorate
from governance.policy_changes import PolicyCase
from governance.policy_difference import compare_policies
from governance.roles import OPERATOR
from storage.domains import DEFAULT_DOMAIN
from storage.policies import PolicyVersion

ENDS = {"in_force": "It is in force.", "superseded": "It was in force until another one was approved."}
SHOWN_DOMAINS = 10
"""Of those that are asked and still have to approve; a message holds 50 blocks."""


def policy_message(
    case: PolicyCase, people: Mapping[str, str], electorates: Mapping[str, Electorate]
) -> tuple[str, blocks.Blocks]:
    """Return the message's fallback text and its blocks.

    `people` has the names of those whom it may name, `electorates` who can still decide, by domain.
    """
    version = case.version
    waits = version.state == "proposed"
    title = "A change of policy asks for approval" if waits else "A proposed change of policy"
    head = [
        blocks.header(title),
        blocks.section(f"*{blocks.escape(version.name)}* (`{version.digest[:12]}`), {_proposed(case, people)}"),
        blocks.section(_status(case, people)),
        *(map(blocks.context, asked_of(case, people, electorates)) if waits else []),
    ]
    tail = [_buttons(version)] if waits else []
    changes = _changes(case)
    content, shown = blocks.filled(head, changes, tail)
    if shown < len(changes):
        more = f"and {len(changes) - shown} more: `apprentice policy show {version.digest[:12]}` has all."
        content, shown = blocks.filled(head, changes[: max(shown - 1, 0)], [blocks.context(more), *tail])
    return f"The policy {version.name}: {version.state.replace('_', ' ')}.", content


def asked_of(case: PolicyCase, people: Mapping[str, str], electorates: Mapping[str, Electorate]) -> list[str]:
    """Say in which domains approvals are missing, how many, and who can give them; as mrkdwn, a line for each."""
    lines = [
        who_decides(case.asked[domain].approval, missing, electorates[domain], people, _place(domain))
        for domain, missing in case.ballot.missing.items()
    ]
    more = len(lines) - SHOWN_DOMAINS
    return lines[:SHOWN_DOMAINS] + ([f"Approvals are missing in {more} more domains."] if more > 0 else [])


def _place(domain: str) -> str:
    return "" if domain == DEFAULT_DOMAIN else f" in {domain}"


def policy_rejection_modal(version_id: str, channel: str, message_ts: str) -> dict[str, Any]:
    """Give the modal that asks why a policy is rejected."""
    return blocks.reason_modal(
        names.POLICY_REJECTION_VIEW,
        "Reject this policy",
        "Reject",
        "The reason is kept with the decision, its digest in the audit log, and shown in the channel.",
        {"version_id": version_id, "channel": channel, "message_ts": message_ts},
    )


def policy_withdrawal_modal(version_id: str, channel: str, message_ts: str) -> dict[str, Any]:
    """Give the modal that asks whoever proposed a policy why they withdraw it."""
    return blocks.reason_modal(
        names.POLICY_WITHDRAWAL_VIEW,
        "Withdraw this policy",
        "Withdraw",
        "The reason is kept with the policy, its digest in the audit log, and shown in the channel.",
        {"version_id": version_id, "channel": channel, "message_ts": message_ts},
    )


def _buttons(version: PolicyVersion) -> dict[str, Any]:
    """Give the buttons; what was proposed on the command line is withdrawn there."""
    row = blocks.approve_or_reject(names.APPROVE_POLICY_ACTION, names.REJECT_POLICY_ACTION, version.id)
    if not version.proposed_by.startswith(OPERATOR):
        row["elements"].append(blocks.button(names.WITHDRAW_POLICY_ACTION, "Withdraw", version.id))
    return row


def _proposed(case: PolicyCase, people: Mapping[str, str]) -> str:
    version = case.version
    why = f": {blocks.escape(version.reason)}" if version.reason else "."
    return f"proposed by {_proposer(case, people)}{why}"


def _proposer(case: PolicyCase, people: Mapping[str, str]) -> str:
    proposed_by = case.version.proposed_by
    return blocks.escape(people.get(proposed_by, proposed_by.removeprefix(OPERATOR)))


def _status(case: PolicyCase, people: Mapping[str, str]) -> str:
    version = case.version
    lines = [blocks.escape(said_by(each, people)) for each in case.decisions]
    if version.state == "proposed":
        return " ".join([*(lines or ["Nobody has decided yet."]), f"Open until {blocks.moment(version.expires_at)}."])
    if version.state == "withdrawn":
        why = blocks.escape(version.withdrawn_reason or "")
        return " ".join([*lines, f"Withdrawn by {_proposer(case, people)}: {why}."])
    return " ".join([*lines, ENDS.get(version.state, f"It is {version.state}.")])


def _changes(case: PolicyCase) -> blocks.Blocks:
    if case.old is None:
        return []
    found = compare_policies(case.old, case.policy)
    sentences = [
        *(("No longer", each) for each in found.no_longer),
        *(("From now on", each) for each in found.from_now_on),
    ]
    keys = "\n".join(found.keys)
    return [
        *(blocks.section(f"*{when}*: {blocks.escape(blocks.clip(each, 1_000))}") for when, each in sentences),
        *blocks.in_full("*Keys that change*", keys),
    ]
