"""Copy folders out of the module cache, where everything is read-only and nothing is executable."""

import shutil
from collections.abc import Callable
from pathlib import Path


def copy(source: Path, target: Path, executable: Callable[[Path], bool] = lambda path: False) -> None:
    """Copy a folder with modes of its own: what `executable` says yes to can be run. Appears only when it is whole."""
    half = target.with_name(target.name + ".half")
    shutil.rmtree(half, ignore_errors=True)
    shutil.copytree(source, half, copy_function=shutil.copyfile)
    half.chmod(0o755)
    for path in half.rglob("*"):
        relative = path.relative_to(half)
        path.chmod(0o755 if path.is_dir() or executable(relative) else 0o644)
    shutil.rmtree(target, ignore_errors=True)
    half.rename(target)
