"""The expose room's shell: an App's Services."""

from __future__ import annotations

from collections.abc import Iterable

from fairlead.core.actions import Failure, Plan, refused_with
from fairlead.core.children import Child, project_child
from fairlead.core.meta import LABEL_APP, Key
from fairlead.engine.controller import Source, View
from fairlead.expose import preview
from fairlead.expose.model import ExposeObserved, PreviewObserved
from fairlead.expose.plan import plan
from fairlead.kube.resources import SERVICES

OWNER = "owner"  # index: the controlling App's uid


class ExposePart:
    """The Service of an App."""

    name = "expose"

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
            others=tuple(s for s in view.by("Service", OWNER, app.uid) if s.name != app.name),
            refused=refused_with(failures, "Service", name),
        )

    def plan(self, observed: PreviewObserved, now: float) -> Plan:
        return preview.plan(observed)


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
