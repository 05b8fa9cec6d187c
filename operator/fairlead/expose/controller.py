"""The expose room's shell: an App's Service."""

from __future__ import annotations

from fairlead.core.actions import Failure, Plan
from fairlead.core.children import project_child
from fairlead.core.meta import LABEL_APP, Key
from fairlead.engine.controller import Source, View
from fairlead.expose.model import ExposeObserved
from fairlead.expose.plan import plan
from fairlead.kube.resources import SERVICES


class ExposePart:
    """The Service of an App."""

    name = "expose"

    def observe(self, view: View, key: Key, failures: tuple[Failure, ...]) -> ExposeObserved | None:
        app = view.get("App", key.namespace, key.name)
        if app is None:
            return None
        refused = next(((f.reason, f.message) for f in failures if f.kind == "Service"), None)
        return ExposeObserved(
            namespace=app.namespace,
            app=app.name,
            app_uid=app.uid,
            deleting=app.deleting or bool(app.invalid),
            wanted=app.spec.expose,
            live=view.get("Service", key.namespace, key.name),
            refused=refused,
        )

    def plan(self, observed: ExposeObserved, now: float) -> Plan:
        return plan(observed)


def source() -> Source:
    """Services with our label."""
    return Source(
        resource=SERVICES, project=project_child, keys=lambda s: (Key(s.namespace, s.name),), label_selector=LABEL_APP
    )
