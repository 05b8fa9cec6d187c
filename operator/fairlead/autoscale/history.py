"""What an autoscaler remembers between decisions: kept in status.autoscale, bounded, and enough for a new leader. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import msgspec

from fairlead.autoscale.model import Autoscale, Direction, HandScaled
from fairlead.core.conditions import parse_time, timestamp
from fairlead.core.meta import JSON

KEPT = 30  # of what each window can still ask for, and of scale events: a status has its size
SYNC = 15  # seconds: upstream's limit on growth is per decision, and it decides every 15 s


class Recommendation(msgspec.Struct, frozen=True):
    """What the metrics came to at a time, before windows and rates."""

    at: float
    replicas: int


class ScaleEvent(msgspec.Struct, frozen=True):
    """A change of the size that the autoscaler made: so many more, or fewer where negative."""

    at: float
    change: int


class State(msgspec.Struct, frozen=True):
    """status.autoscale, as far as decisions need it. replicas: the size decided last, None before the first decision; asked:
    spec.replicas at that time. to_zero: it was we who took the App to zero. failing: since when each metric has been
    failing, by its title. held: the scale by hand that stands."""

    replicas: int | None = None
    asked: int | None = None
    to_zero: bool = False
    recommendations: tuple[Recommendation, ...] = ()
    events: tuple[ScaleEvent, ...] = ()
    failing: dict[str, float] = {}
    held: HandScaled | None = None


def remembered(
    history: Sequence[Recommendation], latest: Recommendation, up: float, down: float
) -> tuple[Recommendation, ...]:
    """The history with one more, without what no window of these many seconds can ask for any more.

    The way down asks for the highest of its window, the way up for the lowest. So of those that could be the highest, a later
    one that is as high makes an earlier one useless, and the same for the lowest: what is left falls, or rises, towards now.

    >>> told = remembered([Recommendation(0, 9), Recommendation(15, 4), Recommendation(30, 6)], Recommendation(45, 5), 0, 300)
    >>> [(one.at, one.replicas) for one in told]
    [(0, 9), (30, 6), (45, 5)]
    """
    now = latest.at
    past = [*(one for one in history if one.at <= now), latest]
    highest = _ladder([one for one in past if one.at >= now - down], lambda later, earlier: later >= earlier)
    lowest = _ladder([one for one in past if up and one.at >= now - up], lambda later, earlier: later <= earlier)
    others = [one for one in dict.fromkeys([*highest, *lowest]) if one != latest]
    return (*sorted(others, key=lambda one: one.at), latest)


def _ladder(history: Sequence[Recommendation], covers: Callable[[int, int], bool]) -> list[Recommendation]:
    """Those that no later one covers, the latest last. Beyond KEPT, two neighbours become one that has the earlier one's
    number and the later one's time: what it holds back, it holds back longer, and never shorter."""
    left: list[Recommendation] = []
    for one in sorted(history, key=lambda one: one.at):
        while left and covers(one.replicas, left[-1].replicas):
            left.pop()
        left.append(one)
    while len(left) > KEPT:
        narrowest = min(range(len(left) - 1), key=lambda i: (abs(left[i].replicas - left[i + 1].replicas), i))
        left[narrowest : narrowest + 2] = [Recommendation(left[narrowest + 1].at, left[narrowest].replicas)]
    return left


def recorded(events: Sequence[ScaleEvent], latest: ScaleEvent, longest: float) -> tuple[ScaleEvent, ...]:
    """The scale events with one more. longest: the longest period of its own direction's policies, in seconds.

    As upstream has it (storeScaleEvent), it takes the place of the last one of its direction that those policies count no more,
    and comes after the others where there is none. So a policy of the other direction with a longer period forgets as well what
    it might still have counted.

    Beyond KEPT, the two neighbours of one direction that are nearest in time become one at the later time: it counts against
    a policy longer, and never shorter.

    >>> recorded([ScaleEvent(0, 4), ScaleEvent(50, 2)], ScaleEvent(70, 3), 60)
    (ScaleEvent(at=70, change=3), ScaleEvent(at=50, change=2))
    >>> recorded([ScaleEvent(0, 4), ScaleEvent(50, 2)], ScaleEvent(70, -1), 60)
    (ScaleEvent(at=0, change=4), ScaleEvent(at=50, change=2), ScaleEvent(at=70, change=-1))
    """
    left = list(events)
    spent = [i for i, one in enumerate(left) if _alike(one, latest) and one.at < latest.at - longest]
    if spent:
        left[spent[-1]] = latest
    else:
        left.append(latest)
    return tuple(left) if len(left) <= KEPT else tuple(_thinned(sorted(left, key=lambda one: one.at)))


