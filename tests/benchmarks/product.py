"""A forward and a backward network multiplied, which a reader has to beat.

Started by hand; README.md here records the results:

    python -m tests.benchmarks.product train.txt test.txt work --reader checkpoints/reader

Cuts the last characters off the training text, trains one network on the rest and one on the rest
read from its end (into WORK; what is trained already is taken as it is), and predicts each
character of the test text from all others: log p is, up to a constant,

    a (log p_forward + log p_backward) - c log p(x)

where p(x) is the character's share of the training text. It is exact for a = c = 1 if what comes
before and after are independent given the character. a and c are fitted on the characters cut off.

Axes: N positions, V vocabulary entries.
"""

from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np

from charrnn import load, train
from charrnn.api import TrainedModel
from charrnn.arrays import Integers
from charrnn.inference.classification import Numbers
from charrnn.inference.scoring import windows
from charrnn.models.interface import LanguageModel, State
from charrnn.platform import keep_freed_memory
from charrnn.storage.runs import MODEL_FILE
from charrnn.text.documents import Documents
from charrnn.training.labelling import fit_exponents

FITTED = 10_000
"""Characters at the end of the training text."""


@click.command()
@click.argument("train_text", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("test_text", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("work", type=click.Path(file_okay=False, path_type=Path))
@click.option("--minutes", default=2.33, show_default=True, help="For each network.")
@click.option("--seed", default=1, show_default=True)
@click.option("--fitted", default=FITTED, show_default=True, help="Characters to fit a and c on.")
@click.option("--ngrams/--no-ngrams", default=False, help="Multiply mixtures with n-gram models.")
@click.option("--reader", help="Run of train --bidirectional to compare with.")
def main(
    train_text: Path,
    test_text: Path,
    work: Path,
    minutes: float,
    seed: int,
    fitted: int,
    ngrams: bool,
    reader: str | None,
) -> None:
    """Measure the product; nats per character of each network, pseudo-nats of the product."""
    keep_freed_memory()
    whole = train_text.read_text(encoding="utf-8")
    kept, cut = whole[:-fitted], whole[-fitted:]
    work.mkdir(parents=True, exist_ok=True)
    runs = []
    for name, text in (("forward", kept), ("backward", kept[::-1])):
        corpus, run = work / f"{name}.txt", work / name
        corpus.write_text(text, encoding="utf-8", newline="")
        if not (run / MODEL_FILE).exists():
            train(corpus, run, minutes=minutes, seed=seed)
        runs.append(load(run, use_ngram=ngrams))
    test = test_text.read_text(encoding="utf-8")
    found = measure(runs[0], runs[1], kept, cut, test)
    if reader is not None:
        (evaluation,) = load(reader).evaluate_each([test_text])
        assert evaluation.pseudo is not None
        found["reader"] = evaluation.pseudo.nats_per_character
    click.echo(json.dumps({name: round(value, 4) for name, value in found.items()}))


def measure(
    forward: TrainedModel, backward: TrainedModel, trained: str, fitted: str, test: str
) -> dict[str, float]:
    """The figures of both models and of their product on `test`, and the fitted a and c."""
    assert forward.vocabulary == backward.vocabulary
    counts = np.bincount(forward.vocabulary.encode(trained), minlength=len(forward.vocabulary))
    log_share = np.log((counts + 1) / (counts + 1).sum())  # (V,)

    def sides(text: str) -> tuple[Numbers, Numbers, Integers]:
        ids = forward.vocabulary.encode(text).astype(np.int64)
        ahead = predictions(forward.model, ids)
        behind = predictions(backward.model, ids[::-1].copy())[::-1]
        return ahead, behind, ids

    def parts(ahead: Numbers, behind: Numbers) -> Numbers:
        both = ahead + behind
        return np.stack([both, np.broadcast_to(-log_share, both.shape)], -1)  # (N, V, 2)

    flat = np.zeros(len(log_share))
    ahead, behind, ids = sides(fitted)
    exponents = fit_exponents(parts(ahead, behind), ids, flat)
    ahead, behind, ids = sides(test)
    mixed = parts(ahead, behind) @ exponents
    mixed -= np.logaddexp.reduce(mixed, axis=-1, keepdims=True)
    rows = np.arange(len(ids))
    return {
        "forward": -float(ahead[rows, ids].mean()),
        "backward": -float(behind[rows, ids].mean()),
        "product": -float(mixed[rows, ids].mean()),
        "a": float(exponents[0]),
        "c": float(exponents[1]),
    }


def predictions(model: LanguageModel, ids: Integers) -> Numbers:
    """log-probabilities of each character after those before it (N, V), in nats."""
    found = np.empty((len(ids), model.vocabulary_size), np.float32)
    document = Documents(ids, np.array([0]), np.array([len(ids)]))
    state: State = None
    for window in windows(document, model.vocabulary_size):
        state = window.enter(model, state)
        predicted, state = model.forward(window.inputs, state)
        found[window.positions[window.counted]] = predicted[window.counted]
    return found.astype(np.float64)


if __name__ == "__main__":
    main()
