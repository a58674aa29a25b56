"""One training command on ever longer ends of one text: what each costs, and what it reaches on the
megabyte that follows.

    python -m tests.benchmarks.long_texts sources.txt work --sizes 1,60,1000 --minutes 5

Started by hand on a quiet machine; README.md here records the results. The text's last megabyte is
held back to test on, and each size is the text just before it, so the longer ones contain the
shorter ones. WORK gets the texts, a cache of its own, the runs and their events; it is not emptied.
Peak memory is as Linux counts it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import click

from tests.benchmarks.measure import seconds

MEGABYTE = 1_000_000
BLOCK = 1 << 24
READ = """
import sys
from charrnn.text.corpus import load_corpus
from charrnn.text.reading import Reading
from charrnn.training.data import prepare_data
from tests.benchmarks.measure import seconds
print(seconds(lambda: prepare_data(load_corpus(sys.argv[1:], Reading()), None)))
"""


@dataclass(frozen=True)
class Finished:
    """A process that has ended: what it printed, how long it took, and its peak memory."""

    output: str
    seconds: float
    megabytes: float


@dataclass(frozen=True)
class Record:
    """One line of the table; times in seconds, losses in nats per character of the test text.

    Attributes:
        megabytes: the size of the text.
        first_reading, second_reading: until the text is ready for training.
        counting, training, validation: of the run.
        counted: how many characters were.
        steps: how many the network made.
        whole: of the whole process that trains; it finds the text in the cache.
        peak: memory of that process, in MB.
        file: the model's, in MB.
        everything, network, ngram: the losses of the mixture and of its parts.
        held_out: what the run itself reported, on text that it had held out.
        sample: the fastest of SAMPLES processes that write 200 characters.
        sample_peak: memory of that, in MB.
        evaluate_peak: memory of `evaluate`, in MB.
    """

    megabytes: int
    first_reading: float
    second_reading: float
    counting: float
    counted: int
    training: float
    validation: float
    steps: int
    whole: float
    peak: float
    file: float
    everything: float
    network: float
    ngram: float
    held_out: float
    sample: float
    sample_peak: float
    evaluate_peak: float


SAMPLES = 7


@click.command()
@click.argument("text", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("work", type=click.Path(file_okay=False, path_type=Path))
@click.option("--sizes", default="1,60,1000,5000", show_default=True, help="In megabytes.")
@click.option("--minutes", default=5.0, show_default=True, help="Of each run.")
@click.option("--seed", default=1, show_default=True, help="Of each run.")
def main(text: Path, work: Path, sizes: str, minutes: float, seed: int) -> None:
    """Train on the end of TEXT, in WORK; a JSON line for each size, then the table."""
    work.mkdir(parents=True, exist_ok=True)
    os.environ["CHARRNN_CACHE"] = str((work / "cache").resolve())
    end = text.stat().st_size - MEGABYTE
    test = cut(text, end, end + MEGABYTE, work / "test.txt")
    records = []
    for size in map(int, sizes.split(",")):
        part = cut(text, max(0, end - size * MEGABYTE), end, work / f"{size}.txt")
        arguments = ["--minutes", str(minutes), "--seed", str(seed)]
        records.append(measure(size, part, test, work / f"run-{size}", arguments))
        click.echo(json.dumps(asdict(records[-1])))
    click.echo("\n".join(table(records)))


def cut(text: Path, start: int, stop: int, target: Path) -> Path:
    """Copy these bytes of `text`, from the first line that begins there."""
    if not target.exists():
        with open(text, "rb") as source, open(target, "wb") as copy:
            source.seek(start)
            if start:
                source.readline()
            while block := source.read(min(BLOCK, stop - source.tell())):
                copy.write(block)
    return target


def run(*arguments: str) -> Finished:
    """Run this Python to its end."""
    found: dict[str, Any] = {}

    def process() -> None:
        with subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            found["output"] = child.stdout.read().decode()
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            sys.exit(f"{' '.join(arguments)} failed")
        found["megabytes"] = usage.ru_maxrss / 1000

    taken = seconds(process)
    return Finished(found["output"], taken, found["megabytes"])


def measure(size: int, text: Path, test: Path, output: Path, arguments: list[str]) -> Record:
    """Everything about one size."""
    first, second = (float(run("-c", READ, str(text)).output) for _ in range(2))
    options = [*arguments, "--fresh", "-o", str(output), "--json"]
    trained = run("-m", "charrnn", "train", str(text), *options)
    output.joinpath("events.jsonl").write_text(trained.output, encoding="utf-8")
    events = [json.loads(line) for line in trained.output.splitlines()]
    checkpoint = ["-c", str(output)]
    evaluated = run("-m", "charrnn", "evaluate", str(test), *checkpoint, "--json")
    alone = run("-m", "charrnn", "evaluate", str(test), *checkpoint, "--no-ngram", "--json")
    sample = ["-m", "charrnn", "sample", *checkpoint, "--length", "200", "--seed", "1"]
    samples = [run(*sample) for _ in range(SAMPLES)]
    done = events[-1]
    return Record(
        size,
        first,
        second,
        **run_figures(events),
        steps=done["step"],
        whole=trained.seconds,
        peak=trained.megabytes,
        file=(output / "model.safetensors").stat().st_size / MEGABYTE,
        everything=json.loads(evaluated.output)["nats_per_character"],
        network=json.loads(alone.output)["nats_per_character"],
        ngram=ngram_loss(output, test),
        held_out=done["nats_per_character"],
        sample=min(each.seconds for each in samples),
        sample_peak=max(each.megabytes for each in samples),
        evaluate_peak=evaluated.megabytes,
    )


def run_figures(events: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What counting, training and validation took, from the events of a run."""
    counting, counted, training, validation, characters = 0.0, 0, 0.0, 0.0, 0
    passed = [each for each in events if each["event"] in ("start", "step", "validation")]
    for event in events:
        if event["event"] == "counting":
            counting, counted = event["seconds"], event["characters"]
        elif event["event"] == "start":
            characters = event["settings"]["batch"] * event["settings"]["chunk"]
    speed = 1.0
    for before, event in pairwise(passed):
        steps = event["step"] - before["step"]
        if event["event"] == "step":
            speed = event["characters_per_second"]
            training += steps * characters / speed
        else:
            validation += event["seconds"] - before["seconds"] - steps * characters / speed
    names = ("counting", "counted", "training", "validation")
    return dict(zip(names, (counting, counted, training, validation), strict=True))


def ngram_loss(output: Path, test: Path) -> float:
    """Of the n-gram model alone."""
    from charrnn.inference.scoring import evaluate_documents
    from charrnn.models.checkpoint import load_checkpoint
    from charrnn.models.ngram import NgramModel
    from charrnn.text.documents import documents_of

    checkpoint = load_checkpoint(output)
    assert checkpoint.ngram is not None
    ids = checkpoint.vocabulary.encode(test.read_text(encoding="utf-8"))
    documents = documents_of([ids], with_eos=False)
    return evaluate_documents(NgramModel(checkpoint.ngram), documents).nats_per_character


def table(records: list[Record]) -> list[str]:
    """The records in Markdown."""
    columns = list(asdict(records[0]))
    rows = [[f"{value:,.4g}" for value in asdict(each).values()] for each in records]
    lines = [columns, ["---"] * len(columns), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


if __name__ == "__main__":
    main()
