"""A client that does not repeat what the API server says of a Secret it refused: an admission policy or a webhook may put a part
of the object into its words, and from here they go into logs, statuses and Events."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable
from typing import Any

from fairlead.kube.client import Client, Lines
from fairlead.kube.errors import AlreadyExists, ApiError, Conflict, NotFound, TooManyRequests
from fairlead.kube.resources import SECRETS, Resource

# Words of the API server itself, which name who, what and where, and nothing of the object's content.
_HARMLESS = (
    re.compile(
        r'secrets( "[-.a-z0-9]+")? is forbidden: User "[^"]*" cannot [a-z]+ resource "secrets" in API group ""[^\n]*'
    ),
    re.compile(r'secrets "[-.a-z0-9]+" is forbidden: exceeded quota: [^\n]*'),
    re.compile(r'secrets "[-.a-z0-9]+" is forbidden: unable to create new content in namespace [^\n]*'),
)
_NAMES_ONLY = (AlreadyExists, Conflict, NotFound, TooManyRequests)
WITHHELD = "the API server's own words are withheld, because they may hold a part of the Secret"


class Discreet:
    """`fairlead.kube.client.Client` over another one."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.get = client.get
        self.list = client.list
        self.fetch = client.fetch
        self.delete = client.delete
        self.close = client.close

    def watch(self, resource: Resource, namespace: str | None = None, **more: Any) -> AsyncIterator[Lines]:
        return self._client.watch(resource, namespace, **more)

    async def create(self, resource: Resource, *what: Any, **how: Any) -> bytes:
        return await _quietly(resource, self._client.create(resource, *what, **how))

    async def patch(self, resource: Resource, *what: Any, **how: Any) -> bytes:
        return await _quietly(resource, self._client.patch(resource, *what, **how))

    async def replace(self, resource: Resource, *what: Any, **how: Any) -> bytes:
        return await _quietly(resource, self._client.replace(resource, *what, **how))


async def _quietly(resource: Resource, request: Awaitable[bytes]) -> bytes:
    if resource != SECRETS:
        return await request
    try:
        return await request
    except ApiError as error:
        # "from None": a traceback would show the words that are withheld.
        raise discreet(error) from None


def discreet(error: ApiError) -> ApiError:
    """The same error in words that hold nothing of the object: its own where they are known to, else the fields alone.

    >>> from fairlead.kube.errors import Forbidden, Invalid
    >>> str(discreet(Forbidden(403, "Forbidden", 'admission webhook "w" denied the request: weak password hunter2')))
    "Forbidden: the API server's own words are withheld, because they may hold a part of the Secret"
    >>> str(discreet(Invalid(422, "Invalid", "data[a]: hunter2", details={"causes": [{"field": "data[a]"}]})))
    "Invalid: it refuses data[a]; the API server's own words are withheld, because they may hold a part of the Secret"
    """
    if isinstance(error, _NAMES_ONLY) or any(words.fullmatch(error.message) for words in _HARMLESS):
        return error
    causes = error.details.get("causes") or ()
    kept = [{key: cause[key] for key in ("field", "reason") if key in cause} for cause in causes]
    fields = ", ".join(str(cause["field"]) for cause in kept if cause.get("field"))
    words = f"it refuses {fields}; {WITHHELD}" if fields else WITHHELD
    return type(error)(error.code, error.reason, words, details={"causes": kept}, retry_after=error.retry_after)
