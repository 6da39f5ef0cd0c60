"""Slack's rate limits as it publishes them: calls a minute for each method, and posts a second for each channel.

Slack says "50 or more a minute" and forgives short bursts; here a minute's allowance is what a pause saves up at most.
"""

import math
from collections.abc import Callable, Mapping

from bot.workspace.model import Json

TIER_1, TIER_2, TIER_3, TIER_4 = 1, 20, 50, 100
A_MINUTE: Mapping[str, int] = {
    "apps.connections.open": TIER_1,
    "chat.startStream": TIER_2,
    "chat.stopStream": TIER_2,
    "conversations.list": TIER_2,
    "reactions.remove": TIER_2,
    "usergroups.list": TIER_2,
    "usergroups.users.list": TIER_2,
    "users.list": TIER_2,
    "assistant.threads.setStatus": TIER_4,
    "assistant.threads.setSuggestedPrompts": TIER_4,
    "assistant.threads.setTitle": TIER_4,
    "chat.appendStream": TIER_4,
    "chat.postEphemeral": TIER_4,
    "conversations.members": TIER_4,
    "users.info": TIER_4,
    "views.open": TIER_4,
    "views.publish": TIER_4,
    "views.update": TIER_4,
    "api.test": 600,
    "auth.test": 600,
    "chat.getPermalink": 600,
}
"""Method -> calls a minute; all others have tier 3. 600 stands for Slack's "hundreds of requests"."""
POSTS = "chat.postMessage"
"""Its limit is one a second for each channel."""


class RateLimits:
    """Counts calls. `now` gives seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._left: dict[tuple[str, str], tuple[float, float]] = {}

    def wait_s(self, method: str, arguments: Json) -> int:
        """Return after how many whole seconds the call may be made; 0 when it may be made now, which counts it."""
        channel = str(arguments.get("channel") or "") if method == POSTS else ""
        most, a_second = (1.0, 1.0) if method == POSTS else _allowance(method)
        now = self._now()
        left, at = self._left.get((method, channel), (most, now))
        left = min(most, left + (now - at) * a_second)
        if left < 1.0:
            return max(1, math.ceil((1.0 - left) / a_second))
        self._left[method, channel] = (left - 1.0, now)
        return 0


def _allowance(method: str) -> tuple[float, float]:
    a_minute = A_MINUTE.get(method, TIER_3)
    return float(a_minute), a_minute / 60
