"""A secret that lives in git, from its sealing to a lost key ring: what processes see, and what an App does about it."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterator

import pytest

from e2e.dsl import Cluster, Given, Operator, Scene, Then, When, apps
from e2e.dsl.operator import NAMESPACE
from fairlead.secrets.envelope import Place, Scope
from fairlead.secrets.sealing import seal
from fairlead.secrets.suites import PublicKey
from support.commands import REPOSITORY
from support.waiting import eventually

JSON = apps.JSON
CHART = str(REPOSITORY / "charts" / "fairlead")
CONFIG = [{"name": "db", "env": True, "encryptedSecret": "db"}]


@pytest.fixture
def opener(operator: Operator) -> Iterator[Cluster]:
    """The cluster with the second identity in it; as it was afterwards."""
    cluster = operator.cluster
    enable(cluster)
    yield cluster
    operator.install()
    gone = ["pods", "-n", NAMESPACE, "-l", "app.kubernetes.io/component=secrets"]
    cluster.kubectl("wait", "--for=delete", *gone, "--timeout=60s", timeout=90)
    cluster.kubectl("delete", "lease", "fairlead-secrets", "-n", NAMESPACE, "--ignore-not-found")
    cluster.kubectl("delete", "fkey", "--all")
    cluster.kubectl("delete", "secrets", "-n", NAMESPACE, "-l", "fairlead.dev/secret")


def enable(cluster: Cluster) -> None:
    where = ["--namespace", NAMESPACE, "--reset-then-reuse-values", "--wait", "--timeout=180s"]
    cluster.helm("upgrade", "fairlead", CHART, *where, "--set", "secrets.enabled=true")


def active(cluster: Cluster) -> PublicKey:
    """What `fairlead seal` fetches: from then on it needs no cluster."""

    def found() -> list[JSON]:
        return [key for key in cluster.get("fkey")["items"] if key.get("status", {}).get("state") == "Active"]

    eventually(lambda: len(found()) == 1)
    spec = found()[0]["spec"]
    return PublicKey.decode(spec["suite"], spec["publicKey"])


def sealed(public: PublicKey, namespace: str, password: str) -> JSON:
    envelope = seal(public, Place(Scope.STRICT, namespace, "db", "PASSWORD"), password.encode(), int(time.time()))
    return {
        "apiVersion": "fairlead.dev/v1alpha1",
        "kind": "EncryptedSecret",
        "metadata": {"name": "db"},
        "spec": {"values": {"PASSWORD": envelope}},
    }


def shop() -> JSON:
    """A server, and beside it a shell to look at what is there."""
    made = copy.deepcopy(apps.web(replicas=1, config=CONFIG))
    look = {"name": "look", "image": apps.BUSYBOX, "command": ["sh", "-c", "trap exit TERM; sleep 100000 & wait"]}
    made["spec"]["template"]["spec"]["containers"].append(look)
    return made


def seen_in(scene: Scene, pods: list[JSON]) -> set[str]:
    command = ["-c", "look", "--", "sh", "-c", "echo $PASSWORD"]
    return {scene.kubectl("exec", pod["metadata"]["name"], *command).strip() for pod in pods}


def reasons(cluster: Cluster) -> set[str]:
    return {
        condition["reason"]
        for key in cluster.get("fkey")["items"]
        for condition in key.get("status", {}).get("conditions", ())
        if condition["type"] == "Ready"
    }


def test_a_sealed_secret_is_rolled_out_and_back_and_its_keys_are_restored_after_their_namespace_was_deleted(
    opener: Cluster, operator: Operator, given: Given, when: When, then: Then, scene: Scene
) -> None:
    first = active(opener)
    opener.apply(sealed(first, scene.namespace, "one"), namespace=scene.namespace)
    given.a_ready_app(shop())
    assert seen_in(scene, then.pods_ready(1)) == {"one"}

    opener.kubectl("patch", "fkey", first.kid, "--type=merge", "-p", json.dumps({"spec": {"wish": "DecryptOnly"}}))
    eventually(lambda: active(opener).kid != first.kid)
    opener.apply(sealed(active(opener), scene.namespace, "two"), namespace=scene.namespace)
    then.status(lambda status: status["revision"] == 2 and status["updatedReplicas"] == 1)
    then.ready()
    assert seen_in(scene, then.pods_ready(1)) == {"two"}

    when.undone_to(1)
    then.status(lambda status: status["revision"] == 3 and status["updatedReplicas"] == 1)
    then.ready()
    assert seen_in(scene, then.pods_ready(1)) == {"one"}

    backup = opener.kubectl("get", "secrets", "-n", NAMESPACE, "-l", "fairlead.dev/sealing-key", "-o", "json")
    before = {pod["metadata"]["uid"] for pod in then.pods_ready(1)}
    opener.kubectl("delete", "namespace", NAMESPACE, "--timeout=120s", timeout=130)
    operator.install()
    enable(opener)
    eventually(lambda: reasons(opener) == {"KeyRingIncomplete"})
    scene.kubectl("delete", "secret", "db")
    eventually(lambda: "KeyMissing" in scene.kubectl("get", "encryptedsecret", "db", "-o", "jsonpath={.status}"))
    opener.kubectl("apply", "-f", "-", stdin=restorable(backup))
    eventually(lambda: reasons(opener) == {"InOrder"})
    scene.kubectl("wait", "--for=condition=Ready", "encryptedsecret/db", "--timeout=60s")
    scene.kubectl("get", "secret", "db")
    assert {pod["metadata"]["uid"] for pod in then.pods_ready(1)} == before, "no pod has noticed"
    assert len(opener.get("fkey")["items"]) == 2, "no key was minted meanwhile"


def restorable(backup: str) -> str:
    """As a backup is kept: without what belongs to the objects that are gone."""
    found = json.loads(backup)
    for item in found["items"]:
        meta = item["metadata"]
        item["metadata"] = {key: meta[key] for key in ("name", "namespace", "labels", "annotations") if key in meta}
    return json.dumps(found)
