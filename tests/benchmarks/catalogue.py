"""All benchmarks by name."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

from tests.benchmarks.measure import Row


@dataclass(frozen=True)
class Benchmark:
    """A function of tests.benchmarks.MODULE that returns rows.

    Attributes:
        help: what it measures.
        module, function: where it is.
    """

    help: str
    module: str
    function: str


BENCHMARKS: dict[str, Benchmark] = {
    "help": Benchmark("start-up of --help", "startup", "help_text"),
    "sample": Benchmark("start-up of sample, n-gram models included", "startup", "sample"),
    "stream": Benchmark("one stream against nn.LSTM and nn.LSTMCell", "inference", "sampling"),
    "streams": Benchmark("many streams against one", "inference", "many_streams"),
    "strategies": Benchmark("each decoding strategy against none", "inference", "strategies"),
    "mixture": Benchmark("mixture against the network alone", "inference", "mixture"),
    "networks": Benchmark("one stream from several networks against one", "inference", "several"),
    "scoring": Benchmark("many lines against one by one", "inference", "scoring"),
    "page": Benchmark("the exported page in Chromium", "web_page", "writing"),
    "step": Benchmark("training step against a plain one", "training", "step"),
    "processes": Benchmark("two processes against two threads", "training", "processes"),
    "together": Benchmark("two networks side by side against one", "training", "together"),
    "run": Benchmark("training run against a bare loop", "training", "run"),
}


def measure(name: str) -> list[Row]:
    """Run a benchmark here."""
    chosen = BENCHMARKS[name]
    module = importlib.import_module(f"tests.benchmarks.{chosen.module}")
    rows: list[Row] = getattr(module, chosen.function)()
    return rows
