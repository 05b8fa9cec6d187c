"""The activation room's shell: the slices it looks at, who listens, and what it tells the other rooms."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from fairlead.activation import plan as decisions
from fairlead.activation.activators import Activators, Connect, over_http
from fairlead.activation.model import (
    LABEL_ACTIVATED,
    SERVICE_NAME,
    ActivationObserved,
    Endpoint,
    Slice,
    Wanted,
    project_briefly,
    project_slice,
)
from fairlead.activation.plan import KIND, KNOWN_AS
from fairlead.autoscale.model import Standby
from fairlead.core.actions import Failure, Plan, refused_with
from fairlead.core.children import owned
from fairlead.core.meta import Key
from fairlead.core.podstate import Pod
from fairlead.engine.controller import Source, View
from fairlead.engine.listeners import Listeners
from fairlead.expose.model import Expose
from fairlead.kube.resources import ENDPOINT_SLICES
from fairlead.rollout.model import App

ACTIVATORS = "ActivatorSlice"  # the store's name for the slices of the activator's own Service
_APP, _PORT, _OURS = (
    "app",
    "port",
    "ours",
)  # indexes of slices: by (namespace, App), by the ports that stand for Apps, all of ours
_EVERY = "every"  # those that wait to hear of activators name this


PodsOf = Callable[[View, App], Iterable[Pod]]


class Activation:
    """The slices of Apps that a request can wake. service: the activator's own, as namespace and name; None where there is none."""

    name = "activation"

    def __init__(self, pods_of: PodsOf, service: Key | None = None, connect: Connect = over_http) -> None:
        self._pods_of = pods_of
        self._service = service
        self._concerned = Listeners[str]()
        self.activators = Activators(self._there, connect)

    def sources(self) -> tuple[Source, ...]:
        """The slices of Services with the mark, and those of the activator's own. Without an activator there is nothing to see, but
        for what one that is gone has left."""
        of_apps: Source = Source(
            resource=ENDPOINT_SLICES,
            project=project_briefly,
            keys=lambda each: (each.key,),
            indexes={
                _APP: lambda each: tuple(each.key),
                _PORT: lambda each: frozenset(port.port for port in each.ports) if each.ours else None,
                _OURS: lambda each: each.ours or None,
            },
            label_selector=LABEL_ACTIVATED,
            optional=True,
            known_as=KNOWN_AS,
        )
        if self._service is None:
            return (of_apps,)
        of_activators: Source = Source(
            resource=ENDPOINT_SLICES,
            project=project_slice,
            keys=lambda each: self._concerned.of(_EVERY),
            label_selector=f"{SERVICE_NAME}={self._service.name}",
            optional=True,
            within=self._service.namespace,
            known_as=ACTIVATORS,
            indexes={_APP: lambda each: each.service},
        )
        return of_apps, of_activators

    # ------------------------------------------------------------ the part

    def observe(self, view: View, key: Key, failures: tuple[Failure, ...]) -> ActivationObserved | None:
        app: App | None = view.get("App", key.namespace, key.name)
        slices = self._slices(view, key)
        self._concerned.says(key, (_EVERY,) if app is not None and _idle(app) else ())
        if app is None or not (_idle(app) or any(each.ours for each in slices)):
            return None
        live = tuple(each for each in slices if each.ours and each.owner_uid == app.uid)
        lost = frozenset(port.port for each in live for port in each.ports if _elder(view, port.port, live))
        wanted = self._wanted(view, app)
        return ActivationObserved(
            namespace=app.namespace,
            app=app.name,
            app_uid=app.uid,
            deleting=app.deleting or bool(app.invalid),
            wanted=wanted,
            resting=_rests(app),
            stopped=app.spec.replicas == 0,
            served=_served(slices, self._pods_of(view, app)),
            live=live,
            activators=self._endpoints(view),
            listening=self.activators.listening(app.key),
            taken=_taken(view, wanted, live, lost),
            lost=lost,
        )

    def plan(self, observed: ActivationObserved, now: float) -> Plan:
        return decisions.plan(observed)

    # ------------------------------------------------------------ what other rooms ask

    def activated(self, view: View, app: App) -> bool:
        """Whether its Service, and so upstream's slices of it, carry the mark: activators find its pods by these as long as there
        is a slice of ours."""
        return _idle(app) or any(each.ours and each.owner_uid == app.uid for each in self._slices(view, app.key))

    def standby(self, view: View, app: App, failures: tuple[Failure, ...]) -> Standby | None:
        """Who would hold the App's requests at zero; None where they are not to wake it."""
        if not _idle(app):
            return None
        there = {each.pod for slices in self._endpoints(view).values() for each in slices if each.ready}
        ready = len(there & self.activators.listening(app.key))
        trouble = self._trouble(view, app, failures) or decisions.unheard(str(self._service), len(there), ready)
        return Standby(ready, trouble, self.activators.deaf_since(app.key), self.activators.waiting(app.key))

    def kept(self, view: View, app: App, pods: Iterable[Pod]) -> int:
        """How many pods stay although there are to be none: one, until its requests have another way."""
        if not _rests(app) or not _idle(app):
            return 0
        wanted = self._wanted(view, app)
        ours = [each for each in self._slices(view, app.key) if each.ours and each.owner_uid == app.uid]
        if wanted is None or decisions.stands(ours, wanted.families):
            return 0
        return min(1, sum(pod.active for pod in pods))

    # ------------------------------------------------------------ what is in the store

    def _wanted(self, view: View, app: App) -> Wanted | None:
        """What its slices are to say; None where there are to be none, or cannot be yet."""
        idle = app.spec.autoscale.idle if app.spec.autoscale else None
        service = owned(view.get("Service", app.namespace, app.name), app.uid)
        if self._service is None or idle is None or service is None:
            return None
        if app.spec.expose is None or decisions.unsuited(app.spec.expose):
            return None
        families = tuple(service.spec.get("ipFamilies") or ("IPv4",))
        return Wanted(_names(app.spec.expose), families, idle.timeout_seconds)

    def _slices(self, view: View, key: Key) -> list[Slice]:
        return list(view.by(KNOWN_AS, _APP, tuple(key)))

    def _there(self, view: View) -> Iterable[Slice]:
        """The slices of the activator's own Service."""
        if self._service is None:
            return ()
        found: Iterable[Slice] = view.by(ACTIVATORS, _APP, self._service.name)
        return found

    def _endpoints(self, view: View) -> dict[str, tuple[Endpoint, ...]]:
        found: dict[str, tuple[Endpoint, ...]] = {}
        for each in self._there(view):
            found[each.address_type] = (*found.get(each.address_type, ()), *each.endpoints)
        return found

    def _trouble(self, view: View, app: App, failures: tuple[Failure, ...]) -> str:
        if self._service is None:
            return decisions.NOT_INSTALLED
        if why := view.unavailable(KNOWN_AS):
            return f"EndpointSlices cannot be read: {why}"
        if refusal := refused_with(failures, KIND):
            return f"the API server refuses the EndpointSlice for it: {refusal[1]}"
        return decisions.unsuited(app.spec.expose)


