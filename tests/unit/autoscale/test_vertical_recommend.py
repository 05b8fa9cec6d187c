"""What containers should request by what they used: upstream's rules, by figures worked out from its constants."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.autoscale.model import Sample
from fairlead.autoscale.vertical.histogram import (
    CPU,
    GROWTH,
    KEPT,
    MEMORY,
    Histogram,
    Packed,
    Scale,
    Weighted,
    added,
    packed,
    percentile,
    removed,
    unpacked,
)
from fairlead.autoscale.vertical.model import MEBIBYTE, Applied, ContainerPolicy
from fairlead.autoscale.vertical.recommend import DAY, History, Slot, Watched, estimate, out_of_memory, watched
from fairlead.autoscale.vertical.stored import CONTAINERS, EVERY, Stored, as_json, histories_of, news, stored_of

MINUTE, WEB = 60.0, Slot("web-1", "web")
ANY = ContainerPolicy("web", {}, {})
RECENT = st.lists(
    st.builds(Weighted, st.floats(0, 2000), st.floats(0, 3 * DAY), st.floats(0.1, 8)), min_size=1, max_size=60
)
SAMPLES = st.lists(
    st.builds(Weighted, st.floats(0, 2000), st.floats(0, 60 * DAY), st.floats(0.1, 8)), min_size=1, max_size=60
)


def quarter(seconds: float) -> History:
    """A quarter of a core, each minute for so long. The end of its bucket is 0.2584 cores."""
    minutes = int(seconds / MINUTE)
    histogram = added(Histogram(), CPU, [Weighted(0.25, seconds)])
    return History(histogram, samples=minutes, first=0, last=seconds)


def seen(before: Watched, now: float, cpu: float = 0.25, memory: float = 300e6, **fields: Any) -> Watched:
    pods = fields.get("pods", {"web-1"})
    used = {name: {"web": Sample(cpu, now)} for name in pods}
    return watched(before, used, {name: {"web": Sample(memory, now)} for name in pods}, pods, now)


# ---------------------------------------------------------------- histograms


@pytest.mark.parametrize(("scale", "buckets"), [(CPU, 176), (MEMORY, 176)])
def test_the_buckets_are_as_many_as_upstreams(scale: Scale, buckets: int) -> None:
    assert scale.last + 1 == buckets


@given(st.sampled_from([CPU, MEMORY]), st.floats(0, 1))
def test_a_value_lies_in_its_bucket(scale: Scale, share: float) -> None:
    value = scale.most * share**8
    bucket = scale.bucket(value)
    assert scale.start(bucket) <= value * (1 + 1e-9)
    assert value <= scale.start(bucket + 1) * (1 + 1e-9)


@given(RECENT)
def test_a_percentile_is_never_below_what_it_is_of_and_never_much_above(samples: list[Weighted]) -> None:
    told = percentile(added(Histogram(), CPU, samples), CPU, 1.0)
    highest = max(sample.value for sample in samples)
    assert min(highest, CPU.start(CPU.last)) <= told * (1 + 1e-9)
    assert told <= max(CPU.first, highest * GROWTH + CPU.first) * (1 + 1e-6)


@given(SAMPLES, st.floats(0.01, 1), st.floats(0.01, 1))
def test_of_two_percentiles_the_higher_share_is_not_lower(samples: list[Weighted], one: float, other: float) -> None:
    histogram = added(Histogram(), CPU, samples)
    low, high = sorted((one, other))
    assert percentile(histogram, CPU, low) <= percentile(histogram, CPU, high)


@given(SAMPLES)
def test_the_order_in_which_samples_come_changes_nothing(samples: list[Weighted]) -> None:
    """But for those so old that they are dropped: a ten-thousandth of a percentile."""
    together = added(Histogram(), CPU, samples)
    single = Histogram()
    for sample in sorted(samples, key=lambda one: one.at):
        single = added(single, CPU, [sample])
    assert percentile(together, CPU, 0.9) == pytest.approx(percentile(single, CPU, 0.9), rel=2 * (GROWTH - 1))


def test_yesterdays_samples_weigh_half_of_todays() -> None:
    """Two of yesterday are one of today: the half of the weight lies with the lower ones."""
    histogram = added(Histogram(), CPU, [*[Weighted(0.1, 0)] * 2, Weighted(1.0, DAY)])
    assert percentile(histogram, CPU, 0.5) < 0.2
    assert percentile(histogram, CPU, 0.51) > 1.0


def test_what_was_used_three_weeks_ago_is_forgotten() -> None:
    old = added(Histogram(), CPU, [Weighted(5.0, 0)] * 1000)
    assert percentile(added(old, CPU, [Weighted(0.1, 21 * DAY)] * 10), CPU, 0.95) < 0.2


def test_a_clock_that_was_ahead_outweighs_nothing() -> None:
    ahead = added(Histogram(), CPU, [Weighted(5.0, 400 * DAY)])
    assert percentile(added(ahead, CPU, [Weighted(0.1, 10 * DAY)] * 20), CPU, 0.9) < 0.2


def test_a_sample_that_is_taken_out_leaves_the_others() -> None:
    both = added(Histogram(), MEMORY, [Weighted(1e8, DAY), Weighted(9e8, DAY)])
    assert removed(both, MEMORY, Weighted(9e8, DAY)) == added(Histogram(), MEMORY, [Weighted(1e8, DAY)])


def test_an_empty_histogram_has_no_percentile_and_not_zero() -> None:
    with pytest.raises(ValueError, match="nothing was measured yet"):
        percentile(Histogram(), MEMORY, 0.9)


@given(SAMPLES, st.sampled_from([0.5, 0.9, 0.95]))
def test_a_new_leader_reads_the_percentiles_that_the_old_one_had(samples: list[Weighted], share: float) -> None:
    """As exactly as whole weights are: what weighs a ten-thousandth may move a percentile that lies between two buckets."""
    histogram = added(Histogram(), CPU, samples)
    again = unpacked(packed(histogram), CPU)
    low, high = percentile(histogram, CPU, share - 0.01), percentile(histogram, CPU, min(1.0, share + 0.01))
    assert (
        low
        <= percentile(again, CPU, share)
        <= max(high, percentile(histogram, CPU, 1.0) if len(histogram.weights) > KEPT else high)
    )


@given(SAMPLES)
def test_what_is_stored_is_bounded(samples: list[Weighted]) -> None:
    stored = packed(added(Histogram(), CPU, samples))
    assert len(stored.buckets.split()) <= KEPT
    assert len(stored.buckets) < KEPT * 10


def test_buckets_beyond_what_is_stored_count_as_more_and_never_as_less() -> None:
    many = added(Histogram(), CPU, [Weighted(CPU.start(bucket), 0) for bucket in range(170)])
    assert percentile(unpacked(packed(many), CPU), CPU, 0.5) >= percentile(many, CPU, 0.5)


@pytest.mark.parametrize("buckets", ["16", "16:1:2", "x:1", "-1:5", "999:5", "16:0", "16:-4"])
def test_a_damaged_checkpoint_is_an_empty_one(buckets: str) -> None:
    assert unpacked(Packed(5, "3", buckets), CPU) == Histogram()


# ---------------------------------------------------------------- what is counted


def test_cpu_is_counted_once_in_a_minute_however_often_it_is_looked_at() -> None:
    known = Watched()
    for second in range(0, 181, 5):
        known = seen(known, 1000.0 + second)
    assert known.histories["web"].samples == 4


def test_memory_counts_with_the_peak_of_each_pods_day() -> None:
    known = seen(Watched(), 0, memory=100e6)
    known = seen(known, 3600, memory=500e6)
    known = seen(known, 7200, memory=200e6)
    one = known.histories["web"].memory
    assert len(one.weights) == 1 and percentile(one, MEMORY, 0.5) > 500e6
    known = seen(known, DAY + 3600, memory=200e6)
    assert len(known.histories["web"].memory.weights) == 2


def test_a_day_that_nobody_looked_ends_all_the_same() -> None:
    known = seen(seen(Watched(), 0), 5 * DAY + 60)
    assert known.peaks[WEB].until == 6 * DAY


def test_a_container_that_runs_out_of_memory_counts_with_what_it_had_and_more() -> None:
    """Of 1 GiB a fifth more; of 100 MiB a hundred more, since a fifth would be little."""
    for had, needed in ((1024**3, 1.2 * 1024**3), (100 * 1024**2, 200 * 1024**2)):
        known = out_of_memory(seen(Watched(), 0, memory=50e6), WEB, had, 60)
        assert known.peaks[WEB].most == needed
        assert percentile(known.histories["web"].memory, MEMORY, 1.0) >= needed


def test_the_same_end_is_counted_once_though_it_is_told_with_each_look() -> None:
    once = out_of_memory(seen(Watched(), 0), WEB, 1e9, 60)
    assert out_of_memory(once, WEB, 1e9, 60) is once


def test_a_second_end_does_not_raise_what_the_first_has_raised() -> None:
    """What the first end was taken for is no usage (upstream: "protect against recommendation running too high")."""
    once = out_of_memory(seen(Watched(), 0), WEB, 1e9, 60)
    assert out_of_memory(once, WEB, 1e9, 90).peaks[WEB].most == 1.2e9


def test_pods_that_are_gone_are_forgotten_and_what_they_used_is_not() -> None:
    known = out_of_memory(seen(Watched(), 0), WEB, 1e9, 60)
    left = watched(known, {}, {}, (), 120)
    assert (left.counted, left.peaks, left.ooms) == ({}, {}, {})
    assert left.histories == known.histories


@pytest.mark.parametrize("odd", [math.nan, math.inf, -1.0])
def test_what_is_no_amount_is_not_counted(odd: float) -> None:
    known = seen(Watched(), 0, cpu=odd, memory=odd)
    assert known.histories.get("web", History()) == History()


def test_pods_of_others_are_not_counted() -> None:
    used = {"other-1": {"web": Sample(5.0, 0)}}
    assert watched(Watched(), used, used, {"web-1"}, 0).histories == {}


# ---------------------------------------------------------------- what follows


@pytest.mark.parametrize(
    ("seconds", "lower", "target", "upper"),
    [
        pytest.param(5 * MINUTE, 180, 298, 85_880, id="five minutes: six tenths of the lower bound"),
        pytest.param(30 * MINUTE, 271, 298, 14_561, id="half an hour: nine tenths"),
        pytest.param(60 * MINUTE, 284, 298, 7_430, id="an hour"),
        pytest.param(DAY / 2, 297, 298, 892, id="half a day: three times the upper bound"),
        pytest.param(DAY, 298, 298, 595, id="a day: twice"),
        pytest.param(7 * DAY, 298, 298, 340, id="a week: a seventh more"),
    ],
)
def test_bounds_become_narrow_as_more_is_known(seconds: float, lower: int, target: int, upper: int) -> None:
    """0.2584 cores and 15 % are 0.2972. Upstream: logic/recommender.go, the table of multipliers."""
    told = estimate(quarter(seconds), ANY)
    assert told.target == {"cpu": target}
    assert told.lower["cpu"] == pytest.approx(lower, abs=1)
    assert told.upper["cpu"] == pytest.approx(upper, rel=0.002)


def test_few_samples_in_a_long_time_are_not_much_to_go_by() -> None:
    """60 samples in a week are an hour's worth."""
    sparse = msgspec.structs.replace(quarter(7 * DAY), samples=60)
    assert estimate(sparse, ANY).upper["cpu"] == estimate(quarter(60 * MINUTE), ANY).upper["cpu"]