def _thinned(events: list[ScaleEvent]) -> list[ScaleEvent]:
    while len(events) > KEPT:
        alike = [i for i, (one, other) in enumerate(pairwise(events)) if _alike(one, other)]
        nearest = min(alike or range(len(events) - 1), key=lambda i: (events[i + 1].at - events[i].at, i))
        one, other = events[nearest : nearest + 2]
        events[nearest : nearest + 2] = [ScaleEvent(other.at, one.change + other.change)]
    return events


def _alike(one: ScaleEvent, other: ScaleEvent) -> bool:
    return (one.change > 0) == (other.change > 0)


def longest_period(spec: Autoscale, direction: Direction) -> float:
    """The longest period of a direction's policies; without a behavior upstream's between two decisions.

    >>> longest_period(Autoscale(max=3), "Up")
    15.0
    """
    if spec.behavior is None:
        return float(SYNC)
    rules = spec.behavior.up if direction == "Up" else spec.behavior.down
    return float(max(policy.period_seconds for policy in rules.policies or ()))


def news(stored: State, state: State) -> bool:
    """Whether the state is worth a write of the status. That the metrics come to what they came to before is not: it would be
    most of the writes there are.

    >>> stored = State(6, recommendations=(Recommendation(0, 6),))
    >>> news(stored, State(6, recommendations=(Recommendation(15, 6),)))
    False
    >>> news(stored, State(6, recommendations=(Recommendation(15, 6), Recommendation(30, 4))))
    True
    """
    return _said(stored) != _said(state)


def _said(state: State) -> tuple[object, ...]:
    sizes = tuple(one.replicas for one in state.recommendations)
    return state.replicas, state.asked, state.to_zero, sizes, state.events, sorted(state.failing), state.held


def resumed(state: State, now: float) -> State:
    """The state that an operator begins from, which has only what was written of it: the last recommendation held until now.

    What is no news was not written, so silence means "as before". Taken for age it would let the size go down sooner than the
    operator before would have. (Upstream forgets everything when it starts, and begins with the size as recommended now.)

    >>> resumed(State(6, recommendations=(Recommendation(0, 6), Recommendation(15, 4))), 500).recommendations
    (Recommendation(at=0, replicas=6), Recommendation(at=500, replicas=4))
    """
    if not state.recommendations:
        return state
    *before, last = state.recommendations
    return msgspec.structs.replace(state, recommendations=(*before, Recommendation(max(last.at, now), last.replicas)))


def not_ahead(state: State, now: float) -> State:
    """Nothing of it is later than now: after a clock that was ahead, what it wrote would stand until that hour comes.

    >>> not_ahead(State(3, events=(ScaleEvent(5000, 2),)), 60).events
    (ScaleEvent(at=60, change=2),)
    """
    held = state.held
    return msgspec.structs.replace(
        state,
        recommendations=tuple(Recommendation(min(one.at, now), one.replicas) for one in state.recommendations),
        events=tuple(ScaleEvent(min(one.at, now), one.change) for one in state.events),
        failing={title: min(since, now) for title, since in state.failing.items()},
        held=HandScaled(held.by, min(held.at or now, now), held.replicas) if held else None,
    )


def size(autoscaled: bool, replicas: int, state: State) -> int:
    """How many pods the App is to have: what the rollout goes by. replicas: spec.replicas.

    Where spec.autoscale was taken away, the size stays until somebody gives another number, as a Deployment's does when its
    HPA is deleted: what stands in spec.replicas is old, or a default.

    >>> size(True, 1, State(12, asked=1)), size(False, 1, State(12, asked=1)), size(False, 4, State(12, asked=1))
    (12, 12, 4)
    >>> size(True, 6, State()), size(True, 0, State(12, asked=1)), size(False, 6, State())
    (6, 0, 6)

    A stop that is over leaves a zero that nobody decided:
    >>> size(True, 6, State(0, asked=0)), size(True, 6, State(0, asked=6, to_zero=True))
    (6, 0)
    """
    if not replicas or state.replicas is None or (state.replicas == 0 and not state.to_zero):
        return replicas
    return state.replicas if autoscaled or replicas == state.asked else replicas


