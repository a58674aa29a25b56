"""`charrnn train`: turn options into a TrainingRequest, and show the events of the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from charrnn.cli.command import Command, PathName, RunName
from charrnn.cli.options import encoding_options
from charrnn.cli.terminal import Output, note
from charrnn.cli.train_extras import print_plan, with_tensorboard
from charrnn.errors import Parameter, SettingsError
from charrnn.models.cells import CELLS
from charrnn.platform import exit_on_signal, keep_freed_memory, wait_without_spinning
from charrnn.storage.places import cache_directory
from charrnn.storage.runs import RUNS
from charrnn.text.reading import Reading
from charrnn.training.events import OnEvent
from charrnn.training.events import as_json as as_json_object
from charrnn.training.request import (
    DEFAULT_MINUTES,
    Budget,
    TrainingRequest,
    refuse_with_more_minutes,
)
from charrnn.training.settings import DEFAULTS, DEVICES, NO_NETWORK, PRECISIONS, Settings
from charrnn.training.signals import Dismissed, Interrupted

CHOICES = {"cell": (*CELLS, NO_NETWORK), "precision": PRECISIONS}
CHOSEN = "chosen"
"""Shown as the default of a setting that plan.py chooses."""
SETTINGS = {
    "cell": ("Recurrent cell; rnn-relu starts at the identity.", ""),
    "layers": ("Recurrent layers.", CHOSEN),
    "hidden": ("Hidden units of each layer.", CHOSEN),
    "embedding": ("Size of a character's embedding vector.", CHOSEN),
    "output_layers": ("Feed-forward layers between the recurrent ones and the output.", ""),
    "output_hidden": ("Hidden units of each of those; 0: as many as --hidden.", ""),
    "networks": ("Networks in one model, trained side by side; they predict together.", CHOSEN),
    "bidirectional": ("Train a reader, too: each character from those on both sides of it.", ""),
    "dropout": ("Probability of zeroing a hidden unit in training.", CHOSEN),
    "recent": ("The network reads so many characters at the end of the text; 0: all.", CHOSEN),
    "chunk": ("Characters of each sequence: the gradient is cut off there.", CHOSEN),
    "batch": ("Sequences in each training step.", CHOSEN),
    "muon_rate": ("Peak learning rate of the hidden layers' matrices (Muon).", ""),
    "rate": ("Peak learning rate of everything else (AdamW).", ""),
    "weight_decay": ("Weight decay of matrices, multiplied by the learning rate.", ""),
    "activation_penalty": ("Weight of a penalty on large states and their changes.", CHOSEN),
    "clip": ("Maximum norm of the gradient; a larger one is scaled down.", ""),
    "warmup": ("Fraction of the run in which the learning rates rise.", ""),
    "validate_every": ("Steps between validations.", CHOSEN),
    "patience": ("Validations without a new best before stopping; 0: never.", ""),
    "validation": ("Fraction of each corpus held out to validate on; more of a short one.", CHOSEN),
    "min_count": ("Characters that occur less often than this are read as unknown.", CHOSEN),
    "ngram_order": ("Order of the n-gram model in the mixture; 0: no n-gram model.", ""),
    "precision": ("Number format of the matrix products in training.", CHOSEN),
    "seed": ("The same seed gives the same run.", ""),
}
"""Field of Settings -> help, and CHOSEN unless the default is the one in Settings."""
BUDGETS = ("minutes", "epochs", "steps")
GROUPS = {
    "What to train on": (
        *("lines", "labelled", "from", "encoding", "errors", "validation", "min-count"),
    ),
    "How long": (*BUDGETS, "patience", "more-minutes", "dry-run", "fresh"),
    "The network and the n-gram model": (
        *("cell", "layers", "hidden", "embedding", "output-layers", "output-hidden", "dropout"),
        *("networks", "bidirectional", "ngram-order"),
    ),
    "How the network is trained": (
        *("batch", "chunk", "recent", "rate", "muon-rate", "weight-decay", "activation-penalty"),
        *("clip", "warmup", "validate-every", "precision", "device", "seed"),
    ),
    "Output": ("output", "quiet", "json", "raw", "tensorboard", "config", "help"),
}
"""Heading in the help -> options, those used most first."""
EXAMPLES = (
    "charrnn train shakespeare.txt --minutes 2",
    "charrnn train names.txt --lines -o checkpoints/names",
)


def setting_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add an option for every field of Settings except `steps`, which is a budget."""
    for each in reversed(fields(Settings)):
        if each.name == "steps":
            continue
        text, chosen = SETTINGS[each.name]
        default = getattr(DEFAULTS, each.name)
        choices = CHOICES.get(each.name)
        if default is False:
            option = Parameter(each.name).option
            function = click.option(option, is_flag=True, default=None, help=text)(function)
            continue
        function = click.option(
            Parameter(each.name).option,
            type=click.Choice(choices) if choices else type(default),
            default=None,
            show_default=chosen or str(default),
            help=text,
        )(function)
    return function


class TrainCommand(Command):
    """`train`, which never suggests the option that destroys a model."""

    answers = dict.fromkeys(
        ("--resume", "--continue"), "not needed: the same command goes on with an unfinished run"
    )
    never_suggested = frozenset({"--fresh"})


