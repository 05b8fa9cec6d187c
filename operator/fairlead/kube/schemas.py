"""The CustomResourceDefinitions of our kinds, for whoever checks objects without an API server."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import yaml

from fairlead.core.meta import JSON

KINDS = ("App", "Revision")


def text(kind: str) -> str:
    """The kind's CRD as it ships (YAML). Raises KeyError for a kind that is not ours."""
    if kind not in KINDS:
        raise KeyError(kind)
    return (_folder() / f"{kind.lower()}.yaml").read_text(encoding="utf-8")


@cache
def crd(kind: str) -> JSON:
    """The kind's CRD. It is shared: do not change it."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # seven times as fast
    loaded: JSON = yaml.load(text(kind), loader)
    return loaded


def schema(kind: str) -> JSON:
    """The kind's structural schema (openAPIV3Schema) in the version that is stored.

    >>> schema("App")["required"]
    ['spec']
    """
    versions = crd(kind)["spec"]["versions"]
    found: JSON = next(version for version in versions if version["storage"])["schema"]["openAPIV3Schema"]
    return found


def _folder() -> Traversable:
    """In the wheel they lie beside the code, in a checkout at the root of the repository."""
    packaged = files("fairlead") / "crds"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[3] / "crds"
