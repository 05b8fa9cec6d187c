"""The same wish, put to a Deployment and to an App: how each is asked, and how each stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import msgspec

from fairlead.core.conditions import find
from fairlead.core.meta import LABEL_REVISION, controller_of
from fairlead.kube.client import Client
from fairlead.kube.errors import NotFound
from fairlead.kube.resources import APPS, PODS, REVISIONS, Resource
from parity.ledger import Ledger, limits
from parity.mirror import Mirror
from parity.scene import MISSING, STARTS_IN, UNREADY, image_of

JSON = dict[str, Any]

DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
REPLICA_SETS = Resource("apps", "v1", "replicasets", "ReplicaSet")
RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
NAME = "shop"
HUGE = "huge"  # a tag that ends so asks for more than any node has
BAD = (MISSING, UNREADY, HUGE)


@dataclass(slots=True)
class Wish:
    """What a person wants at the moment."""

    image: str
    replicas: int
    surge: int | str
    unavailable: int | str
    min_ready_seconds: int = 0
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a side is: pods and ready pods by image, and what its status says of them."""

    pods: Counter[str]
    ready: Counter[str]
    available: bool
    counts: tuple[int, int, int]  # replicas, ready, available
    updated: int | None  # None while paused: a Deployment says 0 as soon as its template is changed

    @property
    def at_rest(self) -> bool:
        """Every pod that can be is ready, available, and counted."""
        total, ready, available = self.counts
        can = sum(count for image, count in self.pods.items() if not image.endswith(BAD))
        return (total, can) == (self.pods.total(), self.ready.total()) and ready == available == can


def template(image: str) -> JSON:
    container: JSON = {"name": "web", "image": image}
    if image.endswith(HUGE):
        container["resources"] = {"requests": {"cpu": "10k"}}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
    return {"metadata": {"labels": {"app": NAME}, "annotations": {STARTS_IN: "150ms"}}, "spec": spec}


class Side(Protocol):
    """A Deployment or an App, called `shop`, in one namespace. Nothing here waits for what was asked for to happen."""

    ledger: Ledger

    async def create(self, wish: Wish) -> None: ...
    async def image(self, image: str) -> None: ...
    async def replicas(self, count: int) -> None: ...
    async def budget(self, surge: int | str, unavailable: int | str) -> None: ...
    async def min_ready_seconds(self, seconds: int) -> None: ...
    async def pause(self, paused: bool) -> None: ...
    async def undo(self, image: str) -> None: ...
    async def restart(self, wish: str) -> None: ...
    async def kill(self, image: str, count: int) -> None: ...

    def known(self) -> list[str]:
        """Images there are kept revisions of, the newest last."""
        ...

    def heard(self) -> bool:
        """The controller has seen what was asked for last, and its revision is there unless paused."""
        ...

    def standing(self) -> Standing | None:
        """None while the status is of an older spec, or pods and sizes differ."""
        ...

    def complete(self) -> bool: ...

    def revision(self) -> int: ...

    def conditions(self) -> dict[str, tuple[str, str]]:
        """Available and Progressing: status and reason, in upstream's words."""
        ...

    def breaches(self) -> list[str]:
        """Of the limits that this kind keeps to at every moment."""
        ...

    def told(self) -> str:
        """For a person who has to find out what went wrong."""
        ...


