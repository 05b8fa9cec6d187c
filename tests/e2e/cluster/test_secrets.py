"""A secret that lives in git, from its sealing to a lost key ring: what processes see, and what an App does about it."""

from __future__ import annotations

import copy
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.dsl import Cluster, Given, Operator, Scene, Then, When, apps
from e2e.dsl.operator import NAMESPACE
from support.commands import execute
from support.waiting import eventually

JSON = apps.JSON
CONFIG = [{"name": "db", "env": True, "encryptedSecret": "db"}]


class Laptop:
    """A person's machine, with the recovery key on it and without a way to any cluster."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.recovery = str(folder / "recovery.key")
        self.public = self.fairlead("keys", "generate", "--recovery", self.recovery).strip()

    def file(self, name: str) -> Path:
        return self.folder / name

    def fairlead(self, *arguments: str, stdin: str | None = None) -> str:
        program = Path(sys.executable).with_name("fairlead")
        nowhere = {"KUBECONFIG": str(self.folder / "no-kubeconfig")}
        return execute([str(program), *arguments], env=nowhere, stdin=stdin).stdout


@pytest.fixture
def laptop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Laptop:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))  # where it is remembered what was sealed
    return Laptop(tmp_path)


@pytest.fixture
def opener(operator: Operator, laptop: Laptop) -> Iterator[Cluster]:
    """The cluster with the second identity in it; as it was afterwards."""
    cluster = operator.cluster
    operator.install(recovery_key=laptop.public)
    yield cluster
    operator.install()
    gone = ["pods", "-n", NAMESPACE, "-l", "app.kubernetes.io/component=secrets"]
    cluster.kubectl("wait", "--for=delete", *gone, "--timeout=120s", timeout=130)
    cluster.kubectl("delete", "lease", "fairlead-secrets", "-n", NAMESPACE, "--ignore-not-found")
    cluster.kubectl("delete", "fkey", "--all")
    cluster.kubectl("delete", "secrets", "-n", NAMESPACE, "-l", "fairlead.dev/secret")


def states(cluster: Cluster) -> dict[str, str]:
    """The keys by their kids."""
    return {key["metadata"]["name"]: key.get("status", {}).get("state", "") for key in cluster.get("fkey")["items"]}


def reasons(cluster: Cluster) -> set[str]:
    return {
        condition["reason"]
        for key in cluster.get("fkey")["items"]
        for condition in key.get("status", {}).get("conditions", ())
        if condition["type"] == "Ready"
    }


def its_namespace_is_gone(cluster: Cluster) -> bool:
    """Upstream's controller looks again whether all is gone after half the time that the slowest pod may take, which is half a minute
    for an activator; and when the namespace changes."""
    asked = ["annotate", "namespace", NAMESPACE, f"asked={time.monotonic()}", "--overwrite"]
    return "NotFound" in cluster.kubectl(*asked, check=False)


def told(done: subprocess.CompletedProcess[str]) -> str:
    """What the program printed, where it ended well."""
    assert done.returncode == 0, done.stderr
    return done.stdout


def shop() -> JSON:
    """A server, and beside it a shell to look at what is there."""
    made = copy.deepcopy(apps.web(replicas=1, config=CONFIG))
    look = {"name": "look", "image": apps.BUSYBOX, "command": ["sh", "-c", "trap exit TERM; sleep 100000 & wait"]}
    made["spec"]["template"]["spec"]["containers"].append(look)
    return made


def rolled_to(revision: int, scene: Scene, then: Then) -> set[str]:
    """The passwords that the App's processes have, when that revision is out."""
    then.status(lambda status: status["revision"] == revision and status["updatedReplicas"] == 1)
    then.ready()
    command = ["-c", "look", "--", "sh", "-c", "echo $PASSWORD"]
    return {scene.kubectl("exec", pod["metadata"]["name"], *command).strip() for pod in then.pods_ready(1)}


def test_a_sealed_secret_is_rolled_out_and_back_and_its_keys_are_restored_after_their_namespace_was_deleted(
    opener: Cluster, operator: Operator, laptop: Laptop, given: Given, when: When, then: Then, scene: Scene
) -> None:
    key, file = laptop.file("key.yaml"), laptop.file("db.yaml")
    eventually(lambda: list(states(opener).values()) == ["Active"])
    (first,) = states(opener)
    key.write_text(told(when.fairlead("keys", "export")))

    # Sealed without a cluster, applied, read.
    raw = ("--name", "db", "-n", scene.namespace, "--raw", "PASSWORD", "--key", str(key))
    file.write_text(laptop.fairlead("seal", *raw, stdin="one"))
    scene.kubectl("apply", "-f", str(file))
    given.a_ready_app(shop())
    assert rolled_to(1, scene, then) == {"one"}

    # Another key, the same value sealed to it: another version.
    told(when.fairlead("keys", "rotate"))
    eventually(
        lambda: sorted(states(opener).values()) == ["Active", "DecryptOnly"] and states(opener)[first] != "Active"
    )
    told(when.fairlead("reseal", str(file)))
    assert first not in file.read_text()
    scene.kubectl("apply", "-f", str(file))
    assert rolled_to(2, scene, then) == {"one"}

    # Another value, by the same file.
    key.write_text(told(when.fairlead("keys", "export")))
    laptop.fairlead("seal", "--into", str(file), "--raw", "PASSWORD", "--key", str(key), stdin="two")
    scene.kubectl("apply", "-f", str(file))
    assert rolled_to(3, scene, then) == {"two"}

    # Back to a revision whose secret was sealed to a key that seals no more.
    told(when.fairlead("undo", "shop", "--to", "1"))
    assert rolled_to(4, scene, then) == {"one"}

    # All private keys are lost, and the operator with them.
    before = {pod["metadata"]["uid"] for pod in then.pods_ready(1)}
    opener.kubectl("delete", "namespace", NAMESPACE, "--wait=false")
    eventually(lambda: its_namespace_is_gone(opener), 240)
    operator.install(recovery_key=laptop.public)
    eventually(lambda: reasons(opener) == {"KeyRingIncomplete"})
    scene.kubectl("delete", "secret", "db")
    eventually(lambda: "KeyMissing" in scene.kubectl("get", "encryptedsecret", "db", "-o", "jsonpath={.status}"))
    told(when.fairlead("keys", "recover", "--recovery-key", laptop.recovery))
    eventually(lambda: reasons(opener) == {"InOrder"})
    scene.kubectl("wait", "--for=condition=Ready", "encryptedsecret/db", "--timeout=60s")
    scene.kubectl("get", "secret", "db")
    assert {pod["metadata"]["uid"] for pod in then.pods_ready(1)} == before, "no pod has noticed"
    assert len(states(opener)) == 2, "no key was minted meanwhile"
