"""Bad inputs and what the API server says to them: the field by name, and the way out.

The numbers are those of the project's list of bad inputs. Number 3 (replicas 0 under an autoscaler's minimum) is in
test_schema_autoscale.py; 9 (a reordered list) is answered by the revision's hash, not by the schema.
"""

import json
from typing import Any

import pytest

from support.crds import JSON, accept, app, app_with_container, app_with_pod, change_refusal, create, refusal, revision
from support.lab import Lab


def rollout(**fields: Any) -> JSON:
    return app(rollout=fields)


def expose(**fields: Any) -> JSON:
    return app(expose={"ports": [{"name": "http", "port": 80, "targetPort": "http"}], **fields})


def disruption(**fields: Any) -> JSON:
    return app(disruption=fields)


def named(name: str, **spec: Any) -> JSON:
    return app(name, **spec)


def labelled(**labels: str) -> JSON:
    made = app()
    made["spec"]["template"]["metadata"] = {"labels": labels}
    return made


def mistyped(path: str) -> JSON:
    """A good App with one more field at `path`, misspelt."""
    made = expose()
    made["spec"]["rollout"] = {}
    made["spec"]["template"]["metadata"] = {}
    at: Any = made
    *parents, field = path.split(".")
    for parent in parents:
        at = at[int(parent)] if parent.isdigit() else at[parent]
    at[field] = 3
    return made


# ---------------------------------------------------------------- 1: fields there are not


@pytest.mark.parametrize(
    ("field", "named"),
    [
        ("spec.replica", "spec.replica"),
        ("spec.rollout.maxSurg", "spec.rollout.maxSurg"),
        ("spec.expose.ports.0.targetport", "spec.expose.ports[0].targetport"),
        ("spec.template.metadata.name", "spec.template.metadata.name"),
        ("spec.template.metadata.namespace", "spec.template.metadata.namespace"),
        ("spec.template.spec.nodeselector", "spec.template.spec.nodeselector"),
        ("spec.template.spec.containers.0.imagePullpolicy", "spec.template.spec.containers[0].imagePullpolicy"),
        (
            "spec.template.spec.containers.0.ports.0.containerport",
            "spec.template.spec.containers[0].ports[0].containerport",
        ),
    ],
)
def test_trust_1_an_unknown_or_misspelt_field_is_refused_by_its_name(api: Lab, field: str, named: str) -> None:
    assert f'unknown field "{named}"' in refusal(api, mistyped(field))


def test_trust_1_an_unknown_field_is_refused_by_server_side_apply_too(api: Lab) -> None:
    body = json.dumps(mistyped("spec.replica"))

    said = api.kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", stdin=body, check=False)

    assert ".spec.replica: field not declared in schema" in said


def test_trust_1_a_client_that_is_not_strict_is_warned_and_the_field_is_dropped(api: Lab, namespace: str) -> None:
    body = json.dumps(mistyped("spec.replica"))

    said = api.kubectl("create", "--validate=warn", "-n", namespace, "-f", "-", stdin=body, check=False)

    assert 'unknown field "spec.replica"' in said
    assert "replica" not in api.get("fapp", "shop", "-n", namespace)["spec"]


