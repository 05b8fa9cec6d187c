"""The CRDs that came with this program."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from fairlead.core.meta import GROUP, JSON

_PACKAGE = Path(__file__).resolve().parents[2]
_WHEEL = _PACKAGE / "crds"
_CHECKOUT = _PACKAGE.parents[1] / "crds"


class NoCRDs(Exception):
    """Neither the wheel's nor a checkout's CRDs are there: the installation is damaged."""


@cache
def kinds() -> dict[tuple[str, str], JSON]:
    """(apiVersion, kind) -> schema, of all served versions."""
    found: dict[tuple[str, str], JSON] = {}
    for path in _files():
        definition: JSON = yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        spec = definition["spec"]
        for version in spec["versions"]:
            if version["served"] and spec["group"] == GROUP:
                schema = version["schema"]["openAPIV3Schema"]
                # The schema may bound a name; all other fields of metadata are the same for every kind.
                schema["properties"].setdefault("metadata", {})["x-kubernetes-preserve-unknown-fields"] = True
                found[f"{GROUP}/{version['name']}", spec["names"]["kind"]] = schema
    return found


def _files() -> list[Path]:
    for folder in (_WHEEL, _CHECKOUT):
        files = sorted(folder.glob("*.yaml"))
        if files:
            return files
    raise NoCRDs(f"the CRDs are not in {_WHEEL}: install fairlead again")


def schema(api_version: Any, kind: Any) -> JSON | None:
    """The schema of a kind of ours, None for one that is not."""
    return kinds().get((str(api_version), str(kind)))
