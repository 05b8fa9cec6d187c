"""Apps and Revisions as objects of a real API server: defaults, subresources, apply in both forms, explain, upgrade."""

import copy
import json
from typing import Any

import pytest
import yaml

from support.crds import (
    CRDS,
    EXAMPLES,
    JSON,
    accept,
    app,
    app_with_pod,
    change_refusal,
    create,
    eventually,
    refusal,
    revision,
)
from support.lab import Lab

ANNOTATION_LIMIT = 256 * 1024  # bytes; client-side apply keeps the whole object in an annotation
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
ACCEPTED = {
    "type": "Ready",
    "status": "False",
    "reason": "Pending",
    "message": "",
    "observedGeneration": 1,
    "lastTransitionTime": "2030-01-31T12:00:00Z",
}


def apply(api: Lab, namespace: str, body: JSON, *options: str) -> str:
    return api.kubectl("apply", "-n", namespace, *options, "-f", "-", stdin=json.dumps(body))


def write_status(api: Lab, namespace: str, kind: str, name: str, status: JSON) -> JSON:
    patch = json.dumps({"status": status})
    arguments = (
        "patch",
        kind,
        name,
        "-n",
        namespace,
        "--subresource=status",
        "--type=merge",
        "-p",
        patch,
        "-o",
        "json",
    )
    written: JSON = json.loads(api.kubectl(*arguments))
    return written


# ---------------------------------------------------------------- installing


@pytest.mark.parametrize("name", ["apps.fairlead.dev", "revisions.fairlead.dev"])
def test_a_definition_survives_client_side_apply_under_the_limit_for_annotations(api: Lab, name: str) -> None:
    crd = api.get("crd", name)

    conditions = {condition["type"]: condition["status"] for condition in crd["status"]["conditions"]}
    assert len(crd["metadata"]["annotations"][LAST_APPLIED].encode()) < ANNOTATION_LIMIT
    assert conditions["Established"] == "True"
    assert "NonStructuralSchema" not in conditions


def test_applying_the_definitions_again_changes_nothing_in_either_form(api: Lab) -> None:
    before = api.get("crd", "apps.fairlead.dev")["metadata"]["generation"]

    again = api.kubectl("apply", "-f", str(CRDS))
    api.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(CRDS))

    assert again.count("unchanged") == len(list(CRDS.glob("*.yaml")))
    assert api.get("crd", "apps.fairlead.dev")["metadata"]["generation"] == before


def test_an_upgrade_of_the_definitions_keeps_apps_and_takes_new_fields(api: Lab, namespace: str) -> None:
    newer = definition_of("upgrade.example")
    older = copy.deepcopy(newer)
    del spec_schema(older)["placement"]
    api.apply(older, server_side=False)
    create_as_soon_as_served(api, namespace, "upgrade.example")
    api.kubectl("scale", "apps.upgrade.example/shop", "--replicas=2", "-n", namespace)

    api.apply(newer, server_side=False)

    eventually(lambda: "placement" in api.get("apps.upgrade.example", "shop", "-n", namespace)["spec"])
    kept = api.get("apps.upgrade.example", "shop", "-n", namespace)
    assert kept["spec"]["placement"] == {"spread": "Default"}
    assert kept["spec"]["replicas"] == 2
    assert kept["metadata"]["generation"] == 2


def test_the_type_of_an_app_cannot_be_changed_once_there_are_several(api: Lab, namespace: str) -> None:
    definition = definition_of("types.example")
    spec_schema(definition)["type"]["enum"] = ["Stateless", "Stateful"]
    api.apply(definition, server_side=False)
    create_as_soon_as_served(api, namespace, "types.example")

    said = change_refusal(api, namespace, "apps.types.example", "shop", {"spec": {"type": "Stateful"}})

    assert "spec.type cannot be changed: create an App of the other type under a new name" in said