# ---------------------------------------------------------------- 2: types and numbers


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (app(replicas=-1), "spec.replicas"),
        (app(replicas=2**31), "spec.replicas"),
        (app(replicas=100001), "spec.replicas"),
        (app(replicas="3"), "spec.replicas"),
        (app(replicas=1.5), "spec.replicas"),
        (app(replicas=True), "spec.replicas"),
        (app(type="Stateles"), "spec.type"),
        (rollout(minReadySeconds=-1), "spec.rollout.minReadySeconds"),
        (rollout(progressDeadlineSeconds=0), "spec.rollout.progressDeadlineSeconds"),
        (rollout(revisionHistoryLimit=-1), "spec.rollout.revisionHistoryLimit"),
        (rollout(undoTo=0), "spec.rollout.undoTo"),
        (rollout(undoTo="last"), "spec.rollout.undoTo"),
        (rollout(restartAt="now"), "spec.rollout.restartAt"),
        (rollout(strategy="RollingUpdate"), "spec.rollout.strategy"),
        (rollout(paused="yes"), "spec.rollout.paused"),
        (expose(drainSeconds=-1), "spec.expose.drainSeconds"),
        (expose(type="ExternalName"), "spec.expose.type"),
        (expose(ports=[{"port": 0}]), "spec.expose.ports[0].port"),
        (expose(ports=[{"port": 65536}]), "spec.expose.ports[0].port"),
        (expose(ports=[{"port": 80, "protocol": "HTTP"}]), "spec.expose.ports[0].protocol"),
        (disruption(minAvailable=1, unhealthyPodEvictionPolicy="Never"), "spec.disruption.unhealthyPodEvictionPolicy"),
        (app(placement={"spread": "Pack"}), "spec.placement.spread"),
        (app_with_pod(terminationGracePeriodSeconds=-1), "spec.template.spec.terminationGracePeriodSeconds"),
        (app_with_pod(terminationGracePeriodSeconds=2**63), "spec.template.spec.terminationGracePeriodSeconds"),
        (app_with_pod(securityContext={"runAsUser": -1}), "spec.template.spec.securityContext.runAsUser"),
        (app_with_container(ports=[{"containerPort": 65536}]), "containers[0].ports[0].containerPort"),
        (app_with_container(resources={"requests": {"cpu": "-1"}}), "containers[0].resources.requests.cpu"),
        (app_with_container(resources={"requests": {"memory": "1Gb"}}), "containers[0].resources.requests.memory"),
        (app_with_container(resources={"requests": {"cpu": "NaN"}}), "containers[0].resources.requests.cpu"),
        (
            app_with_container(readinessProbe={"httpGet": {"port": 80}, "periodSeconds": -1}),
            "containers[0].readinessProbe.periodSeconds",
        ),
        (app_with_container(readinessProbe={"httpGet": {"port": 70000}}), "containers[0].readinessProbe.httpGet.port"),
        (app_with_container(imagePullPolicy="Sometimes"), "containers[0].imagePullPolicy"),
    ],
)
def test_trust_2_a_wrong_type_or_a_number_out_of_range_is_refused(api: Lab, body: JSON, field: str) -> None:
    assert field in refusal(api, body)


# ---------------------------------------------------------------- 4: empty and duplicate lists


