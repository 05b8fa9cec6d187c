"""Names for the shell to complete: quick, and silent about whatever goes wrong."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from fairlead.cli.options import connection_values
from fairlead.kube.resources import APPS, SEALING_KEYS, Resource

PATIENCE = 2.0  # seconds: a prompt that hangs is worse than one that does not know


def app_names(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """The Apps whose names start so, in the namespace the flags name."""
    prefix, slash, start = incomplete.rpartition("/")
    return [CompletionItem(f"{prefix}{slash}{name}") for name in _names(ctx, APPS) if name.startswith(start)]


def sealing_key_names(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """The SealingKeys whose names start so."""
    return [CompletionItem(name) for name in _names(ctx, SEALING_KEYS) if name.startswith(incomplete)]


def _names(ctx: click.Context, resource: Resource) -> list[str]:
    from fairlead.cli.session import Session

    session = Session("fairlead", {**connection_values(ctx), "request_timeout": PATIENCE}, {})
    try:
        page = next(session.cluster.pages(resource, metadata_only=True), [])
    except Exception:
        return []
    finally:
        session.close()
    return sorted(item["metadata"]["name"] for item in page)
