"""Files, read once and replaced as a whole. What is written here is ciphertext, or was asked for as a private file."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from fairlead.cli.failures import Failed


def replace(path: Path, text: str) -> None:
    """Put `text` in the place of the file at once: a reader, or a crash, finds the old one or the new one. A link is followed,
    so that it stays one; the mode stays as it is."""
    target = path.resolve()
    mode = target.stat().st_mode & 0o7777 if target.exists() else None
    try:
        _swap(target, text.encode(), mode)
    except OSError as error:
        raise Failed(f"{path} cannot be written: {error.strerror}") from None


def write_private(path: Path, data: bytes) -> None:
    """As `replace`, for this user's eyes alone. OSError where that fails."""
    _swap(path, data, 0o600)


def create_private(path: Path, data: bytes) -> None:
    """A new file for this user's eyes alone; Failed where there is one already: a key is never written over."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise Failed(f"{path} is there already: choose another name, or move it away") from None
    except OSError as error:
        raise Failed(f"{path} cannot be written: {error.strerror}") from None


def read(path: str, most: int) -> bytes:
    """The bytes of a file; Failed where it cannot be read or has more than `most`."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise Failed(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > most:
        raise Failed(f"{path} has more than {most // 1024} KiB")
    return data


def _swap(path: Path, data: bytes, mode: int | None) -> None:
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(
            os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else 0o600), "wb"
        ) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            fresh.chmod(mode)
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