def test_trust_4_a_template_without_containers_is_refused(api: Lab) -> None:
    said = refusal(api, app_with_pod(containers=[]))

    assert "spec.template.spec.containers" in said
    assert "at least 1" in said


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (
            app_with_pod(containers=[{"name": "web", "image": "a"}, {"name": "web", "image": "b"}]),
            "spec.containers[1]: Duplicate value",
        ),
        (
            app_with_container(env=[{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]),
            "containers[0].env[1]: Duplicate value",
        ),
        (
            app_with_container(ports=[{"containerPort": 80}, {"containerPort": 80, "protocol": "TCP"}]),
            "containers[0].ports[1]: Duplicate value",
        ),
        (
            app_with_container(ports=[{"name": "http", "containerPort": 80}, {"name": "http", "containerPort": 81}]),
            "containers[].ports[].name must be unique in its container",
        ),
        (
            app_with_pod(initContainers=[{"name": "web", "image": "a"}]),
            "template.spec.initContainers[].name must differ",
        ),
        (
            expose(ports=[{"name": "a", "port": 80}, {"name": "b", "port": 80}]),
            "spec.expose.ports[1]: Duplicate value",
        ),
        (expose(ports=[{"name": "a", "port": 80}, {"name": "a", "port": 81}]), "expose.ports[].name must be unique"),
        (expose(ports=[{"name": "a", "port": 80}, {"port": 81}]), "expose.ports[].name is required"),
        (
            app_with_pod(volumes=[{"name": "a", "emptyDir": {}}, {"name": "a", "emptyDir": {}}]),
            "spec.volumes[1]: Duplicate value",
        ),
        (
            app_with_pod(
                tolerations=[],
                topologySpreadConstraints=[
                    {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"},
                    {"maxSkew": 2, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"},
                ],
            ),
            "topologySpreadConstraints[1]: Duplicate value",
        ),
    ],
)
def test_trust_4_a_duplicate_container_port_or_variable_name_is_refused(api: Lab, body: JSON, field: str) -> None:
    assert field in refusal(api, body)


def test_trust_4_the_same_port_number_over_tcp_and_udp_is_no_duplicate(api: Lab) -> None:
    ports = [{"name": "dns", "port": 53}, {"name": "dns-udp", "port": 53, "protocol": "UDP"}]

    assert len(accept(api, expose(ports=ports))["spec"]["expose"]["ports"]) == 2


# ---------------------------------------------------------------- 5: images


@pytest.mark.parametrize("image", ["no such image", "UPPER/Case:latest", "shop@sha256:0"])
def test_trust_5_an_invalid_image_reference_is_accepted_for_the_kubelet_to_judge(api: Lab, image: str) -> None:
    assert accept(api, app_with_container(image=image))


def test_trust_5_a_missing_image_is_refused(api: Lab) -> None:
    assert "containers[0].image" in refusal(api, app_with_pod(containers=[{"name": "web"}]))


# ---------------------------------------------------------------- 6: labels that would claim other owners' pods


@pytest.mark.parametrize("label", ["fairlead.dev/app", "fairlead.dev/serving", "fairlead.dev/anything"])
def test_trust_6_a_template_cannot_claim_pods_with_labels_of_fairleads_own(api: Lab, label: str) -> None:
    assert "template.metadata.labels must not use the prefix fairlead.dev/" in refusal(
        api, labelled(**{label: "other"})
    )


# ---------------------------------------------------------------- 7: what cannot be changed


@pytest.mark.parametrize(
    "change",
    [
        {"template": {"spec": {"terminationGracePeriodSeconds": 1}}},
        {"template": {"anything": ["at", "any", {"depth": 1}]}},
        {"template": None},
        {"app": "other"},
        {"templateHash": "other"},
        {"images": ["other:1"]},
    ],
)
def test_trust_7_what_a_revision_runs_cannot_be_changed(api: Lab, namespace: str, change: JSON) -> None:
    create(api, namespace, revision())

    said = change_refusal(api, namespace, "frev", "shop-x7k2b9f4dq", {"spec": change})

    assert f"spec.{next(iter(change))}" in said
    if change != {"template": None}:
        assert "change the App, and a new Revision is made" in said


def test_trust_7_a_revisions_number_can_be_changed_for_it_moves_when_it_is_gone_back_to(
    api: Lab, namespace: str
) -> None:
    create(api, namespace, revision())

    api.kubectl("patch", "frev", "shop-x7k2b9f4dq", "-n", namespace, "--type=merge", "-p", '{"spec":{"number":7}}')

    assert api.get("frev", "shop-x7k2b9f4dq", "-n", namespace)["spec"]["number"] == 7


# ---------------------------------------------------------------- 8: a field that is removed


def test_trust_8_a_removed_field_goes_back_to_its_default_and_a_removed_block_goes(api: Lab, namespace: str) -> None:
    full = app(replicas=3, rollout={"maxSurge": 2, "minReadySeconds": 9}, disruption={"minAvailable": 1})
    bare = app(replicas=3, rollout={"maxSurge": 2})

    for body in (full, bare):
        api.kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(body))

    spec = api.get("fapp", "shop", "-n", namespace)["spec"]
    assert "disruption" not in spec
    assert (spec["rollout"]["maxSurge"], spec["rollout"]["minReadySeconds"]) == (2, 0)


def test_trust_8_a_removed_field_goes_back_to_its_default_under_server_side_apply(api: Lab, namespace: str) -> None:
    full = app(rollout={"maxSurge": 2}, expose={"ports": [{"port": 80}]})
    full["metadata"]["namespace"] = namespace
    bare = app()
    bare["metadata"]["namespace"] = namespace

    api.apply(full)
    api.apply(bare)

    spec = api.get("fapp", "shop", "-n", namespace)["spec"]
    assert "expose" not in spec
    assert spec["rollout"]["maxSurge"] == "25%"


