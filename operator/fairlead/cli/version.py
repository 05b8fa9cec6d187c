"""`fairlead version` and `fairlead options`."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import click

from fairlead import __version__
from fairlead.cli.failures import Degraded, Failed, words
from fairlead.cli.kubeconfig import ConfigError
from fairlead.cli.options import Verb, connection, connection_records, output
from fairlead.cli.session import Session, session_of
from fairlead.core.meta import JSON
from fairlead.kube.errors import ApiError, Forbidden
from fairlead.kube.resources import DEPLOYMENTS

OPERATOR = "app.kubernetes.io/name=fairlead,app.kubernetes.io/component=workloads"
LABEL_VERSION = "app.kubernetes.io/version"


@click.command(cls=Verb)
@click.option("--client", "only_client", is_flag=True, help="Only this program's version; asks no cluster.")
@output("text", "json", "yaml")
@connection
@click.pass_context
def version(ctx: click.Context, only_client: bool, output: str | None) -> None:
    """Show the versions of this program, of the operator in the cluster and of Kubernetes. Exit code 2 where program and
    operator are too far apart to be used together."""
    session = session_of(ctx)
    if only_client:
        return _show(session, {"client": __version__}, output)
    found: dict[str, Any] = {"client": __version__, "operator": "", "kubernetes": ""}
    try:
        found["kubernetes"] = session.cluster.raw("/version").get("gitVersion", "")
        found["operator"] = operator_version(session)
    except (ApiError, ConfigError) as error:
        _show(session, found, output)
        access = session.cluster.access if isinstance(error, ApiError) else None
        raise Failed(words(error, access)) from None
    _show(session, found, output)
    apart = skew(__version__, found["operator"])
    if apart:
        raise Degraded(apart)
    return None


def operator_version(session: Session) -> str:
    """What the operator's Deployments say; "" where there is none, or none that may be seen."""
    try:
        items = [item for page in session.cluster.pages(DEPLOYMENTS, namespace=None, labels=OPERATOR) for item in page]
    except Forbidden:
        return "not readable with your permissions"
    versions = Counter(_version_of(item) for item in items)
    return ", ".join(sorted(version for version in versions if version))


def _version_of(deployment: JSON) -> str:
    labels: dict[str, str] = (deployment.get("metadata") or {}).get("labels") or {}
    return labels.get(LABEL_VERSION, "")


def skew(client: str, operator: str) -> str:
    """Why the two do not go together, "" where they do: before 1.0 the minor must be the same, from then on the major, and
    the minors at most one apart.

    >>> skew("0.1.0", "0.1.7"), skew("1.4.0", "1.5.2")
    ('', '')
    >>> skew("0.1.0", "0.2.0")
    'this program is 0.1.0 and the operator 0.2.0: they may not understand each other; upgrade this program'
    """
    ours, theirs = _parts(client), _parts(operator)
    if ours is None or theirs is None or ours == theirs:
        return ""
    if ours[0] == theirs[0] and ours[0] > 0 and abs(ours[1] - theirs[1]) <= 1:
        return ""
    older = "this program" if ours < theirs else "the operator"
    return f"this program is {client} and the operator {operator}: they may not understand each other; upgrade {older}"


def _parts(version: str) -> tuple[int, int] | None:
    found = re.match(r"v?(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else None


def _show(session: Session, found: dict[str, Any], output: str | None) -> None:
    if output in ("json", "yaml"):
        return session.screen.objects(found, output)
    names = {"client": "fairlead", "operator": "operator", "kubernetes": "Kubernetes"}
    for key, value in found.items():
        session.screen.say(f"{names[key] + ':':<12} {value or 'not found'}")
    return None


@click.command(cls=Verb)
@click.pass_context
def options(ctx: click.Context) -> None:
    """List the flags that say which cluster, namespace and user: they may stand before or after any verb."""
    formatter = ctx.make_formatter()
    formatter.write_dl(connection_records(ctx))
    click.echo(formatter.getvalue().rstrip("\n"))
