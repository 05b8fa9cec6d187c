"""Which Deployments are sealed-secrets' controller, and whether it runs."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fairlead.core.meta import JSON
from fairlead.secrets.predecessor import OldController, project_old_controller, still_runs
from support.kubeseal import deployment


def projected(body: JSON, **status: Any) -> OldController | None:
    meta = {**body["metadata"], "uid": "u", "resourceVersion": "7"}
    return project_old_controller(msgspec.json.encode({**body, "metadata": meta, "status": status}))


def of(name: str = "web", image: str = "example.org/web:1", **labels: str) -> JSON:
    made = deployment("kube-system")
    made["metadata"]["labels"] = labels
    made["spec"]["template"]["spec"]["containers"] = [{"name": name, "image": image}]
    return made


@pytest.mark.parametrize(
    "body",
    [
        deployment("kube-system"),
        of("sealed-secrets-controller"),
        of("controller", "docker.io/bitnami/sealed-secrets-controller:0.27.1"),
        of("controller", "mirror.example:5000/a/b/sealed-secrets-controller@sha256:00"),
        of("controller", **{"app.kubernetes.io/name": "sealed-secrets"}),
    ],
    ids=["as it is installed", "by its container", "by its image", "by a mirror of its image", "by its chart"],
)
def test_the_old_controller_is_known_however_it_was_installed(body: JSON) -> None:
    found = projected(body)
    assert found is not None and found.running


@pytest.mark.parametrize("body", [of(), of("ui", "bakito/sealed-secrets-web:3.1"), of("sealed-secrets-web")])
def test_what_only_sounds_like_it_is_somebody_elses(body: JSON) -> None:
    assert projected(body) is None


@pytest.mark.parametrize(
    ("wanted", "there", "running"), [(1, 0, True), (0, 1, True), (0, 0, False), (None, 0, True), (2, 2, True)]
)
def test_it_runs_while_it_has_pods_or_is_to_have_some(wanted: int | None, there: int, running: bool) -> None:
    body = deployment("kube-system")
    body["spec"].pop("replicas")
    if wanted is not None:
        body["spec"]["replicas"] = wanted
    found = projected(body, replicas=there)
    assert found is not None and found.running is running
    assert bool(still_runs([found])) is running


def test_what_is_said_names_the_command_that_stops_it() -> None:
    found = projected(deployment("old"))
    assert found is not None
    words = still_runs([found])
    assert "`kubectl scale deployment sealed-secrets-controller --namespace old --replicas 0`" in words
