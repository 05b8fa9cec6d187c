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
        "Show how a rollout stands, or follow it to its end; list Apps.",
        "Look",
    ),
    "why": ("why", "Explain what an App waits for, and what to do next.", "Look"),
    "tree": ("tree", "Show an App with its revisions, pods, Service and budget.", "Look"),
    "history": ("history", "List an App's revisions, or show what one changed.", "Look"),
    "undo": ("change", "Go back to an earlier revision.", "Change"),
    "restart": ("change", "Replace all pods, within the rollout's limits.", "Change"),
    "reload": ("change", "Release anew with the Secrets as they are now.", "Change"),
    "pause": ("change", "Hold the rollout where it is.", "Change"),
    "resume": ("change", "Let a paused rollout go on.", "Change"),
    "promote": ("release", "Let a release pass the step it waits at.", "Change"),
    "abort": ("release", "Take the release that is under way back.", "Change"),
    "approve": ("release", "Let a release pass a gate that waits for a person.", "Change"),
    "retry": ("release", "Try a release again that was taken back.", "Change"),
    "scale": ("change", "Set the number of pods.", "Change"),
    "gate": ("gate", "Try a gate: measure it once from here.", "Write"),
    "autoscale": ("autoscale", "Try autoscaling: simulate an App's sizes under a load.", "Write"),
    "seal": ("seal", "Make an EncryptedSecret of a Secret, or check one.", "Write"),
    "reseal": ("reseal", "Seal the values in files to the newest key.", "Write"),
    "keys": ("keys", "List the keys that open sealed values; back them up, renew, restore.", "Write"),
    "lint": ("lint", "Check manifests without a cluster.", "Write"),
    "version": ("version", "Show this program's version and the operator's.", "Program"),
    "completion": ("completion", "Print a script that makes the shell complete names.", "Program"),
    "run": ("run", "Run a part of the operator: what the image starts.", "Program"),
    "options": ("version", "List the flags common to all verbs: which cluster, which user.", "Program"),
}


INTERRUPTED = 130
CLOSED_PIPE = 141


class Verbs(click.Group):
    """The group of all verbs, each loaded when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _VERBS:
            return None
        module = importlib.import_module(f"fairlead.cli.{_VERBS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name)
        command.short_help = _VERBS[cmd_name][1]
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in _VERBS:
            import difflib

            near = difflib.get_close_matches(args[0], _VERBS, n=1)
            ctx.fail(f"there is no verb {args[0]!r}" + (f": did you mean {near[0]}?" if near else ""))
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Errors of the cluster, or of the way to it, become one line; a bug in here stays what it is."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            raise click.exceptions.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            # Whoever read us has gone (`| head`). Python would complain once more when it flushes at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise click.exceptions.Exit(CLOSED_PIPE) from None
        except Exception as error:
            from fairlead.cli.failures import told

            raise told(error, ctx) from None
        return result

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
    """Watch over Apps: one resource per app, and every wait explained."""


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
    except click.UsageError as error:
        print(f"error: {usage(error)}", file=sys.stderr)
        return 1  # click says 2, which here means a failed rollout
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED


def usage(error: click.UsageError) -> str:
    """A mistake in what was typed, in one line: what is wrong with what, and where to read on."""
    words = error.format_message()
    if isinstance(error, click.BadParameter) and not isinstance(error, click.MissingParameter):
        subject = error.param.opts[-1] + ": " if isinstance(error.param, click.Option) else ""
        words = f"{subject}{error.message}"
    where = f"; see: {error.ctx.command_path} --help" if error.ctx else ""
    return f"{words[:1].lower()}{words[1:].rstrip('.')}{where}"


def _code(returned: Any) -> int:
    return returned if isinstance(returned, int) else 0


__all__ = ["connection_records", "main", "program", "run"]
