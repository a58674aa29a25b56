"""Search for a better recipe: variants trained for fixed numbers of steps, seed by seed.

Started by hand, for hours if needed; README.md here records the results. A variant is
fields of Settings, constants of modules in charrnn.training, and regularisers.py, changed:

    python -m tests.benchmarks.recipe train.txt "hidden=256 steps=3600" "muon.ITERATIONS=3" \
        "dropout=0.3 dropconnect=0.25"

The text's end is held out to choose by, a tenth unless said. Steps are fixed, not time, so that
what else runs on the machine changes nothing; give each variant the steps it can do in the time
meant. A network that is too sure of itself can be helped after training, so the figures that count
are those with its best temperature, alone and with the n-gram model; each half of the held-out text
is predicted with what was fitted on the other.
"""

from __future__ import annotations

import ast
import json
import time
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from importlib import import_module
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click
import torch

from charrnn.models.ngram import NgramModel
from charrnn.models.torch_rnn import TorchRNN
from charrnn.platform import keep_freed_memory
from charrnn.text.corpus import load_corpus
from charrnn.text.reading import Reading
from charrnn.training.data import TrainingData, prepare_data
from charrnn.training.machine import Machine
from charrnn.training.mixing import calibrate, fit_mixture
from charrnn.training.settings import DEFAULTS
from tests.benchmarks.regularisers import REGULARISERS


@click.command()
@click.argument("text", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("variants", nargs=-1, required=True)
@click.option("--seeds", default="1,2,3", show_default=True, help="Run each variant with these.")
@click.option("--held-out", default=0.1, show_default=True, help="Share of TEXT to choose by.")
@click.option("--jobs", default=2, show_default=True, help="Processes, one thread each.")
def main(
    text: Path, variants: tuple[str, ...], seeds: str, held_out: float, jobs: int
) -> None:
    """Train each of VARIANTS on TEXT; a JSON line for each run."""
    runs = [(variant, int(seed)) for seed, variant in product(seeds.split(","), variants)]
    # A process for each run: the next one finds the modules' constants as they were.
    with get_context("spawn").Pool(jobs, maxtasksperchild=1) as pool:
        for record in pool.imap(partial(run, text, held_out), runs):
            click.echo(json.dumps(record))


def run(text: Path, held_out: float, variant_and_seed: tuple[str, int]) -> dict[str, Any]:
    """Train one variant with one seed -> nats per character on the text to choose by."""
    variant, seed = variant_and_seed
    torch.set_num_threads(1)
    keep_freed_memory()
    prepared = prepare_data(load_corpus([str(text)], Reading()), held_out)
    precision = Machine(prepared, "cpu").precision()
    settings = replace(DEFAULTS, precision=precision, seed=seed, **_changes(variant.split()))
    trainer = prepared.single_trainer(settings, "cpu")
    started = time.process_time()
    losses = [trainer.train_step().loss for _ in range(settings.steps)]
    seconds = time.process_time() - started
    last = losses[-max(1, len(losses) // 10) :]
    return {
        "variant": variant,
        "seed": seed,
        "nats_per_character": round(trainer.validate(prepared.validation, lambda: None), 4),
        **_calibrated(TorchRNN(trainer.network.eval()), settings.ngram_order, prepared),
        "training": round(sum(last) / len(last), 4),
        "steps": settings.steps,
        "processor_seconds": round(seconds, 1),
    }


def _calibrated(network: TorchRNN, order: int, prepared: TrainingData) -> dict[str, Any]:
    """The figures that count, without the n-gram model if `order` is 0."""
    fit = None
    if order:
        ngram = NgramModel.build(prepared.training, order, prepared.ids)
        fit = fit_mixture(network, [ngram], prepared.validation)
    found = fit.calibration if fit else calibrate(network, prepared.validation)
    return {
        "at_best_temperature": round(found.nats_per_character, 4),
        "temperature": round(found.temperature, 3),
        "with_ngram": round(fit.cross_validated, 4) if fit else None,
    }


def _changes(assignments: Iterable[str]) -> dict[str, Any]:
    """Settings to change; constants of modules, and regularisers, are changed at once."""
    settings = {}
    for assignment in assignments:
        name, _, written = assignment.partition("=")
        value = ast.literal_eval(written)
        module, dot, constant = name.rpartition(".")
        if dot:
            changed = import_module(f"charrnn.training.{module}")
            assert hasattr(changed, constant), f"{module} has no {constant}"
            setattr(changed, constant, value)
        elif name in REGULARISERS:
            REGULARISERS[name](value)
        else:
            settings[name] = value
    return settings


if __name__ == "__main__":
    main()
