"""How a question becomes the messages that the model sees; the same for answering, training and evaluation."""

import hashlib
from collections.abc import Sequence
from typing import Literal, TypedDict

import rfc8785


class ChatMessage(TypedDict):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class Exchange(TypedDict):
    """A question and the answer that was given to it."""

    question: str
    answer: str


def build_messages(question: str, system_prompt: str, history: Sequence[Exchange] = ()) -> list[ChatMessage]:
    """Return the system prompt (left out when empty), the earlier exchanges, oldest first, and the question."""
    messages: list[ChatMessage] = []
    if system_prompt:
        messages.append({"role": "system", "content": system_prompt})
    for exchange in history:
        messages.append({"role": "user", "content": exchange["question"]})
        messages.append({"role": "assistant", "content": exchange["answer"]})
    messages.append({"role": "user", "content": question})
    return messages


def in_language(system_prompt: str, language: str) -> str:
    """Return the system prompt that also asks for answers in a language (its English name; empty asks for none)."""
    return f"{system_prompt} Answer in {language}.".strip() if language else system_prompt


def prompt_digest(messages: Sequence[ChatMessage]) -> str:
    """Return the SHA-256, in hex, over the messages' canonical JSON (RFC 8785)."""
    return hashlib.sha256(rfc8785.dumps([[message["role"], message["content"]] for message in messages])).hexdigest()
