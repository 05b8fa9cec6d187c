"""One writer at a time, by a Lease (engine rule 7).

All durations are measured on this process's own monotonic clock; the times in the Lease are for people. Leader election
is no fence: every write carries preconditions as well, and asks `leads` right before it is sent, so that a process that
was stopped for a minute and goes on finds out before it writes.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from fairlead.core.meta import JSON
from fairlead.engine.settings import LeaseSettings
from fairlead.kube.client import Client
from fairlead.kube.errors import AlreadyExists, ApiError, Conflict, NotFound
from fairlead.kube.resources import LEASES
from fairlead.metrics.collect import Metrics

log = logging.getLogger(__name__)


class LeadershipLost(Exception):
    """Another process may be leading by now: this one must end."""


class Leader:
    """Acquires the Lease and keeps it. `run` returns never; it raises LeadershipLost."""

    def __init__(
        self,
        client: Client,
        settings: LeaseSettings,
        identity: str,
        *,
        clock: Callable[[], float],
        rng: random.Random,
        metrics: Metrics,
    ) -> None:
        self._client = client
        self._settings = settings
        self._identity = identity
        self._clock = clock
        self._rng = rng
        self._renewed: float | None = None  # loop time our own last renewal was begun at
        self._seen = ""  # resourceVersion of the lease as last seen …
        self._seen_at = 0.0  # … and when it was first seen so
        self.holder = ""  # who leads, as far as we know
        self.succeeded_another = False  # the lease was another's before: its last writes may not have been seen yet
        self.acquired = asyncio.Event()
        metrics.leader.set_function(lambda: float(self.leads))

    @property
    def leads(self) -> bool:
        """Whether writes are safe now: the lease was renewed within the deadline, on our clock."""
        return self._renewed is not None and _now() - self._renewed < self._settings.renew_deadline

    async def run(self) -> None:
        await self._acquire()
        log.info("%s leads", self._identity)
        self.acquired.set()
        while True:
            await asyncio.sleep(self._settings.retry_period)
            await self._renew()
            if not self.leads:
                raise LeadershipLost(f"the lease could not be renewed within {self._settings.renew_deadline:g} s")

    async def release(self) -> None:
        """Let the standby lead at once. Call it when nothing writes any more."""
        if not self.leads:
            return
        self._renewed = None
        try:
            async with asyncio.timeout(self._patience):
                lease = await self._read()
                if lease is not None and lease["spec"].get("holderIdentity") == self._identity:
                    lease["spec"].update(holderIdentity="", leaseDurationSeconds=1, renewTime=self._time())
                    await self._write(lease)
        except (ApiError, TimeoutError) as error:
            log.warning("the lease was not released, it will run out: %s", error)

    @property
    def _patience(self) -> float:
        """For one request: two must fit into the deadline, or a slow one makes two leaders."""
        return self._settings.renew_deadline * 0.45

    async def _acquire(self) -> None:
        while True:
            began = _now()
            try:
                async with asyncio.timeout(self._patience):
                    if await self._try():
                        self._renewed = began
                        return
            except (ApiError, TimeoutError) as error:
                log.warning("cannot get the lease %s/%s: %s", self._settings.namespace, self._settings.name, error)
            await asyncio.sleep(self._settings.retry_period * (1 + 0.2 * self._rng.random()))

    async def _try(self) -> bool:
        lease = await self._read()
        if lease is None:
            return await self._begin()
        spec: JSON = lease.setdefault("spec", {})
        version, holder = lease["metadata"]["resourceVersion"], spec.get("holderIdentity") or ""
        if version != self._seen:
            self._seen, self._seen_at = version, _now()
            if holder != self.holder:
                log.info("%s leads", holder or "nobody")
        self.holder = holder
        patience = float(spec.get("leaseDurationSeconds") or self._settings.duration)
        if holder and holder != self._identity and _now() - self._seen_at < patience:
            return False
        if holder != self._identity:
            self.succeeded_another = True
            spec["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + 1
            spec["acquireTime"] = self._time()
        spec.update(
            holderIdentity=self._identity,
            leaseDurationSeconds=max(1, round(self._settings.duration)),
            renewTime=self._time(),
        )
        try:
            await self._write(lease)
        except Conflict:
            return False
        self.holder = self._identity
        return True

    async def _begin(self) -> bool:
        spec = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": max(1, round(self._settings.duration)),
            "acquireTime": self._time(),
            "renewTime": self._time(),
            "leaseTransitions": 0,
        }
        body = {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {"name": self._settings.name, "namespace": self._settings.namespace},
            "spec": spec,
        }
        try:
            await self._client.create(LEASES, self._settings.namespace, msgspec.json.encode(body))
        except AlreadyExists:
            return False
        self.holder = self._identity
        return True

    async def _renew(self) -> None:
        """One attempt. That it failed shows in `leads`, once the deadline has passed; that another holds it, at once."""
        began = _now()
        try:
            async with asyncio.timeout(self._patience):
                lease = await self._read()
                holder = (lease or {}).get("spec", {}).get("holderIdentity") or ""
                if lease is not None and holder not in ("", self._identity):
                    self._renewed = None
                    raise LeadershipLost(f"{holder} leads now")
                if await self._try():
                    self._renewed = began
        except (ApiError, TimeoutError) as error:
            log.warning("the lease was not renewed: %s", error)

    async def _read(self) -> JSON | None:
        try:
            body = await self._client.get(LEASES, self._settings.namespace, self._settings.name)
        except NotFound:
            return None
        lease: JSON = msgspec.json.decode(body)
        return lease

    async def _write(self, lease: JSON) -> None:
        """With its resourceVersion: of two that try at once, one gets a Conflict."""
        await self._client.replace(LEASES, self._settings.namespace, self._settings.name, msgspec.json.encode(lease))

    def _time(self) -> str:
        return datetime.fromtimestamp(self._clock(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _now() -> float:
    return asyncio.get_running_loop().time()
