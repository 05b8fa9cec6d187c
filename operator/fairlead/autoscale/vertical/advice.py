"""One look at what containers use, and what the status is to say of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from fairlead.autoscale.model import Requests
from fairlead.autoscale.vertical import words
from fairlead.autoscale.vertical.model import Applied, Estimate, Vertical
from fairlead.autoscale.vertical.recommend import Slot, Used, Watched, estimate, out_of_memory, watched
from fairlead.autoscale.vertical.stored import as_json, histories_of, news, stored_of
from fairlead.core.meta import JSON


class Advice(msgspec.Struct, frozen=True):
    """What is known of an App's containers after a look, and what it comes to, in words as well. at: when it was; applied: what
    pods are to request from then on."""

    watched: Watched
    estimates: dict[str, Estimate]
    message: str
    at: float
    applied: Applied = Applied()


def begun(autoscale: JSON) -> Watched:
    """What an operator begins from: what status.autoscale has of the last one. What was used since then is not known; no more than an
    hour of it."""
    return Watched(histories_of(autoscale))


def advise(
    spec: Vertical,
    template: Requests,
    before: Watched,
    cpu: Used,
    memory: Used,
    pods: Mapping[str, Requests],
    starved: Mapping[Slot, float],
    now: float,
) -> Advice:
    """template: what containers request; cpu, memory: what they use, by pod and container, in cores and bytes; pods: those that count,
    and what each of them requests; starved: when containers of theirs ran out of memory.

    A container of which half a core was requested uses a quarter:
    >>> from fairlead.autoscale.model import Sample
    >>> asked = Requests({"web": {"cpu": 500}})
    >>> told = advise(Vertical(), asked, Watched(), {"web-1": {"web": Sample(0.25, 60)}}, {}, {"web-1": asked}, {}, 60)
    >>> told.message
    'web should request cpu 298m, and requests 500m'
    """
    known = watched(before, cpu, memory, pods.keys(), now)
    for slot, at in starved.items():
        had = pods[slot.pod].containers.get(slot.container, {}).get("memory", 0) / 1000
        known = out_of_memory(known, slot, had, min(at, now))
    # A container that was taken out of the template says nothing any more.
    left = {name: told for name, told in known.histories.items() if name in template.containers}
    estimates = {name: told for name, history in left.items() if (told := estimate(history, spec.policy(name))).target}
    message = words.recommended(template.containers, estimates)
    return Advice(msgspec.structs.replace(known, histories=left), estimates, message, now)


def status_of(autoscale: JSON, advice: Advice) -> JSON:
    """status.autoscale.resources as it is to be: as it is, unless there is news. autoscale: status.autoscale."""
    stored = stored_of(autoscale)
    same = stored.applied.amounts == advice.applied.amounts
    if "resources" in autoscale and same and not news(stored, advice.estimates, advice.at):
        kept: JSON = autoscale["resources"]
        return kept
    return as_json(advice.watched.histories, advice.estimates, advice.applied, advice.message, advice.at)
