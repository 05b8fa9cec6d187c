"""Which edits of a template make a new revision."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from fairlead.core.hashing import template_hash

BASE: dict[str, Any] = {
    "metadata": {"labels": {"a": "1"}},
    "spec": {
        "containers": [
            {
                "name": "web",
                "image": "shop:1",
                "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)"}],
                "ports": [{"containerPort": 80, "name": "http"}, {"containerPort": 81}],
                "volumeMounts": [{"name": "x", "mountPath": "/x"}, {"name": "y", "mountPath": "/y"}],
            },
            {"name": "log", "image": "log:1"},
        ],
        "initContainers": [{"name": "first", "image": "log:1"}],
        "volumes": [{"name": "x", "emptyDir": {}}, {"name": "y", "configMap": {"name": "c"}}],
        "tolerations": [{"key": "a", "operator": "Exists"}, {"key": "b", "operator": "Exists"}],
    },
}


def edited(change: Any) -> dict[str, Any]:
    template = copy.deepcopy(BASE)
    change(template, template["spec"]["containers"][0])
    return template


SAME = {
    "ports in another order": lambda t, c: c["ports"].reverse(),
    "a default protocol written out": lambda t, c: c["ports"][0].update(protocol="TCP"),
    "volumes in another order": lambda t, c: t["spec"]["volumes"].reverse(),
    "mounts in another order": lambda t, c: c["volumeMounts"].reverse(),
    "tolerations in another order": lambda t, c: t["spec"]["tolerations"].reverse(),
    "an empty list where there was none": lambda t, c: c.update(args=[]),
    "an empty object where there was none": lambda t, c: t["spec"].update(securityContext={}),
    "empty objects in an empty object": lambda t, c: t["spec"].update(affinity={"nodeAffinity": {}}),
    "a null": lambda t, c: t["spec"].update(nodeSelector=None),
    "restartPolicy: Always written out": lambda t, c: t["spec"].update(restartPolicy="Always"),
}
OTHER = {
    "an image": lambda t, c: c.update(image="shop:2"),
    "the order of env, which expands one from another": lambda t, c: c["env"].reverse(),
    "the order of containers, which start in turn": lambda t, c: t["spec"]["containers"].reverse(),
    "a field removed": lambda t, c: c.pop("env"),
    "a list item removed": lambda t, c: t["spec"]["tolerations"].pop(),
    "a label": lambda t, c: t["metadata"]["labels"].update(a="2"),
    "a protocol that is not the default": lambda t, c: c["ports"][0].update(protocol="UDP"),
    "a default that it is not in an init container: it makes it a sidecar": lambda t, c: t["spec"]["initContainers"][
        0
    ].update(restartPolicy="Always"),
    "another kind of volume, although both are empty": lambda t, c: t["spec"].update(
        volumes=[{"name": "x", "configMap": {}}, t["spec"]["volumes"][1]]
    ),
    "an empty source of a variable, which no pod may have": lambda t, c: c["env"].append(
        {"name": "C", "valueFrom": {}}
    ),
    "an empty probe, which no pod may have": lambda t, c: c.update(livenessProbe={}),
    "an empty selector, which selects everything": lambda t, c: t["spec"].update(
        topologySpreadConstraints=[
            {"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {}}
        ]
    ),
}


@pytest.mark.parametrize("case", SAME, ids=list(SAME))
def test_means_the_same(case: str) -> None:
    assert template_hash(edited(SAME[case])) == template_hash(BASE)


@pytest.mark.parametrize("case", OTHER, ids=list(OTHER))
def test_means_another(case: str) -> None:
    assert template_hash(edited(OTHER[case])) != template_hash(BASE)


def test_an_empty_selector_is_not_no_selector() -> None:
    def spread(**more: Any) -> dict[str, Any]:
        return {
            "spec": {
                "topologySpreadConstraints": [
                    {"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule", **more}
                ]
            }
        }

    assert template_hash(spread(labelSelector={})) != template_hash(spread())


def test_the_hash_never_changes_between_versions_without_being_noticed() -> None:
    assert template_hash(BASE) == template_hash(copy.deepcopy(BASE)) and len(template_hash(BASE)) == 10
