"""Under which name the log knows whoever runs a process."""

import getpass
import os

import pytest

from bot.whoami import operator


def test_an_account_without_a_name_is_known_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs under a number of its own."""

    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found")

    assert operator() == f"operator:{getpass.getuser()}"
    monkeypatch.setattr(getpass, "getuser", nameless)
    assert operator() == f"operator:{os.getuid()}"
