"""The reasons that people give: kept with their decision and shown to others, so they say something, briefly."""

from governance.errors import ReasonRequiredError, ReasonTooLongError

MAX_REASON_LENGTH = 1_000
"""Characters. A few of them fit, escaped, into the 3,000 that Slack shows in one section of a message."""


def check_reason(reason: str, what: str, *, required: bool = True) -> str:
    """Return the reason for doing `what` (an infinitive, for the message) without surrounding white space.

    Raises:
        ReasonRequiredError: it is empty, and `required`.
        ReasonTooLongError: it has more than `MAX_REASON_LENGTH` characters.

    """
    stripped = reason.replace("\x00", "").encode(errors="replace").decode().strip()  # PostgreSQL keeps neither
    if required and not stripped:
        raise ReasonRequiredError(f"to {what}, say why: the reason is kept with the decision.")
    if len(stripped) > MAX_REASON_LENGTH:
        raise ReasonTooLongError(
            f"the reason has {len(stripped):,} characters; at most {MAX_REASON_LENGTH:,} are kept. Shorten it."
        )
    return stripped
