"""Whose account on this machine it is that runs this process."""

import getpass
import os

from governance.roles import OPERATOR


def operator() -> str:
    """Return the name under which the audit log knows whoever runs this process.

    An account without a name, as in some containers, is known by its number.
    """
    try:
        return f"{OPERATOR}{getpass.getuser()}"
    except (KeyError, OSError):
        return f"{OPERATOR}{os.getuid()}"