# ---------------------------------------------------------------- 10: a number or a percentage

RUBBISH = ["150%", "101%", "1.5", "-1", "-1%", -1, "1", "25", "%", "25 %", "02%", "a quarter", "", "25%%", "1e1%"]


@pytest.mark.parametrize(
    ("block", "field"),
    [
        ("rollout", "maxSurge"),
        ("rollout", "maxUnavailable"),
        ("disruption", "minAvailable"),
        ("disruption", "maxUnavailable"),
    ],
)
def test_trust_10_rubbish_for_a_number_or_a_percentage_is_refused_with_the_allowed_forms(
    api: Lab, block: str, field: str
) -> None:
    forms = f'{block}.{field} must be a whole number of pods (0, 1, 2) or a percentage in quotes from "0%" to "100%"'

    for value in RUBBISH:
        said = refusal(api, app(**{block: {field: value}}))

        assert f"spec.{block}.{field}" in said
        assert forms in said


def test_trust_10_a_fraction_of_a_pod_is_refused(api: Lab) -> None:
    assert "spec.rollout.maxSurge" in refusal(api, rollout(maxSurge=1.5))


@pytest.mark.parametrize("value", [0, 1, 100000, "0%", "1%", "25%", "100%"])
def test_trust_10_numbers_and_percentages_are_accepted(api: Lab, value: Any) -> None:
    stored = accept(api, app(rollout={"maxSurge": value, "maxUnavailable": 1}, disruption={"minAvailable": value}))

    assert stored["spec"]["rollout"]["maxSurge"] == stored["spec"]["disruption"]["minAvailable"] == value


@pytest.mark.parametrize("port", [0, 65536, "80", "http_1", "a" * 16, ""])
def test_trust_10_rubbish_for_a_target_port_is_refused_with_the_allowed_forms(api: Lab, port: Any) -> None:
    said = refusal(api, expose(ports=[{"port": 80, "targetPort": port}]))

    assert (
        "expose.ports[].targetPort must be a number from 1 to 65535 without quotes, or the name of a container's port"
        in said
    )


# ---------------------------------------------------------------- 11: no room to move


@pytest.mark.parametrize(("surge", "unavailable"), [(0, 0), ("0%", 0), (0, "0%"), ("0%", "0%")])
def test_trust_11_both_budgets_zero_are_refused(api: Lab, surge: Any, unavailable: Any) -> None:
    said = refusal(api, rollout(maxSurge=surge, maxUnavailable=unavailable))

    assert "rollout.maxSurge and rollout.maxUnavailable cannot both be 0" in said
    assert "set maxSurge to 1" in said


def test_trust_11_recreate_has_no_use_for_budgets_and_may_have_both_at_zero(api: Lab) -> None:
    assert accept(api, rollout(strategy="Recreate", maxSurge=0, maxUnavailable=0))


# ---------------------------------------------------------------- strategies that ask for more


def blue_green(**fields: Any) -> JSON:
    return rollout(strategy="BlueGreen", blueGreen=fields)


def canary(*steps: JSON) -> JSON:
    return rollout(strategy="Canary", steps=list(steps))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (rollout(blueGreen={}), "rollout.blueGreen needs rollout.strategy BlueGreen; set it, or remove blueGreen"),
        (rollout(strategy="BlueGreen", steps=[{"weight": 10}]), "rollout.steps needs rollout.strategy Canary"),
        (blue_green(previewService="shop"), "rollout.blueGreen.previewService must not be the App's own name"),
        (blue_green(previewService="Shop_2"), "it must start with a letter and contain only lower case letters"),
        (rollout(maxTotal=0), "spec.rollout.maxTotal"),
        (rollout(strategy="BlueGreen", maxTotal=4), "rollout.maxTotal needs rollout.strategy Rolling or Canary"),
        (rollout(minPerRevision=2), "rollout.minPerRevision needs rollout.strategy Canary"),
        (canary({"weight": 10, "scale": {"replicas": 2}}), "has exactly one of weight"),
        (canary({"scale": {}}), "scale of a step has exactly one of replicas, percent and matchWeight"),
        (canary({"scale": {"replicas": 2, "percent": 5}}), "scale of a step has exactly one of"),
        (canary({"scale": {"matchWeight": False}}), "spec.rollout.steps[0].scale.matchWeight"),
        (canary({"scale": {"percent": 101}}), "spec.rollout.steps[0].scale.percent"),
        (blue_green(previewReplicas=0), "spec.rollout.blueGreen.previewReplicas"),
        (blue_green(autoPromoteSeconds=-1), "spec.rollout.blueGreen.autoPromoteSeconds"),
    ],
)
def test_what_a_strategy_cannot_use_is_refused_by_its_field(api: Lab, body: JSON, words: str) -> None:
    assert words in refusal(api, body)


