"""What the messages of proposed adapters and policies have in common: who decided, and who can. Pure."""

from collections.abc import Mapping

from bot.slack import blocks
from governance.approvals import Electorate
from governance.policy import Approval
from storage.policies import PolicyDecision
from storage.proposals import Decision

VERBS = {"approve": "Approved", "reject": "Rejected"}


def said_by(decision: Decision | PolicyDecision, names: Mapping[str, str]) -> str:
    """Say what was decided by whom, in whose name, and why; to be escaped."""
    who = " on behalf of ".join(names.get(person, person) for person in decision.people)
    return f"{VERBS[decision.verdict]} by {who}" + (f": {decision.reason}." if decision.reason else ".")


def who_decides(
    approval: Approval, missing: int, electorate: Electorate, names: Mapping[str, str], place: str = ""
) -> str:
    """Say, as mrkdwn, how many approvals are needed, in which place, and who can give those that are missing."""
    needed = f"Approvals needed{place}: {approval.quorum}, missing: {missing}."
    return f"{needed} {who_can_decide(electorate, names)}"


def who_can_decide(electorate: Electorate, names: Mapping[str, str]) -> str:
    """Say who can still decide, as mrkdwn: those whom the policy names are mentioned, so that Slack tells them."""
    who = [blocks.mention(each) for each in electorate.named]
    who += [
        f"{blocks.mention(each.delegate)} on behalf of {blocks.mention(each.delegator)} "
        f"until {blocks.moment(each.ends_at)}"
        for each in electorate.delegations
    ]
    if electorate.anybody:
        not_these = [blocks.escape(names[person]) for person in electorate.excluded if person in names]
        who.append("anybody" + (f" but {', '.join(not_these)}" if not_these else ""))
    if not who:
        return "Nobody is left whom the policy lets decide."
    return f"Who can decide: {', '.join(who)}."