@dataclass
class _Side:
    client: Client
    mirror: Mirror
    namespace: str
    ledger: Ledger = field(init=False)

    def __post_init__(self) -> None:
        self.ledger = Ledger(self._owned)
        self.mirror.listen(PODS, self.namespace, self.ledger.told)

    def _owned(self, pod: JSON) -> bool:
        raise NotImplementedError

    def _pods(self) -> list[JSON]:
        found = self.mirror.all(PODS, self.namespace)
        return [pod for pod in found if self._owned(pod) and "deletionTimestamp" not in pod["metadata"]]

    async def _create(self, resource: Resource, spec: JSON) -> None:
        body = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": NAME}, "spec": spec}
        await self._told_of(resource, await self.client.create(resource, self.namespace, msgspec.json.encode(body)))

    async def _patch(self, resource: Resource, spec: JSON) -> None:
        body = msgspec.json.encode({"spec": spec})
        await self._told_of(resource, await self.client.patch(resource, self.namespace, NAME, body, type="merge"))

    async def _told_of(self, resource: Resource, answer: bytes) -> None:
        stored = msgspec.json.decode(answer)
        await self.mirror.until(self.namespace, lambda: self.mirror.told_of(resource, stored), 60, lambda: "our write")

    def _object(self, resource: Resource) -> JSON:
        found = self.mirror.find(resource, self.namespace, NAME)
        assert found is not None
        return found

    def _status(self, resource: Resource) -> JSON:
        """Empty while it is of an older spec."""
        found = self._object(resource)
        status: JSON = found.get("status") or {}
        return status if status.get("observedGeneration") == found["metadata"]["generation"] else {}

    def _stands(self, status: JSON, sizes: Counter[str], paused: bool) -> Standing | None:
        pods = self._pods()
        present = Counter(map(image_of, pods))
        if not status or present != +sizes:
            return None
        ready = Counter(image_of(pod) for pod in pods if is_ready(pod))
        available = (find(status.get("conditions") or (), "Available") or {}).get("status") == "True"
        total, updated = status.get("replicas") or 0, status.get("updatedReplicas") or 0
        counts = total, status.get("readyReplicas") or 0, status.get("availableReplicas") or 0
        return Standing(present, ready, available, counts, None if paused else updated)

    async def kill(self, image: str, count: int) -> None:
        pods = [pod for pod in self._pods() if image_of(pod) == image]
        for pod in pods[:count]:
            meta = pod["metadata"]
            self.ledger.killed(meta["uid"])
            with suppress(NotFound):  # a controller was quicker
                await self.client.delete(PODS, self.namespace, meta["name"], uid=meta["uid"])