@click.command(
    cls=TrainCommand,
    name="train",
    groups=GROUPS,
    examples=EXAMPLES,
    alternatives=[frozenset(BUDGETS)],
)
@click.argument("corpora", nargs=-1, required=True, type=PathName(), metavar="CORPUS...")
@click.option(
    "-o",
    "--output",
    type=PathName(path_type=Path),
    metavar="RUN_DIRECTORY",
    show_default="checkpoints/<name of the corpus>",
    help="Directory of the run.",
)
@click.option(
    "--minutes",
    type=float,
    show_default=f"{DEFAULT_MINUTES:g}",
    help="Time limit of the whole command.",
)
@click.option("--epochs", type=float, help="Number of passes through the training text.")
@click.option("--steps", type=int, help="Number of updates of the weights.")
@click.option(
    "--more-minutes",
    type=float,
    help="Go on with a finished run for so long; its options are taken from it.",
)
@click.option(
    "--from",
    "origin",
    type=RunName(),
    metavar="RUN",
    help="Start from the network of RUN, which gives the sizes; characters that it does not know "
    "are added.",
)
@click.option("--dry-run", is_flag=True, help="Print the plan of the run, and train nothing.")
@click.option("--fresh", is_flag=True, help="Start over and replace an existing run.")
@click.option("--lines", is_flag=True, help="Each line is a separate text, such as a name.")
@click.option(
    "--labelled",
    is_flag=True,
    help="Each line is a label, a tab and a text: for sample --label and classify.",
)
@encoding_options
@click.option(
    "--device",
    type=click.Choice(DEVICES),
    default="auto",
    show_default=True,
    help="Where to train.",
)
@setting_options
@click.option("--raw", is_flag=True, help="Do not escape control characters in live samples.")
@click.option("--tensorboard", is_flag=True, help="Write RUN_DIRECTORY/tensorboard, too.")
@click.option("-q", "--quiet", is_flag=True, help="Show errors only.")
@click.option("--json", "as_json", is_flag=True, help="Events as JSON lines on stdout.")
@click.pass_obj
def command(
    started: float,
    /,
    corpora: tuple[str, ...],
    output: Path | None,
    minutes: float | None,
    epochs: float | None,
    steps: int | None,
    more_minutes: float | None,
    origin: str | None,
    dry_run: bool,
    fresh: bool,
    lines: bool,
    labelled: bool,
    encoding: str,
    errors: str,
    device: str,
    raw: bool,
    tensorboard: bool,
    quiet: bool,
    as_json: bool,
    **settings: Any,
) -> int:
    """Train a model on CORPUS: files, directories of *.txt, or - for stdin.

    The same command again resumes an interrupted run. Where the default is "chosen", it depends on
    --minutes, the text and the speed of the machine.
    """
    requested = {name: value for name, value in settings.items() if value is not None}
    Settings(**requested)  # refuse what is out of range before anything slow
    reading = Reading(lines or labelled, encoding, errors, labelled)
    if "-" in corpora and output is None:
        raise SettingsError("name a run directory with --output when the corpus is stdin")
    if output is None:
        output = RUNS / (Path(corpora[0]).resolve().stem or "corpus")

    wait_without_spinning()
    keep_freed_memory()
    if dry_run and tensorboard:
        raise SettingsError("--dry-run writes no events for --tensorboard; leave one of them out")
    with exit_on_signal():
        from charrnn.training.session import train

    if more_minutes is not None:
        refuse_with_more_minutes(
            more_minutes, minutes=minutes, epochs=epochs, steps=steps, dry_run=dry_run, fresh=fresh
        )
        minutes = more_minutes
    elif minutes is None and epochs is None and steps is None:
        minutes = DEFAULT_MINUTES
    request = TrainingRequest(
        corpora=corpora,
        reading=reading,
        budget=Budget(minutes, epochs, steps),
        output=output,
        requested=requested,
        fresh=fresh,
        device=device,
        samples=not quiet,
        origin=origin,
        more_minutes=more_minutes,
        started=started,
    )
    if dry_run:
        print_plan(request, as_json)
        return 0
    try:
        shown = _listener(as_json, quiet, raw)
        with (
            _noting_a_large_cache(quiet),
            shown as listener,
            with_tensorboard(listener, tensorboard) as on_event,
        ):
            train(request, on_event)
    except Interrupted as interruption:
        if not quiet:
            note(interruption.summary)
        return interruption.status
    except Dismissed as dismissal:
        return dismissal.status
    return 0


@contextmanager
def _noting_a_large_cache(quiet: bool) -> Iterator[None]:
    """Say so if the run adds to a cache that takes more than NOTICED bytes."""
    from charrnn.text.cache import NOTICED, cache_size

    before = cache_size()
    try:
        yield
    finally:
        after = cache_size()
        if after > max(before, NOTICED) and not quiet:
            note(
                f"encoded texts take {after / 1e9:.1f} GB in {cache_directory()}; "
                "charrnn cache shows them, charrnn cache --clear removes them"
            )


def _listener(as_json: bool, quiet: bool, raw: bool) -> AbstractContextManager[OnEvent]:
    """The listener of the run: prints events as JSON, shows them, or ignores them."""
    if as_json:
        output = Output()
        return nullcontext(
            lambda event: output.record(as_json_object(event))
        )
    if quiet:
        return nullcontext(lambda event: None)
    from charrnn.cli.progress import TrainingDisplay

    return TrainingDisplay(raw)