def definition_of(group: str) -> JSON:
    """The App's definition under another group, to be changed and installed beside ours."""
    definition: JSON = yaml.load((CRDS / "app.yaml").read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    definition["metadata"]["name"] = f"apps.{group}"
    definition["spec"]["group"] = group
    del definition["spec"]["names"]["shortNames"], definition["spec"]["names"]["categories"]
    return definition


def spec_schema(definition: JSON) -> JSON:
    schema: JSON = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    return schema


def create_as_soon_as_served(api: Lab, namespace: str, group: str) -> None:
    body = json.dumps({**app(), "apiVersion": f"{group}/v1alpha1"})
    eventually(lambda: "created" in api.kubectl("create", "-n", namespace, "-f", "-", stdin=body, check=False))


# ---------------------------------------------------------------- what is stored


def test_the_defaults_are_stored_where_people_can_see_them(api: Lab) -> None:
    body = app(expose={"ports": [{"port": 80}]}, disruption={"minAvailable": 1})

    spec = accept(api, body)["spec"]

    template = spec.pop("template")
    assert spec == {
        "type": "Stateless",
        "replicas": 1,
        "rollout": {
            "strategy": "Rolling",
            "maxSurge": "25%",
            "maxUnavailable": "25%",
            "minReadySeconds": 0,
            "progressDeadlineSeconds": 600,
            "onFailure": "Rollback",
            "fastUndoSeconds": 0,
            "paused": False,
            "revisionHistoryLimit": 10,
        },
        "expose": {
            "type": "ClusterIP",
            "ports": [{"port": 80, "protocol": "TCP"}],
            "sessionAffinity": "None",
            "publishNotReadyAddresses": False,
            "drainSeconds": 5,
        },
        "disruption": {"minAvailable": 1, "unhealthyPodEvictionPolicy": "AlwaysAllow"},
        "placement": {"spread": "Default"},
    }
    ports = template["spec"]["containers"][0]["ports"]
    assert ports == [{"name": "http", "containerPort": 8080, "protocol": "TCP"}]


def test_the_template_gets_no_defaults_that_another_version_of_kubernetes_might_change(api: Lab) -> None:
    stored = accept(api, app_with_pod(containers=[{"name": "web", "image": "shop:1"}]))

    assert stored["spec"]["template"] == {"spec": {"containers": [{"name": "web", "image": "shop:1"}]}}


def test_empty_values_as_templates_leave_them_count_as_absent(api: Lab) -> None:
    body = app_with_pod(nodeSelector=None, affinity=None, tolerations=None)
    body["spec"]["template"]["spec"]["containers"][0].update(env=None, resources=None)
    body["spec"]["expose"] = None
    body["spec"]["replicas"] = None

    spec = accept(api, body)["spec"]

    assert "expose" not in spec
    assert spec["replicas"] == 1
    assert set(spec["template"]["spec"]) == {"containers"}
    assert set(spec["template"]["spec"]["containers"][0]) == {"name", "image", "ports"}


def test_an_app_without_a_template_is_refused(api: Lab) -> None:
    assert "spec.template: Required value" in refusal(api, {**app(), "spec": {}})
    assert "spec.template.spec: Required value" in refusal(api, {**app(), "spec": {"template": {}}})


def test_the_generation_moves_with_the_spec_and_with_nothing_else(api: Lab, namespace: str) -> None:
    create(api, namespace, app())

    api.kubectl("annotate", "fapp", "shop", "note=x", "-n", namespace)
    write_status(api, namespace, "fapp", "shop", {"summary": "Ready"})
    same = api.get("fapp", "shop", "-n", namespace)["metadata"]["generation"]
    api.kubectl("scale", "fapp/shop", "--replicas=2", "-n", namespace)

    assert same == 1
    assert api.get("fapp", "shop", "-n", namespace)["metadata"]["generation"] == 2


# ---------------------------------------------------------------- apply


def test_client_side_apply_twice_leaves_the_object_as_it_was(api: Lab, namespace: str) -> None:
    body = app(replicas=2, expose={"ports": [{"port": 80, "targetPort": "http"}]})

    apply(api, namespace, body)
    write_status(api, namespace, "fapp", "shop", {"summary": "Ready"})  # as the operator does at once
    before = api.get("fapp", "shop", "-n", namespace)["metadata"]
    apply(api, namespace, body)

    after = api.get("fapp", "shop", "-n", namespace)["metadata"]
    assert (after["generation"], after["resourceVersion"]) == (before["generation"], before["resourceVersion"])


def test_client_side_apply_says_unchanged_where_lists_spell_out_their_protocol(api: Lab, namespace: str) -> None:
    body = app(expose={"ports": [{"port": 80, "targetPort": "http", "protocol": "TCP"}]})
    body["spec"]["template"]["spec"]["containers"][0]["ports"][0]["protocol"] = "TCP"

    apply(api, namespace, body)

    assert "unchanged" in apply(api, namespace, body)


def test_client_side_apply_leaves_replicas_to_the_autoscaler_where_the_manifest_has_none(
    api: Lab, namespace: str
) -> None:
    apply(api, namespace, app())
    api.kubectl("scale", "fapp/shop", "--replicas=5", "-n", namespace)

    apply(api, namespace, app(rollout={"maxSurge": 1}))

    assert api.get("fapp", "shop", "-n", namespace)["spec"]["replicas"] == 5


def test_two_field_managers_share_an_app_by_container_and_port(api: Lab, namespace: str) -> None:
    """The list-map keys of upstream's schema: each manager keeps its own items, as in a Deployment."""
    mine = app(expose={"ports": [{"name": "http", "port": 80}]})
    sidecar: JSON = {"name": "proxy", "image": "proxy:1", "env": [{"name": "A", "value": "1"}]}
    theirs = {
        **app(),
        "spec": {
            "template": {"spec": {"containers": [sidecar]}},
            "expose": {"ports": [{"name": "dns", "port": 53, "protocol": "UDP"}]},
        },
    }

    apply(api, namespace, mine, "--server-side", "--field-manager=mine")
    apply(api, namespace, theirs, "--server-side", "--field-manager=theirs")
    sidecar["env"].append({"name": "B", "value": "2"})
    apply(api, namespace, theirs, "--server-side", "--field-manager=theirs")

    spec = api.get("fapp", "shop", "-n", namespace)["spec"]
    containers = {container["name"]: container for container in spec["template"]["spec"]["containers"]}
    assert set(containers) == {"web", "proxy"}
    assert [variable["name"] for variable in containers["proxy"]["env"]] == ["A", "B"]
    assert [port["name"] for port in spec["expose"]["ports"]] == ["http", "dns"]


def test_server_side_apply_reports_a_conflict_by_field_and_manager(api: Lab, namespace: str) -> None:
    apply(api, namespace, app(replicas=2), "--server-side", "--field-manager=git")

    body = json.dumps(app(replicas=3))
    said = api.kubectl(
        "apply", "--server-side", "--field-manager=person", "-n", namespace, "-f", "-", stdin=body, check=False
    )

    assert 'conflict with "git": .spec.replicas' in said


# ---------------------------------------------------------------- subresources


def test_scale_reads_and_writes_the_replicas_and_tells_the_selector(api: Lab, namespace: str) -> None:
    create(api, namespace, app(replicas=3))
    write_status(api, namespace, "fapp", "shop", {"replicas": 2, "selector": "fairlead.dev/app=shop"})

    api.kubectl("scale", "fapp/shop", "--current-replicas=3", "--replicas=7", "-n", namespace)

    path = f"/apis/fairlead.dev/v1alpha1/namespaces/{namespace}/apps/shop/scale"
    scale = json.loads(api.kubectl("get", "--raw", path))
    assert scale["kind"] == "Scale"
    assert scale["spec"]["replicas"] == 7
    assert scale["status"] == {"replicas": 2, "selector": "fairlead.dev/app=shop"}
    assert api.get("fapp", "shop", "-n", namespace)["spec"]["replicas"] == 7


def test_scale_is_held_to_the_same_bounds(api: Lab, namespace: str) -> None:
    create(api, namespace, app())

    said = api.kubectl("scale", "fapp/shop", "--replicas=100001", "-n", namespace, check=False)

    assert "spec.replicas" in said
    assert "100000" in said


def test_a_write_of_the_object_leaves_the_status_and_a_write_of_the_status_leaves_the_spec(
    api: Lab, namespace: str
) -> None:
    create(api, namespace, {**app(), "status": {"summary": "forged"}})
    forged = api.get("fapp", "shop", "-n", namespace)["status"]
    patch = json.dumps({"status": {"summary": "Ready"}, "spec": {"replicas": 9}})

    api.kubectl("patch", "fapp", "shop", "-n", namespace, "--subresource=status", "--type=merge", "-p", patch)

    stored = api.get("fapp", "shop", "-n", namespace)
    assert forged["summary"] == "Waiting for Fairlead", "the schema's default, not what the person wrote"
    assert stored["status"] == {**forged, "summary": "Ready"}
    assert stored["spec"]["replicas"] == 1


def test_a_full_status_of_an_app_is_stored_as_written(api: Lab, namespace: str) -> None:
    status: JSON = {
        "observedGeneration": 1,
        "conditions": [ACCEPTED],
        "replicas": 4,
        "readyReplicas": 3,
        "updatedReplicas": 2,
        "availableReplicas": 3,
        "unavailableReplicas": 1,
        "terminatingReplicas": 1,
        "selector": "fairlead.dev/app=shop",
        "revision": 7,
        "activeRevision": "shop-x7k2b9f4dq",
        "stableRevision": "shop-c9d4k2mnpq",
        "summary": "Rolling 2/4: ImagePullBackOff",
        "problems": [
            {
                "reason": "ImagePullBackOff",
                "message": "no such image",
                "count": 2,
                "samplePod": "shop-x7k2b9f4dq-bcdfg",
                "container": "web",
                "revision": "shop-x7k2b9f4dq",
                "since": "2030-01-31T12:00:00Z",
            }
        ],
        "undo": {"to": 3, "rejected": "x7k2b9f4dq", "revision": "shop-c9d4k2mnpq"},
        "rollout": {
            "startedAt": "2030-01-31T12:00:00Z",
            "lastProgressAt": "2030-01-31T12:00:00Z",
            "pausedAt": "",
            "restartAt": "",
            "waitingFor": "2 of 4 updated pods to become available",
            "sizes": {"x7k2b9f4dq": 2, "c9d4k2mnpq": 2},
            "desired": 4,
            "bound": 5,
        },
    }
    create(api, namespace, app())

    written = write_status(api, namespace, "fapp", "shop", status)

    assert written["status"] == status


def test_a_full_status_of_a_revision_is_stored_as_written(api: Lab, namespace: str) -> None:
    status: JSON = {
        "observedGeneration": 1,
        "phase": "Progressing",
        "replicas": 3,
        "readyReplicas": 2,
        "availableReplicas": 1,
        "terminatingReplicas": 1,
        "conditions": [ACCEPTED],
    }
    create(api, namespace, revision())

    written = write_status(api, namespace, "frev", "shop-x7k2b9f4dq", status)

    assert written["status"] == status


def test_an_app_can_be_waited_for(api: Lab, namespace: str) -> None:
    create(api, namespace, app())
    write_status(
        api, namespace, "fapp", "shop", {"observedGeneration": 1, "conditions": [{**ACCEPTED, "status": "True"}]}
    )

    assert "condition met" in api.kubectl("wait", "--for=condition=Ready", "--timeout=5s", "fapp/shop", "-n", namespace)


# ---------------------------------------------------------------- revisions


def test_a_revision_keeps_any_template_as_it_was(api: Lab, namespace: str) -> None:
    template = {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "web"}], "fieldOfALaterVersion": {"x": [1, None]}},
    }

    created = create(api, namespace, revision(template=template))

    assert created["spec"]["template"] == template


