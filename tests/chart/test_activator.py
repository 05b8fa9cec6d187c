"""The chart's third identity: the activator faces strangers, and can write nothing. With it the operator may write EndpointSlices."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.app import app_controller
from fairlead.core.meta import Key
from support.helm import Manifest, render

ON: dict[str, Any] = {"activator": {"enabled": True}}
SLICES = ("discovery.k8s.io", "endpointslices")
READS, WRITES = {"get", "list", "watch", "delete"}, {"get", "list", "watch", "create", "patch", "delete"}
NEEDED = {SLICES: {"list", "watch"}}
Rights = dict[tuple[str, str], set[str]]


def of_kind(objects: list[Manifest], kind: str) -> list[Manifest]:
    return [one for one in objects if one["kind"] == kind]


def named(objects: list[Manifest], kind: str, name: str) -> Manifest:
    return next(one for one in of_kind(objects, kind) if one["metadata"]["name"] == name)


def rights(objects: list[Manifest], account: str) -> dict[str | None, Rights]:
    """All that an identity may do, by the namespace where it may; None for the cluster."""
    found: dict[str | None, Rights] = {}
    for binding in [*of_kind(objects, "RoleBinding"), *of_kind(objects, "ClusterRoleBinding")]:
        if account not in [subject["name"] for subject in binding["subjects"]]:
            continue
        namespace, ref = binding["metadata"].get("namespace"), binding["roleRef"]
        role = next(
            one
            for one in of_kind(objects, ref["kind"])
            if (one["metadata"]["name"], one["metadata"].get("namespace")) == (ref["name"], namespace)
        )
        allowed = found.setdefault(namespace, {})
        for rule in role["rules"]:
            for group in rule["apiGroups"]:
                for resource in rule["resources"]:
                    allowed.setdefault((group, resource), set()).update(rule["verbs"])
    return found


def container(objects: list[Manifest], name: str) -> dict[str, Any]:
    (one,) = named(objects, "Deployment", name)["spec"]["template"]["spec"]["containers"]
    return dict(one)


def env(objects: list[Manifest], name: str) -> dict[str, Any]:
    return {one["name"]: one.get("value") for one in container(objects, name)["env"]}


def test_unless_asked_for_nothing_of_it_is_there_and_the_operator_writes_no_slices() -> None:
    """It may take away what an activator has left that was there before."""
    objects = render()
    assert not [one for one in objects if one["metadata"]["name"].endswith("activator")]
    assert rights(objects, "fairlead-workloads")[None][SLICES] == READS
    assert "FAIRLEAD_ACTIVATOR_SERVICE" not in env(objects, "fairlead-workloads")


def test_it_reads_slices_and_that_is_all() -> None:
    assert rights(render(ON), "fairlead-activator") == {None: NEEDED}
    assert rights(render(ON | {"namespaces": ["shop", "bank"]}), "fairlead-activator") == {
        "shop": NEEDED,
        "bank": NEEDED,
    }


def test_with_it_the_operator_writes_slices_where_its_apps_are_and_reads_those_of_the_activator() -> None:
    assert rights(render(ON), "fairlead-workloads")[None][SLICES] == WRITES
    spaced = rights(render(ON | {"namespaces": ["shop"]}), "fairlead-workloads")
    assert spaced["shop"][SLICES] == WRITES and spaced["fairlead-system"][SLICES] == {"list", "watch"}
    assert None not in spaced


def test_the_operator_has_a_right_for_each_of_its_watches() -> None:
    allowed = rights(render(ON), "fairlead-workloads")[None]
    for source in app_controller(activator=Key("fairlead-system", "fairlead-activator")).sources:
        assert {"list", "watch"} <= allowed[source.resource.group, source.resource.plural]


def test_the_operator_is_told_of_the_service_that_has_its_pods() -> None:
    objects = render(ON)
    namespace, _, name = env(objects, "fairlead-workloads")["FAIRLEAD_ACTIVATOR_SERVICE"].partition("/")
    service = named(objects, "Service", name)
    assert service["metadata"]["namespace"] == namespace
    template = named(objects, "Deployment", name)["spec"]["template"]
    assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
    (control,) = [port for port in service["spec"]["ports"] if port["name"] == "control"]
    (listens,) = [port for port in container(objects, name)["ports"] if port["name"] == control["targetPort"]]
    assert listens["containerPort"] == 8082
    assert service["spec"]["ipFamilyPolicy"] == "PreferDualStack"


def test_two_replicas_with_a_budget_and_time_to_go_and_no_lease() -> None:
    objects = render(ON)
    spec = named(objects, "Deployment", "fairlead-activator")["spec"]
    assert spec["replicas"] == 2 and named(objects, "PodDisruptionBudget", "fairlead-activator")
    known = env(objects, "fairlead-activator")
    assert 10 + float(known["FAIRLEAD_GRACE_SECONDS"]) < spec["template"]["spec"]["terminationGracePeriodSeconds"]
    assert "FAIRLEAD_LEASE_NAME" not in known
    assert container(objects, "fairlead-activator")["args"] == ["run", "activator"]


def test_the_guard_keeps_the_operators_slices_out_of_kube_system_too() -> None:
    (policy,) = of_kind(render(ON), "ValidatingAdmissionPolicy")
    guarded = {
        resource for rule in policy["spec"]["matchConstraints"]["resourceRules"] for resource in rule["resources"]
    }
    assert "endpointslices" in guarded


def test_by_network_policy_anybody_reaches_what_it_listens_on_and_the_operator_alone_its_control() -> None:
    objects = render(ON | {"networkPolicy": {"enabled": True}})
    policy = named(objects, "NetworkPolicy", "fairlead-activator")["spec"]
    by_port = {str(port["port"]): rule for rule in policy["ingress"] for port in rule["ports"]}
    assert by_port["20000"]["ports"] == [{"port": 20000, "endPort": 29999, "protocol": "TCP"}]
    assert "from" not in by_port["20000"]
    (peer,) = by_port["control"]["from"]
    assert peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "workloads"
    assert {} in policy["egress"]
    out = named(objects, "NetworkPolicy", "fairlead-workloads")["spec"]["egress"]
    assert any(port.get("port") == "control" for rule in out for port in rule.get("ports", ()))


@pytest.mark.parametrize("values", [{"activator": {"maxWaiting": 0}}, {"activator": {"replicas": -1}}], ids=str)
def test_what_cannot_be_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(Exception, match="activator"):
        render(values)
