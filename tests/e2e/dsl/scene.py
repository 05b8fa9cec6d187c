"""Given, When, Then: an App in a namespace of its own, what people do to it, and what is true of it then."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, TypeVar

from e2e.dsl import apps
from e2e.dsl.cluster import Cluster
from e2e.dsl.traffic import Report, Traffic
from support import figures
from support.commands import execute
from support.watch import Objects, PodHistory, is_ready

JSON = dict[str, Any]
T = TypeVar("T")

PATIENCE = 120.0
"""Seconds for what takes a few on an idle machine."""


class Scene:
    """What Given, When and Then share: the namespace, and the App that the sentences are about."""

    def __init__(self, cluster: Cluster, namespace: str, image: str) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.image = image
        """The operator's: it has Python in it."""
        self.manifest: JSON = {}

    @property
    def name(self) -> str:
        name: str = self.manifest["metadata"]["name"]
        return name

    @property
    def url(self) -> str:
        return f"http://{self.name}.{self.namespace}.svc/hostname"

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True, timeout: float = PATIENCE) -> str:
        return self.cluster.kubectl("-n", self.namespace, *arguments, stdin=stdin, check=check, timeout=timeout)

    def get(self, *arguments: str) -> JSON:
        found: JSON = json.loads(self.kubectl("get", *arguments, "-o", "json"))
        return found

    def apply(self, manifest: JSON) -> None:
        """`kubectl apply`, and the sentences are about this App from now on."""
        self.manifest = manifest
        self.cluster.apply(manifest, namespace=self.namespace)

    def app(self) -> JSON:
        return self.get("fapp", self.name)

    def pods(self) -> list[JSON]:
        """The App's, but for those that are being ended."""
        found = self.get("pods", "-l", f"fairlead.dev/app={self.name}")["items"]
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def until(self, holds: Callable[[JSON], T], within: float = PATIENCE) -> T:
        """The first true answer for the App, whose status has to speak of its newest spec."""

        def of_app(found: Objects) -> T | None:
            if not found or found[0]["metadata"]["generation"] != found[0].get("status", {}).get("observedGeneration"):
                return None
            return holds(found[0])

        answer = self.cluster.until("apps", of_app, within, namespace=self.namespace, name=self.name)
        assert answer
        return answer

    def until_pods(self, holds: Callable[[Objects], T], within: float = PATIENCE) -> T:
        """The first true answer for the App's pods, those that are being ended included."""
        return self.cluster.until(
            "pods", holds, within, namespace=self.namespace, labels=f"fairlead.dev/app={self.name}"
        )


class Given:
    """How things stand at first."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def an_app(self, manifest: JSON) -> None:
        """Applied, and not yet looked at."""
        self._scene.apply(manifest)

    def a_ready_app(self, manifest: JSON) -> None:
        self._scene.apply(manifest)
        Then(self._scene).ready()


class When:
    """What people, and the world, do."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def applied(self, manifest: JSON) -> None:
        self._scene.apply(manifest)

    def released(self, version: int | str) -> None:
        """A change in the template, by `kubectl apply`."""
        self._scene.apply(apps.version(self._scene.manifest, version))

    def image_is(self, name: str) -> None:
        self._scene.apply(apps.image(self._scene.manifest, name))

    def scaled_to(self, replicas: int) -> None:
        self._scene.kubectl("scale", f"fapp/{self._scene.name}", f"--replicas={replicas}")

    def undone_to(self, revision: int) -> None:
        """By writing the one field, as `fairlead undo` does."""
        patch = json.dumps({"spec": {"rollout": {"undoTo": revision}}})
        self._scene.kubectl("patch", "fapp", self._scene.name, "--type=merge", "-p", patch)

    def evicted(self, pod: str) -> None:
        """As `kubectl drain` and the cluster autoscaler do it."""
        namespace = self._scene.namespace
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": namespace}}
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/eviction"
        self._scene.cluster.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(body))

    def deleted(self, cascade: str, *options: str) -> None:
        self._scene.kubectl("delete", "fapp", self._scene.name, f"--cascade={cascade}", *options)

    def fairlead(self, *arguments: str, timeout: float = PATIENCE) -> CompletedProcess[str]:
        """Our own command line, however it ends."""
        program = Path(sys.executable).with_name("fairlead")
        where = ["--context", self._scene.cluster.context, "-n", self._scene.namespace]
        return execute([str(program), *arguments, *where], check=False, timeout=timeout)

    @contextmanager
    def requested(self, rate: float, kept_rate: float = 0) -> Iterator[list[Report]]:
        """Requests go to the App's Service all the while; the list holds the report afterwards."""
        traffic = Traffic(self._scene.cluster, self._scene.namespace, self._scene.image)
        traffic.start(self._scene.url, rate=rate, kept_rate=kept_rate)
        reports: list[Report] = []
        yield reports
        reports.append(traffic.stop())
        figures.tell(f"{self._scene.namespace}: {reports[0]}")


