"""What every verb needs: the cluster the flags name, the screen, and the App that is meant."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, TypeVar

import click

from fairlead.cli import failures
from fairlead.cli.access import load_access
from fairlead.cli.cluster import Cluster
from fairlead.cli.kubeconfig import Overrides
from fairlead.cli.options import connection_values
from fairlead.cli.screen import Screen
from fairlead.core.meta import JSON, LABEL_APP
from fairlead.core.podstate import Pod
from fairlead.kube.errors import ApiError, Forbidden, NotFound
from fairlead.kube.resources import APPS, PODS, REVISIONS
from fairlead.view.model import App, Revision, read, read_pods, read_revisions

T = TypeVar("T")


class Session:
    """One invocation of the program."""

    def __init__(
        self, command: str, values: dict[str, Any], meta: dict[str, Any], *, field_manager: str = "fairlead-cli"
    ) -> None:
        """`command` is what the user called the program, for the commands that texts recommend; `meta` is where the
        invocation keeps what its error messages need."""
        self.command = command
        self._meta = meta
        self._values = dict(values)
        self._field_manager = field_manager
        self.screen = Screen()
        self.unreadable: list[str] = []  # what the user may not read, in their words

    @cached_property
    def cluster(self) -> Cluster:
        values = dict(self._values)
        kubeconfig_file = values.pop("kubeconfig", "")
        timeout = values.pop("request_timeout", None) or None
        overrides = Overrides(
            insecure=values.pop("insecure_skip_tls_verify", False),
            **values,
        )
        access = load_access(kubeconfig_file, overrides, os.environ)
        self._meta[failures.META_ACCESS] = access
        return Cluster(access, request_timeout=timeout, field_manager=self._field_manager)

    def close(self) -> None:
        if "cluster" in self.__dict__:
            self.cluster.close()

    def scope(self) -> str:
        """The namespace flag for a command that is recommended, "" where the default already is the right one."""
        namespace = self._values.get("namespace")
        return f" -n {namespace}" if namespace else ""

    # ------------------------------------------------------------ reading

    def app_object(self, name: str) -> JSON:
        """The App as the server has it. Failed where there is none, with what may have been meant."""
        try:
            return self.cluster.get(APPS, name)
        except NotFound as error:
            if failures.is_missing_kind(error):
                raise
            raise failures.Failed(self._not_there(name)) from None

    def app(self, name: str) -> App:
        return read(self.app_object(name), App)

    def revisions(self, app: App) -> list[Revision]:
        """The App's Revisions, newest first."""
        raws: list[JSON] = []
        for page in self.cluster.pages(REVISIONS, labels=f"{LABEL_APP}={app.name}"):
            raws += page
        return read_revisions(raws, app)

    def pods(self, app: App) -> list[Pod]:
        """The App's pods, page by page into a few hundred bytes each."""
        found: list[Pod] = []
        for page in self.cluster.raw_pages(PODS, labels=f"{LABEL_APP}={app.name}"):
            found += read_pods(page)
        return found

    def allowed(self, what: str, read: Callable[[], T]) -> T | None:
        """What `read` gives, None where it is not allowed (remembered) or not there: a view shows the rest all the same."""
        try:
            return read()
        except Forbidden:
            self.unreadable.append(what)
        except NotFound:
            pass
        return None

    def _not_there(self, name: str) -> str:
        cluster = self.cluster
        try:
            page = next(cluster.pages(APPS, metadata_only=True), [])
            others = [item["metadata"]["name"] for item in page]
            elsewhere = self._elsewhere(name)
        except ApiError:
            others, elsewhere = [], []
        return failures.not_there("App", name, cluster.namespace, others, elsewhere, self.command)

    def _elsewhere(self, name: str) -> list[str]:
        """Other namespaces that hold an App of that name."""
        try:
            page = next(
                self.cluster.pages(APPS, namespace=None, fields=f"metadata.name={name}", limit=5, metadata_only=True),
                [],
            )
        except ApiError:
            return []
        return [item["metadata"]["namespace"] for item in page]


def session_of(ctx: click.Context, *, field_manager: str = "fairlead-cli") -> Session:
    """The session of a verb; closed when the verb is done."""
    session = Session(
        ctx.find_root().info_name or "fairlead",
        connection_values(ctx),
        ctx.find_root().meta,
        field_manager=field_manager,
    )
    ctx.call_on_close(session.close)
    return session


def flatten(pages: Iterator[list[JSON]]) -> list[JSON]:
    """All items of all pages."""
    return [item for page in pages for item in page]
