"""`fairlead completion`, and what makes `kubectl fairlead <TAB>` work."""

from __future__ import annotations

import sys

import click
from click.shell_completion import ShellComplete, get_completion_class

from fairlead.cli.options import Verb

VARIABLE = "_FAIRLEAD_COMPLETE"
NO_FILES = 4  # cobra's directive: do not fall back to file names


@click.command(cls=Verb)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print a script that makes the shell complete verbs, flags and the names of Apps.

    \b
      bash   source <(fairlead completion bash)         in ~/.bashrc
      zsh    source <(fairlead completion zsh)          in ~/.zshrc
      fish   fairlead completion fish | source          in ~/.config/fish/config.fish

    `kubectl fairlead` completes by itself where kubectl does, once kubectl_complete-fairlead is in the PATH.
    """
    kind = get_completion_class(shell)
    assert kind is not None
    complete = kind(ctx.find_root().command, {}, "fairlead", VARIABLE)
    click.echo(complete.source_template % complete.source_vars())


def complete_for_kubectl() -> None:
    """`kubectl_complete-fairlead`: kubectl calls it with the words so far, the last one incomplete, and reads lines of
    candidates and a directive (kubectl's plugin completion, which is cobra's)."""
    from fairlead.cli.main import program

    words = sys.argv[1:] or [""]
    complete = ShellComplete(program, {}, "kubectl fairlead", VARIABLE)
    for item in complete.get_completions(words[:-1], words[-1]):
        print(f"{item.value}\t{item.help}" if item.help else item.value)
    print(f":{NO_FILES}")
