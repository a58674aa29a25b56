"""Search for a better recipe: variants trained for fixed numbers of steps, seed by seed.

Started by hand, for hours if needed; README.md here records the results. A variant is
fields of Settings, and constants of modules in charrnn.training, changed:

    python -m tests.benchmarks.recipe train.txt "hidden=256 steps=3600" "muon.ITERATIONS=3"

The text's last tenth is held out to choose by. Steps are fixed, not time, so that what else runs
on the machine changes nothing; give each variant the steps it can do in the time meant.
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

from charrnn.platform import keep_freed_memory
from charrnn.text.corpus import load_corpus
from charrnn.text.reading import Reading
from charrnn.training.data import prepare_data
from charrnn.training.settings import DEFAULTS

HELD_OUT = 0.1


@click.command()
@click.argument("text", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("variants", nargs=-1, required=True)
@click.option("--seeds", default="1,2,3", show_default=True, help="Run each variant with these.")
@click.option("--jobs", default=2, show_default=True, help="Processes, one thread each.")
def main(text: Path, variants: tuple[str, ...], seeds: str, jobs: int) -> None:
    """Train each of VARIANTS on TEXT; a JSON line for each run."""
    runs = [(variant, int(seed)) for seed, variant in product(seeds.split(","), variants)]
    # A process for each run: the next one finds the modules' constants as they were.
    with get_context("spawn").Pool(jobs, maxtasksperchild=1) as pool:
        for record in pool.imap(partial(run, text), runs):
            click.echo(json.dumps(record))


def run(text: Path, variant_and_seed: tuple[str, int]) -> dict[str, Any]:
    """Train one variant with one seed -> nats per character on the text to choose by."""
    variant, seed = variant_and_seed
    torch.set_num_threads(1)
    keep_freed_memory()
    settings = replace(DEFAULTS, precision="bfloat16", seed=seed, **_changes(variant.split()))
    prepared = prepare_data(load_corpus([str(text)], Reading()), HELD_OUT)
    trainer = prepared.single_trainer(settings, "cpu")
    started = time.process_time()
    losses = [trainer.train_step().loss for _ in range(settings.steps)]
    seconds = time.process_time() - started
    last = losses[-max(1, len(losses) // 10) :]
    return {
        "variant": variant,
        "seed": seed,
        "nats_per_character": round(trainer.validate(prepared.validation, lambda: None), 4),
        "training": round(sum(last) / len(last), 4),
        "steps": settings.steps,
        "processor_seconds": round(seconds, 1),
    }


def _changes(assignments: Iterable[str]) -> dict[str, Any]:
    """Settings to change; constants of modules are changed at once."""
    settings = {}
    for assignment in assignments:
        name, _, written = assignment.partition("=")
        value = ast.literal_eval(written)
        module, dot, constant = name.rpartition(".")
        if dot:
            changed = import_module(f"charrnn.training.{module}")
            assert hasattr(changed, constant), f"{module} has no {constant}"
            setattr(changed, constant, value)
        else:
            settings[name] = value
    return settings


if __name__ == "__main__":
    main()
