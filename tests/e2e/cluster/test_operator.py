"""The operator itself: killed, replaced, two of it."""

import time

import pytest

from e2e.dsl import Given, Operator, Then, When, apps
from e2e.dsl.operator import NAMESPACE
from support import figures
from support.waiting import eventually


@pytest.fixture(autouse=True)
def _left_as_found(operator: Operator) -> None:
    """Each test begins with both replicas ready."""
    operator.until_ready()


def test_both_replicas_are_ready_and_one_leads(operator: Operator) -> None:
    names = {pod["metadata"]["name"] for pod in operator.ready_pods()}
    leader = operator.leader()

    assert len(names) == 2
    assert leader in names
    assert [lease["metadata"]["name"] for lease in operator.leases()] == ["fairlead-workloads"]
    leading = {name for name in names if "\nfairlead_leader 1.0" in operator.metrics(name)}
    assert leading == {leader}


def test_a_release_goes_on_after_every_replica_was_killed_in_the_middle_of_it(
    operator: Operator, given: Given, when: When, then: Then
) -> None:
    given.a_ready_app(apps.idle(replicas=8, rollout={"maxSurge": 1, "maxUnavailable": 0}))

    with then.history() as history:
        when.released(2)
        then.status(lambda status: 2 <= status["updatedReplicas"] <= 5)
        operator.kill()
        then.status(lambda status: status["updatedReplicas"] == 8)
        then.ready()
        then.pods_ready(8)

    assert len(history.new()) == 8, "no pod was made that was not needed"
    assert history.most <= 9
    assert history.fewest_ready >= 8
    eventually(lambda: min(restarts(operator)) >= 1)  # the test did kill them, and kubelets say so in their own time


def restarts(operator: Operator) -> list[int]:
    return [pod["status"]["containerStatuses"][0]["restartCount"] for pod in operator.pods()]


def test_the_standby_takes_over_within_seconds_when_the_leader_goes(
    operator: Operator, given: Given, when: When, then: Then
) -> None:
    given.a_ready_app(apps.idle(replicas=1))
    leader = operator.leader()
    standby = next(pod["metadata"]["name"] for pod in operator.ready_pods() if pod["metadata"]["name"] != leader)

    began = time.monotonic()
    operator.cluster.kubectl("delete", "pod", leader, "-n", NAMESPACE, "--wait=false")
    follower = operator.until_led(by_other_than=leader)
    handed_over = time.monotonic() - began
    when.scaled_to(3)
    then.pods_ready(3)

    figures.tell(f"the lead was handed over in {handed_over:.1f} s")
    assert follower == standby, "the one with warm caches"
    assert handed_over < 13, "not because the Lease had run out: 15 seconds after it was renewed, as every two are"
    operator.until_ready()


def test_the_standby_takes_over_when_the_leader_is_killed(
    operator: Operator, given: Given, when: When, then: Then
) -> None:
    """Without a word of farewell the Lease has to run out first."""
    given.a_ready_app(apps.idle(replicas=1))
    leader = operator.leader()

    began = time.monotonic()
    operator.cluster.kubectl("delete", "pod", leader, "-n", NAMESPACE, "--grace-period=0", "--force")
    when.scaled_to(3)
    then.pods_ready(3)

    figures.tell(f"work went on {time.monotonic() - began:.1f} s after the leader was killed")
    assert operator.leader() != leader
    operator.until_ready()
