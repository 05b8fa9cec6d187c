"""From a revision's template to a pod: what Fairlead adds, in one place. Pure.

Nothing added here is part of a revision's hash: it is rendered anew for each pod, and a change of this file never
rolls a fleet.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

import msgspec

from fairlead.config.model import Pin
from fairlead.core.actions import Create
from fairlead.core.meta import (
    ANNOTATION_RESTARTED_AT,
    JSON,
    LABEL_APP,
    LABEL_REVISION,
    LABEL_SERVING,
    LABEL_TRACK,
    MANAGED_BY,
    SAFE_ALPHABET,
    TRACK_STABLE,
    owner_reference,
    safe_digits,
    stable_hash,
)
from fairlead.rollout.model import App
from fairlead.rollout.revisions import revision_name


class Draft(msgspec.Struct, frozen=True):
    """What a revision's pods are made from: its hash, its template, and what it pins."""

    hash: str
    template: msgspec.Raw
    pins: tuple[Pin, ...] = ()


# Another room's share in a pod: (app, what its revision says, pod spec) -> pod spec. Configuration, drain hooks and
# spreading come this way.
Shaper = Callable[[App, Draft, JSON], JSON]

_NAME = "\x00name\x00"  # stands where each pod's name goes; no API name can hold it
SAFE_TO_EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict"
_SPACE = len(SAFE_ALPHABET) ** 5


def render(app: App, draft: Draft, shapers: Sequence[Shaper] = (), serving: str = "true") -> tuple[bytes, bytes]:
    """The encoded pod of a revision, cut in two where its name goes: rendered once, spliced a thousand times.
    `serving`: the label of that name.

    >>> from fairlead.rollout.testing import make_app
    >>> app = make_app()
    >>> head, tail = render(app, Draft("v1", app.spec.template))
    >>> pod = msgspec.json.decode(head + b'"shop-v1-bcdfg"' + tail)
    >>> pod["metadata"]["name"], pod["metadata"]["labels"]["fairlead.dev/revision"]
    ('shop-v1-bcdfg', 'v1')
    >>> pod["spec"]["containers"][0]["terminationMessagePolicy"]
    'FallbackToLogsOnError'
    """
    template: JSON = msgspec.json.decode(draft.template)
    spec: JSON = dict(template.get("spec") or {})
    for field in ("initContainers", "containers"):
        if spec.get(field):
            # The last log line is the best word there is on a crash, and needs no right to read logs.
            spec[field] = [
                {"terminationMessagePolicy": "FallbackToLogsOnError"} | container for container in spec[field]
            ]
    for shape in shapers:
        spec = shape(app, draft, spec)
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": _NAME,
            "namespace": app.namespace,
            "labels": pod_labels(app, draft.hash, template) | {LABEL_SERVING: serving},
            "annotations": pod_annotations(app, template),
            "ownerReferences": [owner_reference("App", app.name, app.uid)],
        },
        "spec": spec,
    }
    head, tail = msgspec.json.encode(pod).split(msgspec.json.encode(_NAME))
    return head, tail


def pod_labels(app: App, hash: str, template: JSON) -> dict[str, str]:
    """The template's labels, the recommended ones where it has none of its own, and ours."""
    own = (template.get("metadata") or {}).get("labels") or {}
    recommended = {
        "app.kubernetes.io/name": app.name,
        "app.kubernetes.io/instance": app.name,
        "app.kubernetes.io/managed-by": MANAGED_BY,
    }
    ours = {LABEL_APP: app.name, LABEL_REVISION: hash, LABEL_TRACK: TRACK_STABLE}
    return recommended | own | ours


def pod_annotations(app: App, template: JSON) -> dict[str, str]:
    """The template's annotations, which wish for a restart this pod fulfils, and leave for the cluster-autoscaler to
    move it: it does so by itself only for owners it knows, and never for pods that keep data on their node.

    >>> from fairlead.rollout.testing import TEMPLATE, make_app
    >>> pod_annotations(make_app(), TEMPLATE)
    {'cluster-autoscaler.kubernetes.io/safe-to-evict': 'true'}
    """
    own = (template.get("metadata") or {}).get("annotations") or {}
    volumes = (template.get("spec") or {}).get("volumes") or ()
    local = any("hostPath" in volume or "emptyDir" in volume for volume in volumes)
    made = {} if local else {SAFE_TO_EVICT: "true"}
    restart = app.spec.rollout.restart_at
    return made | own | ({ANNOTATION_RESTARTED_AT: restart} if restart else {})


def names(app: App, hash: str, taken: Collection[str], now: float) -> Iterator[str]:
    """Fresh pod names, `<app>-<hash>-<5>`: decided here so that a create whose answer was lost can be asked for again
    under the same name. They start at a point made of the App, the revision and the time, and never repeat in a plan.

    >>> from fairlead.rollout.testing import make_app
    >>> from itertools import islice
    >>> first = list(islice(names(make_app(), "v1", set(), 0.0), 3))
    >>> len(set(first)), list(islice(names(make_app(), "v1", {first[0]}, 0.0), 2)) == first[1:]
    (3, True)
    """
    base = revision_name(app.name, hash)
    start = int.from_bytes(stable_hash(f"{app.uid}/{hash}/{now}".encode()).encode()[:8], "big")
    for index in range(_SPACE):
        # A step that shares no factor with the space visits every name once, and neighbours do not look alike.
        name = f"{base}-{safe_digits((start + index * 7_654_321) % _SPACE, 5)}"
        if name not in taken:
            yield name


def creates(
    app: App,
    draft: Draft,
    count: int,
    taken: Collection[str],
    now: float,
    shapers: Sequence[Shaper],
    serving: str = "true",
) -> list[Create]:
    """`count` pods of one revision."""
    head, tail = render(app, draft, shapers, serving)
    made: list[Create] = []
    for name in names(app, draft.hash, taken, now):
        if len(made) == count:
            break
        body = b'%b"%b"%b' % (head, name.encode(), tail)
        made.append(Create("Pod", app.namespace, name, body, app.uid, alike=draft.hash))
    return made