def test_before_anything_is_known_of_the_bounds_there_is_no_upper_one() -> None:
    told = estimate(seen(Watched(), 0).histories["web"], ANY)
    assert (told.lower, told.upper) == ({"cpu": 0, "memory": 0}, {})
    assert told.target["cpu"] == 298


def test_of_a_day_with_peaks_nine_tenths_decide() -> None:
    """Of ten minutes nine at 100m and one at 2 cores: the peak is for the limit, not for the request."""
    histogram = added(Histogram(), CPU, [*[Weighted(0.1, DAY)] * 9, Weighted(2.0, DAY)])
    told = estimate(History(histogram, samples=1440, last=DAY), ANY)
    assert 100 < told.target["cpu"] < 130
    assert told.upper["cpu"] > 2000


def test_memory_is_recommended_in_whole_mebibytes() -> None:
    told = estimate(seen(Watched(), 0, memory=300e6).histories["web"], ANY)
    assert told.target["memory"] % MEBIBYTE == 0
    assert 300e9 * 1.15 < told.target["memory"] < 300e9 * 1.15 * GROWTH**2


@pytest.mark.parametrize(
    ("policy", "target"),
    [
        (ContainerPolicy("web", {"cpu": "500m"}), {"cpu": 500}),
        (ContainerPolicy("web", {}, {"cpu": "200m"}), {"cpu": 200}),
        (ContainerPolicy("web", {"cpu": "500m"}, {"cpu": "200m"}), {"cpu": 200}),
        (ContainerPolicy("web", controlled_resources=("memory",)), {}),
    ],
)
def test_a_policy_bounds_what_is_recommended(policy: ContainerPolicy, target: dict[str, int]) -> None:
    assert estimate(quarter(DAY), policy).target == target


