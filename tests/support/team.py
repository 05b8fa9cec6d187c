"""One namespace of a lab, and what a person does in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any
from urllib.parse import urlencode

from support.crds import app
from support.lab import Lab
from support.waiting import PATIENCE, eventually
from support.watch import PodHistory, Watch

JSON = dict[str, Any]

# Of an App whose rolls take a while, so that a fault comes in the middle of one: a pod counts once it was ready for so long.
UNHURRIED: JSON = {"replicas": 8, "rollout": {"minReadySeconds": 1, "maxSurge": 2, "maxUnavailable": 0}}

ENFORCE = "pod-security.kubernetes.io/enforce"

_numbers = count(1)


class Team:
    """One namespace, and what a person does in it."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.lab = lab
        self.name = name

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True, timeout: float = 90) -> str:
        return self.lab.kubectl("-n", self.name, *arguments, stdin=stdin, check=check, timeout=timeout)

    def apply(self, body: JSON) -> None:
        self.kubectl("apply", "-f", "-", stdin=json.dumps(body))

    def patch(self, spec: JSON, name: str = "shop") -> None:
        self.kubectl("patch", "fapp", name, "--type=merge", "-p", json.dumps({"spec": spec}))

    def wait(self, condition: str, name: str = "fapp/shop", seconds: float = PATIENCE) -> None:
        """`wait("condition=Ready")`, `wait("jsonpath={.status.summary}=Ready")`"""
        self.kubectl("wait", f"--for={condition}", name, f"--timeout={seconds:.0f}s", timeout=seconds + 30)

    def problem(self, reason: str) -> None:
        """Wait until it is told. Not by `kubectl wait`, which fails on an empty list instead of waiting."""
        eventually(lambda: reason in [problem["reason"] for problem in self.shop()["status"].get("problems", ())])

    def get(self, *arguments: str) -> JSON:
        found: JSON = json.loads(self.kubectl("get", *arguments, "-o", "json"))
        return found

    def shop(self) -> JSON:
        return self.lab.read(f"/apis/fairlead.dev/v1alpha1/namespaces/{self.name}/apps/shop")

    def condition(self, type: str) -> JSON:
        found: JSON = next(c for c in self.shop()["status"]["conditions"] if c["type"] == type)
        return found

    def pods(self, selector: str = "fairlead.dev/app=shop") -> list[JSON]:
        path = f"/api/v1/namespaces/{self.name}/pods?{urlencode({'labelSelector': selector})}"
        pods: list[JSON] = self.lab.read(path)["items"]
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    def history(self) -> PodHistory:
        """Of shop's pods, from now on. Use as a context manager."""
        kubectl = ["kubectl", "--kubeconfig", str(self.lab.kubeconfig)]
        path = f"/api/v1/namespaces/{self.name}/pods"
        return PodHistory(Watch(kubectl, path, labels="fairlead.dev/app=shop"))

    def uids(self) -> set[str]:
        """Of shop's pods."""
        return {pod["metadata"]["uid"] for pod in self.pods()}

    def restrict(self) -> None:
        """Have the restricted Pod Security Standard enforced from now on. The admission hears of a label a moment after it is
        stored."""
        self.lab.kubectl("label", "namespace", self.name, f"{ENFORCE}=restricted")
        tried = ("run", "probe", "--image=shop:1", "--dry-run=server")
        eventually(lambda: "violates PodSecurity" in self.kubectl(*tried, check=False))

    def run(self, **spec: Any) -> None:
        """Apply shop and wait until it is ready."""
        self.apply(app("shop", **spec))
        self.wait("condition=Ready")


@contextmanager
def gathered(lab: Lab) -> Iterator[Team]:
    """A team for one test, on a lab with controllers: its namespace is new, and goes when the test is over."""
    name = f"team-{next(_numbers)}"
    lab.kubectl("create", "namespace", name)
    lab.kubectl("wait", "--for=create", "serviceaccount/default", "-n", name, "--timeout=90s", timeout=100)
    yield Team(lab, name)
    lab.kubectl("delete", "namespace", name, "--wait=false")


def image(tag: str) -> JSON:
    """A template with that image."""
    body: JSON = app()["spec"]["template"]
    body["spec"]["containers"][0]["image"] = f"shop:{tag}"
    return body
