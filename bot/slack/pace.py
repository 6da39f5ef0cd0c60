"""How often, and from when on, the people who wait are told of an answer in the making."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """Seconds.

    `look`: between two looks at whether there is something else to say. `patience`: what takes no longer is not talked
    about. `refresh`: a status is set again, before Slack clears it after two minutes. `roll_over`: a message that grew
    for so long is ended and the next one begun, before Slack gives its stream up after about five minutes.
    """

    look: float = 1.0
    patience: float = 2.0
    refresh: float = 90.0
    roll_over: float = 240.0
