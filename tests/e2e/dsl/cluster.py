"""A kind cluster, reached with the programs that people use: kubectl, helm and docker."""

import json
import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from support.commands import REPOSITORY, execute
from support.stream import Stream
from support.watch import Objects, Watch

JSON = dict[str, Any]
T = TypeVar("T")

OWN = "kind-fairlead"
_MAKE_TIMEOUT = 5400  # a fresh machine builds everything first

_PATHS = {
    "apps": "/apis/fairlead.dev/v1alpha1",
    "revisions": "/apis/fairlead.dev/v1alpha1",
    "pods": "/api/v1",
    "events": "/api/v1",
    "services": "/api/v1",
    "nodes": "/api/v1",
    "endpointslices": "/apis/discovery.k8s.io/v1",
    "poddisruptionbudgets": "/apis/policy/v1",
    "horizontalpodautoscalers": "/apis/autoscaling/v2",
    "leases": "/apis/coordination.k8s.io/v1",
}


class NotKind(Exception):
    """These tests stop nodes and delete definitions: they run on throw-away clusters only."""


class Cluster:
    """All commands name the context, so that whatever context is current is never touched.

    >>> Cluster("production")  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    ...
    NotKind: the context 'production' is refused: only kind clusters (kind-…) are for end-to-end tests
    """

    def __init__(self, context: str) -> None:
        if not context.startswith("kind-"):
            raise NotKind(f"the context {context!r} is refused: only kind clusters (kind-…) are for end-to-end tests")
        self.context = context
        self.name = context.removeprefix("kind-")

    @property
    def calm(self) -> str:
        """The lock that is shared by tests that count on nodes and operator, and held alone by those that stop them."""
        return f"{self.context} calm"

    # ------------------------------------------------------------ made and filled

    def up(self) -> None:
        """Have it: the project's own is made or repaired, somebody else's has to be there."""
        if self.context == OWN:
            hack("cluster", "up")
        self.kubectl("uncordon", *self.workers())  # a run that was killed may have left one cordoned

    def load(self, image: str) -> None:
        if self.context == OWN:
            hack("cluster", "load", image)
        else:
            execute(["kind", "load", "docker-image", image, f"--name={self.name}"], timeout=300)

    # ------------------------------------------------------------ kubectl, helm, docker

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True, timeout: float = 60) -> str:
        """Its stdout; with check=False also stderr, after it."""
        done = execute(["kubectl", "--context", self.context, *arguments], stdin=stdin, check=check, timeout=timeout)
        return done.stdout if check else done.stdout + done.stderr

    def get(self, *arguments: str) -> JSON:
        found: JSON = json.loads(self.kubectl("get", *arguments, "-o", "json"))
        return found

    def apply(self, *objects: JSON, namespace: str = "") -> None:
        """Client-side, as people do it."""
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        self.kubectl("apply", *(["-n", namespace] if namespace else []), "-f", "-", stdin=text)

    def helm(self, *arguments: str, stdin: str | None = None, timeout: float = 300) -> str:
        return execute(["helm", "--kube-context", self.context, *arguments], stdin=stdin, timeout=timeout).stdout

    def on_node(self, node: str, *command: str, check: bool = True, timeout: float = 60) -> str:
        return execute(["docker", "exec", node, *command], check=check, timeout=timeout).stdout

    def stop_node(self, node: str) -> None:
        """As its power would."""
        execute(["docker", "kill", node])

    def start_node(self, node: str) -> None:
        execute(["docker", "start", node])

    def workers(self) -> list[str]:
        return sorted(
            node["metadata"]["name"]
            for node in self.get("nodes")["items"]
            if "node-role.kubernetes.io/control-plane" not in node["metadata"]["labels"]
        )

    def stream(self, *arguments: str) -> Stream:
        """kubectl that goes on: `logs --follow`."""
        return Stream(["kubectl", "--context", self.context, *arguments])

    # ------------------------------------------------------------ waiting

    def watch(self, kind: str, namespace: str = "", *, labels: str = "", name: str = "") -> Watch:
        where = f"/namespaces/{namespace}" if namespace else ""
        fields = f"metadata.name={name}" if name else ""
        return Watch(
            ["kubectl", "--context", self.context], f"{_PATHS[kind]}{where}/{kind}", labels=labels, fields=fields
        )

    def until(self, kind: str, holds: Callable[[Objects], T], within: float, **where: str) -> T:
        """The first true answer of `holds` for the objects of a kind, as they change. AssertionError after `within` seconds."""
        return self.watch(kind, **where).until(holds, within)


def hack(name: str, *arguments: str) -> str:
    """Run one of the project's own commands; its stdout."""
    return execute([sys.executable, str(REPOSITORY / "hack" / name), *arguments], timeout=_MAKE_TIMEOUT).stdout


def chosen() -> Cluster:
    """The project's own kind cluster, or the one in $FAIRLEAD_E2E_CONTEXT."""
    return Cluster(os.environ.get("FAIRLEAD_E2E_CONTEXT", OWN))
