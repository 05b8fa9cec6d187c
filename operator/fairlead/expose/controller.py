"""The expose room's shell: an App's Services."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from fairlead.core.actions import Failure, Plan, refused_with
from fairlead.core.children import Child, owned, project_child
from fairlead.core.meta import LABEL_APP, LABEL_REVISION, Key
from fairlead.engine.controller import Source, View
from fairlead.expose import preview, route
from fairlead.expose.endpoints import Slice, project_slice
from fairlead.expose.model import ExposeObserved, PreviewObserved, Routed, RouteObserved, revision_of, revision_service
from fairlead.expose.plan import plan
from fairlead.kube.resources import ENDPOINT_SLICES, HTTP_ROUTES, SERVICES
from fairlead.rollout.model import App, progress_of

OWNER = "owner"  # index: the controlling App's uid
APP = "app"  # index: an App's name, with its namespace


class ExposePart:
    """The Service of an App."""

    name = "expose"

    def __init__(self, activated: Callable[[View, App], bool]) -> None:
        self._activated = activated  # the activation room's word on whether a request may wake the App

    def observe(self, view: View, key: Key, failures: tuple[Failure, ...]) -> ExposeObserved | None:
        app = view.get("App", key.namespace, key.name)
        if app is None:
            return None
        return ExposeObserved(
            namespace=app.namespace,
            app=app.name,
            app_uid=app.uid,
            deleting=app.deleting or bool(app.invalid),
            wanted=app.spec.expose,
            live=view.get("Service", key.namespace, key.name),
            refused=refused_with(failures, "Service", key.name),
            activated=self._activated(view, app),
        )

    def plan(self, observed: ExposeObserved, now: float) -> Plan:
        return plan(observed)


class PreviewPart:
    """The Service that shows a BlueGreen App's newest revision."""

    name = "preview"

    def observe(self, view: View, key: Key, failures: tuple[Failure, ...]) -> PreviewObserved | None:
        app = view.get("App", key.namespace, key.name)
        if app is None:
            return None
        rollout = app.spec.rollout
        name = preview.name_of(app.name, rollout.blue_green.preview_service) if rollout.strategy == "BlueGreen" else ""
        newest = view.get("Revision", key.namespace, app.status.get("activeRevision") or "")
        return PreviewObserved(
            namespace=app.namespace,
            app=app.name,
            app_uid=app.uid,
            deleting=app.deleting or bool(app.invalid),
            wanted=app.spec.expose,
            name=name,
            revision=newest.hash if newest else "",
            live=view.get("Service", key.namespace, name),
            others=tuple(s for s in view.by("Service", OWNER, app.uid) if s.name != app.name and not revision_of(s)),
            refused=refused_with(failures, "Service", name),
        )

    def plan(self, observed: PreviewObserved, now: float) -> Plan:
        return preview.plan(observed)


class RoutePart:
    """The HTTPRoute of an App, and the Services of its revisions that it names."""

    name = "route"

    def observe(self, view: View, key: Key, failures: tuple[Failure, ...]) -> RouteObserved | None:
        app: App | None = view.get("App", key.namespace, key.name)
        if app is None:
            return None
        services = tuple(service for service in view.by("Service", OWNER, app.uid) if revision_of(service))
        progress = progress_of(app.status)
        decided = Routed(progress.weights, progress.tried) if _by_weights(app) else Routed()
        names = {revision_service(app.name, hash) for hash in decided.weights}
        return RouteObserved(
            namespace=app.namespace,
            app=app.name,
            app_uid=app.uid,
            deleting=app.deleting or bool(app.invalid),
            wanted=app.spec.expose,
            decided=decided,
            live=view.get(route.KIND, key.namespace, key.name),
            services=services,
            missing=view.unavailable(route.KIND),
            refused=tuple(f for f in failures if f.kind == route.KIND or (f.kind == "Service" and f.name in names)),
        )

    def plan(self, observed: RouteObserved, now: float) -> Plan:
        return route.plan(observed)


def routed(view: View, app: App, failures: tuple[Failure, ...]) -> Routed | None:
    """What the App's route gives each revision now; None where no route shares its traffic by weights: none is wanted, none
    can be had, or there is none and its write is refused. Then nothing waits for one."""
    wanted = app.spec.expose.route if app.spec.expose else None
    if wanted is None or not _by_weights(app) or view.unavailable(route.KIND):
        return None
    live = owned(view.get(route.KIND, app.namespace, app.name), app.uid)
    if live is None and refused_with(failures, route.KIND):
        return None
    hashes = {revision.hash for revision in view.by("Revision", OWNER, app.uid)}
    given = route.given(app.name, live, hashes | set(progress_of(app.status).weights), bool(wanted.canary_headers))
    return msgspec.structs.replace(given, reached=_reached(view, app))


def _reached(view: View, app: App) -> frozenset[str] | None:
    """The pods that the Services of the App's revisions send requests to; None where there is no right to look."""
    if view.unavailable(ENDPOINT_SLICES.kind):
        return None
    slices: Iterable[Slice] = view.by(ENDPOINT_SLICES.kind, APP, tuple(app.key))
    return frozenset(uid for each in slices for uid in each.pods)


def _by_weights(app: App) -> bool:
    """The strategies whose steps say who gets how much."""
    return app.spec.rollout.strategy in ("Canary", "BlueGreen")


def routes() -> Source:
    """HTTPRoutes with our label, where there are any."""
    return Source(
        resource=HTTP_ROUTES,
        project=project_child,
        keys=_concerned,
        label_selector=LABEL_APP,
        optional=True,
    )


def slices() -> Source:
    """EndpointSlices of the Services of revisions, and no others: those of a large App's own Service are large, and change with
    each pod. Roles that were made before this was looked at may not allow it."""
    return Source(
        resource=ENDPOINT_SLICES,
        project=project_slice,
        keys=lambda each: (Key(each.namespace, each.app),),
        indexes={APP: lambda each: (each.namespace, each.app)},
        label_selector=LABEL_REVISION,
        optional=True,
    )


def source() -> Source:
    """Services with our label."""
    return Source(
        resource=SERVICES,
        project=project_child,
        keys=_concerned,
        indexes={OWNER: lambda service: service.owner_uid or None},
        label_selector=LABEL_APP,
    )


def _concerned(service: Child) -> Iterable[Key]:
    """The App of that name, and the one whose preview it is: an owner's, or by the label where it was orphaned."""
    names = {service.name, service.owner_name or service.app}
    return [Key(service.namespace, name) for name in sorted(names)]
