"""The end of Fairlead: what is left when the operator goes, and that nothing is when its kinds go."""

from collections.abc import Iterator

import pytest

from e2e.dsl import Given, Operator, Scene, Then, When, apps
from e2e.dsl.operator import CRDS
from support.crds import undefine
from support.watch import Objects

pytestmark = pytest.mark.runs_last


@pytest.fixture(autouse=True)
def _back_again(operator: Operator) -> Iterator[None]:
    yield
    operator.forget_leader()
    operator.install()


def test_apps_serve_on_while_there_is_no_operator_and_go_with_their_kinds(
    operator: Operator, given: Given, when: When, then: Then, scene: Scene
) -> None:
    given.a_ready_app(apps.web(replicas=2, disruption={"maxUnavailable": 1}))

    with when.requested(rate=20) as reports:
        operator.uninstall()
    assert reports[0].lost == 0, reports[0]
    assert len(then.pods_ready(2)) == 2

    undefine(operator.cluster, *CRDS)

    then.gone()
    for kind in ("services", "poddisruptionbudgets"):
        scene.cluster.until(kind, _none_is_ours, 120, namespace=scene.namespace)


def _none_is_ours(found: Objects) -> bool:
    return not [
        one for one in found if one["metadata"].get("labels", {}).get("app.kubernetes.io/managed-by") == "fairlead"
    ]
