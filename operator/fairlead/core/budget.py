"""Budget arithmetic of rolling updates, to the letter of upstream.

Source: kubernetes pkg/controller/deployment/util/deployment_util.go (ResolveFenceposts, NewRSNewReplicas,
GetReplicaSetProportion) and rolling.go; apimachinery util/intstr (GetScaledValueFromIntOrPercent).
"""

from __future__ import annotations

import math
import re
from typing import Literal

_PERCENT = re.compile(r"^[0-9]+%$")


def resolve(value: int | str, total: int, rounding: Literal["up", "down"]) -> int:
    """An int-or-percent against `total`. Raises ValueError on anything else ("1.5", "-1", "ten").

    >>> resolve("25%", 10, "up"), resolve("25%", 10, "down"), resolve(3, 10, "up")
    (3, 2, 3)
    """
    if isinstance(value, int):
        if value < 0:
            raise ValueError(f"{value} is negative: give a whole number or a percentage such as 25%")
        return value
    if not _PERCENT.match(value):
        raise ValueError(f"{value!r} is neither a whole number nor a percentage such as 25%")
    exact = int(value[:-1]) * total / 100
    return math.ceil(exact) if rounding == "up" else math.floor(exact)


def fenceposts(max_surge: int | str, max_unavailable: int | str, replicas: int) -> tuple[int, int]:
    """(surge, unavailable) in pods: surge rounds up, unavailable down; where both come to 0, unavailable is 1, or no
    update could ever move. Unavailable never exceeds the replicas.

    >>> fenceposts("25%", "25%", 10)
    (3, 2)
    >>> fenceposts(0, "10%", 5)
    (0, 1)
    >>> fenceposts(0, 5, 3)
    (0, 3)
    """
    surge = resolve(max_surge, replicas, "up")
    unavailable = resolve(max_unavailable, replicas, "down")
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return surge, min(unavailable, replicas) if replicas else unavailable


def evictions(min_available: int | str | None, max_unavailable: int | str | None, replicas: int) -> int:
    """How many pods a disruption budget lets go at once while all of them are healthy; 0: it refuses every eviction for
    ever. Both bounds round up (kubernetes pkg/controller/disruption, getExpectedPodCount).

    >>> evictions(None, "10%", 3), evictions("90%", None, 10), evictions("90%", None, 3), evictions(3, None, 3)
    (1, 1, 0, 0)
    """
    if min_available is not None:
        return max(0, replicas - resolve(min_available, replicas, "up"))
    return min(replicas, resolve(max_unavailable or 0, replicas, "up"))


def proportion(size: int, allowed: int, recorded_max: int, remaining: int) -> int:
    """How much one revision of `size` pods gains (or loses) when the App is scaled in the middle of a roll: its share of
    the new bound `allowed` (replicas + surge) against the old one, rounded, but never past what remains to be given.

    Ten replicas with surge 3 stand at 8 old + 5 new; scaled to 30 the bound goes from 13 to 33:
    >>> proportion(8, 33, 13, 20), proportion(5, 33, 13, 8)
    (12, 8)
    """
    if size == 0 or remaining == 0:
        return 0
    if allowed == 0:
        return -size
    share = math.floor(size * allowed / recorded_max + 0.5) - size
    return min(share, remaining) if remaining > 0 else max(share, remaining)
