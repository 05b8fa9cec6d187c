"""From looks to the status: when containers are looked at, whose use counts, and what is written of it."""

from __future__ import annotations

from typing import Any

import msgspec

from fairlead.autoscale.model import Autoscale, Sample
from fairlead.autoscale.report import AutoscaleObserved, Course, plan, tells
from fairlead.autoscale.rightsizing import advised, due
from fairlead.autoscale.testing import autoscale, autoscaled, decided, queue
from fairlead.autoscale.usage import Used
from fairlead.autoscale.vertical.model import ContainerPolicy, Vertical
from fairlead.core.podstate import Pod
from fairlead.rollout.model import App
from fairlead.rollout.testing import make_pods

ASKING = b'{"containers":[{"name":"web","resources":{"requests":{"cpu":"500m"}}}]}'
TEMPLATE = msgspec.Raw(b'{"spec":' + ASKING + b"}")


def app(spec: Autoscale | None = None, **fields: Any) -> App:
    made = autoscaled(2, spec=spec or autoscale(resources=Vertical()), **fields)
    return msgspec.structs.replace(made, spec=msgspec.structs.replace(made.spec, template=TEMPLATE))


def pods(count: int = 2, **fields: Any) -> tuple[Pod, ...]:
    return tuple(make_pods(count, **({"serving": True, "resources": ASKING} | fields)))


def using(*found: Pod, cores: float = 0.25, at: float = 100) -> Used:
    return Used(
        {pod.name: {"web": Sample(cores, at)} for pod in found}, {pod.name: {"web": Sample(2e8, at)} for pod in found}
    )


def after_a_look(at: float = 100, **fields: Any) -> AutoscaleObserved:
    """An App whose containers were looked at then, before anything of it was written."""
    observed = AutoscaleObserved(app(**fields), pods())
    advice = advised(observed, using(*pods(), at=at), at)
    course = decided(2, "as ever", at=at, advice=advice)
    return msgspec.structs.replace(observed, course=course)


def test_containers_are_looked_at_once_a_minute_and_when_what_is_allowed_changes() -> None:
    observed = after_a_look(at=100)
    assert (due(observed, 159), due(observed, 160)) == (False, True)
    changed = msgspec.structs.replace(observed, app=msgspec.structs.replace(observed.app, generation=2))
    assert due(changed, 101)


def test_where_nobody_asks_for_it_nothing_is_looked_at_and_nothing_is_kept() -> None:
    stored = {"autoscale": {"replicas": 2, "asked": 1, "resources": {"message": "old"}}}
    observed = AutoscaleObserved(app(autoscale(), status=stored), pods(), course=decided(2, "as ever", at=100))
    assert not due(observed, 10_000)
    made = plan(observed, 101)
    assert made.status is not None and "resources" not in made.status["autoscale"]


def test_what_is_recommended_comes_into_the_status_beside_the_size() -> None:
    made = plan(after_a_look(), 101)
    assert made.status is not None
    told = made.status["autoscale"]
    assert told["replicas"] == 2
    assert (
        told["resources"]["message"] == "web should request cpu 298m and memory 237Mi, and requests 500m and no memory"
    )
    assert told["resources"]["containers"][0]["target"] == {"cpu": "298m", "memory": "237Mi"}


def test_a_look_that_finds_what_is_written_asks_for_no_write() -> None:
    observed = after_a_look()
    assert observed.course is not None
    assert tells(observed, observed.course)
    made = plan(observed, 101)
    assert made.status is not None
    condition = made.status["conditions"][0]
    written = {
        "autoscale": made.status["autoscale"],
        "conditions": [
            {
                "type": condition.type,
                "status": condition.status,
                "reason": condition.reason,
                "message": condition.message,
            }
        ],
    }
    again = msgspec.structs.replace(observed, app=app(status=written))
    second = advised(again, using(*pods(), at=160), 160)
    course: Course = msgspec.structs.replace(observed.course, advice=second, at=160)
    assert not tells(again, course)
    assert second.watched.histories["web"].samples == 4


def test_before_the_first_look_what_is_written_stands() -> None:
    written = {"message": "of yesterday"}
    stored = {"autoscale": {"replicas": 2, "asked": 1, "resources": written}}
    made = plan(AutoscaleObserved(app(status=stored), pods(), course=decided(2, "as ever", at=100)), 101)
    assert made.status is not None and made.status["autoscale"]["resources"] == written


def test_a_new_operator_goes_on_from_what_is_written() -> None:
    made = plan(after_a_look(), 101)
    assert made.status is not None
    fresh = AutoscaleObserved(app(status={"autoscale": made.status["autoscale"]}), pods())
    assert advised(fresh, using(*pods(), at=200), 200).watched.histories["web"].samples == 4


