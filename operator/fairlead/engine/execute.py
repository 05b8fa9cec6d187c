"""Carries a plan's actions out: in order, within budgets, with preconditions; what goes wrong is kept for the next plan."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import assert_never

import msgspec

from fairlead.core.actions import Action, Adopt, Apply, Create, Delete, Patch, Release
from fairlead.core.meta import JSON, MANAGER, Key, owner_reference
from fairlead.engine.burst import HEAD, Burst, Trust
from fairlead.engine.contention import Contention
from fairlead.engine.expectations import Expectations, OwnWrites
from fairlead.engine.failures import CROWDS, Failures
from fairlead.engine.limiter import Limiter
from fairlead.engine.ownership import app_of, belongs, ownership
from fairlead.engine.requests import Fenced, Refusal, Requests, names_another, reason_of
from fairlead.engine.store import Table
from fairlead.kube.client import Client, Envelope
from fairlead.kube.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    NotFound,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    Unreachable,
)
from fairlead.kube.resources import BY_KIND, Resource

POD = "Pod"
_TRUSTED = 5.0  # seconds after a burst of creates without a refusal in which the next one starts at full pace


_envelope = msgspec.json.Decoder(Envelope)


@dataclass(slots=True)
class Outcome:
    """What became of a plan's actions."""

    refused: bool = False  # a new refusal was recorded: plan again with it before anything is told
    conflict: bool = False  # the view was stale, or no answer came: try again, with backoff
    unfinished: bool = False  # interrupted: a newer spec, the end of the slice, a stop
    succeeded: int = 0


@dataclass(slots=True)
class Job:
    """One plan to carry out, for one parent."""

    key: Key
    parent_kind: str
    parent_uid: str
    generation: int
    actions: Sequence[Action]
    interrupted: Callable[[], bool]
    outcome: Outcome = field(default_factory=Outcome)
    done: dict[tuple[str, str, str], None] = field(default_factory=dict)  # (verb, kind, name)
    refusals: dict[tuple[str, str, str], ApiError] = field(default_factory=dict)
    blocked: bool = False  # a prerequisite (a Revision) could not be made: no pods of it
    parent_lives: bool | None = None  # as read live, before anything is adopted