def test_a_blue_green_release_needs_nothing_but_its_name_and_takes_a_preview_of_another_name(api: Lab) -> None:
    assert "blueGreen" not in accept(api, rollout(strategy="BlueGreen"))["spec"]["rollout"]
    stored = accept(api, blue_green(previewService="shop-next"))["spec"]["rollout"]["blueGreen"]
    assert stored == {"previewService": "shop-next", "autoPromote": True, "scaleDownDelaySeconds": 30}


def test_a_canary_may_have_pods_apart_from_its_weight_and_bounds_of_its_own(api: Lab) -> None:
    body = canary(
        {"scale": {"replicas": 3}}, {"weight": 10}, {"scale": {"matchWeight": True}}, {"scale": {"percent": 50}}
    )
    body["spec"]["rollout"] |= {"maxTotal": 12, "minPerRevision": 2}
    assert accept(api, body)["spec"]["rollout"]["maxTotal"] == 12


# ---------------------------------------------------------------- 18: names


def test_trust_18_a_name_too_long_for_a_label_is_refused_and_the_longest_allowed_is_not(api: Lab) -> None:
    assert "metadata.name must be at most 63 characters" in refusal(api, named("a" * 64))
    assert accept(api, named("a" * 63))


@pytest.mark.parametrize("name", ["1shop", "shop.eu"])
def test_trust_18_an_exposed_app_needs_a_name_that_a_service_can_have(api: Lab, name: str) -> None:
    body = named(name, expose={"ports": [{"port": 80}]})

    said = refusal(api, body)

    assert "metadata.name of an exposed App is its Service's DNS name" in said
    assert "remove spec.expose" in said
    del body["spec"]["expose"]
    assert accept(api, body)


def test_trust_18_exposing_an_app_later_asks_for_the_same_name(api: Lab, namespace: str) -> None:
    create(api, namespace, named("shop.eu"))

    said = change_refusal(api, namespace, "fapp", "shop.eu", {"spec": {"expose": {"ports": [{"port": 80}]}}})

    assert "metadata.name of an exposed App" in said


# ---------------------------------------------------------------- 21: large objects


def variables(number: int, size: int) -> list[JSON]:
    return [{"name": f"V{index}", "value": "x" * size} for index in range(number)]


def test_trust_21_an_app_of_one_mebibyte_is_stored_and_so_is_its_revision(api: Lab, namespace: str) -> None:
    large = app_with_container(env=variables(1000, 1024))

    create(api, namespace, large)

    stored = api.get("fapp", "shop", "-n", namespace)
    assert create(api, namespace, revision(template=stored["spec"]["template"]))


def test_trust_21_an_app_of_two_mebibytes_is_refused_for_its_size(api: Lab, namespace: str) -> None:
    large = json.dumps(app_with_container(env=variables(1000, 2048)))

    said = api.kubectl("create", "-n", namespace, "-f", "-", stdin=large, check=False)

    assert "too large" in said


def test_trust_21_lists_have_an_end(api: Lab) -> None:
    assert "containers[0].env: Too many: 1001: must have at most 1000 items" in refusal(
        api, app_with_container(env=variables(1001, 1))
    )
    assert "spec.expose.ports: Too many" in refusal(
        api, expose(ports=[{"name": f"p{n}", "port": n} for n in range(1, 102)])
    )


