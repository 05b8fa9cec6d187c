"""What the stand-ins of kubelets tell is what kubelets would."""

import random
from itertools import pairwise

from bench.kubelets import Counters
from bench.watching import Census, Counted

CPU = "container_cpu_usage_seconds_total"


def cluster(*ready: str) -> Census:
    census = Census(pods={name: Counted("shop:1", True, "node-0") for name in ready})
    census.ready["shop:1"] = len(ready)
    return census


def told(counters: Counters) -> dict[str, tuple[float, int]]:
    """What each pod has used, and when that was seen."""
    lines = [line.split() for line in counters.told("node-0").splitlines() if line.startswith(CPU)]
    return {labels.split('pod="')[1].rstrip('"}'): (float(used), int(at) // 1000) for labels, used, at in lines}


def passing(counters: Counters, census: Census, start: int, end: int) -> None:
    for second in range(start, end):
        counters.tick(census, second)


def looking() -> Counters:
    counters = Counters(10, random.Random(1))
    counters.demand["shop:1"] = 2.0
    return counters


def test_a_container_is_looked_at_each_ten_to_twenty_seconds_whoever_asks() -> None:
    counters, seen = looking(), set()
    for second in range(1000, 1200):
        counters.tick(cluster("a"), second)
        seen.add(told(counters)["a"][1])
    times = sorted(seen)
    assert all(10 <= later - sooner <= 21 for sooner, later in pairwise(times))
    assert len(times) > 9


def test_a_pod_that_comes_takes_its_share_of_the_load_from_then_on() -> None:
    counters = looking()
    passing(counters, cluster("a"), 1000, 1100)
    passing(counters, cluster("a", "b"), 1100, 1200)
    (one, then), (other, later) = told(counters)["a"], told(counters)["b"]
    assert one == 2.0 * 99 + 1.0 * (then - 1099)
    assert other == 1.0 * (later - 1100)


def test_a_pod_that_is_gone_or_not_ready_is_not_told() -> None:
    counters = looking()
    passing(counters, cluster("a", "b"), 1000, 1030)
    census = cluster("a")
    census.pods["c"] = Counted("shop:1", False, "node-0")
    passing(counters, census, 1030, 1060)
    assert set(told(counters)) == {"a"}
