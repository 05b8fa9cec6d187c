"""Looks at what containers use, one after the other, and what of it comes into the status."""

from __future__ import annotations

from typing import Any

from fairlead.autoscale.model import Requests, Sample
from fairlead.autoscale.vertical.advice import Advice, advise, begun, status_of
from fairlead.autoscale.vertical.model import MEBIBYTE, ContainerPolicy, Vertical
from fairlead.autoscale.vertical.recommend import Slot, Watched
from fairlead.autoscale.vertical.stored import EVERY
from fairlead.autoscale.vertical.words import LEARNING
from fairlead.core.meta import JSON

ASKED = Requests({"web": {"cpu": 500, "memory": 512 * 1024**2 * 1000}})
PODS = {"web-1": ASKED, "web-2": ASKED}


def look(before: Watched, now: float, cores: float = 0.25, **fields: Any) -> Advice:
    cpu = {pod: {"web": Sample(cores, now)} for pod in PODS}
    memory = {pod: {"web": Sample(2e8, now)} for pod in PODS}
    spec, template = fields.get("spec", Vertical()), fields.get("template", ASKED)
    return advise(spec, template, before, cpu, memory, PODS, fields.get("starved", {}), now)


def day(cores: float, began: float = 0.0, known: Watched | None = None) -> Advice:
    told = look(known or Watched(), began, cores)
    for minute in range(10, 1440, 10):
        told = look(told.watched, began + minute * 60.0, cores)
    return told


def test_what_all_pods_use_is_one_history() -> None:
    assert look(Watched(), 60).watched.histories["web"].samples == len(PODS)


def test_it_is_told_what_would_be_right_beside_what_is() -> None:
    assert look(Watched(), 60).message == ("web should request cpu 298m and memory 237Mi, and requests 500m and 512Mi")


def test_a_container_that_the_template_has_no_more_is_forgotten() -> None:
    told = look(look(Watched(), 60).watched, 120, template=Requests({"app": {}}))
    assert (told.watched.histories, told.estimates, told.message) == ({}, {}, LEARNING)


def test_a_container_that_is_left_out_is_not_recommended_for() -> None:
    spec = Vertical(containers=(ContainerPolicy("web", controlled_resources=()),))
    assert look(Watched(), 60, spec=spec).message == LEARNING


def test_a_load_that_doubles_is_followed_within_a_day() -> None:
    """A day's samples weigh as much as all before them."""
    first = day(0.2)
    second = day(0.4, 86_400.0, first.watched)
    assert first.estimates["web"].target["cpu"] < 260
    assert second.estimates["web"].target["cpu"] > 440


def test_what_ran_out_of_memory_is_recommended_more_and_more_than_it_had() -> None:
    """Of 512 MiB a fifth more, and 15 % on top, for what uses 200 MB: of two pods' peaks the higher one."""
    slot = Slot("web-1", "web")
    told = look(look(Watched(), 60).watched, 120, starved={slot: 90.0})
    assert told.estimates["web"].target["memory"] > 512 * 1.2 * 1.15 * MEBIBYTE
    again = look(told.watched, 180, starved={slot: 90.0})
    assert again.estimates["web"].target["memory"] == told.estimates["web"].target["memory"]


def test_what_ran_out_of_memory_before_this_operator_looked_was_counted_by_the_one_before() -> None:
    told = look(look(Watched(), 600).watched, 660, starved={Slot("web-1", "web"): 90.0})
    assert told.estimates["web"].target["memory"] == 237 * MEBIBYTE


def test_the_status_is_written_when_there_is_news_and_else_once_in_an_hour() -> None:
    """Of a load that stays as it is: the first look, and one an hour later."""
    autoscale: JSON = {}
    known, writes = Watched(), []
    for minute in range(0, 119, 1):
        now = minute * 60.0
        told = look(known, now)
        said = status_of(autoscale, told)
        if said != autoscale.get("resources"):
            writes.append(now)
        autoscale, known = {"resources": said}, told.watched
    assert writes == [0, EVERY]


def test_the_next_operator_goes_on_from_what_is_written() -> None:
    told = day(0.25)
    autoscale = {"resources": status_of({}, told)}
    again = look(begun(autoscale), 86_460.0)
    assert again.estimates["web"].target == told.estimates["web"].target
    assert again.watched.histories["web"].samples == told.watched.histories["web"].samples + len(PODS)
