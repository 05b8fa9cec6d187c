"""A program without packages that nobody here uses: built in a copy of its module, where packages of ours stand in for them.

Go compiles whatever is imported, be it ever called or not. A program that can speak to a hundred clouds takes their hundred
libraries, which may be most of the work, and most of what has to be downloaded.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

from substrate import trees
from substrate.progress import Failure

_OURS = "internal/standin"


def copy(module: Path, target: Path, path: str, standins: Mapping[str, str], ours: Path) -> None:
    """Copy the source of a module, in which imports of the packages in `standins` become those of ours. It appears only when
    it is whole.

    path: the module's own. standins: import path -> folder below `ours`, a package of the same name with what is used of it.
    """
    instead = {wanted: f"{path}/{_OURS}/{name}" for wanted, name in standins.items()}
    half = target.with_name(f"{target.name}.slim")
    trees.copy(module, half)
    for name in standins.values():
        (half / _OURS).mkdir(parents=True, exist_ok=True)
        trees.copy(ours / name, half / _OURS / name)
    needless = set(instead)
    for source in half.rglob("*.go"):
        text = source.read_text()
        if found := {wanted for wanted in instead if _quoted(wanted) in text}:
            source.write_text(led(text, instead))
            needless -= found
    if needless:
        raise Failure(f"nothing in {path} imports {', '.join(sorted(needless))} (hack/substrate/tools.py)")
    shutil.rmtree(target, ignore_errors=True)
    half.rename(target)


def led(text: str, instead: Mapping[str, str]) -> str:
    """Go source whose imports lead elsewhere.

    >>> led('import "example.org/clouds/all"', {"example.org/clouds/all": "example.org/shop/none"})
    'import "example.org/shop/none"'
    >>> led('import "example.org/clouds/all/one"', {"example.org/clouds/all": "example.org/shop/none"})
    'import "example.org/clouds/all/one"'
    """
    for wanted, other in instead.items():
        text = text.replace(_quoted(wanted), _quoted(other))
    return text


def _quoted(path: str) -> str:
    return f'"{path}"'