class Then:
    """What is true, now or in a while."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def ready(self, within: float = PATIENCE) -> None:
        """In the words that scripts use: `kubectl wait --for=condition=Ready`."""
        self._scene.kubectl(
            "wait", "--for=condition=Ready", f"fapp/{self._scene.name}", f"--timeout={within:.0f}s", timeout=within + 10
        )

    def condition(self, type: str, status: str, reason: str = "", within: float = PATIENCE) -> JSON:
        def holds(app: JSON) -> JSON | None:
            found = condition(app, type)
            wanted = found.get("status") == status and (not reason or found["reason"] == reason)
            return found if wanted else None

        found = self._scene.until(holds, within)
        assert found
        return found

    def problem(self, *reasons: str, within: float = PATIENCE) -> JSON:
        """The problem with one of these reasons, once status names it."""

        def holds(app: JSON) -> JSON | None:
            return next((one for one in app["status"].get("problems", ()) if one["reason"] in reasons), None)

        found = self._scene.until(holds, within)
        assert found
        return found

    def event(self, reason: str, within: float = PATIENCE) -> JSON:
        """An Event of this reason about anything in the namespace, once there is one."""

        def holds(events: Objects) -> JSON | None:
            return next((one for one in events if one["reason"] == reason), None)

        found = self._scene.cluster.until("events", holds, within, namespace=self._scene.namespace)
        assert found
        return found

    def status(self, holds: Callable[[JSON], T], within: float = PATIENCE) -> T:
        return self._scene.until(lambda app: holds(app["status"]), within)

    def phases(self, wanted: dict[int, str], within: float = PATIENCE) -> None:
        """The App's Revisions by number, and where each stands. They are told of a second after the App at most."""

        def hold(revisions: Objects) -> bool:
            found = {one["spec"]["number"]: one.get("status", {}).get("phase") for one in revisions}
            return found == wanted

        self._scene.cluster.until("revisions", hold, within, namespace=self._scene.namespace)

    def pods_ready(self, count: int, within: float = PATIENCE) -> list[JSON]:
        """So many pods of the App are ready, and there are no others but those that are being ended."""

        def holds(pods: Objects) -> Objects:
            there = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
            return there if len(there) == sum(map(is_ready, there)) == count else []

        return self._scene.until_pods(holds, within)

    def gone(self, within: float = PATIENCE) -> None:
        """No pod of the App is left, being ended or not."""
        self._scene.until_pods(lambda pods: not pods, within)

    def served(self, *pods: str, within: float = PATIENCE) -> None:
        """The Service has these pods, and no others, as upstream's controller tells those who send requests."""

        def hold(slices: Objects) -> bool:
            endpoints = [endpoint for one in slices for endpoint in one.get("endpoints") or ()]
            return {one["targetRef"]["name"] for one in endpoints if one["conditions"].get("ready")} == set(pods)

        service = f"kubernetes.io/service-name={self._scene.name}"
        self._scene.cluster.until("endpointslices", hold, within, namespace=self._scene.namespace, labels=service)

    def serves(self, requests: int) -> None:
        """So many requests through the Service, and each is answered."""
        traffic = Traffic(self._scene.cluster, self._scene.namespace, self._scene.image)
        traffic.start(self._scene.url, rate=50)
        traffic.until_answered(requests)
        report = traffic.stop()
        assert report.lost == 0, report

    def history(self) -> PodHistory:
        """The App's pods from now on: use it with `with`."""
        labels = f"fairlead.dev/app={self._scene.name}"
        return PodHistory(self._scene.cluster.watch("pods", self._scene.namespace, labels=labels))


def condition(subject: JSON, type: str) -> JSON:
    found = subject.get("status", {}).get("conditions") or ()
    return next((one for one in found if one["type"] == type), {})
