"""Whether a reaction or a reply is about an answer of ours: looked up first, as nothing else of others is kept."""

from dataclasses import replace

from sqlmodel import Session

from bot.slack.feedback_jobs import Reaction, Reply
from bot.slack.jobs import Job, Question
from storage import inbox
from storage.channels import channel_settings
from storage.database import Database
from storage.interactions import find_by_answer, is_in_thread


def has_to_be_placed(job: Job) -> bool:
    """Whether it has to be looked up what a job is about."""
    return isinstance(job, Reaction) or (isinstance(job, Reply) and not job.mentioned)


def placed(database: Database, job: Job) -> Job | None:
    """Return the job, a reaction with the thread of its answer; None when it does not concern us."""
    match job:
        case Reaction():
            with database.read() as session:
                thread_ts = _thread_of(session, job)
            return replace(job, thread_ts=thread_ts) if thread_ts else None
        case Reply(mentioned=False):
            with database.read() as session:
                return job if _is_ours(session, job) else None
    return job


def _thread_of(session: Session, reaction: Reaction) -> str:
    """Return the thread of an answer, or of one that is being written; "" for any other message."""
    about = find_by_answer(session, reaction.team, reaction.channel, reaction.message_ts)
    if about is not None:
        return about.thread_ts
    begun = (each.payload for each in inbox.in_hand(session, Question.kind))
    return next((str(each["thread_ts"]) for each in begun if reaction.message_ts in each["begun"]), "")


def _is_ours(session: Session, reply: Reply) -> bool:
    """Whether something was, or is being, answered in the thread of a reply, in a channel where answers are not off."""
    if channel_settings(session, reply.team, reply.channel).answers == "off":
        return False
    if is_in_thread(session, reply.team, reply.channel, reply.thread_ts):
        return True
    asked = ((each.payload["channel"], each.payload["thread_ts"]) for each in inbox.in_hand(session, Question.kind))
    return (reply.channel, reply.thread_ts) in asked
