"""What is kept with an answer of the model's work."""

from typing import Any

from learning.engine import Completion


def usage_of(completion: Completion) -> dict[str, Any]:
    """Return what is kept with an interaction of the model's work."""
    return {
        "prompt_tokens": completion.prompt_tokens,
        "completion_tokens": completion.completion_tokens,
        "logprobs": [round(value, 4) for value in completion.logprobs],
        "in_scope": completion.in_scope,
        "read_as": completion.read_as,
        "finish_reason": completion.finish_reason,
        "seconds": round(completion.seconds, 3),
        "seconds_to_first_token": round(completion.seconds_to_first_token, 3),
    }
