"""Which pods carry the label that the Service selects: the traffic of each revision. Pure.

A share is a decision, kept in status as sizes are (`Group.serve`); here it becomes labels. What a share asks for is worked
out anew from the pods that are seen, so a change that was interrupted is simply gone on with.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec

from fairlead.core.actions import Patch
from fairlead.core.meta import LABEL_SERVING
from fairlead.core.podstate import Pod
from fairlead.rollout.fleet import Fleet, Group

SERVING, APART = "true", "false"


def relabel(fleet: Fleet, leaving: Collection[str], available: Callable[[Pod], bool]) -> tuple[list[Pod], list[Pod]]:
    """The pods that come into the traffic, and those that go out of it; `leaving` (uids) are deleted anyway.

    Whoever asks for it, an available pod goes out only while as many others serve as the App needs: its successors carry
    the label before it loses its own.
    >>> from fairlead.rollout.testing import make_pods
    >>> new = Group("v2", 2, 2, make_pods(2, "v2", serving=False), 2, idle=2)
    >>> old = Group("v1", 1, 2, make_pods(2, "v1"), 2, serve=0)
    >>> into, out = relabel(Fleet(new, (old,), replicas=2, surge=2, unavailable=0), (), lambda pod: pod.ready)
    >>> [pod.name for pod in into], out
    (['shop-v2-0', 'shop-v2-1'], [])
    """
    into: list[Pod] = []
    out: list[Pod] = []
    spare = -fleet.floor
    for group in fleet.groups:
        staying = [pod for pod in group.pods if pod.uid not in leaving]
        chosen = {pod.uid for pod in _chosen(group, staying, available)}
        into += [pod for pod in staying if pod.uid in chosen and not pod.serving]
        out += [pod for pod in staying if pod.uid not in chosen and pod.serving]
        spare += sum(pod.serving and available(pod) for pod in staying)
    costless = [pod for pod in out if not available(pod)]
    return into, costless + [pod for pod in out if available(pod)][: max(0, spare)]


def _chosen(group: Group, pods: list[Pod], available: Callable[[Pod], bool]) -> list[Pod]:
    """Who serves, where not all do: what is available first, then what does so already."""
    if group.serve is None:
        return pods
    return sorted(pods, key=lambda pod: (not available(pod), not pod.serving, pod.name))[: group.serve]


def patches(into: list[Pod], out: list[Pod]) -> list[Patch]:
    """The labels, each written on exactly the pod that was looked at.

    >>> from fairlead.rollout.testing import make_pods
    >>> msgspec.json.decode(patches(list(make_pods(1)), [])[0].body)["metadata"]["labels"]
    {'fairlead.dev/serving': 'true'}
    """
    return [_patch(pod, SERVING) for pod in into] + [_patch(pod, APART) for pod in out]


def _patch(pod: Pod, value: str) -> Patch:
    meta = {"uid": pod.uid, "resourceVersion": str(pod.rv), "labels": {LABEL_SERVING: value}}
    return Patch("Pod", pod.namespace, pod.name, msgspec.json.encode({"metadata": meta}))


def born_serving(group: Group, missing: int) -> int:
    """How many of a revision's missing pods carry the label from the start.

    >>> born_serving(Group("v2", 2, 3, serve=1), missing=3), born_serving(Group("v2", 2, 3), missing=3)
    (1, 3)
    """
    if group.serve is None:
        return missing
    return max(0, min(missing, group.share - sum(pod.serving for pod in group.pods)))


def last_share(id: str, pods: Sequence[Pod], sizes: Mapping[str, int], serving: Mapping[str, int]) -> int | None:
    """How many of a group's pods had traffic by the last decision; None: all. Of a group that was not decided on (it is
    new, or was to be gone by now) the labels tell: a wanted revision without pods has had no traffic, unless it is the
    first; and what was taken out of it and is still there does not come back by itself.

    >>> from fairlead.rollout.testing import make_pods
    >>> last_share("v2", (), {"v1": 4, "v2": 4}, {"v2": 0}), last_share("v2", (), {"v1": 4}, {}), last_share("v1", (), {}, {})
    (0, 0, None)
    >>> left = make_pods(4, serving=False)
    >>> last_share("v1", left, {"v2": 4, "v3": 2}, {"v3": 0}), last_share("v1~", make_pods(4), {"v1": 4}, {})
    (0, None)
    """
    if sizes.get(id):
        return serving.get(id)
    return 0 if any(sizes.values()) and not any(pod.serving for pod in pods) else None
