"""A Python with torch imported that forks a process for each command line asked of it.

`import torch`, with what an optimiser imports as well, takes seconds: too long for tests that kill
and restart training many times. Each forked process runs `charrnn.cli.main` as `python -m charrnn`
does. This process has one thread, so that forking it is safe.

`Launcher` in tests/faults/support.py talks to it through a socket, its standard input: one JSON
object a line, and one answer each. A request for a process brings its three standard streams.
"""

from __future__ import annotations

import fcntl
import gc
import importlib
import io
import json
import os
import random
import resource
import signal
import socket
import sys
import termios
import time
import traceback
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TextIO

from charrnn.cli.main import COMMANDS
from tests.disk import do_not_wait

PRELOADED = (
    *("filelock", "numpy", "safetensors.numpy", "torch", "torch.optim", "charrnn.cli.progress"),
    *("charrnn.cli.dashboard", "charrnn.cli.heat_map", "charrnn.training.session"),
    *(f"charrnn.cli.{name}" for name in COMMANDS),
)
REFUSED_STATUS = 99


def serve(client: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Answer requests until they end; in a forked process, return its request and its streams."""
    buffer = b""
    streams: list[int] = []
    while True:
        while b"\n" not in buffer:
            more, received, _, _ = socket.recv_fds(client, 1 << 16, 3)
            if not more:
                return None
            buffer += more
            streams += received
        line, _, buffer = buffer.partition(b"\n")
        request: dict[str, Any] = json.loads(line)
        if request["do"] == "start":
            answer: int | None = os.fork()
            if answer == 0:
                client.close()
                return request, streams
            for stream in streams:
                os.close(stream)
            streams = []
        else:
            answer = wait(request["pid"], request["seconds"])
        client.sendall(json.dumps(answer).encode() + b"\n")


def wait(pid: int, seconds: float) -> int | None:
    """The exit status of a process as subprocess gives it; None if it is still running."""
    end = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            return None
        time.sleep(0.002)


def become(request: dict[str, Any], streams: list[int]) -> None:
    """Make this process what the request asks for, short of running the command."""
    if request["session"]:
        os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    if request["control"]:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    sys.stdin, sys.stdout, sys.stderr = map(as_at_the_start, (sys.stdin, sys.stdout, sys.stderr))
    os.chdir(request["directory"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = ["charrnn", *request["arguments"]]
    for number in (signal.SIGTERM, signal.SIGHUP):  # whatever the tests were started with
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if request["ignored"] is not None:
        signal.signal(request["ignored"], signal.SIG_IGN)
    sys.addaudithook(refuse)
    if request["file_size"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["file_size"],) * 2)
    if request["wrong_clock"]:
        time.time = lambda: random.uniform(0, 4e9)
    if request["fault"] is not None:
        faulty_os = importlib.import_module("tests.faults.faulty_os")
        faulty_os.install(faulty_os.FaultyOS(**request["fault"]))
    if request["without"]:
        take_away(request["without"])
    if request["more_memory"] is not None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + request["more_memory"]
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def as_at_the_start(stream: TextIO) -> io.TextIOWrapper:
    """A standard stream as Python makes it from what its descriptor is now."""
    assert isinstance(stream, io.TextIOWrapper)
    found = open(  # noqa: SIM115 - as long as the process
        stream.fileno(), stream.mode, encoding=stream.encoding, errors=stream.errors, closefd=False
    )
    assert isinstance(found, io.TextIOWrapper)
    found.reconfigure(line_buffering=stream is sys.stderr or found.isatty())
    return found


def take_away(names: list[str]) -> None:
    """Let modules (`fcntl`) or their contents (`os.link`) be missing, and charrnn not imported."""
    for name in [name for name in sys.modules if name.split(".")[0] == "charrnn"]:
        del sys.modules[name]
    # A lock file of this system needs its system whole; filelock has other code for other systems.
    vars(importlib.import_module("filelock._unix"))["os"] = SimpleNamespace(**vars(os))
    for name in names:
        module, _, attribute = name.rpartition(".")
        if module:
            delattr(importlib.import_module(module), attribute)
        else:
            sys.modules[name] = None  # type: ignore[assignment]


def refuse(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook: nothing may be unpickled, and no file be opened that says it is forbidden."""
    forbidden = event == "open" and "forbidden" in str(arguments[0])
    if forbidden or event == "pickle.find_class":
        os.write(2, f"{event}: {arguments}\n".encode())
        os._exit(REFUSED_STATUS)


def main() -> None:
    """Serve on the socket; in a forked process, run its command line."""
    client = socket.socket(fileno=os.dup(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    do_not_wait()
    for name in PRELOADED:
        importlib.import_module(name)
    client.sendall(b"0\n")
    gc.freeze()
    asked = serve(client)
    if asked is not None:
        become(*asked)
        run_and_leave()


def run_and_leave() -> None:
    """Run the command line and end at once: to take torch to pieces would take half a second."""
    status: Any = 1
    try:
        importlib.import_module("charrnn.cli.main").main()
    except SystemExit as end:
        status = end.code
    except BaseException:  # noqa: BLE001 - as the interpreter does
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
