"""One action at a time: the request it becomes, with its preconditions, and what the answer means."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import assert_never

import msgspec

from fairlead.core.actions import Action, Adopt, Apply, Create, Delete, Patch, Release, Try, out_of_quota
from fairlead.core.meta import JSON, MANAGER, Key, owner_reference
from fairlead.engine.contention import Contention
from fairlead.engine.expectations import Expectations, OwnWrites
from fairlead.engine.job import POD, Job, kind_of
from fairlead.engine.ownership import app_of, belongs, ownership
from fairlead.engine.requests import Refusal, Requests
from fairlead.engine.store import Table
from fairlead.kube.client import Client, Envelope
from fairlead.kube.errors import AlreadyExists, Forbidden, Invalid, NotFound, Unavailable, Unreachable
from fairlead.kube.resources import BY_KIND, Resource

_envelope = msgspec.json.Decoder(Envelope)

RESIZE = "resize"  # the one subresource that others write as well: a VerticalPodAutoscaler, a webhook


class Performer:
    """Carries single actions out. Each returns whether it is done; an ApiError is the API server's refusal. What it writes is
    expected in the store (creates and deletes) or noted as our own (all else) before anybody plans again."""

    def __init__(
        self,
        client: Client,
        tables: Mapping[str, Table],
        requests: Requests,
        expectations: Expectations,
        own_writes: OwnWrites,
    ) -> None:
        self._client = client
        self._tables = tables
        self._requests = requests
        self._expectations = expectations
        self._own_writes = own_writes
        self._contention = Contention(lambda: asyncio.get_running_loop().time())

    async def perform(self, job: Job, action: Action) -> bool:
        match action:
            case Create():
                return await self._create(job, action)
            case Delete():
                return await self._delete(job, action)
            case Try():
                return await self._try(action)
            case Apply():
                return await self._apply(job, action)
            case Patch():
                return await self._patch(job, action)
            case Adopt():
                return await self._adopt(job, action)
            case Release():
                return await self._release(job, action)
            case _:
                assert_never(action)

    async def _create(self, job: Job, action: Create) -> bool:
        table = self._tables.get(action.kind)
        if table is not None:
            self._expectations.expect_create(job.key, action.kind, action.namespace, action.name)
        try:
            made = await self._post(job, action)
        except BaseException:
            self._expectations.settle_create(action.kind, action.namespace, action.name)
            raise
        if not made:
            self._expectations.settle_create(action.kind, action.namespace, action.name)
            return False
        self._expectations.answered_create(action.kind, action.namespace, action.name)
        return True

    async def _post(self, job: Job, action: Create) -> bool:
        resource, lanes = BY_KIND[action.kind], self._requests.lanes
        lane = lanes.creates if action.kind == POD else lanes.others
        try:
            answer = await self._requests.send(
                lane,
                "create",
                action.kind,
                lambda: self._client.create(resource, action.namespace, action.body, manager=MANAGER),
            )
        except AlreadyExists:
            return await self._already_there(job, action)
        if action.kind != POD:  # a pod is awaited by its name: its answer is 2 KB nobody needs parsed
            self._wrote(job.key, action.kind, answer)
        return True

    async def _already_there(self, job: Job, action: Create) -> bool:
        """The name is taken: by ourselves (a request that timed out and was carried out all the same), or by another."""
        try:
            body = await self._read(BY_KIND[action.kind], action.namespace, action.name)
        except NotFound:
            job.outcome.conflict = True  # it was just going: the next pass makes it
            return False
        meta = ownership(body)
        controller = meta.controller
        if action.owner_uid and (controller is None or controller.uid != action.owner_uid):
            raise Refusal("NameTaken", f'{action.kind} "{action.name}" exists and {belongs(controller)}')
        if (table := self._tables.get(action.kind)) is not None:
            table.learn(body)
        if meta.deletion_timestamp is not None:
            job.outcome.conflict = True  # the last one of that name is not gone yet
            return False
        self._expectations.settle_create(action.kind, action.namespace, action.name)
        return True

    async def _delete(self, job: Job, action: Delete) -> bool:
        table = self._tables.get(action.known_as or action.kind)
        if table is not None:
            self._expectations.expect_delete(job.key, table.kind, action.uid)
        try:
            await self._requests.send(
                self._requests.lanes.deletes,
                "delete",
                action.kind,
                lambda: self._client.delete(
                    BY_KIND[action.kind], action.namespace, action.name, uid=action.uid, propagation=action.propagation
                ),
            )
        except NotFound:
            self._expectations.settle_delete(action.uid)
            if table is not None:
                table.remove(action.namespace, action.name, action.uid)
            return True
        except BaseException:
            self._expectations.settle_delete(action.uid)
            raise
        self._expectations.answered_delete(action.uid)
        return True

    async def _try(self, action: Try) -> bool:
        """The API server also says no where deletions would make room in a quota, and where a webhook knows no dry run: neither says
        anything of the object."""
        try:
            await self._requests.send(
                self._requests.lanes.others,
                "create",
                action.kind,
                lambda: self._client.create(
                    BY_KIND[action.kind], action.namespace, action.body, manager=MANAGER, dry_run=True
                ),
            )
        except (Invalid, Forbidden) as error:
            if error.code != 400 and not out_of_quota(error.message):
                raise
        return True

    async def _apply(self, job: Job, action: Apply) -> bool:
        if action.owner_uid and await self._takes_over(action) and not await self._parent_lives(job, action):
            job.outcome.conflict = True
            return False
        slot = (action.kind, action.namespace, action.name)
        if self._contention.contested(slot, action.body):
            raise Refusal("Contested", await self._who_else(action))
        # Between the check and this request another may create the name. The API server refuses a second controller
        # reference, so only an unowned object made in these milliseconds could be taken over.
        answer = await self._requests.send(
            self._requests.lanes.others,
            "patch",
            action.kind,
            lambda: self._client.patch(
                BY_KIND[action.kind],
                action.namespace,
                action.name,
                action.body,
                type="apply",
                manager=MANAGER,
                force=True,
            ),
        )
        self._contention.count(slot, action.body)
        self._wrote(job.key, action.known_as or action.kind, answer)
        return True

    async def _who_else(self, action: Apply | Patch) -> str:
        """Who writes to the object beside us, by its managedFields."""
        try:
            live = msgspec.json.decode(await self._read(BY_KIND[action.kind], action.namespace, action.name))
        except NotFound:
            return f"{action.kind} {action.name} is deleted as often as it is made"
        writers = {entry.get("manager", "") for entry in live["metadata"].get("managedFields") or ()} - {MANAGER, ""}
        named = ", ".join(sorted(writers)) or "nobody it names"
        return f"another writer keeps changing what spec asks for; besides Fairlead it is written by {named}: take it away from one of them"

    async def _takes_over(self, action: Apply) -> bool:
        """Whether the live object is one that an App of this name has left behind. NotOwned when it is somebody else's."""
        table = self._tables.get(action.known_as or action.kind)
        known = table.get(action.namespace, action.name) if table is not None else None
        if known is not None and getattr(known, "owner_uid", None) == action.owner_uid:
            return False
        try:
            body = await self._read(BY_KIND[action.kind], action.namespace, action.name)
        except NotFound:
            return False
        live = ownership(body)
        if live.left_by(app_of(action)):
            return True
        controller = live.controller
        if controller is None or controller.uid != action.owner_uid:
            raise Refusal("NotOwned", f'{action.kind} "{action.name}" exists and {belongs(controller)}')
        return False

    async def _patch(self, job: Job, action: Patch) -> bool:
        answer = await self._requests.send(
            self._requests.lanes.others,
            "patch",
            kind_of(action),
            lambda: self._client.patch(
                BY_KIND[action.kind],
                action.namespace,
                action.name,
                action.body,
                type=action.type,
                subresource=action.subresource,
                manager=MANAGER,
            ),
        )
        self._wrote(job.key, action.kind, answer)
        slot = (action.kind, action.namespace, action.name)
        if action.subresource == RESIZE:
            if self._contention.contested(slot, action.body):
                raise Refusal("Contested", await self._who_else(action))  # it did not last the last times either
            self._contention.count(slot, action.body)
        return True

    async def _adopt(self, job: Job, action: Adopt) -> bool:
        if not await self._parent_lives(job, action):
            job.outcome.conflict = True
            return False

        def with_owner(references: list[JSON]) -> list[JSON] | None:
            if any(ref.get("controller") for ref in references):
                return None  # somebody else was faster
            return [*references, owner_reference(action.owner_kind, action.owner_name, action.owner_uid)]

        return await self._change_owners(job, action, with_owner)

    async def _release(self, job: Job, action: Release) -> bool:
        def without_owner(references: list[JSON]) -> list[JSON] | None:
            rest = [ref for ref in references if ref.get("uid") != action.owner_uid]
            return rest if len(rest) < len(references) else None

        return await self._change_owners(job, action, without_owner)

    async def _change_owners(
        self, job: Job, action: Adopt | Release, change: Callable[[list[JSON]], list[JSON] | None]
    ) -> bool:
        """Rewrite the owner references of exactly the object that was read: its uid and resourceVersion go along."""
        resource = BY_KIND[action.kind]
        try:
            live = msgspec.json.decode(await self._read(resource, action.namespace, action.name))
        except NotFound:
            return True
        meta: JSON = live["metadata"]
        if meta["uid"] != action.uid or (meta.get("deletionTimestamp") and isinstance(action, Adopt)):
            return True  # another object, or one on its way out: nothing to do any more
        references = change(meta.get("ownerReferences") or [])
        if references is None:
            return True
        body = msgspec.json.encode(
            {
                "metadata": {
                    "uid": meta["uid"],
                    "resourceVersion": meta["resourceVersion"],
                    "ownerReferences": references,
                }
            }
        )
        answer = await self._requests.send(
            self._requests.lanes.others,
            "patch",
            action.kind,
            lambda: self._client.patch(resource, action.namespace, action.name, body, type="merge", manager=MANAGER),
        )
        self._wrote(job.key, action.kind, answer)
        return True

    async def _parent_lives(self, job: Job, action: Adopt | Apply) -> bool:
        """Read once per pass: nothing is adopted or taken over for a parent that is being deleted, or is another one by now. Its children's
        watch may be ahead of its own: they are left behind already (--cascade=orphan), and who took them back would have them deleted
        with it."""
        if job.parent_lives is None:
            try:
                body = await self._read(BY_KIND[job.parent_kind], job.key.namespace, job.key.name)
            except NotFound:
                job.parent_lives = False
            else:
                meta = _envelope.decode(body).metadata
                job.parent_lives = meta.uid == action.owner_uid and meta.deletion_timestamp is None
        return job.parent_lives

    async def _read(self, resource: Resource, namespace: str, name: str) -> bytes:
        """The live object. A server in trouble has refused nothing yet: the write it is read for is tried again soon,
        and no status calls it refused."""
        try:
            return await self._client.get(resource, namespace, name)
        except Unavailable as error:
            raise Unreachable(error.code, error.reason, error.message, retry_after=error.retry_after) from error

    def _wrote(self, key: Key, table: str, answer: bytes) -> None:
        if table in self._tables:
            self._own_writes.note(key, table, int(_envelope.decode(answer).metadata.resource_version or 0))
