"""The chart, as people use it: installed, tested, upgraded, rolled back, uninstalled, installed again, for some namespaces."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from e2e.dsl import Cluster, Given, Operator, Scene, Then, When, apps
from e2e.dsl.operator import NAMESPACE
from support.commands import REPOSITORY, CommandFailed
from support.watch import Objects

CHART = str(REPOSITORY / "charts" / "fairlead")
RELEASE = ["fairlead", "--namespace", NAMESPACE]
ENFORCE = "pod-security.kubernetes.io/enforce"
FULL = apps.web(replicas=3, disruption={"maxUnavailable": 1})


@pytest.fixture
def restored(operator: Operator) -> Iterator[None]:
    """Whatever the test makes of the release, the next one finds it as it comes."""
    yield
    operator.install()


def uids(pods: Objects) -> set[str]:
    return {pod["metadata"]["uid"] for pod in pods}


def upgrade(operator: Operator, **values: Any) -> None:
    settings = [f"--set-json={name}={json.dumps(value)}" for name, value in values.items()]
    operator.cluster.helm(
        "upgrade", *RELEASE, CHART, "--reset-then-reuse-values", *settings, "--wait", "--timeout=180s"
    )


def test_helm_test_finds_the_operator_ready_and_leaves_nothing_behind(operator: Operator) -> None:
    operator.until_ready()

    said = operator.cluster.helm("test", *RELEASE, "--timeout=120s")

    assert re.search(r"^Phase: +Succeeded$", said, re.MULTILINE), said
    assert "pod/fairlead-test-ready" not in operator.cluster.kubectl("get", "pods", "-n", NAMESPACE, "-o", "name")


def test_nothing_the_operator_asks_for_is_refused(
    operator: Operator, given: Given, when: When, then: Then, scene: Scene
) -> None:
    """Least privilege is enough privilege: an App's whole life, and no 403 in all of it."""
    namespaces_that_are_leaving_are_gone(operator.cluster)
    before = refusals(operator)

    given.a_ready_app(FULL)
    when.released(2)
    then.status(lambda status: status["updatedReplicas"] == 3)
    then.ready()
    when.undone_to(1)
    then.status(lambda status: status["revision"] == 3 and status["updatedReplicas"] == 3)
    then.ready()
    when.scaled_to(0)
    then.gone()
    without = apps.web(replicas=1)
    del without["spec"]["expose"]
    when.applied(without)
    then.pods_ready(1)
    when.deleted("foreground", "--timeout=60s")
    then.gone()

    assert refusals(operator) == before


def namespaces_that_are_leaving_are_gone(cluster: Cluster) -> None:
    """Pods that are made anew where a namespace is being deleted are refused, and rightly so."""
    found = json.loads(cluster.kubectl("get", "namespaces", "-o", "json"))["items"]
    leaving = [f"namespace/{n['metadata']['name']}" for n in found if n["status"]["phase"] == "Terminating"]
    if leaving:
        cluster.kubectl("wait", "--for=delete", *leaving, "--timeout=240s", timeout=250)


def refusals(operator: Operator) -> list[str]:
    lines = operator.metrics(operator.leader()).splitlines()
    return [line for line in lines if line.startswith("fairlead_writes_total") and re.search(r'code="40[13]"', line)]


@pytest.mark.parametrize("where", ["kube-system", NAMESPACE])
def test_no_app_is_run_among_the_clusters_own_pods(operator: Operator, where: str) -> None:
    said = operator.cluster.kubectl("apply", "-n", where, "-f", "-", stdin=json.dumps(apps.idle()), check=False)
    assert f"Fairlead runs nothing in the namespace {where}" in said


@pytest.mark.usefixtures("restored")
def test_an_upgrade_and_a_rollback_touch_no_pod_of_an_app_under_the_restricted_standard(
    operator: Operator, given: Given, when: When, then: Then
) -> None:
    given.a_ready_app(FULL)
    pods = uids(then.pods_ready(3))
    former = uids(operator.pods())
    operator.cluster.kubectl("label", "namespace", NAMESPACE, f"{ENFORCE}=restricted", "--overwrite")

    with when.requested(rate=20) as reports:
        upgrade(operator, **{"workloads.log.level": "debug", "networkPolicy.enabled": True})
        operator.until_ready()  # Helm does not wait for the last of the old pods to go
        upgraded = uids(operator.ready_pods())
        operator.cluster.helm("rollback", *RELEASE, "--wait", "--timeout=180s")
        operator.until_ready()

    assert len(upgraded) == 2
    assert not upgraded & former
    assert not uids(operator.ready_pods()) & upgraded
    assert reports[0].lost == 0, reports[0]
    assert uids(then.pods_ready(3)) == pods
    when.scaled_to(4)
    then.pods_ready(4)


