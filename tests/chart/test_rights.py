"""What the chart grants: exactly what running Apps takes (research: Pod create is the keys to a namespace)."""

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from fairlead.app import app_controller
from support.helm import Manifest, render

MATRIX: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "two namespaces": {"namespaces": ["shop", "bank"]},
    "two namespaces and everything cluster-wide": {
        "namespaces": ["shop", "bank"],
        "rbac": {"userRoles": True},
        "guard": {"enabled": True},
        "flowSchema": {"enabled": True},
    },
    "nothing optional": {
        "rbac": {"userRoles": False},
        "guard": {"enabled": False},
        "flowSchema": {"enabled": False},
    },
}
WORKLOADS = "workloads"
CLUSTER_SCOPED = {
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "FlowSchema",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
}

# Everything the operator asks of the API server. A verb that is missing here is one the operator has no call for.
NEEDED = {
    ("fairlead.dev", "apps"): {"get", "list", "watch"},
    ("fairlead.dev", "gates"): {"get", "list", "watch"},
    ("fairlead.dev", "encryptedsecrets"): {"get", "list", "watch"},
    ("fairlead.dev", "apps/status"): {"patch"},
    ("fairlead.dev", "apps/finalizers"): {"update"},
    ("fairlead.dev", "revisions"): {"get", "list", "watch", "create", "patch", "delete"},
    ("fairlead.dev", "revisions/status"): {"patch"},
    ("", "pods"): {"get", "list", "watch", "create", "patch", "delete"},
    ("", "pods/status"): {"patch"},
    ("", "pods/resize"): {"patch"},
    ("", "services"): {"get", "list", "watch", "create", "patch", "delete"},
    ("", "configmaps"): {"get", "list", "watch", "create", "delete"},
    ("policy", "poddisruptionbudgets"): {"get", "list", "watch", "create", "patch", "delete"},
    ("gateway.networking.k8s.io", "httproutes"): {"get", "list", "watch", "create", "patch", "delete"},
    ("discovery.k8s.io", "endpointslices"): {"get", "list", "watch", "delete"},
    ("", "events"): {"create", "patch"},
    ("metrics.k8s.io", "pods"): {"list"},
}


def of_kind(objects: Iterable[Manifest], *kinds: str) -> list[Manifest]:
    return [one for one in objects if one["kind"] in kinds]


def roles(objects: Iterable[Manifest]) -> list[Manifest]:
    return of_kind(objects, "Role", "ClusterRole")


def rules(objects: Iterable[Manifest]) -> Iterator[dict[str, Any]]:
    for role in roles(objects):
        yield from role["rules"]


def verbs(role: Manifest) -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                found.setdefault((group, resource), set()).update(rule["verbs"])
    return found


def bound_to_the_operator(objects: list[Manifest], namespace: str | None) -> dict[tuple[str, str], set[str]]:
    """What the operator may do by the bindings of one namespace, or of the cluster."""
    found: dict[tuple[str, str], set[str]] = {}
    for binding in of_kind(objects, "RoleBinding", "ClusterRoleBinding"):
        if binding["metadata"].get("namespace") != namespace:
            continue
        assert [subject["name"] for subject in binding["subjects"]] == ["fairlead-workloads"]
        (role,) = [
            one
            for one in of_kind(objects, binding["roleRef"]["kind"])
            if (one["metadata"]["name"], one["metadata"].get("namespace")) == (binding["roleRef"]["name"], namespace)
        ]
        for where, allowed in verbs(role).items():
            found.setdefault(where, set()).update(allowed)
    return found


@pytest.fixture(params=list(MATRIX.values()), ids=list(MATRIX))
def objects(request: pytest.FixtureRequest) -> list[Manifest]:
    return render(request.param)


def test_no_rule_has_a_wildcard(objects: list[Manifest]) -> None:
    for rule in rules(objects):
        assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
        assert "nonResourceURLs" not in rule


def test_nobody_gets_a_right_on_secrets(objects: list[Manifest]) -> None:
    assert not [rule for rule in rules(objects) if any(name.startswith("secrets") for name in rule["resources"])]


@pytest.mark.parametrize(
    "power",
    [
        "pods/exec",
        "pods/attach",
        "pods/ephemeralcontainers",
        "pods/eviction",
        "serviceaccounts/token",
        "roles",
        "clusterroles",
        "rolebindings",
        "clusterrolebindings",
        "nodes/proxy",
        "customresourcedefinitions",
    ],
)
def test_the_usual_ways_to_more_power_are_not_given(objects: list[Manifest], power: str) -> None:
    assert not [rule for rule in rules(objects) if power in rule["resources"]]


@pytest.mark.parametrize("verb", ["escalate", "bind", "impersonate", "deletecollection"])
def test_the_operator_has_none_of_the_verbs_that_reach_beyond_one_object(objects: list[Manifest], verb: str) -> None:
    granted = [
        role for role in roles(objects) if role["metadata"]["labels"]["app.kubernetes.io/component"] == WORKLOADS
    ]
    assert granted
    assert not [role for role in granted for rule in role["rules"] if verb in rule["verbs"]]


def test_cluster_wide_it_has_what_it_needs_and_no_more() -> None:
    assert bound_to_the_operator(render(), None) == NEEDED


def test_what_spec_autoscale_reads_is_granted_name_by_name() -> None:
    values = {
        "resourceMetrics": ["metrics.k8s.io"],
        "customMetrics": ["pods/http_requests_per_second"],
        "externalMetrics": ["queue_length"],
    }

    assert bound_to_the_operator(render({"autoscale": values}), None) == NEEDED | {
        ("custom.metrics.k8s.io", "pods/http_requests_per_second"): {"get"},
        ("external.metrics.k8s.io", "queue_length"): {"get", "list"},
    }


