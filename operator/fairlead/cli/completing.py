"""Names for the shell to complete: quick, and silent about whatever goes wrong."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from fairlead.cli.options import connection_values
from fairlead.kube.resources import APPS

PATIENCE = 2.0  # seconds: a prompt that hangs is worse than one that does not know


def app_names(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """The Apps whose names start so, in the namespace the flags name."""
    from fairlead.cli.session import Session

    session = Session("fairlead", {**connection_values(ctx), "request_timeout": PATIENCE}, {})
    prefix, slash, start = incomplete.rpartition("/")
    try:
        page = next(session.cluster.pages(APPS, metadata_only=True), [])
    except Exception:
        return []
    finally:
        session.close()
    names = sorted(item["metadata"]["name"] for item in page)
    return [CompletionItem(f"{prefix}{slash}{name}") for name in names if name.startswith(start)]
