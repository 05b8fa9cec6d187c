"""An in-memory API server: the rules of every write, before its storage.

Synchronous and without chance: the clock is given, names and uids are counted. `FakeClient` is the operator's door to
it; the tests' users, kubelets and schedulers call it directly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fairlead.core.conditions import timestamp
from fairlead.core.meta import JSON, safe_digits
from fairlead.kube.errors import AlreadyExists, ApiError, Conflict, Forbidden, Invalid, NotFound, Unavailable
from fairlead.kube.fake import fields, kinds, patches, rules, services
from fairlead.kube.fake.fields import Owners, Writer
from fairlead.kube.fake.records import Admission, Hook, Origin, Stored, decode, encode
from fairlead.kube.fake.storage import Storage
from fairlead.kube.resources import NAMESPACES, PODS, Resource

OBJECT_LIMIT = 1_572_864  # bytes: etcd's request limit


class FakeCluster(Storage):
    """Storage behind the rules of every write.

    admission: hooks asked before every create, update and delete, after defaults and before validation.
    schemas:   kind -> what its CRD does to an object: prune, default, validate (see `schema.load`).
    behind:    what stands behind paths that are no objects, by the beginning of the path: nodes, aggregated APIs.
    """

    def __init__(self, clock: Callable[[], float], *, window: int = 100_000):
        super().__init__(clock, window=window)
        self.admission: list[Hook] = []
        self.schemas: dict[str, Callable[[Resource, JSON], None]] = {}
        self.behind: dict[str, Callable[[str, Mapping[str, str]], bytes]] = {}
        self._names = 0
        self._uids = 0
        self.addresses = services.Allocator()
        self.create(NAMESPACES, None, {"metadata": {"name": "default"}})

    def fetched(self, path: str, query: Mapping[str, str]) -> bytes:
        """What is no object."""
        for beginning, answer in self.behind.items():
            if path.startswith(beginning):
                return answer(path, query)
        raise NotFound(404, "NotFound", "the server could not find the requested resource")

    # ------------------------------------------------------------ creating

    def create(
        self, resource: Resource, namespace: str | None, body: JSON, origin: Origin = Origin("create")
    ) -> Stored:
        obj = decode(encode(body))
        meta = obj.setdefault("metadata", {})
        self._check_target(resource, namespace, obj)
        if meta.get("resourceVersion"):
            raise Unavailable(500, "", "resourceVersion should not be set on objects to be created")  # sic
        if not meta.get("name") and meta.get("generateName"):
            self._names += 1
            meta["name"] = meta["generateName"] + safe_digits(self._names * 7919, 5)
        if not meta.get("name"):
            raise kinds.invalid(resource, "", "metadata.name", "Required value: name or generateName is required")
        return self._insert(resource, rules.scope(resource, namespace), obj, origin, None)

    def _insert(self, resource: Resource, namespace: str, obj: JSON, origin: Origin, owners: Owners | None) -> Stored:
        name = obj["metadata"]["name"]
        self._check_namespace(resource, namespace, name)
        if (namespace, name) in self.table(resource):
            raise AlreadyExists(
                409,
                "AlreadyExists",
                f'{rules.plural(resource)} "{name}" already exists',
                details={"name": name, "group": resource.group, "kind": resource.plural},
            )
        self._system_metadata(resource, namespace, obj, None)
        self._first_status(resource, obj)
        self._prepare(resource, namespace, obj, None, origin)
        if owners is None:
            owners = self._owners(resource, None, obj, origin)
        self.addresses.fill(resource, obj, None)
        return self._commit("ADDED", resource, namespace, obj, None, owners, origin)

    def _check_target(self, resource: Resource, namespace: str | None, obj: JSON) -> None:
        """The body must be of the kind and namespace that the URL names."""
        self.table(resource)
        if resource.kind in kinds.CUSTOM and not (obj.get("kind") and obj.get("apiVersion")):
            raise Invalid(
                400,
                "BadRequest",
                f"the object provided is unrecognized (must be of type {resource.kind}): Object 'Kind' is missing",
            )
        kind, version = obj.setdefault("kind", resource.kind), obj.setdefault("apiVersion", resource.api_version)
        if kind != resource.kind or version != resource.api_version:
            raise Invalid(
                400,
                "BadRequest",
                f"the object provided ({version} {kind}) is not a {resource.api_version} {resource.kind}",
            )
        if resource.namespaced and obj["metadata"].setdefault("namespace", namespace) != namespace:
            raise Invalid(
                400,
                "BadRequest",
                "the namespace of the provided object does not match the namespace sent on the request",
            )

    def _check_namespace(self, resource: Resource, namespace: str, name: str) -> None:
        if not resource.namespaced:
            return
        holder = self.find(NAMESPACES, None, namespace)
        if holder is None:
            raise rules.not_found(NAMESPACES, namespace)
        if holder.meta.get("deletionTimestamp"):
            raise Forbidden(
                403,
                "Forbidden",
                f'{rules.plural(resource)} "{name}" is forbidden: unable to create new content in namespace {namespace} because it is being terminated',
                details={
                    "name": name,
                    "kind": resource.plural,
                    "causes": [
                        {
                            "reason": "NamespaceTerminating",
                            "message": f"namespace {namespace} is being terminated",
                            "field": "metadata.namespace",
                        }
                    ],
                },
            )

    def _first_status(self, resource: Resource, obj: JSON) -> None:
        if resource.kind in kinds.WITH_STATUS:
            obj.pop("status", None)
        first = kinds.FIRST_STATUS.get(resource.kind)
        if first:
            obj["status"] = dict(first)

    # ------------------------------------------------------------ changing

    def replace(
        self, resource: Resource, namespace: str | None, name: str, body: JSON, origin: Origin = Origin("update")
    ) -> Stored:
        old = self.get(resource, namespace, name)
        obj = decode(encode(body))
        obj.setdefault("metadata", {}).setdefault("name", name)
        self._check_target(resource, namespace, obj)
        if obj["metadata"]["name"] != name:
            raise Invalid(
                400,
                "BadRequest",
                f"the name of the object ({obj['metadata']['name']}) does not match the name on the URL ({name})",
            )
        rules.check_uid(resource, old, obj["metadata"].get("uid") or "")
        if resource.kind in kinds.CONDITIONAL_UPDATE and not obj["metadata"].get("resourceVersion"):
            raise kinds.invalid(
                resource, name, "metadata.resourceVersion", "Invalid value: 0: must be specified for an update"
            )
        return self._update(resource, old, obj, origin)

    def patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        body: Any,
        type: str,
        origin: Origin = Origin("patch"),
    ) -> Stored:
        """A merge, strategic or JSON patch."""
        if type == "strategic" and resource.kind in kinds.CUSTOM:
            raise ApiError(415, "UnsupportedMediaType", "the body of the request was in an unknown format")
        old = self.get(resource, namespace, name)
        if type == "strategic":
            obj = patches.strategic_patch(old.copy(), body, lambda path: kinds.list_keys(resource.kind, path))
        else:
            obj = patches.merge_patch(old.copy(), body) if type == "merge" else patches.json_patch(old.copy(), body)
        if not isinstance(obj, dict) or obj.get("metadata", {}).get("name") != name:
            raise Invalid(400, "BadRequest", "a patch may not change the name of the object")
        return self._update(resource, old, obj, origin)

    def edit(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        change: Callable[[JSON], None],
        origin: Origin = Origin("update"),
    ) -> Stored:
        """Read, change, write: for the tests' own actors."""
        obj = self.get(resource, namespace, name).copy()
        change(obj)
        return self._update(resource, self.get(resource, namespace, name), obj, origin)

    def apply(
        self, resource: Resource, namespace: str | None, name: str, config: JSON, origin: Origin, *, force: bool
    ) -> Stored:
        """Server-side apply."""
        if not origin.manager:
            raise Invalid(
                422,
                "Invalid",
                "PatchOptions.meta.k8s.io is invalid: fieldManager: Required value: is required for apply patch",
            )
        if (config.get("metadata") or {}).get("managedFields"):
            raise Invalid(400, "BadRequest", "metadata.managedFields must be nil")
        config = decode(encode(config))
        meta = config.setdefault("metadata", {})
        meta.setdefault("name", name)
        self._check_target(resource, namespace, config)
        old = self.find(resource, namespace, name)
        writer = Writer(origin.manager, "Apply", origin.subresource)
        part = fields.relevant(config, **rules.writes(resource, origin.subresource))
        if old is None:
            return self._apply_new(resource, namespace, config, part, writer, origin)
        live = fields.relevant(old.copy(), status=True, main=True)
        owners = old.owners
        if not owners and resource.kind in kinds.UNTRACKED:
            owners = {Writer("before-first-apply", "Update", ""): frozenset(fields.flatten(resource.kind, live))}
        merged, owners = fields.apply(resource.kind, live, part, owners, writer, force=force)
        obj = {"kind": resource.kind, "apiVersion": resource.api_version, **merged}
        obj["metadata"] = {
            **{key: value for key, value in old.copy()["metadata"].items() if key in fields.SYSTEM},
            **merged.get("metadata", {}),
        }
        for precondition in ("uid", "resourceVersion"):
            if meta.get(precondition):
                obj["metadata"][precondition] = meta[precondition]
        return self._update(resource, old, obj, origin, owners)

    def _apply_new(
        self, resource: Resource, namespace: str | None, config: JSON, part: JSON, writer: Writer, origin: Origin
    ) -> Stored:
        meta = config["metadata"]
        if origin.subresource:
            raise rules.not_found(resource, meta["name"])
        if meta.get("uid"):
            raise Conflict(
                409,
                "Conflict",
                f"uid mismatch: the provided object specified uid {meta['uid']}, and no existing object was found",
            )
        if meta.get("resourceVersion"):
            raise rules.not_found(resource, meta["name"])
        owners = {writer: frozenset(fields.flatten(resource.kind, part))}
        return self._insert(resource, rules.scope(resource, namespace), config, origin, owners)

    def _update(
        self, resource: Resource, old: Stored, obj: JSON, origin: Origin, owners: Owners | None = None
    ) -> Stored:
        namespace, _name = rules.ref(old)
        rules.check_version(resource, old, str(obj["metadata"].get("resourceVersion") or ""))
        self._check_identity(resource, old, obj, origin.subresource)
        self._system_metadata(resource, namespace, obj, old)
        obj = self._only_subresource(resource, old, obj, origin.subresource)
        rules.check_finalizers(resource, old, obj)
        self._prepare(resource, namespace, obj, old, origin)
        self.addresses.fill(resource, obj, old.object)
        if origin.subresource != "resize":
            kinds.check_update(resource, old.object, obj)
        if rules.same(old.object, obj) and (owners is None or owners == old.owners):
            return old
        if resource.kind in kinds.WITH_GENERATION and kinds.desired_part(resource, old.object) != kinds.desired_part(
            resource, obj
        ):
            obj["metadata"]["generation"] = old.meta.get("generation", 0) + 1
        if owners is None:
            owners = self._owners(resource, old, obj, origin)
        if (
            obj["metadata"].get("deletionTimestamp")
            and not obj["metadata"].get("finalizers")
            and not obj["metadata"].get("deletionGracePeriodSeconds")
        ):
            return self._commit("DELETED", resource, namespace, obj, old, owners, origin)
        return self._commit("MODIFIED", resource, namespace, obj, old, owners, origin)

    def _check_identity(self, resource: Resource, old: Stored, obj: JSON, subresource: str) -> None:
        """Another uid in a patch is no conflict but invalid: patches have no preconditions, only fields that may not
        change. And the status of a custom resource takes no metadata, so nobody looks."""
        uid = obj["metadata"].get("uid")
        if not uid or uid == old.meta["uid"] or (resource.kind in kinds.CUSTOM and subresource == "status"):
            return
        raise kinds.invalid(resource, old.meta["name"], "metadata.uid", f'Invalid value: "{uid}": field is immutable')

    def _only_subresource(self, resource: Resource, old: Stored, obj: JSON, subresource: str) -> JSON:
        """/status writes the status and nothing else, /resize what containers request, the main resource everything else."""
        if subresource == "resize":
            return kinds.resized(resource, old.object, obj)
        if resource.kind not in kinds.WITH_STATUS:
            return obj
        if subresource == "status":
            kept = old.copy()
            if resource.kind not in kinds.CUSTOM:
                kept["metadata"] = {
                    **kept["metadata"],
                    **{key: obj["metadata"].get(key) for key in ("labels", "annotations") if obj["metadata"].get(key)},
                }
            kept.pop("status", None)
            return {**kept, "status": obj["status"]} if "status" in obj else kept
        obj.pop("status", None)
        return {**obj, "status": old.copy()["status"]} if "status" in old.object else obj

    # ------------------------------------------------------------ deleting

    def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str = "",
        resource_version: str = "",
        grace_period_seconds: int | None = None,
        propagation: str = "Background",
        origin: Origin = Origin("delete"),
    ) -> Stored:
        """The object as it is after the request: being deleted, or gone."""
        old = self.get(resource, namespace, name)
        rules.check_uid(resource, old, uid)
        rules.check_version(resource, old, resource_version)
        obj = old.copy()
        for hook in self.admission:
            hook(Admission(origin, resource, rules.ref(old)[0], name, obj, old.object))
        meta = obj["metadata"]
        rules.set_finalizers(meta, propagation)
        grace = rules.grace(resource, obj, grace_period_seconds)
        if resource.kind == "Namespace":
            obj.setdefault("status", {})["phase"] = "Terminating"
        elif not meta.get("finalizers") and grace == 0:
            if resource.kind == "Pod":  # shown as being deleted first, even where nothing waits
                old = self._mark_deleted(resource, old, obj, 0, origin)
            return self._commit("DELETED", resource, rules.ref(old)[0], old.copy(), old, old.owners, origin)
        return self._mark_deleted(resource, old, obj, grace, origin)

    def _mark_deleted(self, resource: Resource, old: Stored, obj: JSON, grace: int, origin: Origin) -> Stored:
        """The object with its deletionTimestamp; a later delete can only shorten the grace period."""
        meta = obj["metadata"]
        if not meta.get("deletionTimestamp"):
            if resource.kind in kinds.WITH_GENERATION:
                meta["generation"] = meta.get("generation", 0) + 1
        elif grace >= meta.get("deletionGracePeriodSeconds", 0):
            grace = -1
        if grace >= 0:
            meta["deletionTimestamp"] = timestamp(self.clock() + grace)
            meta["deletionGracePeriodSeconds"] = grace
        if rules.same(old.object, obj):
            return old
        return self._commit("MODIFIED", resource, rules.ref(old)[0], obj, old, old.owners, origin)

    def remove(self, resource: Resource, namespace: str | None, name: str) -> None:
        """Take an object away whatever holds it: the last step of a namespace's deletion, or an etcd accident."""
        old = self.get(resource, namespace, name)
        self._commit("DELETED", resource, rules.ref(old)[0], old.copy(), old, old.owners, Origin("delete"))

    def assign(self, namespace: str, name: str, node: str, origin: Origin = Origin("create", "scheduler")) -> Stored:
        """Bind a pod to a node: the one change of a pod's spec that only /binding makes."""
        old = self.get(PODS, namespace, name)
        obj = old.copy()
        obj["spec"]["nodeName"] = node
        conditions = [c for c in obj["status"].get("conditions") or () if c["type"] != "PodScheduled"]
        obj["status"]["conditions"] = [
            *conditions,
            {"type": "PodScheduled", "status": "True", "lastTransitionTime": timestamp(self.clock())},
        ]
        obj["metadata"]["generation"] = obj["metadata"].get("generation", 0) + 1
        return self._commit("MODIFIED", PODS, namespace, obj, old, old.owners, origin)

    # ------------------------------------------------------------ what every write shares

    def _system_metadata(self, resource: Resource, namespace: str, obj: JSON, old: Stored | None) -> None:
        """The fields that are the server's: a client's values for them are not taken."""
        meta = obj["metadata"]
        for key in (
            "uid",
            "creationTimestamp",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "generation",
            "managedFields",
            "resourceVersion",
            "selfLink",
        ):
            meta.pop(key, None)
        if resource.namespaced:
            meta["namespace"] = namespace
        for key in ("labels", "annotations", "finalizers", "ownerReferences"):
            if key in meta and not meta[key]:
                del meta[key]
        if old is None:
            self._uids += 1
            meta["uid"] = f"{self._uids:08x}-0000-4000-8000-000000000000"
            meta["creationTimestamp"] = timestamp(self.clock())
            if resource.kind in kinds.WITH_GENERATION:
                meta["generation"] = 1
            return
        for key in ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"):
            if key in old.meta:
                meta[key] = old.meta[key]

    def _prepare(self, resource: Resource, namespace: str, obj: JSON, old: Stored | None, origin: Origin) -> None:
        """Defaults, the CRD's schema, admission, validation."""
        name = obj["metadata"]["name"]
        if default := kinds.DEFAULTS.get(resource.kind):
            default(obj)
        if shape := self.schemas.get(resource.kind):
            shape(resource, obj)
        for hook in self.admission:
            hook(Admission(origin, resource, namespace, name, obj, old.object if old else None))
        kinds.check_metadata(resource, obj["metadata"])
        if check := kinds.CHECKS.get(resource.kind):
            check(resource, obj)

    def _owners(self, resource: Resource, old: Stored | None, obj: JSON, origin: Origin) -> Owners:
        before = old.owners if old else {}
        if resource.kind in kinds.UNTRACKED and not before:
            return before
        writer = Writer(origin.manager or origin.identity or "unknown", "Update", origin.subresource)
        was = fields.relevant(old.object, status=True, main=True) if old else {}
        return fields.update(resource.kind, was, fields.relevant(obj, status=True, main=True), before, writer)

    def _commit(
        self,
        type: str,
        resource: Resource,
        namespace: str,
        obj: JSON,
        old: Stored | None,
        owners: Owners,
        origin: Origin,
    ) -> Stored:
        meta = obj["metadata"]
        meta["resourceVersion"] = str(self.rv + 1)
        times = self._times(old, owners)
        if owners:
            meta["managedFields"] = fields.managed_fields(owners, times, resource.api_version)
        obj = {"kind": resource.kind, "apiVersion": resource.api_version, **kinds.without(obj, "kind", "apiVersion")}
        data = encode(obj)
        if len(data) > OBJECT_LIMIT:
            raise Unavailable(500, "InternalError", "etcdserver: request is too large")
        stored = Stored(obj, data, owners, times)
        if origin.dry_run:
            return stored
        self.keep(type, resource, namespace, stored, old, origin)
        return stored

    def _times(self, old: Stored | None, owners: Owners) -> dict[Writer, str]:
        before = (old.owners, old.times) if old else ({}, {})
        now = timestamp(self.clock())
        return {
            writer: before[1][writer] if before[0].get(writer) == paths else now for writer, paths in owners.items()
        }
