"""What an API server's storage and watch cache hold: objects as they are, and as they were while history reaches back to it."""

from __future__ import annotations

from collections.abc import Callable

from fairlead.kube.errors import Gone, NotFound
from fairlead.kube.fake import rules
from fairlead.kube.fake.records import Commit, Origin, Page, Stored, Table
from fairlead.kube.fake.selectors import Match, both
from fairlead.kube.resources import BY_KIND, Resource


class Storage:
    """Objects by kind, and the history that watches read.

    window: commits kept for watches and continue tokens; older ones answer 410.
    """

    def __init__(self, clock: Callable[[], float], *, window: int) -> None:
        self.clock = clock
        self.window = window
        self.rv = 1000
        self.compacted = self.rv
        self.history: list[Commit] = []
        self.subscribers: list[Callable[[Commit], None]] = []
        self.kinds: set[Resource] = set(BY_KIND.values())
        self._tables: dict[Resource, Table] = {}

    def table(self, resource: Resource) -> Table:
        if resource not in self.kinds:
            raise NotFound(404, "NotFound", "the server could not find the requested resource")
        return self._tables.setdefault(resource, {})

    def find(self, resource: Resource, namespace: str | None, name: str) -> Stored | None:
        return self.table(resource).get((rules.scope(resource, namespace), name))

    def get(self, resource: Resource, namespace: str | None, name: str) -> Stored:
        stored = self.find(resource, namespace, name)
        if stored is None:
            raise rules.not_found(resource, name)
        return stored

    def all(
        self, resource: Resource, namespace: str | None = None, *, labels: str = "", field_selector: str = ""
    ) -> list[Stored]:
        """Everything that matches, in the server's order: by namespace and name."""
        return rules.select(self.table(resource), namespace, both(resource.kind, labels, field_selector))

    def page(
        self,
        resource: Resource,
        namespace: str | None,
        match: Match | None,
        *,
        limit: int,
        token: str,
        at: int | None = None,
    ) -> Page:
        """One page. A token holds the list at its first page's resourceVersion, as long as history reaches back to it."""
        rv, after = self.rv if at is None else at, None
        if token:
            number, _, rest = token.partition("|")
            rv, after = int(number), tuple(rest.split("|", 1))
        found = rules.select(self._table_at(resource, rv), namespace, match)
        if after is not None:
            found = [stored for stored in found if rules.ref(stored) > after]
        if not limit or len(found) <= limit:
            return Page(found, rv, "")
        namespace_, name = rules.ref(found[limit - 1])
        return Page(found[:limit], rv, f"{rv}|{namespace_}|{name}")

    def _table_at(self, resource: Resource, rv: int) -> Table:
        """The objects as they were at an earlier resourceVersion. Gone where history does not reach."""
        if rv == self.rv:
            return self.table(resource)
        if rv < self.compacted:
            raise Gone(
                410, "Expired", "The provided continue parameter is too old to display a consistent list result."
            )
        table = dict(self.table(resource))
        for commit in reversed(self.since(rv)):
            if commit.resource is not resource and commit.resource != resource:
                continue
            ref = (commit.namespace, commit.name)
            if commit.old is None:
                table.pop(ref, None)
            else:
                table[ref] = commit.old
        return table

    def since(self, rv: int) -> list[Commit]:
        """The commits after `rv`, which history must still hold."""
        return self.history[max(rv - self.compacted, 0) :]

    def compact(self, rv: int | None = None) -> None:
        """Forget history up to `rv` (None: all of it): older watches and continue tokens get 410."""
        until = self.rv if rv is None else rv
        self.history = self.since(until)
        self.compacted = max(until, self.compacted)

    def backup(self) -> Callable[[], None]:
        """Everything as it is now. Calling what is returned restores it, as an etcd backup is: resourceVersions go back
        too, and what watches there are must be ended by the caller."""
        rv, tables = self.rv, {resource: dict(table) for resource, table in self._tables.items()}

        def restore() -> None:
            self.rv = self.compacted = rv
            self.history = []
            self._tables = {resource: dict(table) for resource, table in tables.items()}

        return restore

    def keep(
        self, type: str, resource: Resource, namespace: str, stored: Stored, old: Stored | None, origin: Origin
    ) -> None:
        """The next resourceVersion: a write that went through, in the table, in history, and told to who follows."""
        self.rv += 1
        name = stored.meta["name"]
        table, ref = self.table(resource), (namespace, name)
        if type == "DELETED":
            table.pop(ref, None)
        else:
            table[ref] = stored
        commit = Commit(self.rv, self.clock(), type, resource, namespace, name, stored, old, origin)
        self.history.append(commit)
        if len(self.history) > self.window:
            self.compact(self.rv - self.window // 2)
        for subscriber in tuple(self.subscribers):
            subscriber(commit)
