"""Attempts to steer the assistant through corrections, found by rules that anybody can check: no model, no network.

Each detector is a pure function over what people said lately. None of them proves bad intent: what is found waits for a
reviewer, who sees why and what else was found with it. docs/decisions/0035 says what each can and cannot find.
"""
