"""What one metric comes to: upstream's rules, one by one."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.autoscale.calculator import Situation, Tolerance, propose
from fairlead.autoscale.model import (
    Amount,
    ContainerResourceMetric,
    DescribedObject,
    ExternalMetric,
    Identifier,
    Load,
    Metric,
    ObjectMetric,
    PodsMetric,
    Proposal,
    Reading,
    Requests,
    ResourceMetric,
    Sample,
    Timing,
)
from fairlead.autoscale.testing import cpu, fleet, reading_of

NOW = 1000.0


def situation(pods: tuple[Load, ...], **fields: Any) -> Situation:
    said: dict[str, Any] = {"current": len(pods), "active": len(pods), "tolerance": Tolerance(), "timing": Timing()}
    return Situation(**(said | {"pods": pods, "now": NOW} | fields))


def of(metric: Metric, pods: tuple[Load, ...], reading: Reading, **fields: Any) -> Proposal:
    return propose(metric, reading, situation(pods, **fields))


def starting(name: str = "young", ready: Any = "False", **fields: Any) -> Load:
    """A pod that started 20 s ago, and is as it is since 10 s."""
    return Load(name, ready=ready, **({"started": NOW - 20, "ready_changed": NOW - 10} | fields))


MEMORY = Metric(resource=ResourceMetric("memory", average_value="100"))
HITS = Metric(pods=PodsMetric(Identifier("hits"), average_value=10))


# ---------------------------------------------------------------- average utilization


@pytest.mark.parametrize(
    ("percent", "wanted", "replicas"),
    [
        pytest.param(60, 60, 20, id="at the target nothing changes"),
        pytest.param(120, 60, 40, id="at twice the target there are twice as many"),
        pytest.param(30, 60, 10, id="at half the target there are half as many"),
        pytest.param(61, 50, 25, id="what does not come out even is rounded up"),
        pytest.param(66, 60, 20, id="a tenth above is within the tolerance"),
        pytest.param(54, 60, 20, id="a tenth below is within the tolerance"),
        pytest.param(67, 60, 23, id="more than a tenth above is beyond it"),
        pytest.param(53, 60, 18, id="a part of a pod less is still that pod"),
        pytest.param(0, 60, 0, id="no load at all asks for no pod; min is another's business"),
        pytest.param(1000, 1, 20_000, id="nothing here limits the growth"),
    ],
)
def test_utilization_is_of_what_the_pods_request(percent: int, wanted: int, replicas: int) -> None:
    pods = fleet(20, cpu=500)
    assert of(cpu(wanted), pods, reading_of(pods, 5 * percent)).replicas == replicas


def test_the_percentage_is_cut_off_before_it_is_compared() -> None:
    """66.9 % counts as 66 %, which is within a tenth of 60 %."""
    pods = fleet(1, cpu=1000)
    told = of(cpu(60), pods, reading_of(pods, 669))
    assert (told.replicas, told.usage) == (1, "66 %")


def test_the_average_is_over_all_pods_and_not_of_their_percentages() -> None:
    big = fleet(1, requests={"web": {"cpu": 900}})
    small = fleet(1, start=1, requests={"web": {"cpu": 100}})
    assert of(cpu(50), big + small, reading_of(big + small, [450, 100])).usage == "55 %"


@pytest.mark.parametrize(
    ("tolerance", "percent", "replicas"),
    [
        pytest.param(Tolerance(up=0.5), 89, 10, id="half above, where that is tolerated"),
        pytest.param(Tolerance(up=0.5), 91, 16, id="more than half above"),
        pytest.param(Tolerance(down=0.5), 31, 10, id="half below, where that is tolerated"),
        pytest.param(Tolerance(down=0.5), 29, 5, id="more than half below"),
        pytest.param(Tolerance(up=0), 61, 11, id="nothing above, where nothing is tolerated"),
        pytest.param(Tolerance(down=0), 54, 9, id="nothing below, where nothing is tolerated"),
    ],
)
def test_each_direction_has_its_own_tolerance(tolerance: Tolerance, percent: int, replicas: int) -> None:
    pods = fleet(10, cpu=100)
    assert of(cpu(60), pods, reading_of(pods, percent), tolerance=tolerance).replicas == replicas


# ---------------------------------------------------------------- which pods count


@pytest.mark.parametrize(
    "pod",
    [
        pytest.param(Load("p9", deleting=True), id="one that is going"),
        pytest.param(Load("p9", phase="Failed"), id="one that has failed"),
    ],
)
def test_pods_that_are_no_more_are_ignored_with_their_samples(pod: Load) -> None:
    pods = (*fleet(3, cpu=1000), Load(pod.name, pod.phase, deleting=pod.deleting, requests=fleet(1, cpu=1)[0].requests))
    told = of(cpu(60), pods, reading_of(pods, [600, 600, 600, 9000]))
    assert (told.replicas, told.over) == (4, "3 ready pods")


@pytest.mark.parametrize(
    "pod",
    [
        pytest.param(starting(phase="Pending"), id="it is pending"),
        pytest.param(starting(ready="", ready_changed=0.0), id="it has no Ready condition yet"),
        pytest.param(starting(ready="True", started=None), id="it has no start yet"),
        pytest.param(starting(), id="it started a moment ago and is not ready"),
        pytest.param(starting(ready="True"), id="its sample began before it was ready"),
        pytest.param(
            starting(started=NOW - 400, ready_changed=NOW - 371), id="it started long ago and was never ready since"
        ),
    ],
)
def test_the_cpu_of_starting_counts_for_nothing_and_holds_the_way_up_back(pod: Load) -> None:
    """Three at 80 %, and one that starts: what it uses is not seen, and it counts as idle. Over four that is 60 %, so
    that nothing happens; of the three alone it would be four, where the size is five."""
    pods = (
        *fleet(3, cpu=100),
        Load(pod.name, pod.phase, pod.ready, pod.ready_changed, pod.started, requests=fleet(1, cpu=100)[0].requests),
    )
    told = of(cpu(60), pods, reading_of(pods, [80, 80, 80, 999]), current=5)
    assert (told.replicas, told.usage) == (5, "80 %")
    assert told.over.endswith("1 not yet ready")


@pytest.mark.parametrize(
    "pod",
    [
        pytest.param(starting(ready="True", ready_changed=NOW - 60), id="it has been ready for a whole window"),
        pytest.param(starting(started=NOW - 400, ready_changed=NOW - 300), id="it started long ago and was ready once"),
        pytest.param(starting(ready="Unknown", ready_changed=NOW - 60), id="nobody knows whether it is ready"),
        pytest.param(
            starting(started=NOW - 300, ready="True", ready_changed=NOW),
            id="its initialization is over this very second",
        ),
    ],
)
def test_the_cpu_of_a_pod_counts_otherwise(pod: Load) -> None:
    pods = (
        Load(pod.name, pod.phase, pod.ready, pod.ready_changed, pod.started, requests=fleet(1, cpu=100)[0].requests),
    )
    assert of(cpu(60), pods, reading_of(pods, 120)).replicas == 2


def test_readiness_matters_to_cpu_alone() -> None:
    pods = (*fleet(1, cpu=100), Load("young", ready="False", ready_changed=NOW, started=NOW))
    told = of(HITS, pods, reading_of(pods, 20_000))
    assert (told.replicas, told.over) == (4, "2 ready pods")


def test_unready_pods_are_left_out_on_the_way_down() -> None:
    """Three at half of the target, and one that starts: half of the three is two, and the fourth has no say."""
    pods = (*fleet(3, cpu=100), starting())
    pods = (*pods[:3], Load("young", ready="False", ready_changed=NOW, started=NOW, requests=pods[0].requests))
    assert of(cpu(60), pods, reading_of(pods, [30, 30, 30, 999]), current=4).replicas == 2


# ---------------------------------------------------------------- pods without a sample


def without_samples(present: int, absent: int, value: float, **fields: Any) -> Proposal:
    pods = fleet(present + absent, cpu=100)
    return of(cpu(60), pods, reading_of(pods[:present], value), **fields)


def test_on_the_way_up_a_missing_pod_uses_nothing() -> None:
    """Two at 120 % of 60 % want four; with two more that use nothing it is 60 %: nothing to do."""
    assert without_samples(2, 2, 120).replicas == 4


def test_on_the_way_up_it_still_goes_up_where_the_load_is_enough_for_all() -> None:
    assert without_samples(2, 2, 240).replicas == 8


def test_on_the_way_down_a_missing_pod_uses_all_it_requests() -> None:
    """Nine at 12 %, and one that may use 100 %: 20 % of 60 % over ten. With 60 % of it, or without it, three would do."""
    assert without_samples(9, 1, 12).replicas == 4


def test_on_the_way_down_a_missing_pod_uses_the_target_where_that_is_above_100_percent() -> None:
    """Nine at 50 %, and one at 200 %: 65 % of 200 % over ten."""
    pods = fleet(10, cpu=100)
    assert of(cpu(200), pods, reading_of(pods[:9], 50)).replicas == 4


def test_missing_pods_never_turn_the_direction() -> None:
    """One at 50 % alone would be fewer. With nine that may use all, it would be more: neither."""
    assert without_samples(1, 9, 50).replicas == 10


def test_missing_pods_that_bring_it_within_the_tolerance_stop_it() -> None:
    assert without_samples(9, 1, 55).replicas == 10


def test_a_number_on_the_other_side_of_the_size_is_not_followed() -> None:
    """Of ten pods, eight of which the size no longer knows: 30 % asks for fewer, and fewer of ten is more than the size."""
    assert without_samples(9, 1, 15, current=2).replicas == 2


def test_an_average_value_takes_missing_pods_for_the_target_on_the_way_down() -> None:
    """Three at a tenth, one at the target: 3250 of 10000 over four."""
    pods = fleet(4)
    assert of(HITS, pods, reading_of(pods[:3], 1000)).replicas == 2


def test_an_average_value_takes_missing_pods_for_idle_on_the_way_up() -> None:
    pods = fleet(4)
    assert of(HITS, pods, reading_of(pods[:3], 20_000)).replicas == 6


def test_at_the_target_missing_pods_change_nothing() -> None:
    assert without_samples(5, 5, 60).replicas == 10


def test_where_nothing_is_missing_the_pods_count_and_not_the_size() -> None:
    """Four of ten are there, half as much again as they should do: six."""
    pods = fleet(4, cpu=100)
    assert of(cpu(60), pods, reading_of(pods, 90), current=10).replicas == 6


# ---------------------------------------------------------------- requests


@pytest.mark.parametrize(
    ("requests", "container", "expected"),
    [
        pytest.param(Requests({"web": {"cpu": 500}, "proxy": {"cpu": 500}}), "", "60 %", id="all containers of a pod"),
        pytest.param(
            Requests({"web": {"cpu": 500}, "proxy": {}}), "web", "120 %", id="the one container, whatever the others"
        ),
        pytest.param(
            Requests({"web": {}}, pod={"cpu": 2000}), "", "30 %", id="the pod's own, whatever its containers'"
        ),
        pytest.param(
            Requests({"web": {"cpu": 500}}, pod={"cpu": 9}), "web", "120 %", id="the container's, whatever the pod's"
        ),
    ],
)
def test_what_the_percentage_is_of(requests: Requests, container: str, expected: str) -> None:
    pods = (Load("a", started=-9000, ready_changed=-8000, requests=requests),)
    source = ContainerResourceMetric("cpu", 60, container=container) if container else None
    metric = Metric(container_resource=source) if source else cpu(60)
    assert of(metric, pods, reading_of(pods, 600)).usage == expected


@pytest.mark.parametrize(
    ("metric", "requests", "error"),
    [
        pytest.param(
            cpu(),
            Requests({"web": {"cpu": 5}, "proxy": {}}),
            "container proxy of pod a requests no cpu: set resources.requests.cpu",
            id="one container of several",
        ),
        pytest.param(
            Metric(container_resource=ContainerResourceMetric("cpu", 60, container="side")),
            Requests({"web": {"cpu": 5}}),
            "pod a has no container side",
            id="a container that is not there",
        ),
        pytest.param(
            cpu(),
            Requests({"web": {"cpu": 5}}, pod={"memory": 5}),
            "pod a requests no cpu: set resources.requests.cpu",
            id="a pod that says another resource for itself",
        ),
        pytest.param(
            cpu(),
            Requests({"web": {"cpu": 0}}),
            "the pods request no cpu to take per cent of: set resources.requests.cpu",
            id="a request of nothing",
        ),
    ],
)
def test_a_container_without_a_request_makes_the_metric_fail(metric: Metric, requests: Requests, error: str) -> None:
    pods = (Load("a", started=-9000, ready_changed=-8000, requests=requests),)
    assert of(metric, pods, reading_of(pods, 600)).error == error


def test_an_amount_needs_no_request() -> None:
    pods = (Load("a"),)
    told = of(MEMORY, pods, reading_of(pods, 150_000))
    assert (told.replicas, told.error) == (2, "")


# ---------------------------------------------------------------- what cannot be told


@pytest.mark.parametrize(
    ("pods", "reading", "error"),
    [
        pytest.param(fleet(2, cpu=1), Reading(error="no route to host"), "no route to host", id="the source failed"),
        pytest.param((), Reading({"p0": Sample(1)}), "there is no pod to measure", id="no pods"),
        pytest.param(fleet(2, cpu=1), Reading(), "the source has no sample of these pods", id="no samples"),
        pytest.param(
            fleet(1, cpu=1, phase="Pending"), Reading({"p0": Sample(1)}), "no ready pod has a sample", id="none ready"
        ),
        pytest.param(
            fleet(1, cpu=1), Reading({"p0": Sample(float("nan"))}), "no ready pod has a sample", id="not a number"
        ),
        pytest.param(
            fleet(1, cpu=1), Reading({"other": Sample(1)}), "no ready pod has a sample", id="other people's pods"
        ),
    ],
)
def test_a_metric_that_cannot_be_told_says_why(pods: tuple[Load, ...], reading: Reading, error: str) -> None:
    assert of(cpu(), pods, reading).error == error


def test_a_sample_that_is_no_number_is_a_missing_one() -> None:
    pods = fleet(4, cpu=100)
    missing = of(cpu(60), pods, reading_of(pods[:2], 240))
    for odd in (float("nan"), float("inf"), float("-inf")):
        assert of(cpu(60), pods, reading_of(pods, [240, 240, odd, odd])) == missing


# ---------------------------------------------------------------- values beyond the pods


def total(value: Amount | None = None, average: Amount | None = None) -> tuple[Metric, Metric]:
    """The same target of an object and of something external."""
    described, series = DescribedObject("Ingress", "main"), Identifier("queue")
    return Metric(object=ObjectMetric(described, series, value, average)), Metric(
        external=ExternalMetric(series, value, average)
    )


@pytest.mark.parametrize(
    ("measured", "replicas"),
    [
        pytest.param(100, 4, id="at the target nothing changes"),
        pytest.param(110, 4, id="a tenth above is within the tolerance"),
        pytest.param(150, 6, id="half as much again is half as many again"),
        pytest.param(50, 2, id="half is half as many"),
        pytest.param(0, 0, id="nothing asks for no pod"),
    ],
)
def test_a_value_multiplies_the_pods_that_are_ready(measured: int, replicas: int) -> None:
    pods = fleet(4)
    for metric in total(value=100):
        assert of(metric, pods, Reading(values=(measured * 1000,))).replicas == replicas


def test_a_value_does_not_count_pods_that_are_not_ready() -> None:
    pods = (*fleet(2), Load("a", ready="False"), Load("b", phase="Pending", ready="True"))
    for metric in total(value=100):
        assert of(metric, pods, Reading(values=(200_000,))).replicas == 4


def test_a_value_counts_at_most_the_size_while_a_release_has_more_pods() -> None:
    pods = fleet(8)
    for metric in total(value=100):
        assert of(metric, pods, Reading(values=(150_000,)), current=4, most=4).replicas == 6


@pytest.mark.parametrize(("measured", "replicas"), [(0, 0), (1, 1), (100, 1), (105, 2), (1000, 10)])
def test_from_zero_a_value_is_its_ratio_without_tolerance(measured: int, replicas: int) -> None:
    for metric in total(value=100):
        assert of(metric, (), Reading(values=(measured * 1000,))).replicas == replicas


@pytest.mark.parametrize(
    ("measured", "active", "replicas"),
    [
        pytest.param(40, 4, 4, id="so much for each is the target"),
        pytest.param(43, 4, 4, id="within the tolerance of what each has now"),
        pytest.param(45, 4, 5, id="above it, the total divided by the target"),
        pytest.param(11, 4, 2, id="below it as well"),
        pytest.param(43, 0, 5, id="from zero without tolerance"),
        pytest.param(0, 0, 0, id="nothing, from zero"),
        pytest.param(40, 5, 4, id="each of those that are there has less"),
        pytest.param(48, 5, 5, id="those that are there stay, also where the size is another"),
    ],
)
def test_an_average_value_divides_the_total(measured: int, active: int, replicas: int) -> None:
    for metric in total(average=10):
        assert (
            of(metric, (), Reading(values=(measured * 1000,)), current=min(active, 4), active=active).replicas
            == replicas
        )


def test_several_series_are_added_up() -> None:
    assert of(total(average=10)[1], (), Reading(values=(20_000, 25_000)), active=0).replicas == 5


@pytest.mark.parametrize(
    ("reading", "error"),
    [
        (Reading(), "the source has no value"),
        (Reading(values=(float("nan"),)), "the source's value is not a number"),
        (Reading(values=(1.0, float("inf"))), "the source's value is not a number"),
    ],
)
def test_a_value_that_is_none_fails(reading: Reading, error: str) -> None:
    for metric in (*total(value=100), *total(average=100)):
        assert of(metric, fleet(1), reading).error == error


# ---------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("metric", "reading", "text"),
    [
        (cpu(60), reading_of(fleet(4), 415), "cpu 83 % of 60 % over 4 ready pods"),
        (
            Metric(resource=ResourceMetric("cpu", average_value="250m")),
            reading_of(fleet(4), 415),
            "cpu 415m of 250m over 4 ready pods",
        ),
        (
            Metric(resource=ResourceMetric("memory", average_value="512Mi")),
            reading_of(fleet(4), 256 * 1024 * 1024 * 1000),
            "memory 256Mi of 512Mi over 4 ready pods",
        ),
        (HITS, reading_of(fleet(4), 12_500), "hits 12.5 of 10 over 4 ready pods"),
        (total(value="1k")[0], Reading(values=(1_500_000,)), "queue of Ingress/main 1500 of 1000 over "),
        (total(average=10)[1], Reading(values=(45_000,)), "queue 45 of 10 for each pod over "),
    ],
)
def test_a_proposal_is_told_in_the_words_of_its_target(metric: Metric, reading: Reading, text: str) -> None:
    told = of(metric, fleet(4, cpu=500), reading)
    assert f"{told.metric} {told.usage} of {told.target} over {told.over}" == text