@pytest.mark.runs_last  # the next one begins with an installation anyway
def test_an_upgrade_of_the_operator_in_the_middle_of_a_release_does_not_disturb_it(
    operator: Operator, given: Given, when: When, then: Then
) -> None:
    given.a_ready_app(apps.idle(replicas=6, rollout={"maxSurge": 1, "maxUnavailable": 0}))

    with then.history() as history:
        when.released(2)
        then.status(lambda status: status["updatedReplicas"] >= 1)
        upgrade(operator, **{"workloads.annotations": {"upgraded": "now"}})
        then.status(lambda status: status["updatedReplicas"] == 6)
        then.ready()
        then.pods_ready(6)

    assert len(history.new()) == 6, "no pod was made that was not needed"
    assert history.most <= 7
    assert history.fewest_ready >= 6


@pytest.mark.runs_last
@pytest.mark.usefixtures("restored")
def test_installed_again_it_takes_up_where_it_left_off(
    operator: Operator, given: Given, when: When, then: Then, scene: Scene
) -> None:
    given.a_ready_app(FULL)
    pods = uids(then.pods_ready(3))

    operator.uninstall()
    assert uids(then.pods_ready(3)) == pods
    lost = scene.pods()[0]
    scene.kubectl("delete", "pod", lost["metadata"]["name"], "--wait=false")
    when.released(2)

    operator.install()

    then.status(lambda status: status["updatedReplicas"] == 3)
    then.ready()
    then.pods_ready(3)
    assert [one["spec"]["number"] for one in revisions(scene)] == [1, 2]


def revisions(scene: Scene) -> Objects:
    found: Objects = scene.get("revisions")["items"]
    return sorted(found, key=lambda one: int(one["spec"]["number"]))


class TestForOneNamespace:
    """A release that has a Role in one namespace and nothing cluster-wide, with no other operator around."""

    pytestmark = pytest.mark.runs_last

    @pytest.fixture
    def small(self, operator: Operator, restored: None, namespace: str, image: str) -> Iterator[str]:
        """A namespaced release in a namespace of its own, which runs Apps in the test's namespace; its service account."""
        cluster, home = operator.cluster, f"{namespace[:50]}-operator"
        operator.uninstall()
        repository, _, tag = image.rpartition(":")
        options = [f"--set=namespaces={{{namespace}}}", "--set=crds.enabled=false"]
        options += [f"--set=image.repository={repository}", f"--set-string=image.tag={tag}"]
        argv = ["--namespace", home, "--create-namespace", *options, "--wait", "--timeout=180s"]
        try:
            cluster.helm("upgrade", "--install", "small", CHART, *argv)
            yield f"system:serviceaccount:{home}:small-fairlead-workloads"
        finally:
            with suppress(CommandFailed):
                cluster.helm("uninstall", "small", "--namespace", home, "--wait")
            cluster.kubectl("delete", "namespace", home, "--wait=false")
            operator.forget_leader()

    def test_it_runs_the_apps_of_that_namespace_and_may_do_nothing_outside(
        self, cluster: Cluster, small: str, given: Given, when: When, then: Then, scene: Scene
    ) -> None:
        elsewhere = f"{scene.namespace}-elsewhere"[:63]
        cluster.kubectl("create", "namespace", elsewhere)
        try:
            cluster.apply(apps.idle("left-alone"), namespace=elsewhere)

            given.a_ready_app(FULL)
            when.released(2)
            then.status(lambda status: status["updatedReplicas"] == 3)
            then.ready()

            assert cluster.get("fapp", "left-alone", "-n", elsewhere)["status"]["summary"] == "Waiting for Fairlead"
            assert cluster.get("pods", "-n", elsewhere)["items"] == []
        finally:
            cluster.kubectl("delete", "namespace", elsewhere, "--wait=false")

        def may(*what: str) -> bool:
            return cluster.kubectl("auth", "can-i", *what, f"--as={small}", check=False).split()[0] == "yes"

        assert may("create", "pods", "-n", scene.namespace)
        assert not may("get", "secrets", "-n", scene.namespace)
        assert not may("create", "pods", "-n", "default")
        assert not may("list", "apps.fairlead.dev", "--all-namespaces")
        owned = cluster.get("clusterroles,clusterrolebindings", "-l", "app.kubernetes.io/instance=small")
        assert owned["items"] == []
