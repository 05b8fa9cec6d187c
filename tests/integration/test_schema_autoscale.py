"""spec.autoscale on a real API server: what it takes, what it refuses and in which words, and what a scale by hand leaves
behind."""

import json
from typing import Any

import msgspec
import pytest

from fairlead.autoscale.holds import hand_scaled
from fairlead.autoscale.model import Autoscale, Behavior, HandScaled
from support.crds import JSON, accept, app, app_with_pod, create, refusal
from support.lab import Lab

CPU: JSON = {"resource": {"name": "cpu", "averageUtilization": 60}}
AN_AMOUNT: JSON = {"resource": {"name": "cpu", "averageValue": "500m"}}
QUEUE: JSON = {"external": {"metric": {"name": "queue_length"}, "averageValue": 10}}
OFFICE: JSON = {"name": "office", "start": "0 8 * * 1-5", "end": "0 18 * * 1-5", "min": 3}


def scaling(**fields: Any) -> JSON:
    return app(autoscale={"max": 10, **fields})


def metric(**fields: Any) -> JSON:
    return scaling(metrics=[fields])


def pods_from(**source: Any) -> JSON:
    return metric(pods={"metric": {"name": "hits"}, "averageValue": 5, "from": source})


def queue_from(**source: Any) -> JSON:
    return metric(external={"metric": {"name": "jobs"}, "averageValue": 5, "from": source})


def schedule(**fields: Any) -> JSON:
    """The office hours with these fields, and without those that are None."""
    return scaling(schedules=[{name: value for name, value in (OFFICE | fields).items() if value is not None}])


def amount(value: Any) -> JSON:
    return metric(resource={"name": "cpu", "averageValue": value})


def container(**fields: Any) -> JSON:
    return scaling(resources={"containers": [{"name": "web", **fields}]})


@pytest.mark.parametrize(
    "body",
    [
        scaling(),
        scaling(min=10),
        scaling(min=0, metrics=[QUEUE]),
        scaling(metrics=[CPU, QUEUE | {"fallback": {"replicas": 5}}]),
        metric(containerResource={"name": "cpu", "container": "web", "averageUtilization": 60}),
        metric(pods={"metric": {"name": "hits", "selector": {"path": "shop"}}, "averageValue": "2500m"}),
        metric(
            object={"describedObject": {"kind": "Ingress", "name": "main"}, "metric": {"name": "hits"}, "value": 100}
        ),
        *[pods_from(**source) for source in ({"scrape": {"port": "metrics"}}, {"prometheus": {"query": "hits"}})],
        queue_from(http={"url": "http://queue:8080/n", "pointer": "/n"}),
        queue_from(http={"port": 8080, "path": "/n?all=1", "pointer": ""}),
        queue_from(prometheus={"query": "jobs", "address": "http://prometheus.monitoring.svc:9090"}),
        *[amount(value) for value in (1, "1", "500m", "1.5", ".5", "2k", "512Mi", "1e3", "1E-3")],
        schedule(),
        schedule(end=None, durationSeconds=3600, timeZone="Europe/Berlin", min=None, max=5),
        scaling(
            behavior={"scaleUp": {"tolerance": "0.05", "policies": [{"type": "Pods", "value": 2, "periodSeconds": 60}]}}
        ),
        scaling(behavior={"scaleDown": {"selectPolicy": "Disabled"}}),
        app(replicas=0, autoscale={"min": 0, "max": 3, "metrics": [QUEUE]}),
        scaling(resources={"mode": "Recommend"}),
        scaling(resources={"mode": "Apply"}, metrics=[AN_AMOUNT]),
        scaling(resources={"mode": "Apply"}, min=3, max=3),
        scaling(resources={"mode": "Apply", "containers": [{"name": "web", "controlledResources": ["memory"]}]}),
        container(minAllowed={"cpu": "50m", "memory": "64Mi"}, maxAllowed={"cpu": 2, "memory": "1Gi"}),
        container(minAllowed={"cpu": 0, "memory": 0}, controlledResources=[]),
    ],
)
def test_what_makes_sense_is_taken(api: Lab, body: JSON) -> None:
    taken = accept(api, body)["spec"]["autoscale"]
    assert meant(taken) == meant(body["spec"]["autoscale"])


