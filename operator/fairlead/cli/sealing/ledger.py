"""Which value is behind which envelope, as far as this user sealed it: so that sealing an unchanged value again changes nothing.

Neither the file in git nor the cluster holds a digest of a value: it would let anyone try guesses. This ledger does, keyed by a
secret of this user's own, beside it, and both are readable by this user alone.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from pathlib import Path

from fairlead.cli.sealing.files import write_private

MOST = 20_000  # entries; the oldest go
KEY_BYTES = 32


def place(environ: Mapping[str, str]) -> Path:
    """The folder of the ledger: $XDG_STATE_HOME/fairlead, else ~/.local/state/fairlead."""
    state = environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path(environ.get("HOME") or Path.home()) / ".local" / "state") / "fairlead"


class Ledger:
    """Kept in `sealed.json`: digest of an envelope -> keyed digest of envelope and value."""

    def __init__(self, folder: Path) -> None:
        self._file, self._key_file = folder / "sealed.json", folder / "sealed.key"
        self._key = _read(self._key_file)
        self._known = _entries(_read(self._file)) if len(self._key) == KEY_BYTES else {}
        self._changed = False

    def holds(self, envelope: str, value: bytes) -> bool:
        """Whether that envelope was made here, of that very value."""
        known = self._known.get(_name(envelope))
        return known is not None and hmac.compare_digest(known, self._mark(envelope, value))

    def note(self, envelope: str, value: bytes) -> None:
        if len(self._key) != KEY_BYTES:
            self._key = secrets.token_bytes(KEY_BYTES)
        self._known[_name(envelope)] = self._mark(envelope, value)
        self._changed = True

    def save(self) -> bool:
        """False where it cannot be kept: then all values will be sealed anew the next time, and nothing is lost."""
        if not self._changed:
            return True
        newest = dict(list(self._known.items())[-MOST:])
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(self._key_file, self._key)
            write_private(self._file, json.dumps(newest).encode())
        except OSError:
            return False
        return True

    def _mark(self, envelope: str, value: bytes) -> str:
        text = envelope.encode()
        return hmac.new(self._key, len(text).to_bytes(8, "big") + text + value, hashlib.sha256).hexdigest()


def _name(envelope: str) -> str:
    return hashlib.sha256(envelope.encode()).hexdigest()[:32]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _entries(data: bytes) -> dict[str, str]:
    try:
        found = json.loads(data)
    except ValueError:
        return {}
    return {str(name): str(mark) for name, mark in found.items()} if isinstance(found, dict) else {}
