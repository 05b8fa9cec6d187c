"""The second identity: off until asked for, without pods, and with Secrets only where it is to work."""

from __future__ import annotations

from typing import Any

import pytest

from chart.test_rights import of_kind, rules, verbs
from fairlead import settings
from fairlead.secrets.controller import Terms, controllers
from support.helm import Manifest, refusal, render

ON: dict[str, Any] = {"secrets": {"enabled": True}}
LIMITED: dict[str, Any] = {"secrets": {"enabled": True, "namespaces": ["shop", "bank"]}}
NAMESPACED: dict[str, Any] = {"namespaces": ["shop", "bank"], "secrets": {"enabled": True}}
MOVING: dict[str, Any] = {"enabled": True, "sealedSecrets": {"enabled": True, "namespace": "old"}}
MATRIX = {
    "everywhere": ON,
    "limited": LIMITED,
    "namespaced": NAMESPACED,
    "moving": {"secrets": MOVING},
    "limited and moving": {"secrets": {**MOVING, "namespaces": ["shop", "bank"]}},
}
OWN = "fairlead-system"
LEASES = {("coordination.k8s.io", "leases"): {"get", "create", "update"}}
KEYS = {
    ("fairlead.dev", "sealingkeys"): {"get", "list", "watch", "create"},
    ("fairlead.dev", "sealingkeys/status"): {"patch"},
}

Rights = dict[tuple[str, str], set[str]]  # (group, resource) -> verbs

# Everything the process asks of the API server in a namespace. A verb that is missing here is one it has no call for.
NEEDED = {
    ("fairlead.dev", "encryptedsecrets"): {"get", "list", "watch"},
    ("fairlead.dev", "encryptedsecrets/status"): {"patch"},
    ("fairlead.dev", "encryptedsecrets/finalizers"): {"update"},
    ("fairlead.dev", "revisions"): {"list", "watch"},
    ("", "secrets"): {"get", "list", "watch", "create", "patch", "delete"},
    ("", "events"): {"create", "patch"},
}

# And where SealedSecrets are read.
SEALED = {
    ("bitnami.com", "sealedsecrets"): {"get", "list", "watch"},
    ("bitnami.com", "sealedsecrets/status"): {"patch"},
}

HOME = {("apps", "deployments"): {"list", "watch"}}  # where sealed-secrets is: whether its controller still runs


def bound(objects: list[Manifest], account: str, namespace: str | None) -> dict[tuple[str, str], set[str]]:
    """What an account may do by the bindings of one namespace, or of the cluster."""
    found: dict[tuple[str, str], set[str]] = {}
    for binding in of_kind(objects, "RoleBinding", "ClusterRoleBinding"):
        here = binding["metadata"].get("namespace") == namespace
        if here and [subject["name"] for subject in binding["subjects"]] == [account]:
            (role,) = [
                one
                for one in of_kind(objects, binding["roleRef"]["kind"])
                if (one["metadata"]["name"], one["metadata"].get("namespace"))
                == (binding["roleRef"]["name"], namespace)
            ]
            for where, allowed in verbs(role).items():
                found.setdefault(where, set()).update(allowed)
    return found


def deployment(values: dict[str, Any]) -> Manifest:
    (found,) = [one for one in of_kind(render(values), "Deployment") if one["metadata"]["name"] == "fairlead-secrets"]
    return found


@pytest.fixture(params=list(MATRIX.values()), ids=list(MATRIX))
def objects(request: pytest.FixtureRequest) -> list[Manifest]:
    return render(request.param)


def test_nothing_of_it_is_there_until_it_is_asked_for() -> None:
    assert not [one for one in render() if one["metadata"]["labels"].get("app.kubernetes.io/component") == "secrets"]


def test_no_rule_has_a_wildcard(objects: list[Manifest]) -> None:
    for rule in rules(objects):
        assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]


def test_who_runs_pods_may_not_touch_secrets_and_who_opens_secrets_may_not_touch_pods(objects: list[Manifest]) -> None:
    for namespace in (None, OWN, "shop", "bank"):
        workloads = bound(objects, "fairlead-workloads", namespace)
        secrets = bound(objects, "fairlead-secrets", namespace)
        assert not [resource for _, resource in workloads if resource.startswith(("secrets", "sealingkeys"))]
        assert not [resource for _, resource in secrets if resource.startswith(("pods", "apps", "serviceaccounts"))]