# ---------------------------------------------------------------- 22: hostile text

HOSTILE = [
    "<script>alert(1)</script>",
    "javascript:alert(1)",
    "red\x1b[31m",
    "null\x00byte",
    "new\nline",
    "bidi\u202egnp.exe",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_trust_22_names_and_labels_take_no_markup_and_no_control_characters(api: Lab, text: str) -> None:
    assert "metadata.name" in refusal(api, named(text))
    assert "spec.template.metadata.labels.team" in refusal(api, labelled(team=text))
    assert "spec.template.spec.containers[0].name" in refusal(api, app_with_container(name=text))
    assert "spec.expose.ports[0].name" in refusal(api, expose(ports=[{"name": text, "port": 80}]))
    assert "containers[0].ports[0].name" in refusal(
        api, app_with_container(ports=[{"name": text, "containerPort": 80}])
    )


def test_trust_22_text_for_people_has_an_end(api: Lab) -> None:
    assert "spec.cause: Too long" in refusal(api, revision(cause="x" * 4097))
    assert "spec.createdBy: Too long" in refusal(api, revision(createdBy="x" * 254))
    assert "containers[0].image: Too long" in refusal(api, app_with_container(image="x" * 4097))


def test_trust_22_hostile_text_in_a_cause_comes_back_as_it_was_for_the_views_to_escape(api: Lab) -> None:
    for text in HOSTILE:
        assert accept(api, revision(cause=text))["spec"]["cause"] == text


# ---------------------------------------------------------------- fields that do not go together


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (app_with_pod(restartPolicy="Never"), "template.spec.restartPolicy must be Always"),
        (app_with_pod(restartPolicy="OnFailure"), "template.spec.restartPolicy must be Always"),
        (app_with_pod(activeDeadlineSeconds=60), "template.spec.activeDeadlineSeconds is not allowed"),
        (app_with_pod(ephemeralContainers=[{"name": "debug"}]), "spec.template.spec.ephemeralContainers"),
        (
            app_with_container(volumeMounts=[{"name": "dta", "mountPath": "/data"}]),
            "volumeMounts[].name of a container must be the name of one of template.spec.volumes",
        ),
        (
            app_with_pod(volumes=[{"name": "data", "emptyDir": {}, "configMap": {"name": "x"}}]),
            "spec.template.spec.volumes[0]",
        ),
        (
            app_with_container(
                env=[{"name": "A", "value": "1", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
            ),
            "env[] must have value or valueFrom, not both",
        ),
        (app_with_container(readinessProbe={"periodSeconds": 1}), "a probe needs exactly one of"),
        (
            app_with_container(livenessProbe={"httpGet": {"port": 80}, "tcpSocket": {"port": 80}}),
            "a probe needs exactly one of",
        ),
        (app_with_container(lifecycle={"preStop": {}}), "a lifecycle handler needs exactly one of"),
        (
            app_with_container(resources={"requests": {"memory": "1Gi"}, "limits": {"memory": "512Mi"}}),
            "resources.requests must not exceed resources.limits",
        ),
        (
            rollout(minReadySeconds=600),
            "rollout.progressDeadlineSeconds must be greater than rollout.minReadySeconds",
        ),
        (app(expose={}), "expose.ports must have at least one port"),
        (app(expose={"ports": []}), "expose.ports must have at least one port"),
        (
            expose(ports=[{"port": 80, "nodePort": 30080}]),
            "expose.ports[].nodePort needs expose.type NodePort or LoadBalancer",
        ),
        (
            expose(type="Headless", ports=[{"port": 80, "nodePort": 30080}]),
            "expose.ports[].nodePort needs expose.type NodePort or LoadBalancer",
        ),
        (
            expose(
                type="NodePort",
                ports=[{"name": "a", "port": 80, "nodePort": 30080}, {"name": "b", "port": 81, "nodePort": 30080}],
            ),
            "expose.ports[].nodePort must be unique",
        ),
        (
            expose(ports=[{"port": 80, "targetPort": "htpt"}]),
            "expose.ports[].targetPort names a port that no container of the template has",
        ),
        (
            expose(externalTrafficPolicy="Local"),
            "expose.externalTrafficPolicy needs expose.type NodePort or LoadBalancer",
        ),
        (expose(loadBalancerClass="example.com/lb"), "expose.loadBalancerClass needs expose.type LoadBalancer"),
        (
            expose(type="NodePort", loadBalancerSourceRanges=["10.0.0.0/8"]),
            "expose.loadBalancerSourceRanges needs expose.type LoadBalancer",
        ),
        (
            expose(type="LoadBalancer", loadBalancerSourceRanges=["10.0.0.0"]),
            "expose.loadBalancerSourceRanges[] must be a CIDR",
        ),
        (
            expose(type="LoadBalancer", loadBalancerSourceRanges=["300.0.0.0/8"]),
            "expose.loadBalancerSourceRanges[] must be a CIDR",
        ),
        (
            expose(type="LoadBalancer", loadBalancerSourceRanges=["10.0.0.0/33"]),
            "expose.loadBalancerSourceRanges[] must be a CIDR",
        ),
        (
            expose(sessionAffinityTimeoutSeconds=60),
            "expose.sessionAffinityTimeoutSeconds needs expose.sessionAffinity ClientIP",
        ),
        (expose(ipFamilies=["IPv4", "IPv4"]), "expose.ipFamilies must not repeat a family"),
        (
            expose(ipFamilies=["IPv6", "IPv4"], ipFamilyPolicy="SingleStack"),
            "expose.ipFamilyPolicy SingleStack allows one entry",
        ),
        (disruption(), "disruption needs exactly one of disruption.minAvailable and disruption.maxUnavailable"),
        (disruption(minAvailable=1, maxUnavailable=1), "disruption needs exactly one of"),
    ],
)
def test_fields_that_do_not_go_together_are_refused_with_the_way_out(api: Lab, body: JSON, words: str) -> None:
    assert words in refusal(api, body)


@pytest.mark.parametrize(
    "body",
    [
        app_with_pod(restartPolicy="Always"),
        app_with_pod(ephemeralContainers=[]),
        app_with_container(env=[{"name": "A", "value": "", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]),
        app_with_container(
            resources={"requests": {"memory": "1Gi", "cpu": 1}, "limits": {"memory": "1024Mi", "nvidia.com/gpu": "1"}}
        ),
        app(expose={"type": "Headless"}),
        app(expose={"type": "Headless", "ports": [{"port": 80}]}),
        expose(type="NodePort", ports=[{"port": 80, "nodePort": 30080}], externalTrafficPolicy="Local"),
        expose(
            type="LoadBalancer",
            loadBalancerClass="example.com/lb",
            loadBalancerSourceRanges=["10.0.0.0/8", "2001:db8::/32"],
        ),
        expose(sessionAffinity="ClientIP", sessionAffinityTimeoutSeconds=60),
        expose(ipFamilies=["IPv6", "IPv4"], ipFamilyPolicy="RequireDualStack"),
        expose(ports=[{"port": 80, "targetPort": 9090}]),
        rollout(minReadySeconds=599),
        rollout(progressDeadlineSeconds=2147483647, minReadySeconds=2147483646),
        rollout(undoTo=1, restartAt="2030-01-31T12:00:00Z"),
        rollout(restartAt="2030-01-31T12:00:00.5+01:00"),
        disruption(maxUnavailable=0),
    ],
)
def test_what_upstream_accepts_is_accepted(api: Lab, body: JSON) -> None:
    assert accept(api, body)


def test_a_sidecars_port_can_be_a_target(api: Lab) -> None:
    sidecar = {
        "name": "proxy",
        "image": "proxy:1",
        "restartPolicy": "Always",
        "ports": [{"name": "mesh", "containerPort": 15001}],
    }
    body = app_with_pod(initContainers=[sidecar])
    body["spec"]["expose"] = {"ports": [{"port": 80, "targetPort": "mesh"}]}

    assert accept(api, body)