def test_pods_without_traffic_and_pods_that_go_do_not_count() -> None:
    serving, idle, going = pods(3)
    idle = msgspec.structs.replace(idle, serving=False)
    going = msgspec.structs.replace(going, deleting=500.0)
    observed = AutoscaleObserved(app(), (serving, idle, going))
    assert advised(observed, using(serving, idle, going), 100).watched.histories["web"].samples == 1


def test_a_template_that_requests_no_amount_recommends_nothing_and_breaks_nothing() -> None:
    odd = msgspec.Raw(b'{"spec":{"containers":[{"name":"web","resources":{"requests":{"cpu":"1e99999999"}}}]}}')
    made = app()
    made = msgspec.structs.replace(made, spec=msgspec.structs.replace(made.spec, template=odd))
    assert advised(AutoscaleObserved(made, pods()), using(*pods()), 100).estimates == {}


def test_a_pod_that_ran_out_of_memory_says_so_by_its_status() -> None:
    plain, starved = pods()
    observed = AutoscaleObserved(app(), (plain, msgspec.structs.replace(starved, starved=("web", 90.0))))
    less = advised(AutoscaleObserved(app(), (plain, starved)), using(plain, starved, at=60), 60)
    course = decided(2, "as ever", at=60, advice=less)
    more = advised(msgspec.structs.replace(observed, course=course), using(plain, starved, at=120), 120)
    assert more.estimates["web"].target["memory"] > less.estimates["web"].target["memory"]


def test_what_is_allowed_bounds_what_is_told() -> None:
    spec = autoscale(resources=Vertical(containers=(ContainerPolicy("web", {}, {"cpu": "200m"}, ("cpu",)),)))
    advice = advised(AutoscaleObserved(app(spec), pods()), using(*pods()), 100)
    assert advice.message == "web should request cpu 200m, and requests 500m"


# ---------------------------------------------------------------- applied

APPLY = autoscale(
    metrics=(queue(),), resources=Vertical("Apply", (ContainerPolicy("web", controlled_resources=("cpu",)),))
)
LITTLE = b'{"containers":[{"name":"web","resources":{"requests":{"cpu":"1m"}}}]}'


def applying(at: float = 100, **fields: Any) -> AutoscaleObserved:
    """An App whose template requests far too little, after a look at its containers."""
    made = app(APPLY, **fields)
    spec = msgspec.structs.replace(made.spec, template=msgspec.Raw(b'{"spec":' + LITTLE + b"}"))
    observed = AutoscaleObserved(msgspec.structs.replace(made, spec=spec), pods(resources=LITTLE))
    course = decided(2, "as ever", at=at, advice=advised(observed, using(*observed.pods, at=at), at))
    return msgspec.structs.replace(observed, course=course)


def test_what_is_settled_is_stored_before_anything_else_and_told() -> None:
    made = plan(applying(), 101)
    assert made.status is not None and made.status_first
    resources = made.status["autoscale"]["resources"]
    assert resources["containers"][0]["applied"] == {"cpu": "298m"}
    assert resources["appliedAt"] == "1970-01-01T00:01:40Z"
    assert [event.message for event in made.events] == ["From now on web requests cpu 298m"]
    assert not made.errands, "and no other look until it stands"


def test_what_is_stored_stands_for_the_next_operator() -> None:
    made = plan(applying(), 101)
    assert made.status is not None
    fresh = applying(status={"autoscale": made.status["autoscale"]})
    again = plan(msgspec.structs.replace(fresh, course=None), 200)
    assert again.status is not None and not again.status_first
    assert again.status["autoscale"] == made.status["autoscale"]
    assert (
        advised(fresh, using(*fresh.pods, at=200), 200).applied == advised(applying(), using(*fresh.pods), 100).applied
    )


def test_whoever_goes_back_to_recommend_has_the_template_again() -> None:
    made = plan(applying(), 101)
    assert made.status is not None
    back = AutoscaleObserved(app(status={"autoscale": made.status["autoscale"]}), pods())
    course = decided(2, "as ever", at=200, advice=advised(back, using(*back.pods, at=200), 200))
    told = plan(msgspec.structs.replace(back, course=course), 201)
    assert told.status is not None
    assert "applied" not in told.status["autoscale"]["resources"]["containers"][0]
    assert [condition.type for condition in told.status["conditions"]] == ["Autoscaling"]


def test_where_the_size_is_a_share_of_the_requests_nothing_is_settled() -> None:
    made = app(autoscale(resources=Vertical("Apply")))
    observed = AutoscaleObserved(made, pods(resources=LITTLE))
    assert advised(observed, using(*observed.pods), 100).applied.amounts == {}
