"""Classification by a model of one minute against TF-IDF with logistic regression.

    make corpora/names.tsv
    pip install scikit-learn
    python -m tests.benchmarks.labels corpora/names.tsv --seeds 1

Both learn from the same lines and are asked about the same others: 15 % of them, drawn by the seed.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import click

from charrnn import load, train

HELD_OUT = 0.15
PENALTIES = (3.0, 10.0, 30.0)
"""C of logistic regression; the best on a tenth of the training lines is taken."""

Lines = list[tuple[str, str]]


def split(path: Path, seed: int) -> tuple[Lines, Lines]:
    """Lines to learn from and lines to ask about, as pairs of label and text."""
    pairs = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    lines = [(label, text) for label, text in pairs]
    random.Random(seed).shuffle(lines)
    count = round(HELD_OUT * len(lines))
    return lines[count:], lines[:count]


def of_model(learn: Lines, ask: Lines, minutes: float, seed: int) -> dict[str, float]:
    """Accuracy of our model, with the n-gram model and without."""
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder, "learn.tsv")
        corpus.write_text("".join(f"{label}\t{text}\n" for label, text in learn), "utf-8")
        run = Path(folder, "run")
        train(corpus, run, minutes=minutes, labelled=True, seed=seed)
        found = {}
        for name, use_ngram in (("together", True), ("network", False)):
            started = time.monotonic()
            answers = load(run, use_ngram=use_ngram).classify([text for _, text in ask])
            found[f"{name}_seconds"] = time.monotonic() - started
            found[name] = accuracy([each.label for each in answers], ask)
        return found


def of_regression(learn: Lines, ask: Lines) -> float:
    """Accuracy of logistic regression on TF-IDF of 1- to 5-grams of characters."""
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
    except ImportError:
        sys.exit("this benchmark needs scikit-learn: pip install scikit-learn")

    def answers(known: Lines, asked: Lines, penalty: float) -> float:
        vectors = TfidfVectorizer(
            analyzer="char_wb", ngram_range=(1, 5), lowercase=False, sublinear_tf=True
        )
        model = LogisticRegression(C=penalty, max_iter=1000)
        model.fit(vectors.fit_transform([text for _, text in known]), [each for each, _ in known])
        return accuracy(model.predict(vectors.transform([text for _, text in asked])), asked)

    tenth = len(learn) // 10
    best = max(PENALTIES, key=lambda penalty: answers(learn[tenth:], learn[:tenth], penalty))
    return answers(learn, ask, best)


def accuracy(answers: Sequence[str], ask: Lines) -> float:
    """The share of right answers."""
    right = sum(answer == label for answer, (label, _) in zip(answers, ask, strict=True))
    return right / len(ask)


@click.command()
@click.argument("corpus", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--seeds", type=int, default=3, show_default=True)
@click.option("--minutes", type=float, default=1.0, show_default=True)
def main(corpus: Path, seeds: int, minutes: float) -> None:
    """Compare both on labelled lines; a JSON object for each seed."""
    for seed in range(1, seeds + 1):
        learn, ask = split(corpus, seed)
        facts = {"seed": seed, "lines": len(learn), "asked": len(ask)}
        click.echo(json.dumps({**facts, "regression": of_regression(learn, ask)}))
        click.echo(json.dumps({**facts, **of_model(learn, ask, minutes, seed)}))


if __name__ == "__main__":
    main()
