"""What the chart makes of its values: pods under the restricted standard, options on and off, definitions as they are."""

import sys
from typing import Any

import pytest
import yaml

import fairlead
from fairlead import settings
from fairlead.gates.credentials import parse
from support.commands import REPOSITORY, execute
from support.helm import CHART, Manifest, helm, render

EVERYTHING: dict[str, Any] = {
    "namespaces": [],
    "image": {"repository": "example.org/fairlead", "tag": "1.2", "pullSecrets": ["registry"]},
    "labels": {"team": "platform", "app.kubernetes.io/part-of": "cluster", "app.kubernetes.io/name": "stolen"},
    "annotations": {"owner": "platform@example.org"},
    "workloads": {
        "replicas": 3,
        "labels": {"tier": "control"},
        "annotations": {"note": "a: b"},
        "env": [{"name": "EXTRA", "value": "1"}],
        "priorityClassName": "system-cluster-critical",
        "nodeSelector": {"role": "control"},
        "tolerations": [{"key": "control", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}},
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {}}
        ],
    },
    "networkPolicy": {
        "enabled": True,
        "metricsFrom": [{"namespaceSelector": {}}],
        "apiServer": {"cidrs": ["10.0.0.1/32", "fd00::1/128"], "ports": [6443]},
    },
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
}
MATRIX: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "everything": EVERYTHING,
    "namespaced": {"namespaces": ["shop"]},
    "platform chooses the user": {"workloads": {"runAsUser": None}},
}


@pytest.fixture(params=list(MATRIX.values()), ids=list(MATRIX))
def objects(request: pytest.FixtureRequest) -> list[Manifest]:
    return render(request.param)


def one(objects: list[Manifest], kind: str) -> Manifest:
    (found,) = [each for each in objects if each["kind"] == kind]
    return found


def kinds(values: dict[str, Any]) -> set[str]:
    return {each["kind"] for each in render(values)}


def operator_pod(values: dict[str, Any] | None = None) -> dict[str, Any]:
    spec: dict[str, Any] = one(render(values), "Deployment")["spec"]["template"]["spec"]
    return spec


def container(values: dict[str, Any] | None = None) -> dict[str, Any]:
    (only,) = operator_pod(values)["containers"]
    return dict(only)


def pod_specs(objects: list[Manifest]) -> list[dict[str, Any]]:
    return [one(objects, "Deployment")["spec"]["template"]["spec"], one(objects, "Pod")["spec"]]


def test_helm_finds_nothing_to_complain_about() -> None:
    said = helm("lint", "--strict", CHART, check=False)
    assert "1 chart(s) linted, 0 chart(s) failed" in said
    assert "[WARNING]" not in said