class Executor:
    """Order: creates, applies and patches of everything but pods, one after the other (a Revision before its pods; so are
    single pods with a purpose of their own);
    then pod creates, pod changes and all deletes, side by side, each in its own lane. Only the pods that a plan names
    after a pod's deletion wait: each takes the place of one that was deleted, or an operator that dies in between
    would leave more pods than the surge allows."""

    def __init__(
        self,
        client: Client,
        tables: Mapping[str, Table],
        requests: Requests,
        expectations: Expectations,
        own_writes: OwnWrites,
        failures: Failures,
    ) -> None:
        self._client = client
        self._tables = tables
        self._requests = requests
        self._expectations = expectations
        self._own_writes = own_writes
        self._failures = failures
        self._contention = Contention(_now)
        self._trust = Trust(_TRUSTED, _now)

    async def run(self, job: Job) -> Outcome:
        creates, replacements = _pod_creates(job.actions)
        deletes = [a for a in job.actions if isinstance(a, Delete)]
        changes = [a for a in job.actions if a.kind == POD and not isinstance(a, Create | Delete)]
        first = [a for a in job.actions if not isinstance(a, Delete) and (a.kind != POD or _apart(a))]
        for action in first:
            await self._one(job, action)
        if job.blocked:  # neither new pods nor fewer old ones for a Revision that is not there
            creates, replacements, deletes = [], [], [a for a in deletes if a.kind != POD]
        if creates or replacements or deletes or changes:
            await self._bursts(job, creates, replacements, deletes, changes)
        self._settle(job)
        return job.outcome

    # ------------------------------------------------------------ pace

    async def _bursts(
        self,
        job: Job,
        creates: Sequence[Create],
        replacements: Sequence[Create],
        deletes: Sequence[Delete],
        changes: Sequence[Action],
    ) -> None:
        """All at once. Creates start slowly, at most twice as many begun as have succeeded, plus one: so a quota that is
        used up costs one refused request, and 1000 pods are under way after ten round trips. A replacement begins when
        a deletion has made room for it."""
        lanes = self._requests.lanes
        head = self._trust.head(job.key)
        room = len(creates)

        def interrupted() -> bool:
            job.outcome.unfinished = job.outcome.unfinished or job.interrupted()
            return job.outcome.unfinished

        async def write(action: Action) -> bool:
            return await self._one(job, action)

        def made_room() -> None:
            nonlocal room
            room += 1
            new.launch()

        def at_once(succeeded: int) -> int:
            return HEAD + 2 * succeeded

        with ExitStack() as shares:
            async with asyncio.TaskGroup() as group:

                def burst(
                    actions: Sequence[Action],
                    lane: Limiter,
                    allowed: Callable[[int], int] = at_once,
                    succeeded: Callable[[], None] = lambda: None,
                ) -> Burst:
                    share = shares.enter_context(lane.burst()) if actions else lambda: 0
                    return Burst(
                        group,
                        actions,
                        write,
                        share=share,
                        allowed=allowed,
                        interrupted=interrupted,
                        succeeded=succeeded,
                    )

                pods = [*creates, *replacements]
                new = burst(pods, lanes.creates, lambda succeeded: min(room, head + 2 * succeeded))
                new.launch()
                giving_way = _giving_way(job.actions)
                burst([a for a in deletes if a in giving_way], lanes.deletes, succeeded=made_room).launch()
                rest = [a for a in deletes if a not in giving_way]
                for kind in dict.fromkeys(action.kind for action in rest):
                    burst([a for a in rest if a.kind == kind], lanes.deletes).launch()
                burst(changes, lanes.others).launch()
        if any((verb, kind) == ("create", POD) for verb, kind, _ in job.refusals):
            self._trust.lost(job.key)
        elif any((verb, kind) == ("create", POD) for verb, kind, _ in job.done):
            self._trust.earned(job.key)

    async def _one(self, job: Job, action: Action) -> bool:
        """Whether the action is done."""
        verb, kind, name = verb_of(action), kind_of(action), action.name
        if self._failures.holds(job.key, verb, kind, name, job.generation):
            job.blocked = job.blocked or (isinstance(action, Create) and action.kind != POD)
            return False
        try:
            done = await self._perform(job, action)
        except Fenced:
            job.outcome.unfinished = True
            done = False
        except ApiError as error:
            self._note(job, verb, kind, name, error)
            done = False
        if done:
            job.outcome.succeeded += 1
            job.done[(verb, kind, name)] = None
        elif isinstance(action, Create) and action.kind != POD:
            job.blocked = True
        return done

    def _note(self, job: Job, verb: str, kind: str, name: str, error: ApiError) -> None:
        stale = (
            isinstance(error, Conflict) or (isinstance(error, NotFound) and verb != "create") or names_another(error)
        )
        if stale or isinstance(error, TooManyRequests | Unauthorized | Unreachable):
            job.outcome.conflict = True
            return
        job.refusals.setdefault((verb, kind, name), error)

    def _settle(self, job: Job) -> None:
        """Keep the books at the end: in one pass several creates may meet the same quota, and one may still get through."""
        refused = {(verb, kind) for verb, kind, _ in job.refusals}
        for verb, kind, name in job.done:
            if (verb, kind) not in refused or kind not in CROWDS:
                self._failures.succeeded(job.key, verb, kind, name)
        told: set[tuple[str, str, str]] = set()
        for (verb, kind, name), error in job.refusals.items():
            reason = reason_of(error)
            if kind in CROWDS and (verb, kind, reason) in told:
                continue
            told.add((verb, kind, reason))
            self._failures.record(job.key, verb, kind, name, error.code, reason, error.message, job.generation)
            job.outcome.refused = True
        self._failures.unwanted(job.key, ((verb_of(a), kind_of(a)) for a in job.actions), job.generation)

    # ------------------------------------------------------------ single writes

    async def _perform(self, job: Job, action: Action) -> bool:
        match action:
            case Create():
                return await self._create(job, action)
            case Delete():
                return await self._delete(job, action)
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
        table = self._tables.get(action.kind)
        if table is not None:
            self._expectations.expect_delete(job.key, action.kind, action.uid)
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

    async def _apply(self, job: Job, action: Apply) -> bool:
        if action.owner_uid:
            await self._check_owner(action)
        if self._contention.contested((action.kind, action.namespace, action.name), action.body):
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
        self._wrote(job.key, action.kind, answer)
        return True

    async def _who_else(self, action: Apply) -> str:
        """Who writes to the object beside us, by its managedFields."""
        try:
            live = msgspec.json.decode(await self._read(BY_KIND[action.kind], action.namespace, action.name))
        except NotFound:
            return f"{action.kind} {action.name} is deleted as often as it is made"
        writers = {entry.get("manager", "") for entry in live["metadata"].get("managedFields") or ()} - {MANAGER, ""}
        named = ", ".join(sorted(writers)) or "nobody it names"
        return f"another writer keeps changing what spec asks for; besides Fairlead it is written by {named}: take it away from one of them"

    async def _check_owner(self, action: Apply) -> None:
        table = self._tables.get(action.kind)
        known = table.get(action.namespace, action.name) if table is not None else None
        if known is not None and getattr(known, "owner_uid", None) == action.owner_uid:
            return
        try:
            body = await self._read(BY_KIND[action.kind], action.namespace, action.name)
        except NotFound:
            return
        live = ownership(body)
        if live.left_by(app_of(action)):
            return
        controller = live.controller
        if controller is None or controller.uid != action.owner_uid:
            raise Refusal("NotOwned", f'{action.kind} "{action.name}" exists and {belongs(controller)}')

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

    async def _parent_lives(self, job: Job, action: Adopt) -> bool:
        """Read once per pass: nothing is adopted for a parent that is being deleted, or is another one by now."""
        if job.parent_lives is None:
            try:
                body = await self._read(BY_KIND[action.owner_kind], action.namespace, action.owner_name)
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

    def _wrote(self, key: Key, kind: str, answer: bytes) -> None:
        if kind in self._tables:
            self._own_writes.note(key, kind, int(_envelope.decode(answer).metadata.resource_version or 0))


