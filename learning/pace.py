"""How many tokens a pass takes in while answers run, which all wait for its end.

A pass over few tokens takes about as long as reading the weights does; from how many on it takes longer depends on the
machine, the adapters and what else runs, so it is watched. More is given up at once than is tried again, as TCP does
(Chiu and Jain, 1989, doi 10.1016/0169-7552(89)90019-6).
"""

SHORT_S = 0.07
"""A pass of so many seconds is never too long: a pause of a tenth of a second is hardly seen (Nielsen, 1993)."""
LONGER = 1.3
"""A pass with prompts may take so many times as long as one without, where that is more."""
FEWER, MORE = 0.5, 1.1
"""What the number of tokens is multiplied by after a pass that was too long, and after one that was not.

About one pass in eight is too long then: seven that were not bring back what it took.
"""
NEWEST = 0.1
"""How much the newest pass without prompts counts in what such a pass usually takes."""


class Pace:
    """Watches how long passes take, and says how many tokens the next one may hold, `most` at first and at most."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._tokens = float(most)
        self._usual_s = 0.0

    @property
    def tokens(self) -> int:
        """Tokens of the next pass, those of running answers with those of prompts."""
        return int(self._tokens)

    def note(self, seconds: float, *, with_prompts: bool) -> None:
        """Take in how long a pass took while answers waited for it."""
        if not with_prompts:
            self._usual_s += NEWEST * (seconds - self._usual_s) if self._usual_s else seconds
        elif seconds > max(SHORT_S, LONGER * self._usual_s):
            self._tokens = max(1.0, FEWER * self._tokens)
        else:
            self._tokens = min(float(self._most), MORE * self._tokens)