@given(SAMPLES, st.floats(0, 30 * DAY), st.integers(0, 50_000))
def test_a_target_lies_within_its_bounds(samples: list[Weighted], last: float, count: int) -> None:
    told = estimate(History(added(Histogram(), CPU, samples), samples=count, last=last), ANY)
    assert told.lower["cpu"] <= told.target["cpu"] <= told.upper.get("cpu", math.inf)


# ---------------------------------------------------------------- what is stored


def test_a_new_leader_recommends_what_the_old_one_did() -> None:
    known = Watched()
    for minute in range(200):
        known = seen(known, minute * MINUTE, cpu=0.1 + minute % 7 / 10, memory=2e8 + minute * 1e6)
    before = estimate(known.histories["web"], ANY)
    written = as_json(known.histories, {"web": before}, Applied(), "", 12_000)
    assert estimate(histories_of({"resources": written})["web"], ANY) == before
    assert stored_of({"resources": written}) == Stored({"web": before.target}, 12_000)


def test_an_app_of_many_containers_has_a_bounded_status() -> None:
    histories = {f"c{number:02}": quarter(DAY) for number in range(40)}
    told = {name: estimate(history, ANY) for name, history in histories.items()}
    said = as_json(histories, told, Applied(), "x" * 9999, 0)
    assert len(said["containers"]) == CONTAINERS
    assert len(json.dumps(said)) < 16 * 1024
    assert not news(stored_of({"resources": said}), told, 60)


@pytest.mark.parametrize(
    "damaged", [{"resources": 3}, {"resources": {"containers": [{"name": 1}]}}, {"resources": {"containers": {}}}, {}]
)
def test_a_damaged_status_is_none(damaged: Any) -> None:
    assert stored_of(damaged) == Stored()
    assert histories_of(damaged) == {}


def test_a_status_is_not_written_for_what_nobody_waits_for() -> None:
    told = estimate(quarter(DAY), ANY)
    stored = Stored(targets={"web": told.target}, at=1000)
    assert not news(stored, {"web": told}, 1000 + EVERY - 1)
    assert news(stored, {"web": told}, 1000 + EVERY)
    assert news(stored, {"web": told, "proxy": told}, 1001)
    assert news(stored, {}, 1001)
    assert news(stored, {"web": told}, 900)  # after a clock that was ahead
