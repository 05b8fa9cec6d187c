"""What went wrong, in one clear line: what, why, what to do."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterable

import click

from fairlead.cli.kubeconfig import Access, ConfigError
from fairlead.kube.errors import (
    ApiError,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    Unreachable,
)
from fairlead.view.inert import one_line

# Exit codes, also in docs/cli.md.
OK = 0
ERROR = 1
DEGRADED = 2  # the rollout failed or did not end in time; versions too far apart


class Failed(click.ClickException):
    """An error that is told in one line on stderr."""

    exit_code = ERROR

    def show(self, file: object = None) -> None:
        print(f"error: {self.message}", file=sys.stderr)


class Degraded(Failed):
    """The command did its work, and what it found is not well."""

    exit_code = DEGRADED


def warn(text: str) -> None:
    """Something worth a thought that stops nothing."""
    print(f"warning: {text}", file=sys.stderr)


META_ACCESS = "fairlead.access"  # where a verb's context keeps which cluster it talks to


def told(error: Exception, ctx: click.Context) -> Exception:
    """A known error as the line it is told in; anything else, a bug, as it is."""
    if isinstance(error, (ApiError, ConfigError)):
        return Failed(words(error, ctx.find_root().meta.get(META_ACCESS)))
    return error


_FORBIDDEN = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\S+) resource "(?P<resource>[^"]*)" in API group "(?P<group>[^"]*)"'
    r'(?: in the namespace "(?P<namespace>[^"]*)"| at the cluster scope)?'
)


def words(error: ApiError | ConfigError, access: Access | None = None) -> str:
    """The line for an error of the cluster or of the way to it."""
    if isinstance(error, ConfigError):
        return one_line(str(error))
    server = _server(access)
    match error:
        case Unreachable():
            return f"cannot reach {server}: {one_line(error.message)}; is the cluster up, and is {_context(access)} the one you mean?"
        case Unauthorized():
            return f"{server} does not accept your credentials: they may have expired; log in again, or choose another context"
        case Forbidden():
            return forbidden(error.message)
        case NotFound() if is_missing_kind(error):
            return missing_kind()
        case NotFound() | Invalid():
            return refused(error)
        case Conflict():
            return f"the object was changed by someone else at the same moment: try again ({one_line(error.message)})"
        case TooManyRequests():
            return f"{server} is busy: try again in {error.retry_after or 1:.0f}s"
        case Gone():
            return "the answer is too old by now: try again"
        case Unavailable():
            return f"{server} is in trouble (HTTP {error.code}): {one_line(error.message)}; try again"
    return one_line(error.message) or f"{server} answered HTTP {error.code}"


def forbidden(message: str) -> str:
    """What is not allowed, by verb and resource.

    >>> forbidden('x is forbidden: User "jane" cannot patch resource "apps" in API group "fairlead.dev" in the namespace "prod"')
    'not allowed: jane may not patch apps.fairlead.dev in namespace prod; see: kubectl auth can-i patch apps.fairlead.dev -n prod'
    """
    found = _FORBIDDEN.search(one_line(message))
    if not found:
        return f"not allowed: {one_line(message)}"
    resource = found["resource"] + (f".{found['group']}" if found["group"] else "")
    where = f"in namespace {found['namespace']}" if found["namespace"] else "in the whole cluster"
    scope = f" -n {found['namespace']}" if found["namespace"] else " -A"
    return f"not allowed: {found['user']} may not {found['verb']} {resource} {where}; see: kubectl auth can-i {found['verb']} {resource}{scope}"


def is_missing_kind(error: ApiError) -> bool:
    """Whether a 404 means that the kind is unknown to the server, not that an object is not there."""
    return isinstance(error, NotFound) and not error.details.get("name")


def missing_kind() -> str:
    return "Fairlead's CRDs are not installed in this cluster: helm install fairlead charts/fairlead -n fairlead-system --create-namespace"


def refused(error: ApiError) -> str:
    """A refusal of the object itself, cause by cause; a field the server does not know means an older installation."""
    causes = error.details.get("causes") or []
    told = [f"{cause.get('field', '')}: {cause.get('message', '')}".strip(": ") for cause in causes]
    text = one_line("; ".join(told) or error.message)
    if "unknown field" in text:
        return f"the CRDs in this cluster do not know a field this command writes ({text}): upgrade Fairlead in the cluster"
    return f"the API server refuses this: {text}"


def not_there(
    kind: str, name: str, namespace: str, others: Iterable[str], elsewhere: Iterable[str], command: str
) -> str:
    """An object that is not there, with what may have been meant.

    >>> not_there("App", "shp", "default", ["shop", "blog"], [], "fairlead")
    'there is no App shp in namespace default; did you mean shop?'
    """
    text = f"there is no {kind} {name} in namespace {namespace}"
    names = list(others)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5) or [other for other in names if name in other][:3]
    where = list(elsewhere)
    if where:
        return f"{text}; there is one in {', '.join(where)}: use -n"
    if near:
        return f"{text}; did you mean {' or '.join(near)}?"
    return f"{text}; see: {command} status -A"


def _server(access: Access | None) -> str:
    return access.server if access else "the API server"


def _context(access: Access | None) -> str:
    """What decided which server: worth a second look when that one does not answer."""
    return f"context {access.context}" if access and access.context else "the kubeconfig"