def test_everywhere_it_has_what_it_needs_and_no_more() -> None:
    objects = render(ON)
    assert bound(objects, "fairlead-secrets", None) == NEEDED | KEYS
    assert bound(objects, "fairlead-secrets", OWN) == LEASES


@pytest.mark.parametrize("values", [LIMITED, NAMESPACED], ids=["limited", "namespaced"])
def test_in_named_namespaces_it_reads_secrets_there_and_in_its_own_and_nowhere_else(values: dict[str, Any]) -> None:
    objects = render(values)
    assert bound(objects, "fairlead-secrets", "shop") == NEEDED
    assert bound(objects, "fairlead-secrets", "bank") == NEEDED
    assert bound(objects, "fairlead-secrets", None) == KEYS
    own = bound(objects, "fairlead-secrets", OWN)
    assert own.pop(("", "secrets")) == {"get", "list", "watch", "create", "delete"}
    assert own == LEASES | {
        where: NEEDED[where]
        for where in NEEDED
        if where[1] in {"encryptedsecrets", "encryptedsecrets/status", "revisions"}
    }


def test_to_read_sealed_secrets_it_gets_them_their_status_and_no_more() -> None:
    objects = render({"secrets": MOVING})
    assert bound(objects, "fairlead-secrets", None) == NEEDED | KEYS | SEALED
    assert bound(objects, "fairlead-secrets", "old") == HOME, "it may read Secrets everywhere"
    assert bound(objects, "fairlead-secrets", OWN) == LEASES


@pytest.mark.parametrize("limits", [{"secrets": {"namespaces": ["shop"]}}, {"namespaces": ["shop"]}], ids=str)
def test_in_named_namespaces_it_may_look_for_the_old_keys_in_theirs_and_read_nothing_else_there(
    limits: dict[str, Any],
) -> None:
    objects = render({**limits, "secrets": {**MOVING, **limits.get("secrets", {})}})
    assert bound(objects, "fairlead-secrets", "shop") == NEEDED | SEALED
    assert bound(objects, "fairlead-secrets", "old") == HOME | {("", "secrets"): {"list", "watch"}}
    assert bound(objects, "fairlead-secrets", None) == KEYS
    assert SEALED.items() <= bound(objects, "fairlead-secrets", OWN).items(), "one there is refused in words"
    assert bound(objects, "fairlead-workloads", "old") == {}


def test_workloads_stay_everywhere_where_only_secrets_are_limited() -> None:
    objects = render(LIMITED)
    assert ("", "pods") in bound(objects, "fairlead-workloads", None)
    assert {one["metadata"]["name"]: one for one in of_kind(objects, "ClusterRole")}.keys() >= {"fairlead-workloads"}


def test_it_may_watch_what_it_watches_and_nothing_else() -> None:
    watched = {
        (source.resource.group, source.resource.plural)
        for controller in controllers(Terms(OWN))
        for source in controller.sources
    }
    assert {where for where, allowed in (NEEDED | KEYS).items() if "watch" in allowed} == watched
    moving = {
        (source.resource.group, source.resource.plural)
        for controller in controllers(Terms(OWN, sealed_secrets="old"))
        for source in controller.sources
    }
    assert {where for where, allowed in (NEEDED | KEYS | SEALED | HOME).items() if "watch" in allowed} == moving


