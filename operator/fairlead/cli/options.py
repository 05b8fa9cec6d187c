"""Flags and arguments, named and behaving as kubectl's."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from fairlead.view.ages import parse_duration

F = TypeVar("F", bound=Callable[..., Any])

_META = "fairlead.connection"

# Spellings of the kind before a slash, as kubectl takes them.
_KINDS = {
    "app",
    "apps",
    "fapp",
    "app.fairlead.dev",
    "apps.fairlead.dev",
    "app.v1alpha1.fairlead.dev",
    "apps.v1alpha1.fairlead.dev",
}
_NAME = re.compile(r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")


class AppName(click.ParamType[str]):
    """`shop`, `app/shop`, `apps/shop`, `fapp/shop`: all the App shop."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        kind, slash, name = str(value).rpartition("/")
        if slash and kind.lower() not in _KINDS:
            self.fail(f"{value!r} is no App: give its name, like shop or app/shop", param, ctx)
        if not _NAME.match(name):
            self.fail(f"{name!r} is no name of an App: lower case letters, digits and '-' only", param, ctx)
        return name

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from fairlead.cli.completing import app_names

        return app_names(ctx, incomplete)


class Duration(click.ParamType[float]):
    """Seconds, written like 90s, 5m or 1h30m; 0 means no limit."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            return parse_duration(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


def connection_values(ctx: click.Context) -> dict[str, Any]:
    """What was said about the cluster, before or after the verb."""
    values: dict[str, Any] = ctx.find_root().meta.setdefault(_META, {})
    return values


def _store(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    if value not in (None, (), False):
        connection_values(ctx)[str(param.name)] = value


def _option(*names: str, shown: bool = False, **settings: Any) -> Callable[[F], F]:
    return click.option(*names, expose_value=False, callback=_store, hidden=not shown, **settings)


_CONNECTION = (
    _option("-n", "--namespace", shown=True, metavar="NS", help="The namespace; else the context's."),
    _option("--context", shown=True, metavar="NAME", help="The kubeconfig context to use."),
    _option("--kubeconfig", metavar="FILE", help="The kubeconfig file; else $KUBECONFIG, else ~/.kube/config."),
    _option("--cluster", metavar="NAME", help="The kubeconfig cluster to use."),
    _option("--user", metavar="NAME", help="The kubeconfig user to use."),
    _option("-s", "--server", metavar="URL", help="Address of the API server."),
    _option("--token", metavar="TOKEN", help="Bearer token."),
    _option("--certificate-authority", metavar="FILE", help="Certificate authority of the API server."),
    _option("--insecure-skip-tls-verify", is_flag=True, help="Trust any certificate. Not safe."),
    _option("--tls-server-name", metavar="NAME", help="Name the server's certificate is checked against."),
    _option("--as", "impersonate", metavar="USER", help="Act as this user."),
    _option(
        "--as-group",
        "impersonate_groups",
        multiple=True,
        metavar="GROUP",
        help="Act as a member of this group; may be repeated.",
    ),
    _option("--as-uid", "impersonate_uid", metavar="UID", help="Act as the user of this uid."),
    _option(
        "--request-timeout",
        type=Duration(),
        metavar="DURATION",
        help="For each request, like 10s; 0 means no limit (default).",
    ),
)


def connection(function: F) -> F:
    """The flags that say which cluster, namespace and user; all but two are listed by `fairlead options` only."""
    for option in reversed(_CONNECTION):
        function = option(function)
    return function


def name_argument(function: F) -> F:
    return click.argument("name", type=AppName(), metavar="NAME")(function)


def output(*formats: str) -> Callable[[F], F]:
    return click.option(
        "-o", "--output", type=click.Choice(formats), default=None, help="Output format.", metavar="|".join(formats)
    )


def change(function: F) -> F:
    """The flags of verbs that write."""
    for option in (
        output("name", "json", "yaml"),
        click.option(
            "--field-manager",
            default="fairlead-cli",
            show_default=True,
            metavar="NAME",
            help="Who is recorded as the writer.",
        ),
        click.option(
            "--dry-run",
            type=click.Choice(["none", "client", "server"]),
            default="none",
            help="client: show what would be written; server: let the API server try it.",
        ),
    ):
        function = option(function)
    return function


class _Sections(click.Command):
    """A command whose help keeps its own flags and those about the cluster apart."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        settings.setdefault("context_settings", {"help_option_names": ["-h", "--help"]})
        super().__init__(*args, **settings)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own: list[tuple[str, str]] = []
        cluster: list[tuple[str, str]] = []
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and not isinstance(param, click.Argument):
                (cluster if _is_connection(param) else own).append(record)
        if own:
            with formatter.section("Options"):
                formatter.write_dl(own)
        if cluster:
            program = ctx.find_root().info_name or "fairlead"
            with formatter.section(f"Cluster options (all of them: {program} options)"):
                formatter.write_dl(cluster)


class Verb(_Sections):
    """A verb that does one thing."""


class VerbGroup(_Sections, click.Group):
    """A verb with verbs of its own. What was typed in place of one is not repeated: it may be a secret that slipped."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if self.get_command(ctx, args[0]) is None:
            ctx.fail(f"after its flags comes nothing, or one of: {', '.join(self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)


def _is_connection(param: click.Parameter) -> bool:
    return getattr(param, "callback", None) is _store


def connection_records(ctx: click.Context) -> list[tuple[str, str]]:
    """Every flag about the cluster, for `fairlead options`."""

    @connection
    def everything() -> None: ...

    params: list[click.Option] = list(reversed(everything.__click_params__))  # type: ignore[attr-defined]
    records = []
    for param in params:
        param.hidden = False
        record = param.get_help_record(ctx)
        if record:
            records.append(record)
    return records
