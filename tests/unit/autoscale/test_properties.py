"""What holds of every decision."""

from __future__ import annotations

from typing import Literal

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from fairlead.autoscale.history import Recommendation, ScaleEvent, State, as_json, state_of
from fairlead.autoscale.model import Autoscale, Behavior, Load, Policy, Reading, Requests, Rules, Sample, Seen
from fairlead.autoscale.plan import decide
from fairlead.autoscale.testing import cpu, fleet, queue, reading_of

NOW = 10_000.0
BROKEN = Reading(error="no answer")
SIZES = st.integers(1, 40)
PERCENT = st.integers(0, 400)
POLICIES = st.lists(
    st.builds(Policy, st.sampled_from(["Pods", "Percent"]), st.integers(1, 200), st.integers(1, 300)),
    min_size=1,
    max_size=3,
).map(tuple)
RULES = st.builds(
    Rules,
    st.none() | st.integers(0, 600),
    st.sampled_from(["Max", "Min", "Disabled"]),
    st.none() | POLICIES,
    st.none() | st.sampled_from(["0", "50m", "0.3"]),
)
BEHAVIORS = st.none() | st.builds(Behavior, RULES, RULES)
STATES = st.builds(
    State,
    st.none() | st.integers(0, 60),
    st.none() | st.integers(0, 60),
    st.booleans(),
    st.lists(st.builds(Recommendation, st.integers(9000, 10_500).map(float), st.integers(0, 60)), max_size=5).map(
        lambda found: tuple(sorted(found, key=lambda one: one.at))
    ),
    st.lists(st.builds(ScaleEvent, st.integers(9000, 10_500).map(float), st.integers(-9, 9)), max_size=5).map(tuple),
    st.dictionaries(st.sampled_from(["cpu", "queue_length"]), st.just(9500.0)),
)
REQUESTS = (
    Requests({"web": {"cpu": 100}}),
    Requests({"web": {"cpu": 100}, "side": {"cpu": 50}}),
    Requests({"web": {}}, pod={"cpu": 300}),
    Requests({"web": {}}),
)
# All sorts of pods, made once: to draw each field of each pod takes longer than what is tested.
READY: tuple[tuple[Literal["True", "False", "Unknown", ""], float], ...] = (
    ("True", 9100.0),
    ("True", 9990.0),
    ("False", 9100.0),
    ("Unknown", 9500.0),
    ("", 0.0),
)
SORTS = [
    Load("", phase, ready, changed, started, deleting, requests, idle)
    for phase in ("Running", "Running", "Pending", "Failed", "Succeeded")
    for ready, changed in READY
    for started in (9000.0, 9980.0, None)
    for deleting, idle in ((False, False), (False, False), (True, False), (False, True))
    for requests in REQUESTS
]
PODS = st.lists(st.sampled_from(SORTS), max_size=8).map(
    lambda pods: tuple(msgspec.structs.replace(pod, name=f"p{number}") for number, pod in enumerate(pods))
)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Autoscale, State, Seen]:
    """Anything an App may be in, sensible or not."""
    least, pods = draw(st.integers(0, 10)), draw(PODS)
    metrics = draw(
        st.lists(st.sampled_from([cpu(60), queue(10)]), min_size=1, max_size=2, unique_by=lambda one: one.title)
    )
    spec = Autoscale(least + draw(st.integers(1, 50)), least, tuple(metrics), draw(BEHAVIORS))
    values = st.integers(0, 500) | st.sampled_from([float("nan"), float("inf"), -5.0])
    names = st.sampled_from([pod.name for pod in pods] or ["none"])
    reading = st.one_of(
        st.just(BROKEN),
        st.builds(
            Reading,
            st.dictionaries(names, st.builds(Sample, values, st.integers(9000, 10_000).map(float), st.just(30.0))),
            st.lists(values.map(lambda value: value * 1000), max_size=2).map(tuple),
        ),
    )
    readings = tuple(draw(reading) for _ in metrics)
    sizes = st.integers(0, 60)
    seen = Seen(
        draw(sizes), draw(sizes), draw(st.integers(1, 60)), pods, readings, refused=draw(st.sampled_from(["", "quota"]))
    )
    return spec, draw(STATES), seen


def before(state: State, seen: Seen) -> int:
    """The size a decision starts from."""
    known = state.replicas if state.replicas or state.to_zero else None
    return known if known is not None else seen.size or seen.asked


@given(worlds())
def test_every_decision_is_within_its_bounds_says_why_and_is_the_next_leaders_too(
    world: tuple[Autoscale, State, Seen],
) -> None:
    """Below min is only what is refused."""
    spec, state, seen = world
    told = decide(spec, state, seen, NOW)
    assert told.replicas <= spec.max
    assert told.replicas >= spec.min or seen.refused
    assert told.state.replicas == told.replicas
    assert told.message and len(told.message) < 1000
    assert "None" not in told.message and "inf" not in told.message
    assert decide(spec, state_of({"autoscale": as_json(state)}), seen, NOW) == told


@given(worlds())
def test_what_is_not_known_never_lowers_and_what_is_refused_never_raises(world: tuple[Autoscale, State, Seen]) -> None:
    """But beyond min and max, which hold in any case."""
    spec, state, seen = world
    size = before(state, seen)
    failed = decide(spec, state, msgspec.structs.replace(seen, readings=(BROKEN, *seen.readings[1:])), NOW)
    if failed.reason != "OutOfBounds" and (failed.recommended is None or failed.recommended < size):
        assert failed.replicas == size
    refused = decide(spec, state, msgspec.structs.replace(seen, refused="quota"), NOW)
    if refused.reason != "OutOfBounds":
        assert refused.replicas <= size


def at_rest(size: int, percent: int, behavior: Behavior | None) -> int:
    """What follows for an App all of whose pods are ready, and that had nothing to decide for long."""
    pods = fleet(size, cpu=1000)
    spec = Autoscale(1000, 1, (cpu(60),), behavior)
    seen = Seen(size, size, size, pods, (reading_of(pods, percent * 10),))
    long_ago = (Recommendation(0, size), Recommendation(1, 0))  # so that nothing is waited for
    return decide(spec, State(size, recommendations=long_ago), seen, NOW).replicas


@given(SIZES, PERCENT, PERCENT, BEHAVIORS)
def test_more_load_never_means_fewer_pods(size: int, one: int, other: int, behavior: Behavior | None) -> None:
    least, most = sorted((one, other))
    assert at_rest(size, least, behavior) <= at_rest(size, most, behavior)


@given(SIZES, PERCENT)
def test_what_follows_from_the_metrics_brings_the_load_to_the_target(size: int, percent: int) -> None:
    """No pod fewer would do, but for the tolerance; where the division comes out even, floats may add one, as upstream's do."""
    replicas = at_rest(size, percent, Behavior(Rules(0, policies=(Policy("Percent", 10_000, 15),)), Rules(0)))
    if replicas != size and replicas > 1:
        assert size * percent <= 60 * replicas
        assert size * percent >= 60 * (replicas - 1)