def meant(spec: JSON) -> Autoscale:
    """As it is read, with what behavior comes to where it says nothing."""
    read = msgspec.convert(spec, Autoscale)
    behavior = read.behavior and Behavior(read.behavior.up, read.behavior.down)
    return msgspec.structs.replace(read, behavior=behavior)


def test_what_is_not_said_is_filled_in(api: Lab) -> None:
    assert accept(api, scaling())["spec"]["autoscale"] == {
        "min": 1,
        "max": 10,
        "holdSeconds": 600,
        "metrics": [{"resource": {"name": "cpu", "averageUtilization": 80}}],
    }


def test_what_is_not_said_of_a_container_is_filled_in(api: Lab) -> None:
    assert accept(api, scaling(resources={}))["spec"]["autoscale"]["resources"] == {"mode": "Recommend"}
    assert accept(api, container())["spec"]["autoscale"]["resources"]["containers"] == [
        {"name": "web", "minAllowed": {"cpu": "10m", "memory": "32Mi"}, "controlledResources": ["cpu", "memory"]}
    ]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (app(autoscale={"min": 3}), "spec.autoscale.max: Required"),
        (scaling(max=0), "spec.autoscale.max"),
        (scaling(min=-1), "spec.autoscale.min"),
        (scaling(holdSeconds=-1), "spec.autoscale.holdSeconds"),
        (scaling(metrics=[]), "spec.autoscale.metrics"),
        (scaling(min=0), "autoscale.min 0 needs a metric that can be told while there are no pods"),
        (metric(), "has exactly one of resource, containerResource, pods, object and external"),
        (metric(**CPU, **QUEUE), "has exactly one of resource, containerResource, pods, object and external"),
        (metric(resource={"name": "cpu"}), "needs exactly one of averageUtilization"),
        (
            metric(resource={"name": "cpu", "averageUtilization": 60, "averageValue": 1}),
            "needs exactly one of averageUtilization",
        ),
        (metric(resource={"name": "cpu", "averageUtilization": 0}), "averageUtilization"),
        (metric(external={"metric": {"name": "queue"}}), "needs exactly one of value"),
        (
            metric(containerResource={"name": "cpu", "container": "wep", "averageUtilization": 60}),
            "names a container that the template does not have",
        ),
        *[
            (amount(value), "must be an amount above 0")
            for value in (0, "0", "0.0", "-1", "many", "5 Mi", "1mm", "NaN", "")
        ],
        (pods_from(), "exactly one of scrape and prometheus"),
        (pods_from(scrape={"port": 80}, prometheus={"query": "x"}), "exactly one of scrape and prometheus"),
        (pods_from(scrape={}), "scrape.port: Required"),
        (pods_from(scrape={"port": "Metrics"}), "port must be a number from 1 to 65535 or a port's name"),
        (pods_from(scrape={"port": 80, "path": "metrics"}), "path must begin with"),
        (pods_from(scrape={"port": 80, "type": "Histogram"}), "type"),
        (queue_from(scrape={"port": 80}), "scrape"),
        (queue_from(), "exactly one of prometheus and http"),
        (queue_from(http={"pointer": "n"}), "http.pointer must begin with"),
        (queue_from(http={"url": "http://me@queue/n", "pointer": "/n"}), "http.url must begin with http"),
        (queue_from(http={"url": "http://queue/n", "port": 80, "pointer": "/n"}), "stands for the whole address"),
        (queue_from(prometheus={"query": ""}), "query"),
        (queue_from(prometheus={"query": "x", "timeoutSeconds": 60}), "timeoutSeconds"),
        *[
            (metric(external={"metric": {"name": name}, "averageValue": 1}), "the name of a metric is a part of a path")
            for name in ("a/b", "..", "a%2Fb")
        ],
        (metric(**QUEUE, fallback={"replicas": 0}), "fallback.replicas"),
        (scaling(behavior={"scaleUp": {"stabilizationWindowSeconds": 3601}}), "stabilizationWindowSeconds"),
        (scaling(behavior={"scaleUp": {"policies": []}}), "policies"),
        (
            scaling(behavior={"scaleUp": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 1801}]}}),
            "periodSeconds",
        ),
        (scaling(behavior={"scaleUp": {"tolerance": "-0.1"}}), "must be a share of 0 or more"),
        (schedule(start="every day"), "is a cron of five fields"),
        (schedule(end="0 0 8 * * *"), "is a cron of five fields"),
        (schedule(end=None), "needs exactly one of end (a cron) and durationSeconds"),
        (schedule(durationSeconds=60), "needs exactly one of end (a cron) and durationSeconds"),
        (schedule(min=None), "needs min, max or both"),
        (schedule(max=2), "min of an entry of autoscale.schedules is above its max"),
        (schedule(name="Office"), "the name of a schedule must contain only lower case letters"),
        (scaling(schedules=[OFFICE, OFFICE]), "Duplicate value"),
        (scaling(resources={"mode": "Always"}), 'supported values: "Recommend", "Apply"'),
        (scaling(resources={"mode": "Apply"}), "give averageValue"),
        (
            container(name="wep"),
            "autoscale.resources.containers[].name names a container that the template does not have",
        ),
        (container(minAllowed={"cpu": "many"}), "an amount of autoscale.resources must be a quantity of 0 or more"),
        (container(maxAllowed={"memory": "-1Gi"}), "an amount of autoscale.resources must be a quantity of 0 or more"),
        (container(maxAllowed={"cpu": "5m"}), "is above its maxAllowed; give a maxAllowed that is at least minAllowed"),
        (container(minAllowed={"memory": "2Gi"}, maxAllowed={"memory": "1Gi"}), "is above its maxAllowed"),
        (container(controlledResources=["gpu"]), "controlledResources"),
        (scaling(resources={"containers": [{"name": "web"}, {"name": "web"}]}), "Duplicate value"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_field_and_the_way_out(api: Lab, body: JSON, words: str) -> None:
    assert words in refusal(api, body)


def test_a_sidecar_may_be_measured(api: Lab) -> None:
    body = app_with_pod(initContainers=[{"name": "proxy", "image": "proxy:1", "restartPolicy": "Always"}])
    body["spec"]["autoscale"] = {
        "max": 3,
        "metrics": [{"containerResource": {"name": "cpu", "container": "proxy", "averageUtilization": 60}}],
    }
    accept(api, body)


# ---------------------------------------------------------------- bad inputs by number


def test_trust_3_no_replicas_and_an_autoscaler_that_wants_some_is_refused(api: Lab, namespace: str) -> None:
    words = "replicas 0 stops the App, and autoscale.min wants pods; set autoscale.min to 0 as well"
    assert words in refusal(api, app(replicas=0, autoscale={"min": 1, "max": 3}))
    create(api, namespace, app(autoscale={"max": 3}))
    assert words in api.kubectl("scale", "fapp/shop", "--replicas=0", "-n", namespace, check=False)


def test_trust_15_bounds_the_wrong_way_round_are_refused(api: Lab) -> None:
    assert "autoscale.min is above autoscale.max; give a max that is at least min" in refusal(api, scaling(min=11))


# ---------------------------------------------------------------- a scale by hand


def managed(api: Lab, namespace: str) -> tuple[list[JSON], int]:
    said = api.kubectl("get", "fapp", "shop", "-n", namespace, "-o", "json", "--show-managed-fields")
    stored: JSON = json.loads(said)
    return stored["metadata"]["managedFields"], stored["spec"]["replicas"]


def test_the_api_server_keeps_who_scaled_by_hand_and_not_when(api: Lab, namespace: str) -> None:
    """And an apply that says another number takes it over."""
    body = app(autoscale={"max": 10})
    api.kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(body))
    assert hand_scaled(*managed(api, namespace)) is None

    api.kubectl("scale", "fapp/shop", "--replicas=4", "-n", namespace)
    found = hand_scaled(*managed(api, namespace))
    assert found == HandScaled("kubectl", None, 4)

    api.kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(body))  # says no number
    assert hand_scaled(*managed(api, namespace)) == found

    body["spec"]["replicas"] = 6
    api.kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(body))
    assert hand_scaled(*managed(api, namespace)) is None
