"""What the operator may do in the cluster, by the API server's word."""

import json

import pytest

from e2e.dsl import Operator, apps
from e2e.dsl.operator import NAMESPACE


@pytest.mark.parametrize("verb", ["get", "list", "watch", "create", "update", "patch", "delete"])
def test_it_has_no_rights_on_secrets(operator: Operator, verb: str) -> None:
    assert not operator.may(verb, "secrets", "--all-namespaces")
    assert not operator.may(verb, "secrets", "-n", NAMESPACE)


def test_its_rights_hold_no_wildcard(operator: Operator) -> None:
    assert not operator.may("*", "*", "--all-namespaces")
    rules: list[apps.JSON] = []
    for kind in ("clusterrole", "role"):
        selector = ["-l", "app.kubernetes.io/instance=fairlead", "-A"]
        for role in operator.cluster.get(kind, *selector)["items"]:
            rules += role.get("rules") or []
    assert rules
    assert "*" not in json.dumps(rules)


def test_it_may_do_what_it_does(operator: Operator) -> None:
    for verb, resource in (
        ("create", "pods"),
        ("delete", "pods"),
        ("patch", "apps.fairlead.dev/status"),
        ("patch", "services"),
    ):
        assert operator.may(verb, resource, "-n", "default"), (verb, resource)
