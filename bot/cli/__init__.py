"""The command line, `apprentice`: each command parses, calls one function of another room, and prints."""

from bot.cli.app import main

__all__ = ["main"]