def test_two_namespaced_releases_share_no_object() -> None:
    def names(release_namespace: str) -> set[tuple[str, str, str]]:
        found = render({**NAMESPACED, "crds": {"enabled": False}}, namespace=release_namespace)
        return {(one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"]) for one in found}

    assert not names("team-a") & names("team-b")


def test_its_pods_meet_the_restricted_standard_and_are_probed(objects: list[Manifest]) -> None:
    (made,) = [one for one in of_kind(objects, "Deployment") if one["metadata"]["name"] == "fairlead-secrets"]
    pod = made["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert made["spec"]["replicas"] == 2
    assert (pod["securityContext"]["runAsNonRoot"], pod["serviceAccountName"]) == (True, "fairlead-secrets")
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["args"] == ["run", "secrets"]
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_each_process_has_a_service_a_budget_and_a_selector_of_its_own() -> None:
    objects = render({**ON, "serviceMonitor": {"enabled": True}, "networkPolicy": {"enabled": True}})
    for kind, path in (
        ("Service", ("selector",)),
        ("PodDisruptionBudget", ("selector", "matchLabels")),
        ("NetworkPolicy", ("podSelector", "matchLabels")),
        ("ServiceMonitor", ("selector", "matchLabels")),
        ("Deployment", ("selector", "matchLabels")),
    ):
        selected = set()
        for one in of_kind(objects, kind):
            selector = one["spec"]
            for step in path:
                selector = selector[step]
            selected.add((one["metadata"]["name"], selector["app.kubernetes.io/component"]))
        assert selected == {("fairlead-workloads", "workloads"), ("fairlead-secrets", "secrets")}, kind


def test_helm_test_asks_both() -> None:
    (pod,) = of_kind(render(ON), "Pod")
    asked = [word for word in pod["spec"]["containers"][0]["command"] if word.startswith("http")]
    assert [url.partition(".")[0] for url in asked] == ["http://fairlead-workloads", "http://fairlead-secrets"]


def test_every_setting_it_is_given_is_one_it_knows() -> None:
    recovery = "x:" + "A" * 43 + "="
    told = {
        "secrets": {
            "enabled": True,
            "namespaces": ["shop"],
            "recoveryPublicKeys": [recovery],
            "keyRenewPeriod": "12h",
            "clusterScope": True,
            "signers": ["ed25519:" + "A" * 43 + "="],
            "sealedSecrets": {"enabled": True, "namespace": "old"},
        },
        "guard": {"namespaces": ["kube-system", "vault"]},
    }
    (container,) = deployment(told)["spec"]["template"]["spec"]["containers"]
    given = {each["name"]: each["value"] for each in container["env"] if "value" in each}
    known = {setting.variable for setting in settings.describe(settings.SecretSettings)}
    assert set(given) <= known
    read = settings.load(settings.SecretSettings, {}, given)
    assert (read.namespaces, read.key_namespace, read.lease_name) == (("shop",), OWN, "fairlead-secrets")
    assert (read.key_renew_period, read.cluster_scope) == (12 * 3600, True)
    assert read.sealed_secrets_namespace == "old"
    assert read.protected_namespaces == ("kube-system", "vault")
    assert [key.suite for key in read.recovery()] == ["x"]
    assert [signer.encode() for signer in read.who_signs()] == ["ed25519:" + "A" * 43 + "="]
    assert read.watched(OWN) == ("shop", OWN)


@pytest.mark.parametrize(("period", "seconds"), [("30d", 30 * 86400), ("0", 0), (0, 0), ("90m", 5400)])
def test_a_period_is_told_in_seconds(period: Any, seconds: int) -> None:
    (container,) = deployment({"secrets": {"enabled": True, "keyRenewPeriod": period}})["spec"]["template"]["spec"][
        "containers"
    ]
    assert {"name": "FAIRLEAD_KEY_RENEW_PERIOD", "value": str(seconds)} in container["env"]


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"keyRenewPeriod": "soon"}, "/secrets/keyRenewPeriod"),
        ({"keyRenewPeriod": 30}, "/secrets/keyRenewPeriod"),
        ({"recoveryPublicKeys": ["AAAA"]}, "/secrets/recoveryPublicKeys/0"),
        ({"signers": ["x:" + "A" * 43 + "="]}, "/secrets/signers/0"),
        ({"namespaces": ["*"]}, "/secrets/namespaces/0"),
        ({"clusterScope": "yes"}, "/secrets/clusterScope"),
        ({"sealedSecrets": {"enabled": True, "namespace": ""}}, "/secrets/sealedSecrets/namespace"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_where_it_stands(values: dict[str, Any], where: str) -> None:
    assert f"at '{where}'" in refusal({"secrets": values})


def test_the_guard_keeps_it_out_of_namespaces_whose_secrets_are_the_clusters() -> None:
    objects = render({**ON, "guard": {"namespaces": ["kube-system"]}})
    (policy,) = [
        one
        for one in of_kind(objects, "ValidatingAdmissionPolicy")
        if one["metadata"]["name"] == "fairlead-guard-secrets"
    ]
    (selector,) = policy["spec"]["matchConstraints"]["namespaceSelector"]["matchExpressions"]
    assert selector["values"] == ["kube-system", OWN]
    assert f'"system:serviceaccount:{OWN}:fairlead-secrets"' in policy["spec"]["matchConditions"][0]["expression"]