def _idle(app: App) -> bool:
    return app.spec.autoscale is not None and app.spec.autoscale.idle is not None


def _rests(app: App) -> bool:
    """Autoscaling has decided that it is to have no pod."""
    return app.replicas == 0 and app.spec.replicas != 0


def _names(expose: Expose) -> tuple[str, ...]:
    return tuple(port.name for port in expose.ports if port.protocol == "TCP")


def _served(slices: Iterable[Slice], pods: Iterable[Pod]) -> bool:
    """Upstream's slices send requests to a pod that is ready and stays. They may be seconds behind: of one that goes they say no more
    than what was."""
    staying = {pod.uid for pod in pods if pod.ready and pod.active}
    return any(each.pod in staying for one in slices if not one.ours and one.service == one.app for each in one.ready)


def _elder(view: View, port: int, live: tuple[Slice, ...]) -> bool:
    """Another App's slice has named this port before."""
    first = min((each.created, each.uid) for each in live)
    others: Iterable[Slice] = view.by(KNOWN_AS, _PORT, port)
    return any(each.key != live[0].key and (each.created, each.uid) < first for each in others)


def _taken(view: View, wanted: Wanted | None, live: tuple[Slice, ...], lost: frozenset[int]) -> frozenset[int]:
    """The ports of all Apps, where one has to be chosen."""
    standing = {port.name for each in live for port in each.ports if port.port not in lost}
    if wanted is None or standing.issuperset(wanted.ports):
        return frozenset()
    slices: Iterable[Slice] = view.by(KNOWN_AS, _OURS, True)
    return frozenset(port.port for each in slices for port in each.ports)
