"""A Python with torch imported that forks a process for each command line asked of it.

`import torch`, with what an optimiser imports as well, takes seconds: too long for tests that kill
and restart training many times. Each forked process runs `charrnn.cli.main` as `python -m charrnn`
does. This process has one thread, so that forking it is safe.

`Launcher` in tests/faults/support.py talks to it: one JSON object a line, and one answer each.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import random
import resource
import signal
import sys
import time
import traceback
from pathlib import Path
from types import SimpleNamespace
from typing import Any

PRELOADED = (
    *("filelock", "numpy", "safetensors.numpy", "torch", "torch.optim", "charrnn.cli.progress"),
    *("charrnn.cli.info", "charrnn.cli.sample", "charrnn.cli.score"),
    *("charrnn.cli.evaluate", "charrnn.cli.train", "charrnn.training.session"),
)
REFUSED_STATUS = 99


def serve(requests: int, answers: int) -> dict[str, Any] | None:
    """Answer requests until they end; in a forked process, return the request it was made for."""
    buffer = b""
    while True:
        while b"\n" not in buffer:
            more = os.read(requests, 1 << 16)
            if not more:
                return None
            buffer += more
        line, _, buffer = buffer.partition(b"\n")
        request: dict[str, Any] = json.loads(line)
        if request["do"] == "start":
            answer: int | None = os.fork()
            if answer == 0:
                os.close(requests)
                os.close(answers)
                return request
        else:
            answer = wait(request["pid"], request["seconds"])
        os.write(answers, json.dumps(answer).encode() + b"\n")


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


def become(request: dict[str, Any]) -> None:
    """Make this process what the request asks for, short of running the command."""
    writing = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    streams = (("stdin", os.O_RDONLY), ("stdout", writing), ("stderr", writing))
    for number, (stream, flags) in enumerate(streams):
        opened = os.open(Path(request["directory"], request[stream]), flags, 0o666)
        os.dup2(opened, number)
        os.close(opened)
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
    """Serve on standard input and output; in a forked process, run its command line."""
    requests, answers = os.dup(0), os.dup(1)
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in PRELOADED:
        importlib.import_module(name)
    os.write(answers, b"0\n")
    gc.freeze()
    request = serve(requests, answers)
    if request is not None:
        become(request)
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
