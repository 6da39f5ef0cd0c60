"""What an adapter in shadow would have answered: asked after people had their answers, kept, and shown to nobody.

It costs those who ask nothing: questions wait here, in memory only, until no answer is being made; of more than fit,
and of what is still here when the process ends, nothing comes.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from bot.serving import share_of
from bot.slack.parts import Shadowed, SlackParts
from bot.slack.usage import usage_of
from learning.engine import EngineClosedError, Sampling
from learning.prompts import ChatMessage
from storage.errors import ApprenticeError
from storage.interactions import Interaction
from storage.shadows import ShadowAnswer

log = logging.getLogger(__name__)

LOOK_AGAIN_S = 0.2
"""Between two looks at whether answers are being made."""


def offer(parts: SlackParts, answered: Interaction, messages: Sequence[ChatMessage], label: str) -> None:
    """Have a question asked again of the adapter in shadow, if there is one and the question falls to its share.

    `label` is that of the channel. What was asked in private is left out, because approvers can read shadow answers.
    """
    if answered.private or parts.to_shadow.full():
        return
    policy = parts.governance.policy
    found = parts.serving.shadow(policy.domain_of(label))
    if found is None:
        return
    digest, domain = found
    if share_of(answered.id, digest) < policy.rules_of(domain).rollout.shadow_share:
        parts.to_shadow.put_nowait(Shadowed(answered.id, digest, messages))


class Shadowing:
    """Asks adapters in shadow, one question at a time, while nobody waits for an answer."""

    def __init__(self, parts: SlackParts, look_again_s: float = LOOK_AGAIN_S) -> None:
        self._parts = parts
        self._look_again_s = look_again_s

    async def run(self) -> None:
        """Ask until cancelled; what goes wrong besides the answer is logged."""
        while True:
            question = await self._parts.to_shadow.get()
            while self._parts.running.any():  # noqa: ASYNC110 - it costs one look at a dictionary
                await asyncio.sleep(self._look_again_s)
            try:
                await self._ask(question)
            except Exception:
                log.exception("the shadow answer to %s could not be kept", question.interaction_id)

    async def _ask(self, question: Shadowed) -> None:
        if not self._parts.engine.is_loaded(question.adapter):
            return
        rules = self._parts.settings.inference
        sampling = Sampling(max_new_tokens=rules.max_new_tokens, temperature=rules.temperature)
        said: dict[str, Any] = {}
        engine, adapter = self._parts.engine, question.adapter
        try:
            async for piece in engine.stream(question.messages, adapter=adapter, sampling=sampling):
                if piece.completion is not None:
                    said = {"answer": piece.completion.text, "usage": usage_of(piece.completion)}
        except EngineClosedError:
            return
        except ApprenticeError as error:
            said = {"error": str(error)}
        await asyncio.to_thread(self._keep, question, said)

    def _keep(self, question: Shadowed, said: dict[str, Any]) -> None:
        """Keep it, unless question and answer were erased meanwhile."""
        with self._parts.database.transaction() as session:
            if session.get(Interaction, question.interaction_id) is not None:
                said |= {"interaction_id": question.interaction_id, "adapter_digest": question.adapter}
                session.merge(ShadowAnswer(**said, created_at=self._parts.clock()))
