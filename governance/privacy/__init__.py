"""Personal data and secrets in what people write: found by rules that need no network and no model, and masked.

Each detector is exact rather than complete: what has a checksum is checked, what has none needs a word beside it that
says what it is. docs/benchmarks.md says how much of each kind is found, and how much of what is found is right.
"""
