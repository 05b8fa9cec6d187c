"""The program: verbs, and what happens to whatever they raise.

A verb's module is imported when the verb is used: `fairlead --help` imports none of them.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import click

from fairlead import __version__
from fairlead.cli.options import connection, connection_records

# verb -> (module under fairlead.cli, what it does in a line, section)
_VERBS: dict[str, tuple[str, str, str]] = {
    "status": (
        "status",
        "Show how an App's rollout stands, or follow it to its end; without a name, list Apps.",
        "Look",
    ),
    "why": ("why", "Explain what an App waits for, what its pods say and what to do next.", "Look"),
    "tree": ("tree", "Show an App with its revisions, pods, Service and disruption budget.", "Look"),
    "history": ("history", "List an App's revisions, or show what one changed.", "Look"),
    "undo": ("change", "Go back to an earlier revision.", "Change"),
    "restart": ("change", "Replace all pods, within the rollout's limits.", "Change"),
    "pause": ("change", "Hold the rollout where it is.", "Change"),
    "resume": ("change", "Let a paused rollout go on.", "Change"),
    "scale": ("change", "Set the number of pods.", "Change"),
    "lint": ("lint", "Check manifests without a cluster.", "Write"),
    "version": ("version", "Show the versions of this program and of the operator in the cluster.", "Program"),
    "completion": ("completion", "Print a script that makes the shell complete commands and names.", "Program"),
    "run": ("run", "Run a part of the operator; what the container image starts.", "Program"),
    "options": ("version", "List the flags that say which cluster and user, common to all verbs.", "Program"),
}


class Verbs(click.Group):
    """The group of all verbs, each loaded when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _VERBS:
            return None
        module = importlib.import_module(f"fairlead.cli.{_VERBS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Errors of the cluster, or of the way to it, become one line; a bug in here stays what it is."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, OSError):
            raise
        except Exception as error:
            from fairlead.cli.failures import told

            raise told(error, ctx) from None

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for section in ("Look", "Change", "Write", "Program"):
            with formatter.section(section):
                formatter.write_dl([(verb, text) for verb, (_, text, where) in _VERBS.items() if where == section])
        formatter.write_paragraph()
        formatter.write_text(
            f'"{ctx.info_name} VERB --help" tells more; -n and --context say where, "{ctx.info_name} options" lists the other flags.'
        )


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@connection
@click.version_option(__version__, message="fairlead %(version)s")
def program() -> None:
    """Watch over Apps: one resource per app, releases that take themselves back."""


def main() -> None:
    """The console script, under both its names."""
    sys.exit(run(sys.argv[1:], called_as(sys.argv[0])))


def called_as(path: str) -> str:
    """What the user typed.

    >>> called_as("/usr/local/bin/kubectl-fairlead"), called_as("/venv/bin/fairlead"), called_as("/src/fairlead/__main__.py")
    ('kubectl fairlead', 'fairlead', 'fairlead')
    """
    return "kubectl fairlead" if os.path.basename(path).startswith("kubectl-") else "fairlead"  # noqa: PTH119 - pathlib costs 15 ms


def run(arguments: list[str], name: str) -> int:
    """The exit code of one invocation; every error is told here, in one line on stderr."""
    try:
        return _code(
            program.main(args=arguments, prog_name=name, standalone_mode=False, complete_var="_FAIRLEAD_COMPLETE")
        )
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.ctx.get_help() if error.ctx else "", file=sys.stderr)
        return 1
    except click.ClickException as error:
        error.show()
        return (
            1 if isinstance(error, click.UsageError) else error.exit_code
        )  # click says 2, which here means a failed rollout
    except (KeyboardInterrupt, click.Abort):
        return 130
    except BrokenPipeError:
        # Whoever read us has gone (`| head`). Python would complain once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _code(returned: Any) -> int:
    return returned if isinstance(returned, int) else 0


__all__ = ["connection_records", "main", "program", "run"]
