"""What an adapter in shadow would have answered: asked after people had their answers, kept, and shown to nobody.

It costs those who ask nothing: questions wait here, in memory only, until no answer is being made; of more than fit,
and of what is still here when the process ends, nothing comes.
"""

import asyncio
import logging
from typing import Any

from bot.serving import share_of
from bot.slack.answering import Plan, usage_of
from bot.slack.parts import Shadowed, SlackParts
from learning.engine import Sampling
from storage.errors import ApprenticeError
from storage.interactions import Interaction
from storage.shadows import ShadowAnswer

log = logging.getLogger(__name__)

LOOK_AGAIN_S = 0.2
"""Between two looks at whether answers are being made."""


def offer(parts: SlackParts, answered: Interaction, plan: Plan) -> None:
    """Have a question asked again of the adapter in shadow, if there is one and the question falls to its share.

    Left out is what was asked in private, because approvers can read shadow answers, and what no model answered.
    """
    if answered.private or plan.choice.answer is not None or parts.to_shadow.full():
        return
    policy = parts.governance.policy
    found = parts.serving.shadow(policy.domain_of(plan.domain))
    if found is None:
        return
    digest, domain = found
    if share_of(answered.id, digest) < policy.rules_of(domain).rollout.shadow_share:
        parts.to_shadow.put_nowait(Shadowed(answered.id, digest, plan.messages))


class Shadowing:
    """Asks adapters in shadow, one question at a time, while nobody waits for an answer."""

    def __init__(self, parts: SlackParts, look_again_s: float = LOOK_AGAIN_S) -> None:
        self._parts = parts
        self._look_again_s = look_again_s

    async def run(self) -> None:
        """Ask until cancelled; what goes wrong besides the answer is logged."""
        while True:
            question = await self._parts.to_shadow.get()
            while self._parts.running.any():
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
        try:
            async for piece in self._parts.engine.stream(question.messages, adapter=question.adapter, sampling=sampling):
                if piece.completion is not None:
                    said = {"answer": piece.completion.text, "usage": usage_of(piece.completion)}
        except ApprenticeError as error:
            said = {"error": str(error)}
        await asyncio.to_thread(self._keep, question, said)

    def _keep(self, question: Shadowed, said: dict[str, Any]) -> None:
        """Keep it, unless question and answer were erased meanwhile."""
        with self._parts.database.transaction() as session:
            if session.get(Interaction, question.interaction_id) is not None:
                key = {"interaction_id": question.interaction_id, "adapter_digest": question.adapter}
                session.merge(ShadowAnswer(**key, **said, created_at=self._parts.clock()))
