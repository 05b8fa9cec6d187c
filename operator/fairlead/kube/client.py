"""The one door to the API server, as a protocol: raw JSON in, raw JSON out.

`kube.http.HttpClient` speaks to a real server; `kube.fake.FakeClient` to the in-memory one of the tests. Both pass
tests/conformance. Callers decode with msgspec into what they need, so a pod that is created costs no parsing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Literal, Protocol

import msgspec

from fairlead.kube.resources import Resource

PatchType = Literal["merge", "strategic", "json", "apply"]  # strategic: built-in kinds only
Lines = list[bytes]  # watch events, one complete JSON document each

CONTENT_TYPES: dict[str, str] = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",
}


class Meta(msgspec.Struct, frozen=True, rename="camel"):
    """The metadata worth reading from any answer."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    deletion_timestamp: str | None = None


class Envelope(msgspec.Struct, frozen=True):
    """Any object, metadata only: `envelope(client.get(...)).metadata.uid`."""

    metadata: Meta = Meta()


class Client(Protocol):
    """All methods raise `kube.errors.ApiError` subclasses; every request has a timeout."""

    async def get(self, resource: Resource, namespace: str | None, name: str, *, subresource: str = "") -> bytes:
        """The object's JSON. NotFound where it is not there."""
        ...

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 500,
        continue_token: str = "",
        resource_version: str = "",
        metadata_only: bool = False,
    ) -> bytes:
        """One page of a list (`metadata.continue` names the next). resource_version "" is a consistent read, "0" any cache."""
        ...

    async def fetch(self, path: str, query: Mapping[str, str] | None = None) -> bytes:
        """GET of what is no object: an aggregated API's answer, a node's, a group's kinds. `path` as it is sent, its parts
        quoted; parameters of the query that are "" are left out."""
        ...

    def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
        timeout_seconds: int = 290,
        metadata_only: bool = False,
        opened: Callable[[], None] = lambda: None,
    ) -> AsyncIterator[Lines]:
        """Watch events as they come: each item is a batch of complete JSON lines ({"type": …, "object": …}), bookmarks
        included. Ends when the server closes the stream; raises Gone where the resourceVersion is too old at the start
        (a 410 in mid-stream arrives as an ERROR line, as the API server sends it). `opened` is called when the server has
        taken the watch, which may be a minute before its first line: of a kind without objects it has nothing to say."""
        ...

    async def create(
        self,
        resource: Resource,
        namespace: str | None,
        body: bytes,
        *,
        subresource: str = "",
        name: str = "",
        manager: str = "",
        dry_run: bool = False,
    ) -> bytes:
        """POST. `name` and `subresource` address a subresource such as pods/eviction or serviceaccounts/token."""
        ...

    async def patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        body: bytes,
        *,
        type: PatchType,
        subresource: str = "",
        manager: str = "",
        force: bool = False,
        dry_run: bool = False,
    ) -> bytes: ...

    async def replace(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        body: bytes,
        *,
        subresource: str = "",
        manager: str = "",
        dry_run: bool = False,
    ) -> bytes: ...

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str = "",
        resource_version: str = "",
        grace_period_seconds: int | None = None,
        propagation: str = "Background",
        dry_run: bool = False,
    ) -> bytes:
        """DELETE with preconditions. Conflict where the uid or resourceVersion is another."""
        ...

    async def close(self) -> None: ...