def test_revisions_are_found_by_their_app(api: Lab, namespace: str) -> None:
    create(api, namespace, revision("shop-a"))
    create(api, namespace, revision("other-a", app="other"))

    found = api.get("frev", "-n", namespace, "--field-selector=spec.app=shop")

    assert [item["metadata"]["name"] for item in found["items"]] == ["shop-a"]


def test_paused_apps_are_found_by_their_field(api: Lab, namespace: str) -> None:
    create(api, namespace, app("one"))
    create(api, namespace, app("two", rollout={"paused": True}))

    found = api.get("fapp", "-n", namespace, "--field-selector=spec.rollout.paused=true")

    assert [item["metadata"]["name"] for item in found["items"]] == ["two"]


# ---------------------------------------------------------------- what people see


def test_get_shows_the_columns_of_an_app(api: Lab, namespace: str) -> None:
    create(api, namespace, app(replicas=6))
    counts = {"readyReplicas": 5, "updatedReplicas": 3, "availableReplicas": 4, "revision": 2, "summary": "Rolling 3/6"}
    write_status(api, namespace, "fapp", "shop", counts | {"rollout": {"desired": 6}})

    head, row = api.kubectl("get", "fapp", "-n", namespace, "-o", "wide").splitlines()

    assert head.split() == [
        "NAME",
        "DESIRED",
        "READY",
        "UPDATED",
        "AVAILABLE",
        "REVISION",
        "STATUS",
        "AGE",
        "TYPE",
        "STRATEGY",
        "IMAGE",
    ]
    assert row.split()[:8] == ["shop", "6", "5", "3", "4", "2", "Rolling", "3/6"]
    assert row.split()[-3:] == ["Stateless", "Rolling", "shop:1"]