@pytest.mark.parametrize("namespaces", [[], ["shop"]], ids=["everywhere", "in one namespace"])
def test_kubelets_are_read_only_where_that_is_asked_for(namespaces: list[str]) -> None:
    values = {"namespaces": namespaces, "autoscale": {"resourceMetrics": ["kubelets"]}}
    cluster_wide = bound_to_the_operator(render(values), None)

    assert cluster_wide[("", "nodes/proxy")] == {"get"}
    assert ("metrics.k8s.io", "pods") not in cluster_wide
    assert ("", "nodes/proxy") not in bound_to_the_operator(render({"namespaces": namespaces}), None)


def test_it_may_watch_what_the_operator_watches_and_nothing_else() -> None:
    watched = {(source.resource.group, source.resource.plural) for source in app_controller().sources}
    assert {where for where, allowed in NEEDED.items() if "watch" in allowed} == watched


def test_in_named_namespaces_it_has_the_same_there_and_nothing_elsewhere() -> None:
    objects = render({"namespaces": ["shop", "bank"]})

    assert bound_to_the_operator(objects, "shop") == NEEDED
    assert bound_to_the_operator(objects, "bank") == NEEDED
    assert bound_to_the_operator(objects, None) == {}
    assert bound_to_the_operator(objects, "fairlead-system") == {
        ("coordination.k8s.io", "leases"): {"get", "create", "update"}
    }


def test_namespaced_mode_makes_nothing_cluster_scoped_but_the_definitions() -> None:
    kinds = {one["kind"] for one in render({"namespaces": ["shop"], "crds": {"enabled": False}})}
    assert not kinds & CLUSTER_SCOPED


def test_what_is_cluster_scoped_is_there_in_namespaced_mode_for_who_asks() -> None:
    objects = render(MATRIX["two namespaces and everything cluster-wide"])

    assert bound_to_the_operator(objects, None) == {}
    for one in of_kind(objects, *CLUSTER_SCOPED - {"CustomResourceDefinition"}):
        assert "fairlead-system" in one["metadata"]["name"], "two releases must not fight over one name"


def test_two_namespaced_releases_share_no_object() -> None:
    def names(release_namespace: str) -> set[tuple[str, str, str]]:
        objects = render({"namespaces": ["shop"], "crds": {"enabled": False}}, namespace=release_namespace)
        return {(one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"]) for one in objects}

    assert not names("team-a") & names("team-b")


def test_the_lease_is_the_only_one_it_may_renew() -> None:
    objects = render()
    (role,) = of_kind(objects, "Role")
    (deployment,) = of_kind(objects, "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    lease = {one["name"]: one.get("value") for one in container["env"]}["FAIRLEAD_LEASE_NAME"]

    assert role["metadata"]["namespace"] == "fairlead-system"
    assert [rule for rule in role["rules"] if "resourceNames" not in rule] == [
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]}
    ]
    assert [rule["resourceNames"] for rule in role["rules"] if "resourceNames" in rule] == [[lease]]


def test_people_get_apps_through_the_roles_they_have() -> None:
    objects = of_kind(render(), "ClusterRole")
    people = {
        one["metadata"]["name"]: one
        for one in objects
        if one["metadata"]["labels"]["app.kubernetes.io/component"] == "users"
    }

    def aggregates(name: str) -> set[str]:
        prefix = "rbac.authorization.k8s.io/aggregate-to-"
        return {label.removeprefix(prefix) for label in people[name]["metadata"]["labels"] if label.startswith(prefix)}

    assert aggregates("fairlead-view") == {"view", "edit", "admin"}
    assert aggregates("fairlead-edit") == {"edit", "admin"}
    assert aggregates("fairlead-admin") == {"admin"}
    assert {verb for allowed in verbs(people["fairlead-view"]).values() for verb in allowed} == {"get", "list", "watch"}
    assert not [
        where
        for role in people.values()
        for where in verbs(role)
        if "status" in where[1] and role is not people["fairlead-view"]
    ]


def test_the_guard_covers_kube_system_and_the_release_itself() -> None:
    objects = render({"guard": {"namespaces": ["kube-system", "vault"]}}, namespace="ops")
    (policy,) = of_kind(objects, "ValidatingAdmissionPolicy")
    (binding,) = of_kind(objects, "ValidatingAdmissionPolicyBinding")
    (selector,) = policy["spec"]["matchConstraints"]["namespaceSelector"]["matchExpressions"]
    (condition,) = policy["spec"]["matchConditions"]

    assert selector["values"] == ["kube-system", "vault", "ops"]
    assert '"system:serviceaccount:ops:fairlead-workloads"' in condition["expression"]
    assert binding["spec"] == {"policyName": policy["metadata"]["name"], "validationActions": ["Deny"]}


def test_without_rbac_no_role_is_made() -> None:
    objects = render({"rbac": {"create": False, "userRoles": False}})
    assert not of_kind(objects, "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")


def test_a_service_account_that_exists_is_used() -> None:
    objects = render({"workloads": {"serviceAccount": {"create": False, "name": "given"}}})

    assert not of_kind(objects, "ServiceAccount")
    (deployment,) = of_kind(objects, "Deployment")
    assert deployment["spec"]["template"]["spec"]["serviceAccountName"] == "given"
    for binding in of_kind(objects, "RoleBinding", "ClusterRoleBinding"):
        assert [subject["name"] for subject in binding["subjects"]] == ["given"]
