"""What an adapter in shadow would have answered: asked after people had their answers, kept, and shown to nobody.

It costs those who ask nothing: questions wait here, in memory only, until no answer is being made; of more than fit,
and of what is still here when the process ends, nothing comes.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import Session

from bot.serving import share_of
from bot.slack.parts import Shadowed, SlackParts
from bot.slack.answering import usage_of
from learning.engine import Completion, Sampling
from learning.prompts import ChatMessage
from storage.errors import ApprenticeError
from storage.interactions import Interaction
from storage.shadows import ShadowAnswer

log = logging.getLogger(__name__)

LOOK_AGAIN_S = 0.2
"""Between two looks at whether answers are being made."""
