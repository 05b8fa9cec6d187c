"""cpu and memory: what pods and their containers use. Pure."""

from __future__ import annotations

from fairlead.autoscale.model import ContainerResourceMetric, Metric, Reading
from fairlead.autoscale.sources.model import Answer, Ask, AskUsage, Unread
from fairlead.autoscale.usage import Used, reading
from fairlead.core.meta import JSON
from fairlead.gates.model import Subject


class ResourceMetrics:
    """metrics[].resource and containerResource"""

    def asks(self, metric: Metric, spec: JSON, subject: Subject) -> Ask:
        return AskUsage()

    def reads(self, metric: Metric, spec: JSON, answer: Answer, now: float) -> Reading:
        wanted = metric.container_resource or metric.resource
        if not isinstance(answer, Used) or wanted is None:
            raise Unread("nothing was measured")
        return reading(answer, wanted.name, wanted.container if isinstance(wanted, ContainerResourceMetric) else "")
