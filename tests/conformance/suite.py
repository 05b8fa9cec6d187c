"""What an API server does, as far as Fairlead leans on it. One suite: test_fake.py runs it on the fake,
integration/test_conformance.py on a real kube-apiserver. Each test gets the fixture `api`."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from conformance.api import Api, app, budget, config_map, lease, pod, revision, service
from fairlead.core.meta import JSON
from fairlead.kube.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    TooManyRequests,
    Unavailable,
)
from fairlead.kube.resources import (
    APPS,
    BUDGETS,
    CONFIG_MAPS,
    LEASES,
    NAMESPACES,
    PODS,
    REVISIONS,
    SERVICES,
    Resource,
)

Kind = tuple[Resource, Callable[..., JSON]]
KINDS: list[Kind] = [
    (CONFIG_MAPS, config_map),
    (PODS, pod),
    (SERVICES, service),
    (LEASES, lease),
    (BUDGETS, budget),
    (APPS, app),
    (REVISIONS, revision),
]
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind[0].kind)
our_kinds = pytest.mark.parametrize(
    "kind", [k for k in KINDS if k[0] in (APPS, REVISIONS)], ids=lambda kind: kind[0].kind
)

OTHER_UID = "11111111-2222-4333-8444-555555555555"


def rv(obj: JSON) -> int:
    return int(obj["metadata"]["resourceVersion"])


# ---------------------------------------------------------------- creating


@every_kind
async def test_a_created_object_is_answered_with_its_uid_version_and_time(api: Api, kind: Kind) -> None:
    resource, body = kind
    made = await api.create(resource, body(api.name()))
    meta = made["metadata"]
    assert made["kind"] == resource.kind and made["apiVersion"] == resource.api_version
    assert meta["uid"] and meta["namespace"] == api.namespace and int(meta["resourceVersion"]) > 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", meta["creationTimestamp"])
    assert await api.get(resource, meta["name"]) == made


@every_kind
async def test_a_name_that_is_taken_is_refused_as_already_exists(api: Api, kind: Kind) -> None:
    resource, body = kind
    name = api.name()
    await api.create(resource, body(name))
    with pytest.raises(AlreadyExists) as refused:
        await api.create(resource, body(name))
    assert refused.value.code == 409 and refused.value.details["name"] == name


@every_kind
async def test_an_object_that_is_not_there_is_not_found(api: Api, kind: Kind) -> None:
    with pytest.raises(NotFound) as refused:
        await api.get(kind[0], "nothing")
    assert refused.value.reason == "NotFound" and '"nothing" not found' in refused.value.message


async def test_what_nobody_serves_is_not_found(api: Api) -> None:
    with pytest.raises(NotFound):
        await api.client.fetch("/apis/nobody.example/v1/namespaces/shop/things", {"labelSelector": "a=b"})


async def test_a_created_object_must_not_name_a_resource_version(api: Api) -> None:
    with pytest.raises(ApiError, match="resourceVersion should not be set"):  # a 500, of all things
        await api.create(CONFIG_MAPS, config_map("a", resourceVersion="1"))


async def test_a_create_in_a_namespace_that_is_not_there_is_not_found(api: Api) -> None:
    with pytest.raises(NotFound, match="namespaces"):
        await api.client.create(CONFIG_MAPS, "nowhere", b'{"metadata": {"name": "a"}}')


async def test_a_body_of_another_namespace_is_refused(api: Api) -> None:
    with pytest.raises(Invalid):
        await api.create(CONFIG_MAPS, config_map("a", namespace="default"))


async def test_a_generated_name_starts_with_its_prefix(api: Api) -> None:
    body = config_map("")
    body["metadata"] = {"generateName": "shop-"}
    first, second = await api.create(CONFIG_MAPS, body), await api.create(CONFIG_MAPS, body)
    assert re.fullmatch(r"shop-[a-z0-9]{5}", first["metadata"]["name"])
    assert first["metadata"]["name"] != second["metadata"]["name"]


async def test_a_recreated_object_has_another_uid(api: Api) -> None:
    first = await api.create(CONFIG_MAPS, config_map("a"))
    await api.delete(CONFIG_MAPS, "a")
    second = await api.create(CONFIG_MAPS, config_map("a"))
    assert first["metadata"]["uid"] != second["metadata"]["uid"]


async def test_what_is_the_servers_cannot_be_set_by_a_client(api: Api) -> None:
    made = await api.create(CONFIG_MAPS, config_map("a", uid=OTHER_UID, deletionTimestamp="2020-01-01T00:00:00Z"))
    assert made["metadata"]["uid"] != OTHER_UID
    assert "deletionTimestamp" not in made["metadata"]


async def test_versions_grow_over_all_kinds(api: Api) -> None:
    versions = [rv(await api.create(resource, body(api.name()))) for resource, body in KINDS]
    assert versions == sorted(set(versions))


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("resource", "body"),
    {
        "a pod without containers": (PODS, {"metadata": {"name": "a"}, "spec": {"containers": []}}),
        "two containers of one name": (
            PODS,
            {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "x", "image": "i"}] * 2}},
        ),
        "a name with capitals": (CONFIG_MAPS, config_map("Shop")),
        "no name at all": (CONFIG_MAPS, {"metadata": {}}),
        "a label value of 64 characters": (CONFIG_MAPS, config_map("a", labels={"x": "y" * 64})),
        "a label value with a blank": (CONFIG_MAPS, config_map("a", labels={"x": "a b"})),
        "a label key with a blank": (CONFIG_MAPS, config_map("a", labels={"a b": "x"})),
        "a service without ports": (SERVICES, {"metadata": {"name": "a"}, "spec": {"selector": {"a": "b"}}}),
        "two ports without names": (
            SERVICES,
            {"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}, {"port": 81}]}},
        ),
        "a budget with both limits": (
            BUDGETS,
            {"metadata": {"name": "a"}, "spec": {"minAvailable": 1, "maxUnavailable": 1, "selector": {}}},
        ),
        "replicas as text": (APPS, {**app("a"), "spec": {**app("a")["spec"], "replicas": "many"}}),
        "replicas below zero": (APPS, {**app("a"), "spec": {**app("a")["spec"], "replicas": -1}}),
        "an app without template": (APPS, {"metadata": {"name": "a"}, "spec": {"replicas": 1}}),
        "an unknown strategy": (APPS, {**app("a"), "spec": {**app("a")["spec"], "rollout": {"strategy": "Magic"}}}),
        "two controlling owners": (
            CONFIG_MAPS,
            config_map(
                "a",
                ownerReferences=[
                    {"apiVersion": "v1", "kind": "ConfigMap", "name": n, "uid": n, "controller": True} for n in "xy"
                ],
            ),
        ),
    }.values(),
    ids=[
        "a pod without containers",
        "two containers of one name",
        "a name with capitals",
        "no name at all",
        "a label value of 64 characters",
        "a label value with a blank",
        "a label key with a blank",
        "a service without ports",
        "two ports without names",
        "a budget with both limits",
        "replicas as text",
        "replicas below zero",
        "an app without template",
        "an unknown strategy",
        "two controlling owners",
    ],
)
async def test_what_is_plainly_wrong_is_invalid(api: Api, resource: Resource, body: JSON) -> None:
    with pytest.raises(Invalid):
        await api.create(resource, body)


async def test_a_kind_that_is_not_served_is_not_found(api: Api) -> None:
    with pytest.raises(NotFound):
        await api.list(Resource("fairlead.dev", "v1alpha1", "ghosts", "Ghost"))


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")  # aiohttp's own opinion
async def test_an_object_beyond_etcds_limit_is_refused(api: Api) -> None:
    body = revision("big")
    body["spec"]["template"] = {"padding": "x" * 1_600_000}
    with pytest.raises(ApiError) as refused:
        await api.create(REVISIONS, body)
    assert isinstance(refused.value, Unavailable) or refused.value.code == 413


async def test_fields_the_schema_does_not_know_are_dropped_and_defaults_come(api: Api) -> None:
    body = app("a")
    body["spec"]["bogus"] = {"x": 1}
    del body["spec"]["replicas"]
    made = await api.create(APPS, body)
    assert "bogus" not in made["spec"]
    assert made["spec"]["replicas"] == 1 and made["spec"]["rollout"]["maxSurge"] == "25%"


async def test_status_fields_the_schema_does_not_know_are_dropped(api: Api) -> None:
    await api.create(APPS, app("a"))
    after = await api.merge(APPS, "a", {"status": {"replicas": 2, "bogus": 1}}, subresource="status")
    assert after["status"]["replicas"] == 2 and "bogus" not in after["status"]


async def test_a_status_of_the_wrong_type_is_invalid(api: Api) -> None:
    await api.create(APPS, app("a"))
    with pytest.raises(Invalid):
        await api.merge(APPS, "a", {"status": {"replicas": "two"}}, subresource="status")


# ---------------------------------------------------------------- changing


@every_kind
async def test_a_change_moves_the_version(api: Api, kind: Kind) -> None:
    resource, body = kind
    made = await api.create(resource, body("a"))
    changed = await api.merge(resource, "a", {"metadata": {"labels": {"x": "1"}}})
    assert rv(changed) > rv(made) and changed["metadata"]["labels"] == {"x": "1"}
    assert changed["metadata"]["uid"] == made["metadata"]["uid"]


@every_kind
async def test_a_patch_that_changes_nothing_writes_nothing(api: Api, kind: Kind) -> None:
    resource, body = kind
    await api.create(resource, body("a"))
    before = await api.merge(resource, "a", {"metadata": {"labels": {"x": "1"}}})  # stores the schema's defaults, too
    assert rv(await api.merge(resource, "a", {"metadata": {"labels": {"x": "1"}}})) == rv(before)


async def test_a_merge_patch_merges_objects_replaces_lists_and_removes_by_null(api: Api) -> None:
    body = config_map("a", annotations={"keep": "1", "drop": "1"}, finalizers=["fairlead.dev/a", "fairlead.dev/b"])
    await api.create(CONFIG_MAPS, body)
    patch = {"metadata": {"annotations": {"drop": None, "new": "1"}, "finalizers": ["fairlead.dev/b"]}}
    after = await api.merge(CONFIG_MAPS, "a", patch)
    assert after["metadata"]["annotations"] == {"keep": "1", "new": "1"}
    assert after["metadata"]["finalizers"] == ["fairlead.dev/b"]
    await api.merge(CONFIG_MAPS, "a", {"metadata": {"finalizers": None}})


async def test_a_strategic_patch_of_a_pods_status_changes_the_condition_it_names_and_no_other(api: Api) -> None:
    made = await api.create(PODS, pod("a"))
    others = [{"type": "gates.example/b", "status": "False"}, {"type": "gates.example/a", "status": "False"}]
    await api.merge(PODS, "a", {"status": {"conditions": others}}, subresource="status")
    told = {"type": "gates.example/a", "status": "True", "reason": "CheckPassed"}
    body = {"metadata": {"uid": made["metadata"]["uid"]}, "status": {"conditions": [told]}}
    after = await api.strategic(PODS, "a", body, subresource="status")
    found = {c["type"]: c["status"] for c in after["status"]["conditions"] if c["type"].startswith("gates.")}
    assert found == {"gates.example/b": "False", "gates.example/a": "True"}
    with pytest.raises(Invalid) as refused:
        await api.strategic(PODS, "a", {**body, "metadata": {"uid": OTHER_UID}}, subresource="status")
    assert {cause["field"] for cause in refused.value.details["causes"]} == {"metadata.uid"}, "said twice by a real one"


async def test_our_kinds_take_no_strategic_patch(api: Api) -> None:
    await api.create(APPS, app("a"))
    with pytest.raises(ApiError) as refused:
        await api.strategic(APPS, "a", {"metadata": {"labels": {"x": "1"}}})
    assert refused.value.code == 415


@every_kind
async def test_a_patch_with_another_version_is_a_conflict_with_another_uid_invalid(api: Api, kind: Kind) -> None:
    resource, body = kind
    made = await api.create(resource, body("a"))
    uid = made["metadata"]["uid"]
    for meta in (
        {"resourceVersion": "1"},
        {"uid": uid, "resourceVersion": "1"},
        {"uid": OTHER_UID, "resourceVersion": "1"},
    ):
        with pytest.raises(Conflict):
            await api.merge(resource, "a", {"metadata": {**meta, "labels": {"x": "1"}}})
    with pytest.raises(Invalid) as refused:
        await api.merge(resource, "a", {"metadata": {"uid": OTHER_UID, "labels": {"x": "1"}}})
    assert refused.value.details["causes"][0]["field"] == "metadata.uid"
    right = {"uid": uid, "resourceVersion": made["metadata"]["resourceVersion"], "labels": {"x": "1"}}
    assert (await api.merge(resource, "a", {"metadata": right}))["metadata"]["labels"] == {"x": "1"}


@every_kind
async def test_a_patch_of_what_is_not_there_is_not_found(api: Api, kind: Kind) -> None:
    with pytest.raises(NotFound):
        await api.merge(kind[0], "nothing", {"metadata": {"labels": {"x": "1"}}})


async def test_a_status_of_ours_is_guarded_by_the_version_only(api: Api) -> None:
    """The /status of a custom resource takes no metadata, so it does not look at the uid either."""
    await api.create(APPS, app("a"))
    other = {"metadata": {"uid": OTHER_UID}, "status": {"replicas": 1}}
    assert (await api.merge(APPS, "a", other, subresource="status"))["status"]["replicas"] == 1
    with pytest.raises(Conflict):
        old = {"metadata": {"resourceVersion": "1"}, "status": {"replicas": 2}}
        await api.merge(APPS, "a", old, subresource="status")
    await api.create(PODS, pod("a"))
    with pytest.raises(Invalid):
        other = {"metadata": {"uid": OTHER_UID}, "status": {"phase": "Running"}}
        await api.merge(PODS, "a", other, subresource="status")


async def test_a_json_patch_is_refused_where_its_test_fails(api: Api) -> None:
    await api.create(CONFIG_MAPS, config_map("a", labels={"a/b": "1"}))
    swap = {"op": "replace", "path": "/metadata/labels/a~1b", "value": "2"}
    with pytest.raises(Invalid):
        await api.json_patch(CONFIG_MAPS, "a", {"op": "test", "path": "/metadata/labels/a~1b", "value": "9"}, swap)
    after = await api.json_patch(CONFIG_MAPS, "a", {"op": "test", "path": "/metadata/labels/a~1b", "value": "1"}, swap)
    assert after["metadata"]["labels"] == {"a/b": "2"}


async def test_a_json_patch_adds_and_removes(api: Api) -> None:
    await api.create(CONFIG_MAPS, config_map("a", finalizers=["fairlead.dev/a"]))
    after = await api.json_patch(
        CONFIG_MAPS,
        "a",
        {"op": "add", "path": "/metadata/labels", "value": {"x": "1"}},
        {"op": "remove", "path": "/metadata/finalizers/0"},
    )
    assert after["metadata"]["labels"] == {"x": "1"} and "finalizers" not in after["metadata"]


@every_kind
async def test_a_replace_with_an_old_version_is_a_conflict(api: Api, kind: Kind) -> None:
    resource, body = kind
    made = await api.create(resource, body("a"))
    await api.merge(resource, "a", {"metadata": {"labels": {"x": "1"}}})
    with pytest.raises(Conflict):
        await api.replace(resource, made)


@pytest.mark.parametrize(
    "kind", [k for k in KINDS if k[0] in (APPS, REVISIONS, LEASES, BUDGETS)], ids=lambda k: k[0].kind
)
async def test_a_replace_of_these_kinds_must_name_a_version(api: Api, kind: Kind) -> None:
    resource, body = kind
    await api.create(resource, body("a"))
    with pytest.raises(Invalid):
        await api.replace(resource, body("a"))


async def test_a_replace_of_a_config_map_needs_no_version(api: Api) -> None:
    await api.create(CONFIG_MAPS, config_map("a", labels={"x": "1"}))
    assert "labels" not in (await api.replace(CONFIG_MAPS, config_map("a")))["metadata"]


async def test_a_replace_of_another_uid_is_a_conflict(api: Api) -> None:
    made = await api.create(CONFIG_MAPS, config_map("a"))
    made["metadata"]["uid"] = OTHER_UID
    with pytest.raises(Conflict):
        await api.replace(CONFIG_MAPS, made)


async def test_a_lease_changes_hands_only_at_the_version_that_was_read(api: Api) -> None:
    """Leader election stands on this."""
    made = await api.create(LEASES, lease("lead"))
    taken = {**made, "spec": {**made["spec"], "holderIdentity": "b"}}
    assert (await api.replace(LEASES, taken))["spec"]["holderIdentity"] == "b"
    with pytest.raises(Conflict):
        await api.replace(LEASES, {**made, "spec": {**made["spec"], "holderIdentity": "c"}})


async def test_a_pods_spec_is_fixed_its_labels_are_not(api: Api) -> None:
    await api.create(PODS, pod("a"))
    with pytest.raises(Invalid):
        await api.merge(PODS, "a", {"spec": {"hostname": "x"}})
    with pytest.raises(Invalid):
        await api.merge(PODS, "a", {"spec": {"nodeName": "x"}})
    assert (await api.merge(PODS, "a", {"metadata": {"labels": {"x": "1"}}}))["metadata"]["labels"] == {"x": "1"}


def sized(cpu: str, **more: str) -> JSON:
    return {"containers": [{"name": "web", "resources": {"requests": {"cpu": cpu, **more}}}]}


async def test_what_a_pod_requests_changes_through_its_resize_alone(api: Api) -> None:
    body = pod("a")
    body["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "1"}}
    made = await api.create(PODS, body)
    with pytest.raises(Invalid):
        await api.strategic(PODS, "a", {"spec": sized("500m")})
    patch = {"metadata": {"uid": made["metadata"]["uid"]}, "spec": sized("500m", memory="64Mi")}
    after = await api.strategic(PODS, "a", patch, subresource="resize")
    container = after["spec"]["containers"][0]
    assert container["resources"]["requests"] == {"cpu": "500m", "memory": "64Mi"}
    assert container["image"] == "shop:1"
    assert after["metadata"]["generation"] == made["metadata"]["generation"] + 1
    again = await api.strategic(PODS, "a", patch, subresource="resize")
    assert again["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"]


async def test_a_resize_of_another_uid_or_into_another_class_of_service_is_invalid(api: Api) -> None:
    await api.create(PODS, pod("a"))
    with pytest.raises(Invalid, match="QOS Class may not change"):
        await api.strategic(PODS, "a", {"spec": sized("500m")}, subresource="resize")
    body = pod("b")
    body["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "1"}}
    await api.create(PODS, body)
    other = {"metadata": {"uid": OTHER_UID}, "spec": sized("500m")}
    with pytest.raises((Invalid, Conflict)):
        await api.strategic(PODS, "b", other, subresource="resize")


async def test_a_resize_of_what_is_not_there_names_it(api: Api) -> None:
    with pytest.raises(NotFound) as refused:
        await api.strategic(PODS, "a", {"spec": sized("500m")}, subresource="resize")
    assert refused.value.details["name"] == "a"


async def test_a_subresource_that_nobody_serves_is_not_found_and_names_no_object(api: Api) -> None:
    await api.create(PODS, pod("a"))
    with pytest.raises(NotFound) as refused:
        await api.strategic(PODS, "a", {"spec": sized("500m")}, subresource="enlarge")
    assert not refused.value.details.get("name")


# ---------------------------------------------------------------- generation, status, scale


@pytest.mark.parametrize(
    "kind", [k for k in KINDS if k[0] in (APPS, REVISIONS, BUDGETS, PODS)], ids=lambda k: k[0].kind
)
async def test_the_generation_starts_at_one_and_ignores_labels(api: Api, kind: Kind) -> None:
    resource, body = kind
    assert (await api.create(resource, body("a")))["metadata"]["generation"] == 1
    changed = await api.merge(resource, "a", {"metadata": {"labels": {"x": "1"}, "annotations": {"y": "1"}}})
    assert changed["metadata"]["generation"] == 1


async def test_the_generation_moves_with_the_spec_only(api: Api) -> None:
    await api.create(APPS, app("a"))
    assert (await api.merge(APPS, "a", {"spec": {"replicas": 4}}))["metadata"]["generation"] == 2
    assert (await api.merge(APPS, "a", {"spec": {"replicas": 4}}))["metadata"]["generation"] == 2
    after = await api.merge(APPS, "a", {"status": {"replicas": 4}}, subresource="status")
    assert after["metadata"]["generation"] == 2


@our_kinds
async def test_the_status_is_written_through_its_subresource_only(api: Api, kind: Kind) -> None:
    resource, body = kind
    made = await api.create(resource, {**body("a"), "status": {"replicas": 9}})
    assert made.get("status", {}).get("replicas") != 9
    made = await api.merge(resource, "a", {"metadata": {"labels": {"y": "1"}}})  # stores the schema's defaults, too
    main = await api.merge(resource, "a", {"status": {"replicas": 9}})
    assert main.get("status", {}).get("replicas") != 9 and rv(main) == rv(made)
    status = await api.merge(
        resource,
        "a",
        {"status": {"replicas": 2}, "spec": {"app": "other", "replicas": 7}, "metadata": {"labels": {"x": "1"}}},
        subresource="status",
    )
    assert status["status"]["replicas"] == 2
    assert status["spec"] == made["spec"] and status["metadata"]["labels"] == {"y": "1"}


@our_kinds
async def test_a_status_that_is_the_same_writes_nothing(api: Api, kind: Kind) -> None:
    resource, body = kind
    await api.create(resource, body("a"))
    first = await api.merge(resource, "a", {"status": {"replicas": 2}}, subresource="status")
    assert rv(await api.merge(resource, "a", {"status": {"replicas": 2}}, subresource="status")) == rv(first)


async def test_a_pods_status_is_written_through_its_subresource_only(api: Api) -> None:
    made = await api.create(PODS, {**pod("a"), "status": {"phase": "Running"}})
    assert made["status"]["phase"] == "Pending"
    after = await api.merge(PODS, "a", {"status": {"phase": "Running"}}, subresource="status")
    assert after["status"]["phase"] == "Running"
    assert (await api.merge(PODS, "a", {"status": {"phase": "Failed"}}))["status"]["phase"] == "Running"


async def test_conditions_are_replaced_whole_by_a_merge_patch(api: Api) -> None:
    await api.create(APPS, app("a"))

    def condition(type: str) -> JSON:
        return {
            "type": type,
            "status": "True",
            "reason": "R",
            "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }

    await api.merge(
        APPS, "a", {"status": {"conditions": [condition("Ready"), condition("Paused")]}}, subresource="status"
    )
    after = await api.merge(APPS, "a", {"status": {"conditions": [condition("Ready")]}}, subresource="status")
    assert [c["type"] for c in after["status"]["conditions"]] == ["Ready"]
    with pytest.raises(Invalid):
        twice = [condition("Ready"), condition("Ready")]
        await api.merge(APPS, "a", {"status": {"conditions": twice}}, subresource="status")


async def test_scale_reads_and_writes_the_replicas(api: Api) -> None:
    await api.create(APPS, app("a"))
    await api.merge(APPS, "a", {"status": {"replicas": 2, "selector": "x=y"}}, subresource="status")
    scale = await api.get(APPS, "a", subresource="scale")
    assert (scale["kind"], scale["spec"], scale["status"]) == (
        "Scale",
        {"replicas": 3},
        {"replicas": 2, "selector": "x=y"},
    )
    after = await api.merge(APPS, "a", {"spec": {"replicas": 5}}, subresource="scale")
    assert after["spec"] == {"replicas": 5}
    assert (await api.get(APPS, "a"))["spec"]["replicas"] == 5
    with pytest.raises(Conflict):
        await api.replace(APPS, {**scale, "spec": {"replicas": 7}}, subresource="scale")


async def test_who_scales_is_noted_and_not_when(api: Api) -> None:
    await api.create(APPS, app("a"))
    await api.merge(APPS, "a", {"spec": {"replicas": 5}}, subresource="scale", manager="person")
    (entry,) = [
        one for one in (await api.get(APPS, "a"))["metadata"]["managedFields"] if one.get("subresource") == "scale"
    ]
    assert (entry["manager"], entry["fieldsV1"]) == ("person", {"f:spec": {"f:replicas": {}}})
    assert "time" not in entry


# ---------------------------------------------------------------- deleting


@every_kind
async def test_a_delete_with_another_uid_or_version_is_a_conflict(api: Api, kind: Kind) -> None:
    resource, body = kind
    made = await api.create(resource, body("a"))
    with pytest.raises(Conflict):
        await api.delete(resource, "a", uid=OTHER_UID)
    with pytest.raises(Conflict):
        await api.delete(resource, "a", resource_version="1")
    assert await api.exists(resource, "a")
    await api.delete(resource, "a", uid=made["metadata"]["uid"], resource_version=made["metadata"]["resourceVersion"])
    assert not await api.exists(resource, "a")


@every_kind
async def test_a_delete_of_what_is_not_there_is_not_found(api: Api, kind: Kind) -> None:
    with pytest.raises(NotFound):
        await api.delete(kind[0], "nothing", uid=OTHER_UID)


@every_kind
async def test_a_finalizer_holds_a_deleted_object_until_it_is_taken_off(api: Api, kind: Kind) -> None:
    resource, body = kind
    await api.create(resource, body("a", finalizers=["fairlead.dev/hold"]))
    await api.delete(resource, "a")
    held = await api.get(resource, "a")
    assert held["metadata"]["deletionTimestamp"] and held["metadata"]["deletionGracePeriodSeconds"] == 0
    with pytest.raises(Invalid):
        await api.merge(resource, "a", {"metadata": {"finalizers": ["fairlead.dev/hold", "fairlead.dev/more"]}})
    again = await api.merge(resource, "a", {"metadata": {"deletionTimestamp": None}})
    assert again["metadata"]["deletionTimestamp"], "a deletion cannot be taken back"
    await api.merge(resource, "a", {"metadata": {"finalizers": []}})
    assert not await api.exists(resource, "a")


@our_kinds
async def test_the_start_of_a_deletion_moves_the_generation(api: Api, kind: Kind) -> None:
    resource, body = kind
    await api.create(resource, body("a", finalizers=["fairlead.dev/hold"]))
    await api.delete(resource, "a")
    assert (await api.get(resource, "a"))["metadata"]["generation"] == 2
    await api.delete(resource, "a")
    assert (await api.get(resource, "a"))["metadata"]["generation"] == 2
    await api.merge(resource, "a", {"metadata": {"finalizers": []}})


async def test_a_pod_without_node_goes_at_once(api: Api) -> None:
    await api.create(PODS, pod("a"))
    await api.delete(PODS, "a")
    assert not await api.exists(PODS, "a")


async def test_a_pod_on_a_node_keeps_its_grace_period_until_the_kubelet_is_done(api: Api) -> None:
    made = await api.create(PODS, pod("a", node="n1"))
    await api.delete(PODS, "a")
    dying = await api.get(PODS, "a")
    assert dying["metadata"]["deletionGracePeriodSeconds"] == 20
    assert dying["metadata"]["deletionTimestamp"] > made["metadata"]["creationTimestamp"]
    assert dying["metadata"]["generation"] == 2
    await api.delete(PODS, "a")
    assert rv(await api.get(PODS, "a")) == rv(dying), "a second delete changes nothing"
    await api.delete(PODS, "a", grace_period_seconds=5)
    assert (await api.get(PODS, "a"))["metadata"]["deletionGracePeriodSeconds"] == 5, "a shorter grace is taken"
    await api.delete(PODS, "a", grace_period_seconds=30)
    assert (await api.get(PODS, "a"))["metadata"]["deletionGracePeriodSeconds"] == 5, "a longer one is not"
    await api.delete(PODS, "a", grace_period_seconds=0)
    assert not await api.exists(PODS, "a")


async def test_a_finished_pod_goes_at_once(api: Api) -> None:
    await api.create(PODS, pod("a", node="n1"))
    await api.merge(PODS, "a", {"status": {"phase": "Failed"}}, subresource="status")
    await api.delete(PODS, "a")
    assert not await api.exists(PODS, "a")


async def test_the_labels_of_a_dying_pod_can_still_be_changed(api: Api) -> None:
    await api.create(PODS, pod("a", node="n1", labels={"x": "1"}))
    await api.delete(PODS, "a")
    assert (await api.merge(PODS, "a", {"metadata": {"labels": {"x": "2"}}}))["metadata"]["labels"] == {"x": "2"}
    await api.delete(PODS, "a", grace_period_seconds=0)


# ---------------------------------------------------------------- owners


def owned_by(owner: JSON, **more: object) -> list[JSON]:
    meta = owner["metadata"]
    return [
        {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": meta["name"], "uid": meta["uid"], **more}
    ]


@pytest.mark.parametrize("kind", [KINDS[0], KINDS[5]], ids=lambda k: k[0].kind)
async def test_what_an_object_owned_goes_after_it(api: Api, kind: Kind) -> None:
    resource, body = kind
    owner = await api.create(resource, body("owner"))
    await api.create(PODS, pod("child", ownerReferences=owned_by(owner, controller=True)))
    await api.delete(resource, "owner", propagation="Background")
    assert not await api.exists(resource, "owner")
    await api.gone(PODS, "child")


async def test_in_the_foreground_the_owner_waits_for_what_blocks_it(api: Api) -> None:
    owner = await api.create(APPS, app("owner"))
    refs = owned_by(owner, controller=True, blockOwnerDeletion=True)
    await api.create(CONFIG_MAPS, config_map("child", ownerReferences=refs, finalizers=["fairlead.dev/hold"]))
    await api.delete(APPS, "owner", propagation="Foreground")
    held = await api.get(APPS, "owner")
    assert held["metadata"]["finalizers"] == ["foregroundDeletion"] and held["metadata"]["deletionTimestamp"]

    async def child_is_going() -> bool:
        return "deletionTimestamp" in (await api.get(CONFIG_MAPS, "child"))["metadata"]

    await api.eventually(child_is_going)
    assert await api.exists(APPS, "owner")
    await api.merge(CONFIG_MAPS, "child", {"metadata": {"finalizers": []}})
    await api.gone(APPS, "owner")


async def test_orphans_lose_their_owner_reference_and_stay(api: Api) -> None:
    owner = await api.create(APPS, app("owner"))
    await api.create(CONFIG_MAPS, config_map("child", ownerReferences=owned_by(owner, controller=True)))
    await api.delete(APPS, "owner", propagation="Orphan")
    await api.gone(APPS, "owner")
    assert "ownerReferences" not in (await api.get(CONFIG_MAPS, "child"))["metadata"]


async def test_a_child_of_an_owner_that_is_another_by_uid_goes(api: Api) -> None:
    owner = await api.create(CONFIG_MAPS, config_map("owner"))
    owner["metadata"]["uid"] = OTHER_UID
    await api.create(CONFIG_MAPS, config_map("child", ownerReferences=owned_by(owner)))
    await api.gone(CONFIG_MAPS, "child")
    assert await api.exists(CONFIG_MAPS, "owner")


@pytest.mark.parametrize("propagation", ["Background", "Foreground"])
async def test_a_child_stays_while_one_of_its_owners_does_and_forgets_the_other(api: Api, propagation: str) -> None:
    one, two = await api.create(CONFIG_MAPS, config_map("one")), await api.create(CONFIG_MAPS, config_map("two"))
    await api.create(CONFIG_MAPS, config_map("child", ownerReferences=owned_by(one) + owned_by(two)))
    await api.create(CONFIG_MAPS, config_map("witness", ownerReferences=owned_by(one)))
    await api.delete(CONFIG_MAPS, "one", propagation=propagation)
    await api.gone(CONFIG_MAPS, "witness")

    async def forgotten() -> bool:
        left = (await api.get(CONFIG_MAPS, "child"))["metadata"]["ownerReferences"]
        return [owner["name"] for owner in left] == ["two"]

    await api.eventually(forgotten)


# ---------------------------------------------------------------- namespaces


async def test_nothing_can_be_created_in_a_namespace_that_is_going(api: Api) -> None:
    name = f"{api.namespace}-going"
    await api.client.create(NAMESPACES, None, b'{"metadata": {"name": "%s"}}' % name.encode())
    holder = b'{"metadata": {"name": "a", "finalizers": ["fairlead.dev/hold"]}}'
    await api.client.create(CONFIG_MAPS, name, holder)
    await api.client.delete(NAMESPACES, None, name)
    with pytest.raises(Forbidden) as refused:
        await api.client.create(CONFIG_MAPS, name, b'{"metadata": {"name": "b"}}')
    assert refused.value.details["causes"][0]["reason"] == "NamespaceTerminating"
    with pytest.raises(Forbidden):
        body = b'{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}'
        await api.client.patch(CONFIG_MAPS, name, "c", body, type="apply", manager="one")
    await api.client.patch(CONFIG_MAPS, name, "a", b'{"metadata": {"finalizers": []}}', type="merge")

    async def gone() -> bool:
        try:
            await api.client.get(NAMESPACES, None, name)
        except NotFound:
            return True
        return False

    await api.eventually(gone)


# ---------------------------------------------------------------- lists


async def test_a_list_is_sorted_by_name_and_carries_a_version(api: Api) -> None:
    for name in ("c", "a", "b"):
        last = await api.create(CONFIG_MAPS, config_map(name))
    found = await api.list(CONFIG_MAPS)
    assert found["kind"] == "ConfigMapList"
    assert [item["metadata"]["name"] for item in found["items"]][-3:] == ["a", "b", "c"]
    assert rv(found) >= rv(last)


async def test_list_items_name_their_kind_only_for_custom_resources(api: Api) -> None:
    await api.create(CONFIG_MAPS, config_map("a"))
    await api.create(APPS, app("a"))
    assert "kind" not in (await api.list(CONFIG_MAPS))["items"][0]
    assert (await api.list(APPS))["items"][0]["kind"] == "App"


@pytest.mark.parametrize(
    ("selector", "wanted"),
    [
        ("app=shop", ["a", "b"]),
        ("app==shop,tier=web", ["a"]),
        ("app!=shop", ["c", "d"]),
        ("tier in (web, db)", ["a", "c"]),
        ("tier notin (web)", ["b", "c", "d"]),
        ("tier", ["a", "c"]),
        ("!tier", ["b", "d"]),
        ("app=shop,!tier", ["b"]),
    ],
)
async def test_lists_select_by_label(api: Api, selector: str, wanted: list[str]) -> None:
    labels = {"a": {"app": "shop", "tier": "web"}, "b": {"app": "shop"}, "c": {"app": "x", "tier": "db"}, "d": {}}
    for name, given in labels.items():
        await api.create(LEASES, lease(name, labels=given))
    assert await api.names(LEASES, label_selector=selector) == wanted


async def test_pods_are_selected_by_node_phase_and_name(api: Api) -> None:
    await api.create(PODS, pod("a", node="n1"))
    await api.create(PODS, pod("b"))
    await api.merge(PODS, "a", {"status": {"phase": "Running"}}, subresource="status")
    assert await api.names(PODS, field_selector="spec.nodeName=n1") == ["a"]
    assert await api.names(PODS, field_selector="spec.nodeName=") == ["b"]
    assert await api.names(PODS, field_selector="status.phase!=Pending") == ["a"]
    assert await api.names(PODS, field_selector="metadata.name=b,status.phase=Pending") == ["b"]
    await api.delete(PODS, "a", grace_period_seconds=0)


async def test_a_field_that_cannot_be_selected_by_is_invalid(api: Api) -> None:
    with pytest.raises(Invalid):
        await api.list(PODS, field_selector="spec.hostname=a")


@pytest.mark.parametrize("kind", [KINDS[3], KINDS[5]], ids=lambda k: k[0].kind)
async def test_the_pages_of_a_list_are_one_moment(api: Api, kind: Kind) -> None:
    resource, body = kind
    for name in "abcde":
        await api.create(resource, body(name))
    first = await api.list(resource, limit=2)
    await api.create(resource, body("bb"))
    await api.delete(resource, "d")
    second = await api.list(resource, limit=2, continue_token=first["metadata"]["continue"])
    third = await api.list(resource, limit=2, continue_token=second["metadata"]["continue"])
    pages = [[item["metadata"]["name"] for item in page["items"]] for page in (first, second, third)]
    assert pages == [["a", "b"], ["c", "d"], ["e"]]
    assert not third["metadata"].get("continue")
    assert {rv(page) for page in (first, second, third)} == {rv(first)}


async def test_a_list_from_the_cache_is_there_too(api: Api) -> None:
    await api.create(LEASES, lease("a"))

    async def shown() -> bool:
        return await api.names(LEASES, resource_version="0") == ["a"]

    await api.eventually(shown)


async def test_a_list_of_metadata_only(api: Api) -> None:
    await api.create(CONFIG_MAPS, config_map("a", labels={"x": "1"}))
    found = await api.list(CONFIG_MAPS, metadata_only=True, label_selector="x=1")
    assert found["kind"] == "PartialObjectMetadataList"
    assert found["items"][0]["metadata"]["labels"] == {"x": "1"} and "data" not in found["items"][0]


# ---------------------------------------------------------------- watches


async def test_a_custom_resource_must_name_its_kind(api: Api) -> None:
    with pytest.raises(Invalid):
        await api.client.create(APPS, api.namespace, b'{"metadata": {"name": "a"}, "spec": {"template": {"spec": {}}}}')


def types(events: list[JSON]) -> list[tuple[str, str]]:
    return [(event["type"], event["object"]["metadata"]["name"]) for event in events]


@every_kind
async def test_a_watch_tells_what_happened_after_its_version_in_order(api: Api, kind: Kind) -> None:
    resource, body = kind
    await api.create(resource, body("before"))
    start = str(rv(await api.list(resource)))
    await api.create(resource, body("a"))
    await api.merge(resource, "a", {"metadata": {"labels": {"x": "1"}}})
    await api.delete(resource, "a")
    events = await api.events(resource, start, lambda seen: seen[-1:] != [] and seen[-1]["type"] == "DELETED")
    dying = [("MODIFIED", "a")] if resource == PODS else []  # a pod is shown as being deleted even where nothing waits
    assert types(events) == [("ADDED", "a"), ("MODIFIED", "a"), *dying, ("DELETED", "a")]
    versions = [rv(event["object"]) for event in events]
    assert versions == sorted(set(versions)), "a deletion has a version of its own"
    assert events[-1]["object"]["metadata"]["labels"] == {"x": "1"}, "a deletion shows the last state"


async def test_a_watch_without_version_first_tells_all_there_is(api: Api) -> None:
    for name in ("a", "b"):
        await api.create(LEASES, lease(name))
    events = await api.events(LEASES, "", lambda seen: len(seen) == 2)
    assert sorted(types(events)) == [("ADDED", "a"), ("ADDED", "b")]


async def test_a_watch_by_label_adds_and_deletes_what_comes_and_goes(api: Api) -> None:
    made = await api.create(PODS, pod("a", labels={"app": "shop"}))
    start = str(rv(made))
    left = await api.merge(PODS, "a", {"metadata": {"labels": {"app": "other"}}})
    await api.merge(PODS, "a", {"metadata": {"labels": {"noise": "1"}}})
    await api.merge(PODS, "a", {"metadata": {"labels": {"app": "shop"}}})
    events = await api.events(PODS, start, lambda seen: len(seen) == 2, label_selector="app=shop")
    assert types(events) == [("DELETED", "a"), ("ADDED", "a")]
    gone = events[0]["object"]
    assert gone["metadata"]["labels"] == {"app": "shop"} and rv(gone) == rv(left)


async def test_a_watch_by_field_follows_a_pod_to_its_node(api: Api) -> None:
    made = await api.create(PODS, pod("a"))
    await api.create(PODS, pod("b"))
    await bind(api, "a")
    events = await api.events(PODS, str(rv(made)), lambda seen: len(seen) == 1, field_selector="spec.nodeName=n1")
    assert types(events) == [("ADDED", "a")]
    await api.delete(PODS, "a", grace_period_seconds=0)


async def test_a_watch_ends_at_its_timeout(api: Api) -> None:
    start = await api.version()
    assert await api.events(CONFIG_MAPS, start, lambda seen: False, timeout_seconds=1) == []


async def test_a_watch_of_metadata_only(api: Api) -> None:
    start = await api.version()
    await api.create(CONFIG_MAPS, config_map("a"))
    events = await api.events(
        CONFIG_MAPS, start, lambda seen: any(e["object"]["metadata"]["name"] == "a" for e in seen), metadata_only=True
    )
    assert events[-1]["object"]["kind"] == "PartialObjectMetadata" and "data" not in events[-1]["object"]


async def test_the_status_of_a_dying_pod_is_followed_to_its_end(api: Api) -> None:
    made = await api.create(PODS, pod("a", node="n1"))
    await api.delete(PODS, "a")
    await api.delete(PODS, "a", grace_period_seconds=0)
    events = await api.events(PODS, str(rv(made)), lambda seen: seen[-1:] != [] and seen[-1]["type"] == "DELETED")
    assert types(events)[0] == ("MODIFIED", "a") and types(events)[-1] == ("DELETED", "a")


# ---------------------------------------------------------------- server-side apply


def applied_service(**spec: object) -> JSON:
    return {
        "metadata": {"name": "a"},
        "spec": {"ports": [{"name": "http", "port": 80}], "selector": {"app": "a"}, **spec},
    }


async def test_apply_creates_what_is_not_there_and_names_its_manager(api: Api) -> None:
    made = await api.apply(SERVICES, applied_service(), manager="one")
    entry = next(entry for entry in made["metadata"]["managedFields"] if entry["manager"] == "one")
    assert entry["operation"] == "Apply" and "f:selector" in entry["fieldsV1"]["f:spec"]


async def test_an_empty_list_of_ports_is_not_stored(api: Api) -> None:
    made = await api.apply(SERVICES, applied_service(ports=[], clusterIP="None"))
    assert "ports" not in made["spec"]


async def test_an_apply_that_changes_nothing_writes_nothing(api: Api) -> None:
    first = await api.apply(SERVICES, applied_service())
    assert rv(await api.apply(SERVICES, applied_service())) == rv(first)


async def test_apply_takes_back_what_its_manager_no_longer_says(api: Api) -> None:
    config = applied_service(sessionAffinity="ClientIP", trafficDistribution="PreferClose")
    config["metadata"] |= {"labels": {"x": "1", "y": "1"}, "annotations": {"only": "1"}}
    await api.apply(SERVICES, config)
    await api.merge(SERVICES, "a", {"metadata": {"labels": {"theirs": "1"}}}, manager="person")
    after = await api.apply(SERVICES, {**applied_service(), "metadata": {"name": "a", "labels": {"x": "1"}}})
    assert after["metadata"]["labels"] == {"x": "1", "theirs": "1"}
    assert "annotations" not in after["metadata"]
    assert "trafficDistribution" not in after["spec"]
    assert after["spec"]["sessionAffinity"] == "None", "a default comes back"


async def test_apply_merges_ports_by_port_and_protocol(api: Api) -> None:
    first = await api.apply(
        SERVICES, applied_service(ports=[{"name": "http", "port": 80}, {"name": "dns", "port": 53, "protocol": "UDP"}])
    )
    assert len(first["spec"]["ports"]) == 2
    after = await api.apply(SERVICES, applied_service(ports=[{"name": "web", "port": 80, "targetPort": "http"}]))
    assert after["spec"]["ports"] == [{"name": "web", "port": 80, "protocol": "TCP", "targetPort": "http"}]


async def test_apply_conflicts_with_another_managers_value(api: Api) -> None:
    await api.apply(SERVICES, applied_service(), manager="one")
    with pytest.raises(Conflict) as refused:
        await api.apply(SERVICES, applied_service(selector={"app": "b"}), manager="two")
    cause = refused.value.details["causes"][0]
    assert (
        cause["reason"] == "FieldManagerConflict" and cause["field"] == ".spec.selector" and '"one"' in cause["message"]
    )


async def test_a_forced_apply_takes_the_field_over(api: Api) -> None:
    await api.apply(SERVICES, applied_service(), manager="one")
    after = await api.apply(SERVICES, applied_service(selector={"app": "b"}), manager="two", force=True)
    assert after["spec"]["selector"] == {"app": "b"}
    with pytest.raises(Conflict):
        await api.apply(SERVICES, applied_service(), manager="one")


async def test_two_managers_may_say_the_same(api: Api) -> None:
    await api.apply(SERVICES, applied_service(), manager="one")
    await api.apply(SERVICES, applied_service(), manager="two")
    minimal = {"metadata": {"name": "a"}, "spec": {"ports": [{"name": "http", "port": 80}]}}
    after = await api.apply(SERVICES, minimal, manager="one")
    assert after["spec"]["selector"] == {"app": "a"}, "the other manager still says it"


async def test_a_persons_edit_is_taken_back_by_force(api: Api) -> None:
    await api.apply(SERVICES, applied_service(), manager="one")
    await api.merge(SERVICES, "a", {"spec": {"selector": {"app": "stolen"}}}, manager="person")
    with pytest.raises(Conflict):
        await api.apply(SERVICES, applied_service(), manager="one")
    after = await api.apply(SERVICES, applied_service(), manager="one", force=True)
    assert after["spec"]["selector"] == {"app": "a"}


async def test_apply_leaves_what_others_added_in_the_same_list(api: Api) -> None:
    owner = await api.create(CONFIG_MAPS, config_map("owner"))
    await api.apply(SERVICES, applied_service())
    await api.merge(SERVICES, "a", {"metadata": {"finalizers": ["fairlead.dev/theirs"]}}, manager="person")
    config = applied_service()
    config["metadata"]["ownerReferences"] = owned_by(owner, controller=True)
    config["metadata"]["finalizers"] = ["fairlead.dev/ours"]
    after = await api.apply(SERVICES, config)
    assert sorted(after["metadata"]["finalizers"]) == ["fairlead.dev/ours", "fairlead.dev/theirs"]
    assert after["metadata"]["ownerReferences"][0]["uid"] == owner["metadata"]["uid"]
    after = await api.apply(SERVICES, applied_service())
    assert after["metadata"]["finalizers"] == ["fairlead.dev/theirs"] and "ownerReferences" not in after["metadata"]
    await api.merge(SERVICES, "a", {"metadata": {"finalizers": None}})


async def test_apply_refuses_another_uid(api: Api) -> None:
    await api.apply(SERVICES, applied_service())
    config = applied_service(selector={"app": "b"})
    config["metadata"]["uid"] = OTHER_UID
    with pytest.raises(Invalid):
        await api.apply(SERVICES, config)


async def test_apply_with_a_uid_never_creates(api: Api) -> None:
    config = applied_service()
    config["metadata"]["uid"] = OTHER_UID
    with pytest.raises(Conflict):
        await api.apply(SERVICES, config)
    assert not await api.exists(SERVICES, "a")


async def test_apply_needs_a_manager(api: Api) -> None:
    with pytest.raises(Invalid):
        await api.apply(SERVICES, applied_service(), manager="")


async def test_apply_on_status_owns_conditions_by_type(api: Api) -> None:
    def status(type: str) -> JSON:
        condition = {
            "type": type,
            "status": "True",
            "reason": "R",
            "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        return {"metadata": {"name": "a"}, "status": {"conditions": [condition]}}

    await api.create(APPS, app("a"))
    await api.apply(APPS, status("Ready"), manager="one", subresource="status")
    after = await api.apply(APPS, status("Paused"), manager="two", subresource="status")
    assert sorted(c["type"] for c in after["status"]["conditions"]) == ["Paused", "Ready"]
    after = await api.apply(APPS, {"metadata": {"name": "a"}, "status": {}}, manager="two", subresource="status")
    assert [c["type"] for c in after["status"]["conditions"]] == ["Ready"]


async def test_apply_of_an_app_merges_containers_by_name(api: Api) -> None:
    config = app("a")
    config["spec"]["template"]["spec"]["containers"][0]["env"] = [
        {"name": "A", "value": "1"},
        {"name": "B", "value": "1"},
    ]
    await api.apply(APPS, config, manager="git")
    scaled = await api.merge(APPS, "a", {"spec": {"replicas": 9}}, manager="person")
    config["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "B", "value": "2"}]
    del config["spec"]["replicas"]
    after = await api.apply(APPS, config, manager="git")
    container = after["spec"]["template"]["spec"]["containers"][0]
    assert container["env"] == [{"name": "B", "value": "2"}] and container["image"] == "shop:1"
    assert after["spec"]["replicas"] == 9, "the person's number stays when git stops to say one"
    assert after["metadata"]["generation"] == scaled["metadata"]["generation"] + 1


async def test_a_budgets_selector_is_owned_as_a_whole(api: Api) -> None:
    await api.apply(BUDGETS, budget("a"), manager="one")
    theirs = {"metadata": {"name": "a"}, "spec": {"selector": {"matchLabels": {"extra": "1"}}}}
    with pytest.raises(Conflict):
        await api.apply(BUDGETS, theirs, manager="two")
    ours = {**budget("a"), "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "a"}}}}
    after = await api.apply(BUDGETS, ours, manager="one")
    assert "minAvailable" not in after["spec"] and after["metadata"]["generation"] == 2


# ---------------------------------------------------------------- dry run


async def test_a_dry_run_answers_and_changes_nothing(api: Api) -> None:
    start = await api.version()
    tried = await api.create(CONFIG_MAPS, config_map("a"), dry_run=True)
    assert tried["metadata"]["uid"] and not await api.exists(CONFIG_MAPS, "a")
    made = await api.create(CONFIG_MAPS, config_map("a"))
    assert (await api.merge(CONFIG_MAPS, "a", {"data": {"a": "2"}}, dry_run=True))["data"] == {"a": "2"}
    await api.delete(CONFIG_MAPS, "a", dry_run=True)
    assert await api.get(CONFIG_MAPS, "a") == made
    events = await api.events(CONFIG_MAPS, start, bool)
    assert types(events)[:1] == [("ADDED", "a")]


async def test_a_dry_run_is_refused_as_the_real_one_would_be(api: Api) -> None:
    with pytest.raises(Invalid):
        await api.create(PODS, {"metadata": {"name": "a"}, "spec": {"containers": []}}, dry_run=True)


# ---------------------------------------------------------------- services


async def test_a_service_keeps_its_address_and_gets_its_defaults(api: Api) -> None:
    made = await api.create(SERVICES, service("a"))
    spec = made["spec"]
    assert spec["clusterIP"] and spec["clusterIPs"] == [spec["clusterIP"]] and spec["type"] == "ClusterIP"
    assert spec["ports"][0]["targetPort"] == 80 and spec["ports"][0]["protocol"] == "TCP"
    assert (await api.replace(SERVICES, service("a")))["spec"]["clusterIP"] == spec["clusterIP"]
    with pytest.raises(Invalid):
        await api.merge(SERVICES, "a", {"spec": {"clusterIP": "None", "clusterIPs": ["None"]}})


async def test_node_ports_come_and_go_with_the_type(api: Api) -> None:
    config = applied_service()
    await api.apply(SERVICES, config)
    opened = await api.apply(SERVICES, applied_service(type="NodePort"))
    port = opened["spec"]["ports"][0]["nodePort"]
    assert port >= 30000
    assert (await api.apply(SERVICES, applied_service(type="NodePort")))["spec"]["ports"][0]["nodePort"] == port
    closed = await api.apply(SERVICES, applied_service(type="ClusterIP"))
    assert "nodePort" not in closed["spec"]["ports"][0]


# ---------------------------------------------------------------- eviction, binding


async def running(api: Api, name: str, *, ready: bool = True) -> JSON:
    await api.create(PODS, pod(name, node="n1", labels={"app": "a"}))
    condition = {"type": "Ready", "status": "True" if ready else "False"}
    return await api.merge(
        PODS, name, {"status": {"phase": "Running", "conditions": [condition]}}, subresource="status"
    )


async def evict(api: Api, name: str, **preconditions: str) -> None:
    body: JSON = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": api.namespace}}
    if preconditions:
        body["deleteOptions"] = {"preconditions": preconditions}
    await api.create(PODS, body, subresource="eviction", name=name)


async def budget_allows(api: Api, allowed: int) -> None:
    made = await api.create(BUDGETS, budget("a"))
    status = {
        "observedGeneration": made["metadata"]["generation"],
        "disruptionsAllowed": allowed,
        "currentHealthy": 1,
        "desiredHealthy": 1,
        "expectedPods": 1,
    }
    await api.merge(BUDGETS, "a", {"status": status}, subresource="status")


async def test_an_eviction_deletes_the_pod_with_its_grace(api: Api) -> None:
    await running(api, "p")
    await evict(api, "p")
    assert (await api.get(PODS, "p"))["metadata"]["deletionGracePeriodSeconds"] == 20
    await api.delete(PODS, "p", grace_period_seconds=0)


async def test_a_budget_without_room_holds_an_eviction_back(api: Api) -> None:
    await running(api, "p")
    await budget_allows(api, 0)
    with pytest.raises(TooManyRequests) as refused:
        await evict(api, "p")
    assert refused.value.details["causes"][0]["reason"] == "DisruptionBudget"
    assert "deletionTimestamp" not in (await api.get(PODS, "p"))["metadata"]
    await api.delete(PODS, "p", grace_period_seconds=0)


async def test_an_eviction_spends_what_the_budget_allows(api: Api) -> None:
    await running(api, "p")
    await budget_allows(api, 1)
    await evict(api, "p")
    status = (await api.get(BUDGETS, "a"))["status"]
    assert status["disruptionsAllowed"] == 0 and list(status["disruptedPods"]) == ["p"]
    await api.delete(PODS, "p", grace_period_seconds=0)


async def test_an_eviction_of_another_uid_is_a_conflict(api: Api) -> None:
    await running(api, "p")
    with pytest.raises(Conflict):
        await evict(api, "p", uid=OTHER_UID)
    await api.delete(PODS, "p", grace_period_seconds=0)


async def bind(api: Api, name: str) -> None:
    body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": {"kind": "Node", "name": "n1"}}
    await api.create(PODS, body, subresource="binding", name=name)


async def test_a_pod_is_bound_once(api: Api) -> None:
    await api.create(PODS, pod("p"))
    await bind(api, "p")
    bound = await api.get(PODS, "p")
    assert bound["spec"]["nodeName"] == "n1"
    assert [c["type"] for c in bound["status"]["conditions"]] == ["PodScheduled"]
    with pytest.raises(Conflict):
        await bind(api, "p")
    await api.delete(PODS, "p", grace_period_seconds=0)
