"""Helm for tests: the pinned one, built once per machine by the project's own tools."""

import functools
import json
import sys
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import yaml

from support.commands import REPOSITORY, execute

CHART = REPOSITORY / "charts" / "fairlead"
_BUILD_TIMEOUT = 1800  # on a fresh machine it is built first
_KUBERNETES = "1.36.3"

Manifest = dict[str, Any]


@functools.cache
def program() -> str:
    return execute([sys.executable, str(REPOSITORY / "hack" / "tool"), "helm"], timeout=_BUILD_TIMEOUT).stdout.strip()


def helm(*arguments: str | Path, kubeconfig: Path | None = None, check: bool = True, timeout: float = 300) -> str:
    """Run helm; its stdout, and with check=False stderr after it."""
    where = ["--kubeconfig", str(kubeconfig)] if kubeconfig else []
    done = execute([program(), *map(str, arguments), *where], check=check, timeout=timeout)
    return done.stdout if check else done.stdout + done.stderr


def render(
    values: dict[str, Any] | None = None, *, release: str = "fairlead", namespace: str = "fairlead-system"
) -> list[Manifest]:
    """The chart's objects for these values, in Helm's order. Not to be changed: they are kept for the next who asks."""
    return _rendered(json.dumps(values or {}), release, namespace)


@functools.cache
def _rendered(values: str, release: str, namespace: str) -> list[Manifest]:
    done = _template(values, release, namespace)
    assert not done.returncode, done.stderr
    return [one for one in yaml.load_all(done.stdout, Loader=_LOADER) if one]


def refusal(values: dict[str, Any]) -> str:
    """What Helm says about values that must not be accepted; empty if it accepts them."""
    done = _template(json.dumps(values), "fairlead", "fairlead-system")
    return done.stderr if done.returncode else ""


def _template(values: str, release: str, namespace: str) -> CompletedProcess[str]:
    argv = [program(), "template", release, str(CHART), "--namespace", namespace, "--kube-version", _KUBERNETES]
    return execute([*argv, "--values", "-"], stdin=values, check=False)


_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
