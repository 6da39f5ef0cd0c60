"""The task lines of an answer: what was done for it, as chunks of its stream. Pure."""

from typing import Any, Literal

from learning.examples import Choice, How

Chunk = dict[str, Any]

SHOWN_DIGEST = 8
FOUND: dict[How, str] = {
    "accepted": "One answers this question.",
    "quoted": "One answers a question like it.",
    "examples": "The model is shown {count}.",
    "model": "None is about this.",
}


def task(task_id: str, title: str, status: Literal["in_progress", "complete"], output: str = "") -> Chunk:
    """Make the chunk that shows a task, or changes the one with this id."""
    chunk = {"type": "task_update", "id": task_id, "title": title, "status": status}
    return chunk | ({"output": output} if output else {})


def looked_up(choice: Choice) -> Chunk:
    """Say what became of the search among the accepted corrections."""
    found = FOUND[choice.how].format(count=len(choice.known))
    return task("corrections", "Looked for accepted corrections", "complete", found)


def answering(source: str) -> Chunk:
    """Say that the answer is being given."""
    return task("answer", f"Answering with {source}", "in_progress")


def answered(source: str, *, stopped: bool = False) -> Chunk:
    """Say that the answer was given, or that somebody stopped it."""
    return task("answer", f"{'Stopped answering' if stopped else 'Answered'} with {source}", "complete")


def source_of(adapter: str | None, *, in_scope: bool = True) -> str:
    """Name what answers: an adapter by its digest, or the base model."""
    if adapter is None:
        return "the base model"
    name = f"adapter {adapter[:SHOWN_DIGEST]}"
    return name if in_scope else f"the base model, as this is not about what {name} learned"


CORRECTION = "an accepted correction"
