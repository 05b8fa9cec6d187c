"""The disruption room's shell: an App's PodDisruptionBudget."""

from __future__ import annotations

from fairlead.core.actions import Failure, Plan, refused_with
from fairlead.core.children import project_child
from fairlead.core.conditions import find
from fairlead.core.meta import LABEL_APP, Key
from fairlead.disruption.model import DisruptionObserved
from fairlead.disruption.plan import plan
from fairlead.engine.controller import Source, View
from fairlead.kube.resources import BUDGETS


class DisruptionPart:
    """The PodDisruptionBudget of an App."""

    name = "disruption"

    def observe(self, view: View, key: Key, failures: tuple[Failure, ...]) -> DisruptionObserved | None:
        app = view.get("App", key.namespace, key.name)
        if app is None:
            return None
        return DisruptionObserved(
            namespace=app.namespace,
            app=app.name,
            app_uid=app.uid,
            deleting=app.deleting or bool(app.invalid),
            wanted=app.spec.disruption,
            live=view.get("PodDisruptionBudget", key.namespace, key.name),
            refused=refused_with(failures, "PodDisruptionBudget"),
            replicas=app.replicas,
            said=(find(app.status.get("conditions") or (), "Disruption") or {}).get("reason", ""),
        )

    def plan(self, observed: DisruptionObserved, now: float) -> Plan:
        return plan(observed)


def source() -> Source:
    """Budgets with our label."""
    return Source(
        resource=BUDGETS, project=project_child, keys=lambda b: (Key(b.namespace, b.name),), label_selector=LABEL_APP
    )