def size_of(spec: Autoscale | None, replicas: int, status: JSON) -> int:
    """The same of an App as it stands. Before the first decision spec.replicas within min and max, so that an App which is new
    begins with as many pods as it may have.

    >>> size_of(Autoscale(min=3, max=30), 1, {}), size_of(Autoscale(max=30), 1, {"autoscale": {"replicas": 12}})
    (3, 12)
    >>> size_of(None, 1, {}), size_of(Autoscale(min=3, max=30), 0, {})
    (1, 0)
    """
    if "autoscale" in status:
        state = state_of(status)
        if state.replicas is not None:
            return size(spec is not None, replicas, state)
    return min(max(replicas, spec.min), spec.max) if spec and replicas else replicas


# ---------------------------------------------------------------- as it stands in the status


def as_json(state: State) -> JSON:
    """What `state_of` reads back. Times are whole seconds, as decisions' are.

    >>> as_json(State(3, events=(ScaleEvent(60, 2),)))
    {'replicas': 3, 'scaleEvents': [{'time': '1970-01-01T00:01:00Z', 'change': 2}]}
    """
    said: JSON = {} if state.replicas is None else {"replicas": state.replicas}
    if state.asked is not None:
        said["asked"] = state.asked
    if state.to_zero:
        said["scaledToZero"] = True
    if state.recommendations:
        said["recommendations"] = [
            {"time": timestamp(one.at), "replicas": one.replicas} for one in state.recommendations
        ]
    if state.events:
        said["scaleEvents"] = [{"time": timestamp(one.at), "change": one.change} for one in state.events]
    if state.failing:
        said["failing"] = [
            {"metric": title, "since": timestamp(since)} for title, since in sorted(state.failing.items())
        ]
    if state.held and state.held.at is not None:
        said["held"] = {"by": state.held.by, "replicas": state.held.replicas, "since": timestamp(state.held.at)}
    return said


class _Past(msgspec.Struct):
    time: str
    replicas: int = 0
    change: int = 0


class _Failing(msgspec.Struct):
    metric: str
    since: str


class _Held(msgspec.Struct):
    by: str
    replicas: int
    since: str


class _Stored(msgspec.Struct, rename="camel"):
    replicas: int | None = None
    asked: int | None = None
    scaled_to_zero: bool = False
    recommendations: tuple[_Past, ...] = ()
    scale_events: tuple[_Past, ...] = ()
    failing: tuple[_Failing, ...] = ()
    held: _Held | None = None


def state_of(status: JSON) -> State:
    """status.autoscale as last written; an empty one where it is missing or damaged.

    >>> state_of({"autoscale": {"replicas": 3, "recommendations": [{"time": "1970-01-01T00:01:00Z", "replicas": 4}]}})
    State(replicas=3, asked=None, to_zero=False, recommendations=(Recommendation(at=60.0, replicas=4),), events=(), failing={}, held=None)
    >>> state_of({"autoscale": {"replicas": "many"}})
    State(replicas=None, asked=None, to_zero=False, recommendations=(), events=(), failing={}, held=None)
    """
    try:
        stored = msgspec.convert(status.get("autoscale") or {}, _Stored)
    except msgspec.ValidationError:
        return State()
    return State(
        stored.replicas,
        stored.asked,
        stored.scaled_to_zero,
        tuple(Recommendation(parse_time(one.time) or 0.0, one.replicas) for one in stored.recommendations),
        tuple(ScaleEvent(parse_time(one.time) or 0.0, one.change) for one in stored.scale_events),
        {one.metric: parse_time(one.since) or 0.0 for one in stored.failing},
        HandScaled(held.by, parse_time(held.since), held.replicas) if (held := stored.held) else None,
    )
