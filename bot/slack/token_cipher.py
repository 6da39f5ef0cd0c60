"""Encrypts what must not lie readable in the database: the bot tokens of the workspaces that installed the app."""

import os
import stat
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from filelock import FileLock

from storage.errors import ConfigurationError

KEY_FILE = "slack-tokens.key"


class TokenCipher:
    """Encrypts with the first key and reads what any of them encrypted, so that a new key can be put before the old."""

    def __init__(self, keys: list[str]) -> None:
        try:
            self._keys = MultiFernet([Fernet(key) for key in keys])
        except ValueError as error:
            raise ConfigurationError(
                "slack.token_key is no key. Make one with `openssl rand -base64 32 | tr +/ -_`; "
                "several, the newest first, are separated by commas."
            ) from error

    def encrypt(self, token: str) -> str:
        """Encrypt with the newest key."""
        return self._keys.encrypt(token.encode()).decode()

    def decrypt(self, encrypted: str, max_age_s: int | None = None) -> str:
        """Give back what was encrypted.

        Raises:
            ConfigurationError: none of the keys fits, or it was encrypted longer ago than `max_age_s`.

        """
        try:
            return self._keys.decrypt(encrypted, max_age_s).decode()
        except InvalidToken as error:
            raise ConfigurationError(
                "a kept Slack token cannot be read with slack.token_key. Put the key back with which it was kept, "
                "or let the workspace install the app again."
            ) from error

    def renew(self, encrypted: str) -> str:
        """Encrypt anew with the newest key what any of the keys encrypted."""
        return self.encrypt(self.decrypt(encrypted))


def open_cipher(setting: str, folder: Path) -> TokenCipher:
    """Take the keys of the setting; without any, the one in this folder, made on first use for its owner alone.

    Raises:
        ConfigurationError: a key is none, or others can read its file.

    """
    return TokenCipher(_keys_in(setting) or [_kept_key(folder)])


def check_keys(setting: str) -> None:
    """Refuse a setting that has something else than keys in it.

    Raises:
        ConfigurationError: one of them is none.

    """
    if keys := _keys_in(setting):
        TokenCipher(keys)


def _keys_in(setting: str) -> list[str]:
    return [key.strip() for key in setting.split(",") if key.strip()]


def _kept_key(folder: Path) -> str:
    path = folder / KEY_FILE
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with FileLock(folder / ".lock"):
        if not path.exists():
            draft = path.with_suffix(".draft")
            draft.unlink(missing_ok=True)
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(Fernet.generate_key())
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise ConfigurationError(f"{path} can be read by other users. Run `chmod 600 {path}`.")
    return path.read_text(encoding="ascii").strip()
