"""Refused writes are kept for the status and held back, a new spec sets them free."""

from __future__ import annotations

import random

import pytest

from fairlead.core.meta import Key
from fairlead.engine.failures import Failures
from fairlead.engine.job import Intent

KEY = Key("shop", "web")


class Time:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def failures(time: Time) -> Failures:
    return Failures((1.0, 300.0), clock=time, monotonic=time, rng=random.Random(1))


def of(verb: str, kind: str, name: str, alike: str = "") -> Intent:
    return Intent(verb, kind, alike, name)


def quota(failures: Failures, name: str = "web-1", generation: int = 1, alike: str = "") -> None:
    failures.record(KEY, of("create", "Pod", name, alike), 403, "Forbidden", "exceeded quota", generation)


def test_a_refused_pod_holds_back_all_pods_of_the_key(failures: Failures) -> None:
    quota(failures)
    assert failures.holds(KEY, of("create", "Pod", "web-2"), 1)
    assert not failures.holds(KEY, of("delete", "Pod", "web-1"), 1)
    assert not failures.holds(Key("shop", "other"), of("create", "Pod", "web-2"), 1)


def test_a_refused_pod_of_one_revision_holds_back_no_pod_of_another(failures: Failures) -> None:
    quota(failures, alike="v1")
    assert failures.holds(KEY, of("create", "Pod", "web-v1-2", "v1"), 1)
    assert not failures.holds(KEY, of("create", "Pod", "web-v2-1", "v2"), 1)
    failures.succeeded(KEY, of("create", "Pod", "web-v2-1", "v2"))
    assert [failure.alike for failure in failures.of(KEY)] == ["v1"]
    failures.unwanted(KEY, [of("create", "Pod", "web-v2-2", "v2")], 2)
    assert failures.of(KEY) == ()


def test_a_refused_service_holds_back_that_service(failures: Failures) -> None:
    failures.record(KEY, of("patch", "Service", "web"), 422, "Invalid", "port", 1)
    assert failures.holds(KEY, of("patch", "Service", "web"), 1)
    assert not failures.holds(KEY, of("patch", "Service", "web-headless"), 1)


def test_a_taken_name_does_not_hold_back_another_name(failures: Failures) -> None:
    failures.record(KEY, of("create", "Pod", "web-1"), 409, "NameTaken", "exists", 1)
    assert failures.holds(KEY, of("create", "Pod", "web-1"), 1)
    assert not failures.holds(KEY, of("create", "Pod", "web-2"), 1)


def test_a_refused_resize_holds_back_all_unless_it_is_that_pods_fault(failures: Failures) -> None:
    failures.record(KEY, of("patch", "Pod/resize", "web-1"), 422, "Invalid", "class of service", 1)
    assert failures.holds(KEY, of("patch", "Pod/resize", "web-1"), 1)
    failures.record(KEY, of("patch", "Pod/resize", "web-4"), 403, "NodeCapacity", "no room", 1)
    assert not failures.holds(KEY, of("patch", "Pod/resize", "web-2"), 1)
    assert [failure.alone for failure in failures.of(KEY)] == [True, True]
    failures.record(KEY, of("patch", "Pod/resize", "web-3"), 403, "Forbidden", "may not", 1)
    assert failures.holds(KEY, of("patch", "Pod/resize", "web-2"), 1)
    assert not failures.of(KEY)[0].alone


def test_the_pause_doubles_from_a_second_to_five_minutes(failures: Failures, time: Time) -> None:
    pauses = []
    for _ in range(12):
        quota(failures)
        wait = failures.wait(KEY)
        assert wait is not None
        pauses.append(wait)
        time.now += wait
        assert not failures.holds(KEY, of("create", "Pod", "web-1"), 1)
    assert 0.75 <= pauses[0] <= 1
    assert 1.5 <= pauses[1] <= 2
    assert 225 <= pauses[-1] <= 300


def test_a_new_spec_is_tried_at_once_and_starts_from_a_second(failures: Failures) -> None:
    for _ in range(6):
        quota(failures)
    assert not failures.holds(KEY, of("create", "Pod", "web-1"), 2)
    quota(failures, generation=2)
    wait = failures.wait(KEY)
    assert wait is not None
    assert wait <= 1


def test_the_record_counts_and_remembers_since_when(failures: Failures, time: Time) -> None:
    quota(failures)
    time.now += 60
    quota(failures, "web-7")
    (failure,) = failures.of(KEY)
    assert (failure.count, failure.since, failure.name, failure.reason) == (2, 1000.0, "web-7", "Forbidden")


def test_a_write_whose_pause_is_over_is_not_waited_for(failures: Failures, time: Time) -> None:
    """It was not tried because its Revision is refused too: only that pause counts, or the key would spin."""
    quota(failures)
    time.now += 5
    failures.record(KEY, of("create", "Revision", "web-r1"), 403, "Forbidden", "no", 1)
    wait = failures.wait(KEY)
    assert wait is not None
    assert wait > 0.5
    time.now += 5
    assert failures.wait(KEY) is None


def test_a_pause_that_ended_since_the_pass_began_is_over_now(failures: Failures, time: Time) -> None:
    quota(failures)
    began = time.now
    time.now += 5
    assert failures.wait(KEY, began) == 0
    assert failures.wait(KEY) is None


def test_success_clears_it(failures: Failures) -> None:
    quota(failures)
    failures.succeeded(KEY, of("create", "Pod", "web-9"))
    assert failures.of(KEY) == ()
    assert failures.wait(KEY) is None


def test_what_the_plan_no_longer_wants_is_dropped_after_its_pause_or_with_a_new_spec(
    failures: Failures, time: Time
) -> None:
    quota(failures)
    failures.unwanted(KEY, [of("create", "Pod", "web-3")], 1)
    failures.unwanted(KEY, [], 1)
    assert failures.of(KEY), "a plan that waits because of it must go on seeing it"
    time.now += 2
    failures.unwanted(KEY, [of("create", "Pod", "web-3")], 1)
    assert failures.of(KEY)
    failures.unwanted(KEY, [], 1)
    assert failures.of(KEY) == ()
    quota(failures)
    failures.unwanted(KEY, [], 2)
    assert failures.of(KEY) == ()
