"""`charrnn completion`: print the script that completes commands, options and names in a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from charrnn.cli.command import Command
from charrnn.cli.terminal import Output

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_CHARRNN_COMPLETE"
"""Set by that script when it asks for completions."""


@click.command(
    cls=Command,
    name="completion",
    examples=(
        'eval "$(charrnn completion bash)"',
        "charrnn completion fish > ~/.config/fish/completions/charrnn.fish",
    ),
)
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> None:
    """Print a script that lets SHELL complete commands, options and names of runs.

    For bash, add the first line below to ~/.bashrc; for zsh the same, with zsh, to ~/.zshrc. For
    fish, run the second.
    """
    found = get_completion_class(shell)
    assert found is not None
    names = {"complete_func": "_charrnn_completion", "complete_var": VARIABLE}
    template: str = found.source_template
    Output().write(template % {**names, "prog_name": "charrnn"})
