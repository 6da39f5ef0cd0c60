"""From an exchange to token ids, exactly as the engine's chat template would have them."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from learning.packing import Role, TokenRow
from learning.prompts import Exchange, build_messages


@dataclass(frozen=True)
class Encoder:
    """Turns exchanges into token ids exactly as the engine's chat template would."""

    tokenizer: Any
    system_prompt: str

    def prefix(self) -> list[int]:
        """Token ids of what every prompt begins with: the template's text up to the question's turn."""
        return list(self._common_prefix)

    def row(self, question: str, answer: str, role: Role = "learned") -> TokenRow:
        """Encode an exchange without the shared prefix; the completion ends with the end-of-turn token."""
        completion = self.tokenizer(answer, add_special_tokens=False).input_ids
        ending = [*completion, self.tokenizer.eos_token_id]
        return TokenRow(self.prompt(question), tuple(ending), role)

    def prompt(self, question: str, history: Sequence[Exchange] = ()) -> tuple[int, ...]:
        """Token ids of a question, after the earlier exchanges, without the shared prefix."""
        return tuple(self._prompt(question, history)[len(self._common_prefix) :])

    def _prompt(self, question: str, history: Sequence[Exchange] = ()) -> list[int]:
        text = self.tokenizer.apply_chat_template(
            build_messages(question, self.system_prompt, history), tokenize=False, add_generation_prompt=True
        )
        return list(self.tokenizer(text, add_special_tokens=False).input_ids)

    @cached_property
    def _common_prefix(self) -> list[int]:
        first, second = self._prompt("A"), self._prompt("7")
        same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False))
        return [token for token, _ in same]
