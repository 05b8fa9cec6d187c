"""The PodDisruptionBudget of an App."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fairlead.core.actions import Plan
from fairlead.core.children import project_child
from fairlead.core.conditions import Condition
from fairlead.disruption.model import Disruption, DisruptionObserved
from fairlead.disruption.plan import NO_EVICTION, budget, plan


def decide(wanted: Disruption, replicas: int = 3, **more: Any) -> Plan:
    body = budget("default", "shop", "u", wanted)
    body["metadata"] |= {"uid": "b1", "resourceVersion": "5"}
    live = project_child(msgspec.json.encode(body))
    return plan(DisruptionObserved("default", "shop", "u", False, wanted, live, replicas=replicas, **more))


def said(made: Plan) -> Condition:
    assert made.status is not None
    (condition,) = made.status["conditions"]
    assert isinstance(condition, Condition)
    return condition


# What is asked for, of how many pods, and what opens it ("" where it lets a pod go).
BUDGETS: dict[str, tuple[Disruption, int, str]] = {
    "one may be missing": (Disruption(max_unavailable=1), 3, ""),
    "none may be missing": (Disruption(max_unavailable=0), 3, "{maxUnavailable: 1}"),
    "no share may be missing": (Disruption(max_unavailable="0%"), 3, "{maxUnavailable: 1}"),
    "a small share rounds up to one": (Disruption(max_unavailable="1%"), 3, ""),
    "all must be there": (Disruption(min_available="100%"), 3, "{maxUnavailable: 1}"),
    "as many as there are must be there": (Disruption(min_available=3), 3, "or scale to 4 or more"),
    "more than there are must be there": (Disruption(min_available=9), 3, "or scale to 10 or more"),
    "a share that rounds up to all": (Disruption(min_available="90%"), 3, "or scale to 10 or more"),
    "the same share of more": (Disruption(min_available="90%"), 10, ""),
    "one of one": (Disruption(min_available=1), 1, "or scale to 2 or more"),
    "nothing there to be evicted": (Disruption(max_unavailable=0), 0, ""),
}


@pytest.mark.parametrize("case", BUDGETS, ids=list(BUDGETS))
def test_a_budget_that_can_never_let_a_pod_go_is_told_with_the_way_out(case: str) -> None:
    wanted, replicas, way_out = BUDGETS[case]
    condition = said(decide(wanted, replicas))
    assert (condition.reason == NO_EVICTION, condition.status) == (bool(way_out), "False" if way_out else "True")
    assert way_out in condition.message


def test_it_is_kept_as_it_was_asked_for() -> None:
    assert decide(Disruption(max_unavailable=0)).actions == ()


def test_the_event_is_told_once_when_it_begins() -> None:
    (event,) = decide(Disruption(max_unavailable=0), said="BudgetReady").events
    assert (event.type, event.reason) == ("Warning", NO_EVICTION) and "spec.disruption.maxUnavailable" in event.message
    assert decide(Disruption(max_unavailable=0), said=NO_EVICTION).events == ()
    assert decide(Disruption(max_unavailable=1), said=NO_EVICTION).events == ()
