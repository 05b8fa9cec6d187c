"""The pod template of an App against the API server's own: nothing is lost, nothing is of another type."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from gen import template
from support.commands import REPOSITORY
from support.crds import JSON, accept, app
from support.lab import Lab

# Refused in a template, by upstream and by us: the field is there, its own fields are not.
LEFT_OUT = "spec.ephemeralContainers[]"


@pytest.fixture(scope="module")
def published(api: Lab) -> JSON:
    definitions: JSON = json.loads(api.kubectl("get", "--raw", "/openapi/v3/api/v1"))["components"]["schemas"]
    return definitions


@pytest.fixture(scope="module")
def ours(api: Lab) -> JSON:
    versions = api.get("crd", "apps.fairlead.dev")["spec"]["versions"]
    schema: JSON = versions[0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["template"]
    return schema


def upstream_fields(definitions: JSON) -> dict[str, JSON]:
    """Every field of a PodTemplateSpec by its path, with the definition it has upstream. Independent of hack/gen."""

    @cache
    def below(name: str) -> list[tuple[str, str]]:
        return list(walk(definitions[name], ""))

    nodes: dict[str, JSON] = {}

    def resolve(node: JSON) -> JSON:
        reference = node.get("$ref") or next((part["$ref"] for part in node.get("allOf", ())), None)
        return definitions[reference.rpartition("/")[2]] | {"from": reference} if reference else node

    def walk(node: JSON, path: str) -> Iterator[tuple[str, str]]:
        node = resolve(node)
        nodes[path] = node
        if node.get("from", "").endswith(".ObjectMeta"):
            node = node | {"properties": {name: node["properties"][name] for name in ("labels", "annotations")}}
        for name, child in node.get("properties", {}).items():
            yield from walk(child, f"{path}.{name}".lstrip("."))
        for key, suffix in (("items", "[]"), ("additionalProperties", "{}")):
            if key in node:
                yield from walk(node[key], path + suffix)
        yield path, path

    list(walk(definitions[template.ROOT], ""))
    return nodes


def our_fields(node: JSON, path: str = "") -> Iterator[tuple[str, JSON]]:
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from our_fields(child, f"{path}.{name}".lstrip("."))
    for key, suffix in (("items", "[]"), ("additionalProperties", "{}")):
        if key in node:
            yield from our_fields(node[key], path + suffix)


def kind(node: JSON) -> Any:
    if node.get("x-kubernetes-int-or-string") or "oneOf" in node:
        return "integer or string"
    return node.get("type")


def test_every_field_of_the_pod_template_is_kept_with_its_type_and_its_list_keys(published: JSON, ours: JSON) -> None:
    upstream = {path: node for path, node in upstream_fields(published).items() if not path.startswith(f"{LEFT_OUT}")}
    kept = {path: node for path, node in our_fields(ours) if not path.startswith(f"{LEFT_OUT}")}

    assert len(upstream) > 1000
    assert set(upstream) - set(kept) == set()
    assert set(kept) - set(upstream) == set()
    for path, node in upstream.items():
        assert kind(kept[path]) == kind(node), path
        for word in ("format", "enum"):
            if word in node and kind(node) != "integer or string":
                assert kept[path].get(word) == node[word], (path, word)
        if path != "spec.ephemeralContainers":
            for word in ("x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type"):
                assert kept[path].get(word) == node.get(word), (path, word)
        assert set(node.get("required", ())) <= set(kept[path].get("required", ())), path


def test_the_committed_definitions_are_those_of_the_api_server_they_name(api: Lab, published: JSON) -> None:
    committed = json.loads((REPOSITORY / "hack" / "gen" / "podtemplate.openapi.json").read_text())
    version = json.loads(api.kubectl("get", "--raw", "/version"))["gitVersion"]
    if version != committed["kubernetes"]:
        pytest.skip(f"the lab runs {version}, the definitions are of {committed['kubernetes']}")

    assert template.reachable(published) == committed["definitions"]


def test_a_template_that_uses_much_of_it_is_stored_as_written(api: Lab) -> None:
    pod: JSON = {
        "serviceAccountName": "shop",
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "fsGroup": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
        "initContainers": [
            {"name": "migrate", "image": "shop:1", "command": ["migrate"], "envFrom": [{"secretRef": {"name": "db"}}]},
            {"name": "proxy", "image": "proxy:1", "restartPolicy": "Always"},
        ],
        "containers": [
            {
                "name": "web",
                "image": "shop:1",
                "env": [
                    {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                    {
                        "name": "PASSWORD",
                        "valueFrom": {"secretKeyRef": {"name": "db", "key": "password", "optional": True}},
                    },
                ],
                "resources": {
                    "requests": {"cpu": "250m", "memory": "64Mi"},
                    "limits": {"memory": "128Mi", "example.com/gpu": 1},
                },
                "startupProbe": {"exec": {"command": ["true"]}, "failureThreshold": 30},
                "readinessProbe": {
                    "httpGet": {"path": "/", "port": 8080, "httpHeaders": [{"name": "A", "value": "b"}]}
                },
                "livenessProbe": {"grpc": {"port": 8080, "service": "shop"}},
                "lifecycle": {"preStop": {"sleep": {"seconds": 3}}, "stopSignal": "SIGUSR1"},
                "volumeMounts": [
                    {"name": "data", "mountPath": "/data"},
                    {"name": "token", "mountPath": "/token", "readOnly": True},
                ],
                "securityContext": {"capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True},
            }
        ],
        "volumes": [
            {
                "name": "data",
                "ephemeral": {
                    "volumeClaimTemplate": {
                        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
                    }
                },
            },
            {
                "name": "token",
                "projected": {
                    "sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 600}}],
                    "defaultMode": 288,
                },
            },
        ],
        "affinity": {
            "podAntiAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {
                        "weight": 1,
                        "podAffinityTerm": {
                            "topologyKey": "zone",
                            "labelSelector": {"matchLabels": {"a": "b"}},
                            "matchLabelKeys": ["x"],
                        },
                    }
                ]
            },
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [
                        {"matchExpressions": [{"key": "arch", "operator": "In", "values": ["amd64"]}]}
                    ]
                }
            },
        },
        "tolerations": [{"key": "spot", "operator": "Exists", "effect": "NoSchedule", "tolerationSeconds": 60}],
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "zone",
                "whenUnsatisfiable": "DoNotSchedule",
                "matchLabelKeys": ["fairlead.dev/revision"],
            }
        ],
        "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a"]}],
        "dnsConfig": {"options": [{"name": "ndots", "value": "2"}]},
        "imagePullSecrets": [{"name": "registry"}],
        "readinessGates": [{"conditionType": "example.com/ok"}],
        "priorityClassName": "high",
        "terminationGracePeriodSeconds": 0,
        "nodeSelector": {"disk": "ssd"},
        "resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "gpu"}],
        "overhead": {"cpu": "1m"},
        "schedulingGates": [{"name": "example.com/wait"}],
    }
    template_of = {"metadata": {"labels": {"team": "web"}, "annotations": {"note": "x"}}, "spec": pod}

    assert accept(api, app(template=template_of))["spec"]["template"] == template_of
