"""What the API server, or the way to it, may answer instead of an object."""

from __future__ import annotations

from typing import Any

import msgspec


class ApiError(Exception):
    """A refusal with the server's own words. `code` is the HTTP status, 0 where no answer came."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: dict[str, Any] | None = None,
        retry_after: float | None = None,
    ):
        super().__init__(f"{reason or code}: {message}")
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details or {}
        self.retry_after = retry_after


class NotFound(ApiError):
    """404: the object (or its kind) is not there."""


class AlreadyExists(ApiError):
    """409 AlreadyExists: the name is taken."""


class Conflict(ApiError):
    """409 Conflict: a precondition (uid, resourceVersion) or another field manager stood against the write."""


class Invalid(ApiError):
    """422 or 400: the object itself is wrong; trying again changes nothing."""


class Forbidden(ApiError):
    """403: RBAC, quota, pod security or an admission policy said no."""


class Unauthorized(ApiError):
    """401: the credentials are not accepted (expired token)."""


class TooManyRequests(ApiError):
    """429: slow down; `retry_after` in seconds. An eviction held back by a budget answers it too."""


class Gone(ApiError):
    """410: the resourceVersion or continue token is too old; list again."""


class Unavailable(ApiError):
    """5xx: the server is in trouble; the write was refused or its outcome is unknown."""


class Unreachable(ApiError):
    """No answer: connection refused or cut, or the time ran out. The outcome of a write is unknown."""


_BY_CODE: dict[int, type[ApiError]] = {
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    410: Gone,
    422: Invalid,
    429: TooManyRequests,
}


def from_status(code: int, body: bytes, retry_after: str | None = None) -> ApiError:
    """The error for an answer with a `metav1.Status` body (any other body becomes the message, on one line).

    >>> from_status(404, b"404 page not found\\n").message
    '404 page not found'
    >>> type(from_status(409, b'{"reason": "AlreadyExists", "message": "pods \\\\"a\\\\" already exists"}')).__name__
    'AlreadyExists'
    """
    try:
        status = msgspec.json.decode(body)
        reason, message = str(status.get("reason") or ""), str(status.get("message") or "")
        details = status.get("details")
    except (msgspec.DecodeError, AttributeError):
        reason, message, details = "", " ".join(body[:500].decode("utf-8", "replace").split()), None
    if code == 409:
        kind: type[ApiError] = AlreadyExists if reason == "AlreadyExists" else Conflict
    else:
        kind = _BY_CODE.get(code) or (Unavailable if code >= 500 else ApiError)
    try:
        wait = float(retry_after) if retry_after else None
    except ValueError:
        wait = None
    return kind(code, reason, message, details=details, retry_after=wait)