def test_get_shows_the_columns_of_a_revision(api: Lab, namespace: str) -> None:
    create(api, namespace, revision(images=["shop:1", "log:2"], cause="fix", createdBy="kubectl"))
    write_status(api, namespace, "frev", "shop-x7k2b9f4dq", {"phase": "Active", "replicas": 3, "readyReplicas": 2})

    head, row = api.kubectl("get", "frev", "-n", namespace, "-o", "wide").splitlines()

    assert head.split() == ["NAME", "APP", "NUMBER", "PHASE", "REPLICAS", "READY", "IMAGES", "AGE", "CAUSE", "BY"]
    assert row.split()[:7] == ["shop-x7k2b9f4dq", "shop", "1", "Active", "3", "2", "shop:1"]
    assert row.split()[-2:] == ["fix", "kubectl"]


def test_get_fairlead_shows_all_our_kinds(api: Lab, namespace: str) -> None:
    create(api, namespace, app())
    create(api, namespace, revision())

    names = api.kubectl("get", "fairlead", "-n", namespace, "-o", "name").split()

    assert names == ["app.fairlead.dev/shop", "revision.fairlead.dev/shop-x7k2b9f4dq"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (
            "app.spec.rollout",
            [
                "maxSurge",
                "25%",
                "minReadySeconds",
                "seconds",
                "undoTo",
                "fairlead undo",
                "Example",
                "enum: Rolling, Recreate",
            ],
        ),
        ("app.spec.expose.drainSeconds", ["preStop", "Default: 5", "seconds"]),
        ("app.spec.template.spec.containers.readinessProbe", ["httpGet", "periodSeconds"]),
        ("app.status.problems", ["samplePod", "ImagePullBackOff"]),
        ("revision.spec", ["templateHash", "-required-"]),
    ],
)
def test_explain_is_helpful(api: Lab, path: str, words: list[str]) -> None:
    eventually(lambda: "error:" not in api.kubectl("explain", path, check=False))

    text = " ".join(api.kubectl("explain", path).split())

    assert [word for word in words if word not in text] == []


# ---------------------------------------------------------------- examples


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_an_example_is_accepted_by_apply_in_both_forms(api: Lab, namespace: str, path: Any) -> None:
    assert "created" in api.kubectl("apply", "-n", namespace, "-f", str(path))
    api.kubectl("apply", "-n", namespace, "--server-side", "--force-conflicts", "-f", str(path))

    kinds = [item["kind"] for item in yaml.safe_load_all(path.read_text())]
    assert kinds == ["EncryptedSecret"] or (kinds[-1] == "App" and set(kinds) <= {"ConfigMap", "Gate", "App"})


def test_an_app_nobody_has_looked_at_yet_does_not_count_as_done(api: Lab, namespace: str) -> None:
    """kstatus takes an object without conditions for current; no operator runs here."""
    create(api, namespace, app("unseen"))

    seen = api.get("fapp", "unseen", "-n", namespace)

    (ready,) = seen["status"]["conditions"]
    assert (ready["type"], ready["status"], ready["reason"]) == ("Ready", "Unknown", "Pending")
