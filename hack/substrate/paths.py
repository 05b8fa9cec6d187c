"""Where things are kept. Everything that can be rebuilt lives in one cache, so that cleaning up is removing one folder."""

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
FILES = Path(__file__).resolve().parent / "files"


def cache() -> Path:
    """The cache's root: $FAIRLEAD_CACHE, or `fairlead` in the user's cache folder."""
    chosen = os.environ.get("FAIRLEAD_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fairlead"


def programs() -> Path:
    """The folder to put on PATH: one link per program, to the version in use."""
    return cache() / "bin"