def _now() -> float:
    return asyncio.get_running_loop().time()


def _pod_creates(actions: Sequence[Action]) -> tuple[list[Create], list[Create]]:
    """The pods named before the first deletion of a pod, and those after it."""
    before: list[Create] = []
    after: list[Create] = []
    current = before
    for action in actions:
        if action.kind == POD and isinstance(action, Delete):
            current = after
        elif action.kind == POD and isinstance(action, Create) and not _apart(action):
            current.append(action)
    return before, after


def _giving_way(actions: Sequence[Action]) -> frozenset[Delete]:
    """The pods whose deletion makes room for a pod that is named behind it. Those that are deleted for another reason, such
    as finished ones that were kept for a look at them, count for nothing and make no room.

    >>> one, two = Delete("Pod", "default", "one", "u1"), Delete("Pod", "default", "two", "u2")
    >>> [delete.name for delete in _giving_way([one, Create("Pod", "default", "new", b"{}"), two])]
    ['one']
    """
    creates = [
        index
        for index, action in enumerate(actions)
        if action.kind == POD and isinstance(action, Create) and not _apart(action)
    ]
    before = actions[: creates[-1]] if creates else ()
    return frozenset(action for action in before if action.kind == POD and isinstance(action, Delete))


def _apart(action: Action) -> bool:
    """A create of something that is none of many alike."""
    return isinstance(action, Create) and bool(action.purpose)


def kind_of(action: Action) -> str:
    """What RBAC and refusals speak of: who may write pods may not write their status. A pod with a purpose of its own may be
    refused for what it is, and the App's pods be taken.

    >>> kind_of(Patch("Pod", "default", "one", b"{}", "status")), kind_of(Patch("Pod", "default", "one", b"{}"))
    ('Pod/status', 'Pod')
    """
    match action:
        case Patch(subresource=part) | Create(purpose=part) if part:
            return f"{action.kind}/{part}"
        case _:
            return action.kind


def verb_of(action: Action) -> str:
    """The RBAC verb an action needs."""
    match action:
        case Create():
            return "create"
        case Delete():
            return "delete"
        case _:
            return "patch"
