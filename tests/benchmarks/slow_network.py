"""How training by two machines slows down with their network: two network namespaces, joined by a
link of limited rate and with delay, on one Linux machine. Needs root, ip and tc (iproute2).

    python -m tests.benchmarks.slow_network

Measures seconds per step and fits  compute + bits / rate + messages x delay  to them. Takes about
two minutes; the namespaces are removed at the end.
"""

from __future__ import annotations

import os
import statistics
import sys

import click
import numpy as np

from tests.benchmarks.link import Speed, linked
from tests.benchmarks.workers import Workers, worker_command, worker_environment

RATES = (10, 30, 100)
"""Mbit/s."""
DELAYS = (0, 5, 25)
"""Milliseconds, one way."""
ROUNDS = 3
NAMES = f"rnn{os.getpid()}a", f"rnn{os.getpid()}b"
ADDRESSES = ("10.77.0.1", "10.77.0.2")
SETTINGS = '{"hidden": 128}'


def start() -> Workers:
    """A process in each namespace."""
    commands = [["ip", "netns", "exec", name, *worker_command(SETTINGS)] for name in NAMES]
    environments = [
        {**worker_environment(rank, 2, ADDRESSES[0]), "GLOO_SOCKET_IFNAME": "eth0"}
        for rank in (0, 1)
    ]
    return Workers(commands, environments)


def fit(points: list[tuple[int, int, float]], bits: float) -> tuple[float, float, float]:
    """Least squares, relative: seconds of computing, share of `bits` sent, messages a step."""
    seconds = np.array([each for _, _, each in points])
    columns = np.array([(1.0, bits / (rate * 1e6), delay / 1e3) for rate, delay, _ in points])
    found = np.linalg.lstsq(columns / seconds[:, None], np.ones(len(seconds)), rcond=None)[0]
    compute, share, messages = found.tolist()
    return compute, share, messages


@click.command()
def main() -> None:
    """Measure and fit."""
    if os.geteuid() != 0:
        sys.exit("network namespaces need root")
    speed = Speed()
    with linked(NAMES, ADDRESSES, speed), start() as workers:
        bits = 32.0 * workers.parameters
        points = []
        for rate in RATES:
            for delay in DELAYS:
                speed.rate, speed.delay = rate * 1e6, delay / 1e3
                workers.steps(1)
                seconds = statistics.median(workers.steps(1) for _ in range(ROUNDS))
                points.append((rate, delay, seconds))
                click.echo(f"{rate:5} Mbit/s {delay:3} ms: {seconds:.3f} s a step")
    compute, share, messages = fit(points, bits)
    click.echo(
        f"{workers.parameters:,} parameters: seconds a step = {compute:.3f} + {share:.2f} x "
        f"32 bits x parameters / rate + {messages:.1f} x delay"
    )
    for rate, delay, seconds in points:
        expected = compute + share * bits / (rate * 1e6) + messages * delay / 1e3
        click.echo(f"{rate:5} Mbit/s {delay:3} ms: {expected / seconds:.2f} of the measured time")


if __name__ == "__main__":
    main()
