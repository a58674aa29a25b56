"""`charrnn evaluate`: measure models on whole corpora."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from charrnn.cli.adapting import Adaptation, adaptive_options
from charrnn.cli.bar import DelayedBar
from charrnn.cli.command import Command, PathName
from charrnn.cli.options import (
    checkpoints_option,
    device_option,
    encoding_options,
    json_option,
    ngram_option,
    open_models,
)
from charrnn.cli.score_output import CHECKPOINT, FIGURE_COLUMNS, WIDEST_NAME, short_names
from charrnn.cli.tables import Column, Table
from charrnn.cli.terminal import Output, note

if TYPE_CHECKING:
    from charrnn.api import TrainedModel
    from charrnn.inference.evaluation import Evaluation
    from charrnn.inference.scoring import Score

TOTAL = "total"
PSEUDO = "pseudo_nats_per_character"
PSEUDO_COLUMN = Column(PSEUDO, "pseudo", 7, ".4f", 2)
COLUMNS = (
    Column("seconds", "seconds", 7, ".1f", 0),
    Column("characters_per_second", "char/s", 9, ",.0f", 0),
    Column("corpus", "corpus"),
)


@click.command(
    cls=Command,
    name="evaluate",
    examples=(
        "charrnn evaluate unseen.txt",
        "charrnn evaluate -c shakespeare -c names unseen.txt",
    ),
)
@click.argument("corpora", nargs=-1, required=True, type=PathName(), metavar="CORPUS...")
@checkpoints_option
@encoding_options
@device_option
@ngram_option
@adaptive_options
@json_option
def command(
    corpora: tuple[str, ...],
    checkpoint: tuple[str, ...],
    encoding: str,
    errors: str,
    device: str,
    no_ngram: bool,
    adaptive: bool,
    adaptive_rate: float | None,
    save: str | None,
    as_json: bool,
) -> None:
    """Measure trained models on CORPUS: files, directories of *.txt, or - for stdin.

    The text is read as in training: lines as documents if a model was trained with --lines. There
    is a row for each CORPUS and a total; with several -c, for each model. Of a reader there is also
    the pseudo-log-likelihood a character, each given all others.

    With --adaptive each model learns from what it reads, all CORPUS in order as one stream.
    """
    from charrnn.inference.scoring import Score

    adaptation = Adaptation(adaptive, adaptive_rate, save, device, len(checkpoint))
    output = Output()
    models = adaptation.begin(open_models(checkpoint, device, no_ngram))
    names = short_names([model.path for model in models])
    readers = any(model.reader is not None for model in models)
    table = None if as_json else Table(output, _columns(names, readers), numbers=".10g")
    totals: list[Score] = []
    for name, model in zip(names, models, strict=True):
        started = time.monotonic()
        with DelayedBar(f"evaluating {name}") as bar:
            found = model.evaluate_each(corpora, encoding, errors, bar.update)
        seconds = time.monotonic() - started
        _warn(name, model, found)
        totals.append(Score.total([each.score for each in found]))
        if table is None:
            output.record(_record(model, found, totals[-1], seconds))
        else:
            which = (name,) if len(models) > 1 else ()
            for label, score, pseudo in _rows(found, totals[-1]):
                share = seconds * score.characters / max(1, totals[-1].characters)
                figures = *score.figures().values(), *([_nats(pseudo)] if readers else [])
                table.row(*which, *figures, share, _speed(score, share), label)
    _compare(names, totals)
    adaptation.finish(models)


def _columns(names: Sequence[str], readers: bool) -> tuple[Column, ...]:
    width = max(5, min(WIDEST_NAME, max(map(len, names))))
    first = [Column(CHECKPOINT, "model", width)] if len(names) > 1 else []
    pseudo = [PSEUDO_COLUMN] if readers else []
    return (*first, *FIGURE_COLUMNS, *pseudo, *COLUMNS)


def _rows(
    found: Sequence[Evaluation], total: Score
) -> list[tuple[str, Score, Score | None]]:
    rows = [(each.corpus, each.score, each.pseudo) for each in found]
    return rows if len(rows) == 1 else [*rows, (TOTAL, total, _pseudo_total(found))]


def _pseudo_total(found: Sequence[Evaluation]) -> Score | None:
    from charrnn.inference.scoring import Score

    scores = [each.pseudo for each in found if each.pseudo is not None]
    return Score.total(scores) if scores else None


def _nats(pseudo: Score | None) -> float | str:
    return "" if pseudo is None else pseudo.nats_per_character


def _pseudo(score: Score | None) -> dict[str, float]:
    return {} if score is None else {PSEUDO: score.nats_per_character}


def _speed(score: Score, seconds: float) -> float:
    return score.characters / max(seconds, 1e-9)


def _record(
    model: TrainedModel, found: Sequence[Evaluation], total: Score, seconds: float
) -> dict[str, Any]:
    """The total, and each corpus if there are several."""
    record = total.figures() | _pseudo(_pseudo_total(found)) | {
        "seconds": seconds, "characters_per_second": _speed(total, seconds),
        CHECKPOINT: str(model.path), **({"adaptive": True} if model.learner else {}),
    }
    if len(found) == 1:
        return record
    each_corpus = [
        {"corpus": each.corpus, **each.score.figures(), **_pseudo(each.pseudo)} for each in found
    ]
    return record | {"corpora": each_corpus}


def _warn(name: str, model: TrainedModel, found: Sequence[Evaluation]) -> None:
    """Report characters that the model does not know, and a text that it was trained on."""
    for each in found:
        if each.trained_on:
            note(
                f"warning: {name} was trained on {each.corpus}: these figures are better than for "
                "a text that it has not seen"
            )
        if count := each.score.unknown_characters:
            shown = " ".join(each.unknown[:20])
            what = "character" if count == 1 else "characters"
            note(f"{each.corpus}: {count:,} unknown {what}, read as UNK{': ' * bool(shown)}{shown}")


def _compare(names: Sequence[str], totals: Sequence[Score]) -> None:
    """Name the best of several models, if their figures compare."""
    if len(names) == 1:
        return
    if any(total.unknown_characters for total in totals):
        note(
            "UNK stands for every character that a model does not know: with unknown characters, "
            "figures of models with different vocabularies do not compare"
        )
        return
    best = min(range(len(names)), key=lambda index: totals[index].nats_per_character)
    note(f"best: {names[best]}, {totals[best].nats_per_character:.4f} nats per character")
