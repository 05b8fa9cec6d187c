"""No request is lost: not in releases, evictions or scale-downs (drains: cluster/test_nodes.py)."""

import pytest

from e2e.dsl import Given, Scene, Then, When, apps

pytestmark = pytest.mark.slow

RELEASES = 10


def test_two_hundred_requests_a_second_survive_ten_releases(given: Given, when: When, then: Then) -> None:
    """Through the Service's address: each request over a connection of its own, and fifty a second more over kept ones."""
    given.a_ready_app(apps.web(replicas=4, rollout={"maxSurge": 2, "maxUnavailable": 0}))

    with when.requested(rate=200, kept_rate=50) as reports:
        for version in range(2, 2 + RELEASES):
            when.released(version)
            then.ready()

    report = reports[0]
    assert report.lost == 0, report
    assert report.rate > 0.9 * 250, f"the client could not keep its pace: {report}"  # still more than two hundred
    assert len(report.revisions) == 1 + RELEASES, "pods of every release answered"


def test_no_request_is_lost_when_pods_are_evicted_and_scaled_away(
    given: Given, when: When, then: Then, scene: Scene
) -> None:
    given.a_ready_app(apps.web(replicas=4))

    with when.requested(rate=100, kept_rate=20) as reports:
        for pod in then.pods_ready(4)[:2]:
            when.evicted(pod["metadata"]["name"])
        then.pods_ready(4)
        when.scaled_to(1)
        then.pods_ready(1)
        when.scaled_to(3)
        then.pods_ready(3)

    assert reports[0].lost == 0, reports[0]
