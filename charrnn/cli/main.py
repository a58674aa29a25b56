"""The command `charrnn`: run a subcommand, and report every error in one line.

Imports click alone, so that `--help` is instant; each command is a module of its own, imported
when it is called.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import time
from types import FrameType
from typing import Any

import click

from charrnn import __version__
from charrnn.cli.command import HELP, Context
from charrnn.cli.terminal import (
    STANDARD_OUTPUT,
    abandon_output,
    finish_output,
    naming_standard_output,
    note,
    prepare_streams,
)
from charrnn.errors import CharRNNError, SettingsError, suggestion
from charrnn.platform import EXIT_STATUS

DEBUG_VARIABLE = "CHARRNN_DEBUG"
USAGE_STATUS = 2
BLAS_THREADS = "OPENBLAS_NUM_THREADS"
ALL_THREADS = "OMP_NUM_THREADS"
"""Of OpenBLAS and of torch."""

COMMANDS = {
    "train": "Train a model on text, or resume an interrupted run.",
    "sample": "Write new text from a trained model.",
    "score": "Compute how probable texts are under a trained model.",
    "classify": "Find the label of each text, or which of several models it is by.",
    "evaluate": "Measure a trained model on whole corpora.",
    "fill": "Fill the gaps of a text.",
    "proofread": "Find what is probably wrong in a text.",
    "inspect": "Show what a network remembers.",
    "export": "Give a trained model to others, as one file.",
    "info": "Show what is in a checkpoint.",
    "list": "List every run, with its state and what it reached.",
    "cache": "Show or clear the encoded texts that are kept.",
    "completion": "Print a script for completion in bash, zsh or fish.",
}


class Commands(click.Group):
    """The subcommands, each `charrnn.cli.NAME.command`, imported on demand."""

    context_class = Context

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names, in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command, if there is one of this name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"charrnn.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with a suggestion for a mistyped name."""
        mistyped = args and args[0] not in COMMANDS and not args[0].startswith("-")
        if mistyped and not ctx.resilient_parsing:
            ctx.fail(f"No such command {args[0]!r}{suggestion(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, which writes --help and --version here."""
        with naming_standard_output():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """As click does; if the reader of stdout has closed it, exit without an error."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            abandon_output()  # the reader needs no more, as in `charrnn sample | head -1`
            return 0

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, context_settings=HELP)
@click.version_option(__version__, prog_name="charrnn")
def program() -> None:
    """A character-level language model.

    \b
    charrnn train shakespeare.txt
    charrnn sample --temperature 0.8
    charrnn score "To be, or not to be"
    """  # noqa: D301 - click wants the character itself


def main() -> None:
    """Run the command line and exit: 0 done, 1 error, 2 wrong usage, 128 + a signal's number."""
    started = time.monotonic()
    signal.signal(signal.SIGTERM, _exit_on_sigterm)
    prepare_streams()
    if writes_one_text(sys.argv[1:]):
        os.environ.setdefault(BLAS_THREADS, "1")
    if sys.argv[1:2] == ["inspect"]:  # small products too, of which torch makes some
        os.environ.setdefault(ALL_THREADS, "1")
    sys.exit(run(sys.argv[1:], started))


def writes_one_text(arguments: list[str]) -> bool:
    """Whether a command generates one text: its matrix products are all with a vector.

    A second thread gains little there, and on a busy machine, where it has to wait, it makes
    sampling a hundred times slower. NumPy reads the number of threads when it is imported, before
    options are parsed.
    """
    return arguments[:1] == ["sample"] and not any(each.startswith("--num") for each in arguments)


def run(  # noqa: PLR0911 - one return for each way to end
    arguments: list[str], started: float | None = None
) -> int:
    """Run the command line; return the exit status.

    Args:
        arguments: without the program's name.
        started: `time.monotonic()` when the program started, from which --minutes count; None: now.
    """
    started = time.monotonic() if started is None else started
    status = 0
    try:
        found = program.main(
            args=arguments, prog_name="charrnn", standalone_mode=False, obj=started
        )
        status = found if isinstance(found, int) else 0
        if sys.stdout is not None:
            with naming_standard_output():
                sys.stdout.flush()
        return status
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        return _fail(error, error.exit_code, _usage_message(error))
    except OverflowError as error:
        return _fail(error, USAGE_STATUS, f"a number is too large ({error}); choose a smaller one")
    except (click.Abort, KeyboardInterrupt):
        return EXIT_STATUS[signal.SIGINT]
    except BrokenPipeError:
        abandon_output()
        return status
    except SettingsError as error:
        return _fail(error, USAGE_STATUS, error.for_command_line())
    except CharRNNError as error:
        return _fail(error, 1, error.for_command_line())
    except MemoryError as error:
        return _fail(error, 1, "out of memory; lower --batch, --hidden, --num or --ngram-order")
    except OSError as error:
        abandon_output()
        return _fail(error, 1, _os_message(error))
    except RuntimeError as error:
        if "out of memory" not in str(error) and "can't allocate memory" not in str(error):
            raise
        return _fail(error, 1, "out of memory; lower --batch, --hidden or --chunk")


def _exit_on_sigterm(number: int, frame: FrameType | None) -> None:
    """Handle SIGTERM while there is nothing to save."""
    sys.exit(EXIT_STATUS[signal.SIGTERM])


def _usage_message(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    command = "charrnn" if context is None else context.command_path
    message = error.format_message().rstrip(".")
    help_is_in = f"see {command} --help"
    return f"{message} ({help_is_in})" if message.endswith("?") else f"{message}; {help_is_in}"


def _os_message(error: OSError) -> str:
    """What could not be read or written, and why."""
    reason = (error.strerror or str(error)).lower()
    if error.filename == STANDARD_OUTPUT:
        return f"cannot write {STANDARD_OUTPUT}: {reason}"
    return f"cannot read or write {error.filename or 'a file'}: {reason}"


def _fail(error: BaseException, status: int, message: str) -> int:
    if os.environ.get(DEBUG_VARIABLE) == "1":
        raise error
    finish_output()
    note(f"Error: {message}")
    return status
