"""How the rooms come together in an App: the one place that knows them all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fairlead.activation.activators import Connect, over_http
from fairlead.activation.controller import Activation
from fairlead.autoscale.applying import applied_of
from fairlead.autoscale.controller import AutoscalePart, Autoscaler
from fairlead.autoscale.controller import Memory as Looks
from fairlead.autoscale.model import METRICS_API
from fairlead.autoscale.reader import Reader
from fairlead.autoscale.report import Look
from fairlead.autoscale.vertical.render import with_requests
from fairlead.config import controller as config
from fairlead.config.pins import add_config
from fairlead.core.meta import JSON, Key
from fairlead.disruption import controller as disruption
from fairlead.engine.controller import Controller, Messenger, Pods
from fairlead.expose import controller as expose
from fairlead.expose.plan import add_drain
from fairlead.gates.controller import GatesPart, Measurer
from fairlead.gates.guard import Guard
from fairlead.gates.plan import Measure
from fairlead.gates.probe import NetworkProber, Prober
from fairlead.health.controller import Examiner, HealthPart, Memory
from fairlead.health.plan import Ask, add_gates
from fairlead.kube.client import Client
from fairlead.kube.resources import APPS
from fairlead.placement.plan import add_spread
from fairlead.plugins import registry
from fairlead.rollout import controller as rollout
from fairlead.rollout.model import App
from fairlead.rollout.pods import Draft
from fairlead.rollout.status import selector, summarise


def app_controller(
    prober: Prober | None = None,
    usage: Sequence[str] = (METRICS_API,),
    activator: Key | None = None,
    connect: Connect = over_http,
) -> Controller:
    """Everything the engine needs to run Apps. prober: who asks servers, for gates and for autoscaling; without one, by no allow
    list at all. usage: where cpu and memory are read, the first that is there (`autoscale.reader.WAYS`). activator: its Service,
    None where there is none; connect: how one is listened to."""
    strategies, configuration = registry.load(registry.STRATEGIES), config.ConfigPart()
    checks = registry.load(registry.CHECKS)
    prober = prober or NetworkProber(Guard())
    gates, measurer = GatesPart(checks), Measurer(checks, prober)
    memory, looks, activation = Memory(), Looks(), Activation(rollout.owned, activator, connect)
    autoscaler = Autoscaler(Reader(registry.load(registry.METRIC_SOURCES), prober, usage), looks)
    return Controller(
        name="app",
        parent=APPS,
        sources=(
            *rollout.sources(),
            *configuration.sources(),
            expose.source(),
            expose.routes(),
            expose.slices(),
            *activation.sources(),
            disruption.source(),
            gates.source(),
        ),
        parts=(
            configuration,  # first: the copies are there before the Revision and the pods that refer to them
            rollout.RolloutPart(
                strategies,
                (_configured, _drained, _spread, _gated, _sized),
                configuration.wanted,
                expose.routed,
                activation.kept,
            ),
            expose.ExposePart(activation.activated),
            activation,
            expose.PreviewPart(),
            expose.RoutePart(),
            disruption.DisruptionPart(),
            gates,
            HealthPart(rollout.owned, memory),
            AutoscalePart(rollout.owned, rollout.templates, looks, activation.standby),
        ),
        status_of=lambda app: app.status,
        summarise=summarise,
        generation_of=lambda app: app.generation,
        pods=Pods(selector, rollout.pods_of),
        messenger=Messengers({Measure: measurer, Ask: Examiner(measurer.measure, memory), Look: autoscaler}),
        attendant=activation.activators,
    )


class Messengers:
    """One for each sort of task."""

    def __init__(self, by_task: Mapping[type, Messenger]) -> None:
        self._by_task = by_task

    async def run(self, task: Any, client: Client) -> Any:
        return await self._by_task[type(task)].run(task, client)

    def said(self, task: Any, status: JSON, answer: Any, now: float) -> JSON | None:
        return self._by_task[type(task)].said(task, status, answer, now)


def _configured(app: App, draft: Draft, spec: JSON) -> JSON:
    return add_config(draft.pins, spec)


def _drained(app: App, draft: Draft, spec: JSON) -> JSON:
    return add_drain(app.spec.expose, spec)


def _spread(app: App, draft: Draft, spec: JSON) -> JSON:
    return add_spread(app.spec.placement, app.name, draft.hash, app.replicas, spec)


def _gated(app: App, draft: Draft, spec: JSON) -> JSON:
    return add_gates(app.spec.health, spec)


def _sized(app: App, draft: Draft, spec: JSON) -> JSON:
    return with_requests(applied_of(app.spec.autoscale, app.status.get("autoscale")), spec)
