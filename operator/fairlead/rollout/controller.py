"""The rollout room's shell: which objects it watches, and how they become what the plan looks at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from fairlead.config.model import Wanted, digest_with
from fairlead.core.actions import Failure, Plan
from fairlead.core.meta import Key
from fairlead.core.podstate import Pod, project_pod
from fairlead.engine.controller import Source, View
from fairlead.expose.model import Routed
from fairlead.kube.resources import APPS, PODS, REVISIONS
from fairlead.rollout.fleet import Strategy
from fairlead.rollout.model import App, Observed, Order, Revision, project_app, project_revision
from fairlead.rollout.needs import mounted_config_maps, with_cause
from fairlead.rollout.order import order_of
from fairlead.rollout.plan import plan
from fairlead.rollout.pods import Shaper

OWNER = "owner"  # index: the controlling App's uid
GROUP = "group"  # index: Apps by (namespace, spec.rollout.releaseGroup)
JUDGING = "judging"  # index: pods that gates have run, by the uid of the Revision they judge
LABELLED = "labelled"  # index: objects with an App's label that this App does not own, by (namespace, label)


class RolloutPart:
    """Revisions and pods of an App."""

    name = "rollout"

    def __init__(
        self,
        strategies: Mapping[str, Strategy],
        shapers: Sequence[Shaper],
        configured: Callable[[View, App], Wanted],
        routed: Callable[[View, App, tuple[Failure, ...]], Routed | None],
        kept: Callable[[View, App, Iterable[Pod]], int],
    ):
        self._strategies = strategies
        self._shapers = tuple(shapers)
        self._routed = routed  # the expose room's word on what the App's route gives now
        self._kept = kept  # the activation room's word on how many pods stay at zero, until requests have another way
        self._configured = configured  # the config room's word on what an App's spec.config comes to

    def observe(self, view: View, key: Key, failures: tuple[Failure, ...]) -> Observed | None:
        """The App with all that it owns and all that carries its label, from the store."""
        app: App | None = view.get("App", key.namespace, key.name)
        if app is None:
            return None
        wanted = self._configured(view, app)
        digest = digest_with(app.digest, wanted.pins) if wanted.known else ""
        revisions = tuple(_with_losses(view, wanted, revision) for revision in view.by("Revision", OWNER, app.uid))
        labelled = _labelled(view, app)
        loose: list[Revision] = list(view.by("Revision", LABELLED, tuple(key)))
        pods = tuple(owned(view, app))
        kept = self._kept(view, app, pods)
        return Observed(
            app=msgspec.structs.replace(app, digest=digest, autoscaled=kept or app.autoscaled),
            revisions=revisions,
            pods=_with_causes(view, revisions, pods),
            orphans=tuple(pod for pod in labelled if not pod.owner_uid),
            strangers=tuple(pod for pod in labelled if pod.owner_uid),
            orphan_revisions=tuple(revision for revision in loose if not revision.owner_uid),
            failures=tuple(failure for failure in failures if failure.kind in ("Pod", "Revision")),
            members=_members(view, app),
            order=order_of(app, lambda name: view.get("App", key.namespace, name)) if app.spec.after else Order(),
            pins=wanted.pins,
            routed=self._routed(view, app, failures),
        )

    def plan(self, observed: Observed, now: float) -> Plan:
        return plan(observed, now, self._strategies, self._shapers)


def _with_losses(view: View, wanted: Wanted, revision: Revision) -> Revision:
    """The Revision with those of its copies that are gone and that nobody can make again."""
    copies = {pin.copy for pin in revision.config if pin.copy} - {copy.name for copy in wanted.copies}
    lost = tuple(name for name in sorted(copies) if view.get("ConfigMap", revision.namespace, name) is None)
    return msgspec.structs.replace(revision, lost=lost) if lost else revision


def _with_causes(view: View, revisions: Iterable[Revision], pods: tuple[Pod, ...]) -> tuple[Pod, ...]:
    """The pods, those that wait for a missing ConfigMap with that word. As good as always there is none that waits."""
    waiting = {pod.revision for pod in pods if pod.starting}
    absent = {
        revision.hash: (volume, name)
        for revision in revisions
        if revision.hash in waiting
        for volume, name in mounted_config_maps(bytes(revision.template))
        if view.get("ConfigMap", revision.namespace, name) is None
    }
    return tuple(with_cause(pod, absent) for pod in pods) if absent else pods


def sources() -> tuple[Source, ...]:
    """Apps, Revisions and pods. Pods are watched without a selector: one that lost our label must still be seen, to be
    let go; those that are none of our business are dropped at projection."""
    return (
        Source(resource=APPS, project=project_app, keys=lambda app: (app.key,), indexes={GROUP: _group}),
        Source(
            resource=REVISIONS,
            project=project_revision,
            keys=_parents,
            indexes={
                OWNER: lambda r: r.owner_uid or None,
                LABELLED: lambda r: (r.namespace, r.app) if r.app and not r.owner_uid else None,
            },
        ),
        Source(
            resource=PODS,
            project=project_pod,
            keys=_parents,
            indexes={
                OWNER: lambda pod: pod.owner_uid if pod.owner_kind == "App" else None,
                JUDGING: lambda pod: pod.owner_uid if pod.judges and pod.owner_kind == "Revision" else None,
                LABELLED: lambda pod: (pod.namespace, pod.app) if pod.app and not _owned_by_its_app(pod) else None,
            },
        ),
    )


def _group(app: App) -> tuple[str, str] | None:
    group = app.spec.rollout.release_group
    return (app.namespace, group) if group else None


def _members(view: View, app: App) -> tuple[App, ...]:
    """The other Apps of its release group. One that is being deleted is none any more."""
    group = _group(app)
    found: Iterable[App] = view.by("App", GROUP, group) if group else ()
    return tuple(other for other in found if other.name != app.name and not other.deleting)


def owned(view: View, app: App) -> Iterable[Pod]:
    """The App's own pods."""
    pods: Iterable[Pod] = view.by("Pod", OWNER, app.uid)
    return pods


def templates(view: View, app: App) -> dict[str, bytes]:
    """Of the App's Revisions, by the label that their pods carry."""
    kept: Iterable[Revision] = view.by("Revision", OWNER, app.uid)
    return {revision.hash: bytes(revision.template) for revision in kept}


def pods_of(view: View, app: App) -> list[Pod]:
    """All that the App is told of: those it owns, and those that carry its label."""
    return [*view.by("Pod", OWNER, app.uid), *_labelled(view, app)]


def _labelled(view: View, app: App) -> list[Pod]:
    return [pod for pod in view.by("Pod", LABELLED, tuple(app.key)) if pod.owner_uid != app.uid]


def _owned_by_its_app(pod: Pod) -> bool:
    return pod.owner_kind == "App" and pod.owner_name == pod.app


def _parents(child: Pod | Revision) -> Iterable[Key]:
    """The App that owns it and the App whose label it carries: an orphan concerns the latter. What is no App's pod may be run
    to judge one."""
    owner = child.owner_name if getattr(child, "owner_kind", "App") == "App" else ""
    if owner == child.app:  # as good as always, and asked twice per pod event
        owner = owner or getattr(child, "judges", "")
        return (Key(child.namespace, owner),) if owner else ()
    return [Key(child.namespace, name) for name in sorted((owner, child.app)) if name]