def test_every_pod_meets_the_restricted_standard(objects: list[Manifest]) -> None:
    for pod in pod_specs(objects):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & set(pod)
        assert {kind for volume in pod.get("volumes", []) for kind in volume if kind != "name"} <= {"emptyDir"}
        for each in pod["containers"]:
            assert each["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert not [port for port in each.get("ports", []) if "hostPort" in port]


def test_the_process_has_a_number_unless_the_platform_gives_it_one() -> None:
    assert operator_pod()["securityContext"]["runAsUser"] == 65532
    assert "runAsUser" not in operator_pod({"workloads": {"runAsUser": None}})["securityContext"]


def test_only_the_operator_carries_a_token(objects: list[Manifest]) -> None:
    operator, test = pod_specs(objects)
    assert one(objects, "ServiceAccount")["automountServiceAccountToken"] is False
    assert operator["automountServiceAccountToken"] is True
    assert test["automountServiceAccountToken"] is False


def test_every_object_says_whose_it_is(objects: list[Manifest]) -> None:
    for each in objects:
        labels = each["metadata"]["labels"]
        assert labels["app.kubernetes.io/name"] == "fairlead"
        assert labels["app.kubernetes.io/instance"] == "fairlead"
        assert labels["app.kubernetes.io/managed-by"] == "Helm"


def test_every_namespaced_object_names_its_namespace() -> None:
    for each in render(EVERYTHING | {"namespaces": ["shop"]}, namespace="ops"):
        if each["kind"] != "CustomResourceDefinition":
            assert each["metadata"]["namespace"] in {"ops", "shop"}


def test_selectors_find_the_operator_and_nothing_else() -> None:
    objects = render(EVERYTHING)
    selector = one(objects, "Service")["spec"]["selector"]
    deployment = one(objects, "Deployment")

    assert deployment["spec"]["selector"]["matchLabels"] == selector
    assert one(objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == selector
    assert one(objects, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"] == selector
    assert one(objects, "ServiceMonitor")["spec"]["selector"]["matchLabels"] == selector
    assert selector.items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
    assert not selector.items() <= one(objects, "Pod")["metadata"]["labels"].items(), "helm test must not serve"


def test_every_port_that_is_named_exists() -> None:
    objects = render(EVERYTHING)
    named = {port["name"]: port["containerPort"] for port in container()["ports"]}
    wanted = {port["targetPort"] for port in one(objects, "Service")["spec"]["ports"]}
    wanted |= {container()[probe]["httpGet"]["port"] for probe in ("livenessProbe", "readinessProbe")}
    wanted |= {each["port"] for rule in one(objects, "NetworkPolicy")["spec"]["ingress"] for each in rule["ports"]}
    assert wanted == set(named)


def test_labels_and_annotations_reach_every_object_without_breaking_selectors() -> None:
    objects = render(EVERYTHING)
    for each in objects:
        assert each["metadata"]["labels"]["team"] == "platform"
        assert each["metadata"]["labels"]["app.kubernetes.io/part-of"] == "cluster"
        assert each["metadata"]["annotations"]["owner"] == "platform@example.org"
    template = one(objects, "Deployment")["spec"]["template"]["metadata"]
    assert template["labels"]["tier"] == "control"
    assert template["annotations"] == {"note": "a: b", "owner": "platform@example.org"}


def test_what_a_person_says_about_the_pod_is_in_the_pod() -> None:
    pod = operator_pod(EVERYTHING)
    said = EVERYTHING["workloads"]

    for field in ("priorityClassName", "nodeSelector", "tolerations", "affinity", "topologySpreadConstraints"):
        assert pod[field] == said[field]
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert {"name": "EXTRA", "value": "1"} in container(EVERYTHING)["env"]


def test_replicas_keep_apart_unless_told_otherwise() -> None:
    pod = operator_pod()
    (term,) = pod["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    (constraint,) = pod["topologySpreadConstraints"]
    assert term["podAffinityTerm"]["topologyKey"] == "kubernetes.io/hostname"
    assert (constraint["topologyKey"], constraint["whenUnsatisfiable"]) == (
        "topology.kubernetes.io/zone",
        "ScheduleAnyway",
    )


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ({}, f"fairlead:{fairlead.__version__}"),
        ({"repository": "example.org:5000/a/b", "tag": "2"}, "example.org:5000/a/b:2"),
        ({"tag": "2", "digest": "sha256:" + "a" * 64}, "fairlead@sha256:" + "a" * 64),
    ],
    ids=["the chart's own version", "a tag", "a digest wins"],
)
def test_the_image_is_what_is_asked_for_and_the_test_uses_the_same(image: dict[str, str], expected: str) -> None:
    for pod in pod_specs(render({"image": image})):
        assert [each["image"] for each in pod["containers"]] == [expected]


def test_a_gates_credential_is_mounted_into_the_operator_alone_and_told_as_a_setting() -> None:
    entries = [
        {"origin": "https://prom.example:9091", "secret": "prom", "key": "token"},
        {"origin": "https://metrics.example", "secret": "metrics", "key": "key", "header": "X-Api-Key"},
    ]
    values = {"gates": {"allow": ["*.example"], "credentials": entries}}
    pod, (main,) = operator_pod(values), operator_pod(values)["containers"]
    told = next(each["value"] for each in main["env"] if each["name"] == "FAIRLEAD_GATE_CREDENTIALS")
    files = [credential.file for credential in parse(told.split(",")).by_origin.values()]
    mounts = {mount["name"]: mount["mountPath"] for mount in main["volumeMounts"]}
    volumes = {volume["name"]: volume["secret"] for volume in pod["volumes"] if "secret" in volume}

    assert [f"{mounts[name]}/{secret['items'][0]['path']}" for name, secret in volumes.items()] == files
    assert [(secret["secretName"], secret["items"][0]["key"]) for secret in volumes.values()] == [
        ("prom", "token"),
        ("metrics", "key"),
    ]
    assert all(secret["optional"] for secret in volumes.values()), (
        "a missing Secret must not keep the operator from running"
    )
    assert not any("secret" in volume for volume in operator_pod()["volumes"])


def test_every_setting_it_is_given_is_one_it_knows() -> None:
    known = {setting.variable for setting in settings.describe(settings.WorkloadSettings)} | {
        "POD_NAME",
        "POD_NAMESPACE",
    }
    given = {each["name"]: each.get("value") for each in container()["env"]}

    assert set(given) <= known
    read = settings.load(
        settings.WorkloadSettings, {}, {name: value for name, value in given.items() if value is not None}
    )
    assert (read.namespaces, read.lease_name, read.log_format) == ((), "fairlead-workloads", "json")
    ports = {port["name"]: port["containerPort"] for port in container()["ports"]}
    assert (read.metrics_address, read.health_address) == (f":{ports['metrics']}", f":{ports['health']}")


def test_the_operator_is_told_its_namespaces() -> None:
    def told(values: dict[str, Any]) -> str:
        return {each["name"]: each.get("value") for each in container(values)["env"]}["FAIRLEAD_NAMESPACES"] or ""

    assert told({}) == ""
    assert told({"namespaces": ["shop", "bank"]}) == "shop,bank"


@pytest.mark.parametrize(
    ("replicas", "setting", "made"), [(2, "auto", True), (1, "auto", False), (1, True, True), (3, False, False)]
)
def test_a_disruption_budget_comes_with_the_second_replica(replicas: int, setting: Any, made: bool) -> None:
    values = {"workloads": {"replicas": replicas, "podDisruptionBudget": {"enabled": setting}}}
    assert ("PodDisruptionBudget" in kinds(values)) is made


def test_what_needs_more_than_kubernetes_is_off_until_asked_for() -> None:
    assert not kinds({}) & {"NetworkPolicy", "ServiceMonitor"}
    assert kinds(EVERYTHING) >= {"NetworkPolicy", "ServiceMonitor"}


@pytest.mark.parametrize("option", ["guard", "flowSchema"])
def test_what_is_cluster_wide_can_be_turned_off(option: str) -> None:
    made = {"guard": {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}, "flowSchema": {"FlowSchema"}}
    assert kinds({}) >= made[option]
    assert not kinds({option: {"enabled": False}}) & made[option]


def test_renewing_the_lease_goes_before_everything_else_the_operator_asks() -> None:
    flows = {
        each["metadata"]["name"]: each["spec"]
        for each in render({"flowSchema": {"priorityLevel": "fairlead", "matchingPrecedence": 500}})
        if each["kind"] == "FlowSchema"
    }
    assert flows["fairlead-leader"]["priorityLevelConfiguration"]["name"] == "leader-election"
    assert flows["fairlead-workloads"]["priorityLevelConfiguration"]["name"] == "fairlead"
    assert flows["fairlead-leader"]["matchingPrecedence"] < flows["fairlead-workloads"]["matchingPrecedence"] == 500


def test_metrics_are_for_whom_they_are_said_to_be_and_the_api_server_is_where_it_is_said_to_be() -> None:
    spec = one(render(EVERYTHING), "NetworkPolicy")["spec"]
    assert spec["ingress"][0] == {"ports": [{"port": "metrics"}], "from": [{"namespaceSelector": {}}]}
    assert spec["egress"][0] == {
        "ports": [{"port": 6443, "protocol": "TCP"}],
        "to": [{"ipBlock": {"cidr": "10.0.0.1/32"}}, {"ipBlock": {"cidr": "fd00::1/128"}}],
    }


def test_helm_test_finds_the_service_and_leaves_nothing_when_it_succeeds() -> None:
    objects = render(release="prod", namespace="ops")
    pod = one(objects, "Pod")
    service = one(objects, "Service")["metadata"]["name"]
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert "hook-succeeded" in pod["metadata"]["annotations"]["helm.sh/hook-delete-policy"]
    assert pod["spec"]["containers"][0]["command"][-1] == f"http://{service}.ops:8081/readyz"


def test_names_fit_however_long_the_release_is_called() -> None:
    for each in render(release="r" * 53, namespace="n" * 63):
        becomes_a_label = each["kind"] in {"Deployment", "Pod", "Service"}
        assert len(each["metadata"]["name"]) <= (63 if becomes_a_label else 253)


def test_two_releases_in_one_namespace_do_not_collide() -> None:
    def names(release: str) -> set[tuple[str, str]]:
        objects = render({"crds": {"enabled": False}}, release=release)
        return {(each["kind"], each["metadata"]["name"]) for each in objects}

    assert not names("blue") & names("green")


def sources() -> dict[str, Manifest]:
    loaded = (yaml.safe_load(path.read_text()) for path in (REPOSITORY / "crds").glob("*.yaml"))
    return {each["metadata"]["name"]: each for each in loaded}


def definitions(values: dict[str, Any]) -> dict[str, Manifest]:
    found = (each for each in render(values) if each["kind"] == "CustomResourceDefinition")
    return {each["metadata"]["name"]: each for each in found}


def test_the_definitions_are_the_projects_own_and_stay_on_uninstall() -> None:
    made = definitions({})
    assert set(made) == set(sources()) >= {"apps.fairlead.dev", "revisions.fairlead.dev"}
    for name, each in made.items():
        assert each["spec"] == sources()[name]["spec"]
        assert each["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_the_definitions_can_go_on_uninstall_or_be_left_out() -> None:
    for each in definitions({"crds": {"keep": False}}).values():
        assert "helm.sh/resource-policy" not in each["metadata"].get("annotations", {})
    assert definitions({"crds": {"enabled": False}}) == {}


def test_chart_and_operator_have_one_version() -> None:
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == fairlead.__version__


def test_what_is_generated_is_up_to_date() -> None:
    execute([sys.executable, str(REPOSITORY / "hack" / "gen_chart.py"), "--check"])
