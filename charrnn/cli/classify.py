"""`charrnn classify`: find the label of each text, or which of several models it is by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import click

from charrnn.cli.classify_output import Printer, Report
from charrnn.cli.command import Command, PathName
from charrnn.cli.given_texts import (
    are_awaited,
    ask_for_texts,
    note_empty,
    require_texts,
    text_batches,
)
from charrnn.cli.options import (
    check_characters,
    checkpoints_option,
    device_option,
    encoding_options,
    json_option,
    ngram_option,
    open_models,
    strict_option,
)
from charrnn.cli.score_output import short_names
from charrnn.cli.terminal import Output, note
from charrnn.errors import CorpusError, SettingsError, suggestions
from charrnn.storage.bundled import model_name

if TYPE_CHECKING:
    from charrnn.api import TrainedModel
    from charrnn.inference.classification import Classification

Classify: TypeAlias = "Callable[[Sequence[str]], list[Classification]]"


@click.command(
    cls=Command,
    name="classify",
    examples=(
        'charrnn classify -c shakespeare -c names "To be, or not to be"',
        "charrnn classify -c shakespeare -c names -f sentences.txt --json",
    ),
)
@click.argument("texts", nargs=-1, metavar="[TEXT]... | -")
@click.option(
    "-f", "--file", "file", type=PathName(), metavar="FILE", help="Classify each line of FILE."
)
@checkpoints_option
@click.option(
    "--uniform", is_flag=True, help="Take all labels as equally frequent, not as in training."
)
@click.option(
    "--labelled",
    is_flag=True,
    help="Each text is its right label, a tab and the text; the report has accuracy, precision and "
    "recall of each label, and what was taken for what.",
)
@encoding_options
@device_option
@ngram_option
@strict_option
@json_option
def command(
    texts: tuple[str, ...],
    file: str | None,
    checkpoint: tuple[str, ...],
    uniform: bool,
    labelled: bool,
    encoding: str,
    errors: str,
    device: str,
    no_ngram: bool,
    strict: bool,
    as_json: bool,
) -> None:
    """Find the label of each TEXT by Bayes' rule; - reads one text a line from stdin.

    A model trained with --labelled knows how probable a text is with each label, also by n-grams
    counted label by label, and how frequent the labels are. With several -c, the labels are the
    names of the models, equally frequent: who wrote this, which language is this? Empty texts are
    skipped.
    """
    require_texts(texts, file)
    output = Output()
    models = open_models(checkpoint, device, no_ngram)
    names, classify = _classifier(models, uniform)
    printer = Printer(output, names, [str(model.path) for model in models], as_json)
    report = Report(printer, names) if labelled else None
    if are_awaited(texts, file) and report is None:
        ask_for_texts("label")
        printer.heading()
    number = empty = 0
    for batch in text_batches(texts, file, encoding, errors):
        numbered = [(number + at, text) for at, text in enumerate(batch, 1) if text]
        number += len(batch)
        empty += len(batch) - len(numbered)
        right, given = _right_labels(numbered, names, labelled)
        for model in models:
            check_characters(model, "".join(given), strict)
        found = classify(given)
        if report is None:
            printer.print(given, found)
            output.flush()
        else:
            report.add(right, found)
    note_empty(empty)
    if report is not None:
        report.print()
    else:
        printer.heading()


def _classifier(models: Sequence[TrainedModel], uniform: bool) -> tuple[Sequence[str], Classify]:
    """The labels, and what classifies."""
    if len(models) == 1:
        model = models[0]
        labels = model.checkpoint.labels
        if labels is None:
            raise SettingsError(
                f"the model {model_name(model.path)} has no labels; train with --labelled, or give "
                "several -c to compare models"
            )
        return labels.names, lambda texts: model.classify(texts, uniform)
    from charrnn.api import classify_by_models

    names = short_names([model.path for model in models])
    named = dict(zip(names, models, strict=True))
    if len(named) < len(models):
        raise SettingsError("the same model is given twice with -c; give each once")
    if not all(model.checkpoint.lines for model in models):
        note("the ends of texts are not counted: not all models were trained with --lines")
    return names, lambda texts: classify_by_models(named, texts)


def _right_labels(
    numbered: Sequence[tuple[int, str]], names: Sequence[str], labelled: bool
) -> tuple[list[str], list[str]]:
    """The right labels, if texts are `labelled`, and the texts without them.

    Raises:
        CorpusError: a text has no label, or one that is unknown.
    """
    if not labelled:
        return [], [text for _, text in numbered]
    right, texts = [], []
    for number, line in numbered:
        label, tab, text = line.partition("\t")
        if not tab:
            raise CorpusError(
                f"text {number:,} has no tab; with --labelled it is a label, a tab and a text"
            )
        if label not in names:
            near = suggestions(label, names) or f"; known are {', '.join(names[:8])}"
            raise CorpusError(f"text {number:,} has the unknown label {label!r:.40}{near}")
        right.append(label)
        texts.append(text)
    return right, texts
