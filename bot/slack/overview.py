"""What Apprentice does at this moment, for `/apprentice status` and the home tab: what answers, trains and waits."""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from bot.serving import Refusal
from bot.slack import blocks
from bot.slack.parts import SlackParts
from bot.slack.run_message import event_of, progress_line
from learning.scheduler import new_corrections, next_time
from storage.adapters import Adapter, canary_adapter, serving_adapter
from storage.domains import DEFAULT_DOMAIN
from storage.pauses import Pause, current_pause
from storage.people import names_of
from storage.proposals import Proposal, list_proposals
from storage.runs import ACTIVE, Run, list_runs


@dataclass(frozen=True)
class Answering:
    """What answers in a domain: `adapter` is None where the default one's does, or the base model.

    `canary_share` (0 to 1) of the people get the canary, if there is one.
    """

    adapter: Adapter | None
    canary: Adapter | None
    canary_share: float
    refused: Refusal | None


@dataclass(frozen=True)
class Overview:
    """What is so. `elsewhere` has what answers in the domains that have adapters of their own, by their names.

    `fresh` counts the corrections since the last run.
    """

    default: Answering
    elsewhere: dict[str, Answering]
    runs: list[Run]
    pause: Pause | None
    paused_by: str
    next_training: datetime | None
    fresh: int
    needed: int
    open: list[Proposal]


def read_overview(parts: SlackParts) -> Overview:
    """Read what is so; blocks."""
    now, policy = parts.clock(), parts.governance.policy
    fresh = sum(new_corrections(parts.database, policy.labels_of(each)) for each in (DEFAULT_DOMAIN, *policy.domains))
    with parts.database.read() as session:
        pause = current_pause(session, now)
        own = {domain: _own(parts, session, domain) for domain in policy.domains}
        return Overview(
            default=Answering(
                adapter=parts.serving.answering(session),
                canary=canary_adapter(session),
                canary_share=policy.rollout.canary_share,
                refused=parts.serving.refused,
            ),
            elsewhere={domain: found for domain, found in own.items() if found.adapter or found.canary},
            runs=list_runs(session, *ACTIVE),
            pause=pause,
            paused_by=_name(session, pause.paused_by) if pause else "",
            next_training=next_time(parts.settings.training.schedule, now),
            fresh=fresh,
            needed=parts.settings.training.min_new_corrections,
            open=list_proposals(session, "open"),
        )


def _own(parts: SlackParts, session: Session, domain: str) -> Answering:
    adapter = serving_adapter(session, domain)
    refused = parts.serving.refusals.get(adapter.digest) if adapter else None
    share = parts.governance.policy.rules_of(domain).rollout.canary_share
    return Answering(adapter, canary_adapter(session, domain), share, refused)


def serving_text(overview: Overview) -> str:
    """Say what answers, and since when; a line for each domain with adapters of its own."""
    lines = [_answering_text(overview.default, "The base model.")]
    for domain, own in overview.elsewhere.items():
        lines.append(f"In channels about {domain}: {_answering_text(own, 'What answers elsewhere.')}")
    return "\n".join(lines)


def _answering_text(answering: Answering, otherwise: str) -> str:
    adapter, canary, refused = answering.adapter, answering.canary, answering.refused
    text = otherwise
    if adapter is not None:
        since = f", since {blocks.moment(adapter.serving_since)}" if adapter.serving_since else ""
        text = f"Adapter `{adapter.digest[:12]}`{since}."
    if canary is not None and canary.canary_since is not None:
        text += (
            f" Adapter `{canary.digest[:12]}` answers {answering.canary_share:.0%} of the people, "
            f"since {blocks.moment(canary.canary_since)}."
        )
    if refused is not None:
        text += f" Adapter `{refused.digest[:12]}` was approved since, but cannot be loaded."
    return text


def training_text(overview: Overview) -> str:
    """Say what trains, whether training is paused, when the next one is due, and what waits for it."""
    lines = [run_line(run) for run in overview.runs] or ["No training is under way."]
    if overview.pause:
        lines.append(pause_line(overview.pause, overview.paused_by))
    if overview.next_training:
        lines.append(
            f"The next one is due {blocks.moment(overview.next_training)}, if {_at_least(overview.needed)} new by then."
        )
    else:
        lines.append("None is scheduled: `/apprentice train` starts one.")
    return "\n".join([*lines, f"{counted(overview.fresh, 'new correction')} so far."])


def run_line(run: Run) -> str:
    """Say what a run does, or that it stands still."""
    event = event_of(run.id, run.progress)
    if run.state == "running" and event.phase:
        return progress_line(event)
    words = "interrupted; it goes on when training starts again" if run.state == "interrupted" else run.state
    return f"*Training run* `{run.id}`: {words}."


def pause_line(pause: Pause, paused_by: str) -> str:
    """Say who paused training, and until when."""
    until = f"until {blocks.moment(pause.ends_at)}" if pause.ends_at else "until somebody resumes it"
    return (
        f"*Training is paused* by {blocks.escape(paused_by)}, {until}: no run begins. `/apprentice resume` ends that."
    )


def proposal_line(proposal: Proposal, link: str | None) -> str:
    """Name a proposal that waits for decisions, with a link to its message where there is one."""
    name = f"<{link}|The proposal>" if link else "The proposal"
    return f"• {name} of adapter `{proposal.adapter_digest[:12]}`, open until {blocks.moment(proposal.expires_at)}"


def counted(count: int, what: str) -> str:
    """Write a number of things, as in "1 vote" and "2 votes"."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _at_least(needed: int) -> str:
    return "a correction is" if needed == 1 else f"{needed:,} corrections are"


def _name(session: Session, person_id: str) -> str:
    return names_of(session, [person_id]).get(person_id, person_id)