class AsDeployment(_Side):
    """As kubectl asks: `set image`, `scale`, `rollout pause`, `rollout undo`, `rollout restart`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._overweight: list[str] = []
        self.mirror.listen(REPLICA_SETS, self.namespace, lambda *_: self._weigh())

    def _owned(self, pod: JSON) -> bool:
        owner = controller_of(pod["metadata"])
        return owner is not None and owner.kind == "ReplicaSet"

    def _weigh(self) -> None:
        total = sum(one["spec"]["replicas"] for one in self._sets())
        if total > self.ledger.ceiling:
            self._overweight.append(f"sizes come to {total}, at most {self.ledger.ceiling} are allowed")

    def breaches(self) -> list[str]:
        """A Deployment keeps to the ceiling by its ReplicaSets' sizes, not by pods: one of them deletes its pods in its own
        time, while another creates already."""
        return self._overweight + self.ledger.losses

    def _sets(self) -> list[JSON]:
        """ReplicaSets by revision number."""
        return sorted(self.mirror.all(REPLICA_SETS, self.namespace), key=_number)

    async def create(self, wish: Wish) -> None:
        strategy = {"rollingUpdate": {"maxSurge": wish.surge, "maxUnavailable": wish.unavailable}}
        spec = {
            "replicas": wish.replicas,
            "selector": {"matchLabels": {"app": NAME}},
            "template": template(wish.image),
            "strategy": strategy,
        }
        await self._create(DEPLOYMENTS, spec)

    async def image(self, image: str) -> None:
        await self._patch(DEPLOYMENTS, {"template": template(image)})

    async def replicas(self, count: int) -> None:
        await self._patch(DEPLOYMENTS, {"replicas": count})

    async def budget(self, surge: int | str, unavailable: int | str) -> None:
        await self._patch(
            DEPLOYMENTS, {"strategy": {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}}
        )

    async def min_ready_seconds(self, seconds: int) -> None:
        await self._patch(DEPLOYMENTS, {"minReadySeconds": seconds})

    async def pause(self, paused: bool) -> None:
        await self._patch(DEPLOYMENTS, {"paused": paused})

    async def undo(self, image: str) -> None:
        chosen = [one for one in self._sets() if image_of(_as_pod(one)) == image][-1]
        back = msgspec.json.decode(msgspec.json.encode(chosen["spec"]["template"]))
        del back["metadata"]["labels"]["pod-template-hash"]
        back["metadata"]["annotations"].setdefault(RESTARTED_AT, None)
        await self._patch(DEPLOYMENTS, {"template": back})

    async def restart(self, wish: str) -> None:
        await self._patch(DEPLOYMENTS, {"template": {"metadata": {"annotations": {RESTARTED_AT: wish}}}})

    def known(self) -> list[str]:
        return list(dict.fromkeys(image_of(_as_pod(one)) for one in self._sets()))

    def heard(self) -> bool:
        found = self._object(DEPLOYMENTS)
        if not self._status(DEPLOYMENTS):
            return False
        if found["spec"].get("paused"):
            return True
        sets = self._sets()
        newest = _as_pod(sets[-1]) if sets else None
        wanted = found["spec"]["template"]
        return (
            newest is not None
            and image_of(newest) == image_of({"spec": wanted["spec"]})
            and _restarted(newest) == _restarted(wanted)
            and self.revision() == _number(sets[-1])
        )

    def standing(self) -> Standing | None:
        sizes: Counter[str] = Counter()
        for one in self._sets():
            status = one.get("status") or {}
            settled = status.get("observedGeneration") == one["metadata"]["generation"]
            if not settled or status.get("replicas", 0) != one["spec"]["replicas"]:
                return None
            sizes[image_of(_as_pod(one))] += one["spec"]["replicas"]
        paused = bool(self._object(DEPLOYMENTS)["spec"].get("paused"))
        return self._stands(self._status(DEPLOYMENTS), sizes, paused)

    def complete(self) -> bool:
        status, wanted = self._status(DEPLOYMENTS), self._object(DEPLOYMENTS)["spec"]["replicas"]
        counts = [status.get(name) or 0 for name in ("replicas", "updatedReplicas", "availableReplicas")]
        return bool(status) and counts == [wanted] * 3 and len(self._pods()) == wanted

    def revision(self) -> int:
        return _number(self._object(DEPLOYMENTS))

    def conditions(self) -> dict[str, tuple[str, str]]:
        return _conditions(self._status(DEPLOYMENTS))

    def told(self) -> str:
        sets = {_number(one): (image_of(_as_pod(one)), one["spec"]["replicas"]) for one in self._sets()}
        return f"Deployment {self.conditions()} sets {sets} {self.standing()}"


class AsApp(_Side):
    """As `fairlead` asks, or whoever edits the App."""

    def _owned(self, pod: JSON) -> bool:
        owner = controller_of(pod["metadata"])
        return owner is not None and owner.kind == "App"

    async def create(self, wish: Wish) -> None:
        rollout = {"maxSurge": wish.surge, "maxUnavailable": wish.unavailable}
        await self._create(APPS, {"replicas": wish.replicas, "template": template(wish.image), "rollout": rollout})

    async def image(self, image: str) -> None:
        """The template of an App that went back is still the one it went back from: to run it again after all is to take
        undoTo away."""
        same = image == image_of({"spec": self._object(APPS)["spec"]["template"]["spec"]})
        await self._patch(APPS, {"template": template(image)} | ({"rollout": {"undoTo": None}} if same else {}))

    async def replicas(self, count: int) -> None:
        await self._patch(APPS, {"replicas": count})

    async def budget(self, surge: int | str, unavailable: int | str) -> None:
        await self._patch(APPS, {"rollout": {"maxSurge": surge, "maxUnavailable": unavailable}})

    async def min_ready_seconds(self, seconds: int) -> None:
        await self._patch(APPS, {"rollout": {"minReadySeconds": seconds}})

    async def pause(self, paused: bool) -> None:
        await self._patch(APPS, {"rollout": {"paused": paused}})

    async def undo(self, image: str) -> None:
        number = max(number for number, one in self._revisions().items() if image in one["spec"]["images"])
        await self._patch(APPS, {"rollout": {"undoTo": number}})

    async def restart(self, wish: str) -> None:
        await self._patch(APPS, {"rollout": {"restartAt": wish}})

    def _revisions(self) -> dict[int, JSON]:
        found = {one["spec"]["number"]: one for one in self.mirror.all(REVISIONS, self.namespace)}
        return dict(sorted(found.items()))

    def known(self) -> list[str]:
        return [one["spec"]["images"][0] for one in self._revisions().values()]

    def heard(self) -> bool:
        status, revisions = self._status(APPS), self._revisions()
        return bool(status) and status.get("revision") in revisions and max(revisions) == status["revision"]

    def standing(self) -> Standing | None:
        status = self._status(APPS)
        images = {
            one["metadata"]["labels"][LABEL_REVISION]: one["spec"]["images"][0] for one in self._revisions().values()
        }
        sizes: Counter[str] = Counter()
        for group, size in ((status.get("rollout") or {}).get("sizes") or {}).items():
            sizes[images.get(group.removesuffix("~"), group)] += size
        return self._stands(status, sizes, bool(self._object(APPS)["spec"]["rollout"].get("paused")))

    def complete(self) -> bool:
        ready = find(self._status(APPS).get("conditions") or (), "Ready") or {}
        return ready.get("status") == "True" and len(self._pods()) == self._object(APPS)["spec"]["replicas"]

    def revision(self) -> int:
        number: int = self._status(APPS).get("revision", 0)
        return number

    def conditions(self) -> dict[str, tuple[str, str]]:
        words = {"NewRevisionAvailable": "NewReplicaSetAvailable", "RevisionUpdating": "ReplicaSetUpdated"}
        found = _conditions(self._status(APPS))
        return {type: (status, words.get(reason, reason)) for type, (status, reason) in found.items()}

    def breaches(self) -> list[str]:
        return self.ledger.breaches

    def stable(self) -> str:
        """The image of the revision that completed last, "" before any did."""
        name = (self._object(APPS).get("status") or {}).get("stableRevision")
        found = [one["spec"]["images"][0] for one in self._revisions().values() if one["metadata"]["name"] == name]
        return found[0] if found else ""

    def told(self) -> str:
        images = {number: one["spec"]["images"][0] for number, one in self._revisions().items()}
        return f"App {self.conditions()} revisions {images} {self.standing()}"


def is_ready(pod: JSON) -> bool:
    return (find(pod.get("status", {}).get("conditions") or (), "Ready") or {}).get("status") == "True"


def asked(sides: Iterable[Side], wish: Wish, *, floor: bool = True) -> None:
    """Tell both ledgers what holds from now on; `floor`: whether so many must stay available."""
    new = limits(wish.replicas, wish.surge, wish.unavailable, wish.min_ready_seconds)
    for side in sides:
        side.ledger.asked(new if floor else replace(new, floor=0))


def _number(found: JSON) -> int:
    return int(found["metadata"].get("annotations", {}).get("deployment.kubernetes.io/revision", 0))


def _as_pod(replica_set: JSON) -> JSON:
    made: JSON = replica_set["spec"]["template"]
    return made


def _restarted(made: JSON) -> str:
    return str((made["metadata"].get("annotations") or {}).get(RESTARTED_AT, ""))


def _conditions(status: JSON) -> dict[str, tuple[str, str]]:
    found = {one["type"]: (one["status"], one["reason"]) for one in status.get("conditions") or ()}
    return {type: found[type] for type in ("Available", "Progressing") if type in found}
