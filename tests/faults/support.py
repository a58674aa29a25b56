"""What the tests of faults need: processes that start fast, sealed files that lie, terminals."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pty
import resource
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from subprocess import PIPE
from typing import IO, Any

from charrnn.storage.header import METADATA_KEY
from charrnn.storage.sealed_file import NO_DIGEST, SEAL
from tests.support import QUICK, REPOSITORY, Result, Trained, later_wins, run_interpreter

TINY = (
    *("--cell", "lstm", "--layers", "1", "--hidden", "8", "--embedding", "4", "--dropout", "0.2"),
    *("--batch", "4", "--chunk", "8", "--validation", "0.1", "--precision", "float32"),
    *("--ngram-order", "3", "--seed", "3", "--device", "cpu"),
)
"""Options of `train` for a run that takes a fraction of a second, the same on every machine."""
PATIENCE = 60.0
"""Seconds after which a process counts as hanging."""


class Job:
    """A command line that is running; see `Launcher`."""

    def __init__(
        self, launcher: Launcher, pid: int, out: Path, err: Path, pipes: Mapping[str, IO[bytes]]
    ) -> None:
        self.pid = pid
        self.pipes = pipes
        self._status: int | None = None
        self._launcher = launcher
        self._out = out
        self._err = err

    def __enter__(self) -> Job:
        return self

    def __exit__(self, *error: object) -> None:
        for pipe in self.pipes.values():
            pipe.close()

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal, if it has not ended."""
        if self._status is None:
            os.kill(self.pid, number)

    def wait(self, seconds: float = PATIENCE) -> Result:
        """Wait for its end; a process that does not end in time fails the test."""
        if self._status is None:
            self._status = self._ended(seconds)
        if self._status is None:
            self.kill()
            self._status = self._ended(PATIENCE)
            raise AssertionError(f"still running after {seconds} s:\n{self.err}")
        return Result(self._status, self.out, self.err)

    def _ended(self, seconds: float) -> int | None:
        return self._launcher.ask({"do": "wait", "pid": self.pid, "seconds": seconds})

    def wait_for(self, text: str, seconds: float = PATIENCE) -> None:
        """Wait until standard output or standard error holds `text`."""
        until(lambda: text in self.out + self.err, seconds)

    @property
    def out(self) -> str:
        """What it has written to standard output so far."""
        return _text(self._out)

    @property
    def raw_out(self) -> bytes:
        """The same, as bytes."""
        return self._out.read_bytes()

    @property
    def err(self) -> str:
        """What it has written to standard error so far."""
        return _text(self._err)


def _text(path: Path) -> str:
    return path.read_bytes().decode() if path.is_file() else ""


class Launcher:
    """Starts command lines at once, in processes forked from one that has imported torch."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory()
        self._count = 0
        self._server, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.launcher"],
                stdin=theirs.fileno(),
                cwd=REPOSITORY,
            )
        self._answers = self._server.makefile()
        self._answers.readline()

    def ask(self, request: Mapping[str, Any], streams: Sequence[int] = ()) -> int | None:
        """Send a request to the server; its answer."""
        message = json.dumps(request).encode() + b"\n"
        sent = socket.send_fds(self._server, [message], streams)
        self._server.sendall(message[sent:])
        answer: int | None = json.loads(self._answers.readline())
        return answer

    def close(self) -> None:
        """End the server."""
        self._answers.close()
        self._server.close()
        self._process.wait()
        self._directory.cleanup()

    def start(
        self,
        *arguments: str | Path,
        env: Mapping[str, str] | None = None,
        directory: Path | None = None,
        stdin: str | int = os.devnull,
        stdout: str | int | None = None,
        stderr: int | None = None,
        session: bool = False,
        control: bool = False,
        fault: Mapping[str, Any] | None = None,
        file_size: int | None = None,
        more_memory: int | None = None,
        wrong_clock: bool = False,
        ignored: int | None = None,
        without: Sequence[str] = (),
    ) -> Job:
        """Run the command line.

        Args:
            arguments: of the command line.
            env: variables in addition to those of this process.
            directory: to run in; without it the current one.
            stdin: a file to read, a descriptor, or PIPE for the one in `Job.pipes`.
            stdout: a file to write to, a descriptor or PIPE; without it what `Job.out` reads.
            stderr: a descriptor or PIPE; without it what `Job.err` reads.
            session: whether it leads a session, and a group of processes, of its own.
            control: whether signals are to come from the terminal that its standard input is.
            fault: arguments of FaultyOS, for the writer of files.
            file_size: bytes that a file may have at most (RLIMIT_FSIZE).
            more_memory: bytes that may be added to the address space (RLIMIT_AS).
            wrong_clock: whether the time of day jumps about.
            ignored: a signal that is ignored from the start, as under nohup.
            without: names that the system lacks, `os.link` or `fcntl`, for example.
        """
        self._count += 1
        out, err = (
            Path(self._directory.name, f"{self._count}.{name}") for name in ("out", "err")
        )
        directory = Path(directory or Path.cwd())
        request = {
            "do": "start",
            "arguments": later_wins(arguments),
            "directory": str(directory),
            "environment": {**os.environ, **(env or {})},
            "session": session,
            "control": control,
            "fault": fault,
            "file_size": file_size,
            "more_memory": more_memory,
            "wrong_clock": wrong_clock,
            "ignored": ignored,
            "without": list(without),
        }
        pipes: dict[str, IO[bytes]] = {}
        with contextlib.ExitStack() as opened:
            streams = [
                _opened(opened, pipes, name, stream, directory)
                for name, stream in (
                    ("stdin", stdin),
                    ("stdout", str(out) if stdout is None else stdout),
                    ("stderr", str(err) if stderr is None else stderr),
                )
            ]
            pid = self.ask(request, streams)
        assert pid is not None
        out = directory / stdout if isinstance(stdout, str) else out
        return Job(self, pid, out, err, pipes)

    def run(self, *arguments: str | Path, **options: Any) -> Result:
        """Run the command line to its end."""
        return self.start(*arguments, **options).wait()


def _opened(
    files: contextlib.ExitStack,
    pipes: dict[str, IO[bytes]],
    name: str,
    stream: str | int,
    directory: Path,
) -> int:
    """The descriptor of a process's stream; of a pipe, `pipes` gets the other end."""
    mode = "rb" if name == "stdin" else "wb"
    if isinstance(stream, str):
        return files.enter_context(Path(directory, stream).open(mode)).fileno()
    if stream != PIPE:
        return stream
    ends = os.pipe()
    theirs, ours = ends if name == "stdin" else reversed(ends)
    pipes[name] = os.fdopen(ours, "wb" if name == "stdin" else "rb")
    return files.enter_context(os.fdopen(theirs, mode)).fileno()


@cache
def the_launcher() -> Launcher:
    """One launcher for all tests of this process, started when it is first needed."""
    return Launcher()


def close_the_launcher() -> None:
    """End the launcher, if there is one."""
    if the_launcher.cache_info().currsize:
        the_launcher().close()
        the_launcher.cache_clear()


READ_AT_THE_START = ("PYTHON", "LC_", "LANG", "OMP_", "MKL_", "OPENBLAS_")
"""How variables begin that Python or NumPy reads once, when it starts."""


def run_process(
    *arguments: str | Path,
    stdin: str | bytes = b"",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Result:
    """Run the command line in a process of its own; nothing is translated on the way.

    The process is forked from one that has imported torch, or a new interpreter where `env` has
    what only a new one reads.
    """
    if any(name.startswith(READ_AT_THE_START) for name in env or {}):
        return run_interpreter(*arguments, stdin=stdin, env=env, cwd=cwd)
    job = the_launcher().start(*arguments, env=env, directory=cwd, stdin=PIPE)
    with job, contextlib.suppress(BrokenPipeError):  # who has ended reads no more
        job.pipes["stdin"].write(stdin.encode() if isinstance(stdin, str) else stdin)
        job.pipes["stdin"].close()
    return job.wait(100)


def train_process(run: Path, corpus: Path, *options: str) -> Trained:
    """Train on the command line."""
    done = run_process("train", corpus, "-o", run, "--json", *QUICK, *options)
    assert done.status == 0, done.err
    return Trained(run, corpus, done.records, corpus.read_bytes().decode())


def until(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Wait until `condition` holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not so after {seconds} s"
        time.sleep(0.001)


def one_line_error(result: Result, status: int = 1) -> str:
    """The message of a command that failed as it should: one line, no traceback."""
    assert result.status == status, (result.status, result.out, result.err)
    lines = [line for line in result.err.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1, result.err
    assert result.err.endswith(lines[0] + "\n"), result.err
    assert "Traceback" not in result.err
    return lines[0].removeprefix("Error: ")


def no_traceback(result: Result) -> Result:
    """`result`, which must be a success or an error in one line."""
    assert result.status in {0, 1}, (result.status, result.err)
    assert "Traceback" not in result.err, result.err
    assert "Warning" not in result.err, result.err
    return result


def on_terminal(
    *arguments: str | Path,
    env: Mapping[str, str] | None = None,
    seconds: float = PATIENCE,
    columns: int = 200,
    press: str = "",
    after: str = "",
) -> tuple[int, str]:
    """Run the command line on a pseudo-terminal of its own: its status and what is shown.

    Args:
        arguments: of the command line.
        env: variables in addition to those of this process.
        seconds: that it may take.
        columns: of the terminal.
        press: keys to press,
        after: once this has been shown.
    """
    master, slave = pty.openpty()
    job = the_launcher().start(
        *arguments,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={"TERM": "xterm", "COLUMNS": str(columns), **(env or {})},
        session=True,
        control=bool(press),
    )
    os.close(slave)
    shown = b""
    end = time.monotonic() + seconds
    while select.select([master], [], [], max(0.0, end - time.monotonic()))[0]:
        try:
            block = os.read(master, 1 << 16)
        except OSError:  # how Linux says that the other side is closed
            block = b""
        if not block:
            break
        shown += block
        if press and after.encode() in shown:
            os.write(master, press.encode())
            press = ""
    os.close(master)
    return job.wait(seconds).status, shown.decode()


# --- checkpoints that lie


def parts(data: bytes) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """A sealed file's header without metadata, its description, and its arrays' bytes."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    description = json.loads(header.pop("__metadata__")[METADATA_KEY])
    return header, description, data[8 + length :]


def forged(header: Mapping[str, Any], description: Any, buffer: bytes) -> bytes:
    """A file with these parts whose seal fits; `description` may be JSON text, too."""
    text = description
    if not isinstance(text, str):
        text = json.dumps(description, separators=(",", ":"))
    return forged_header(json.dumps({"__metadata__": {METADATA_KEY: text}, **header}), buffer)


def forged_header(header: str, buffer: bytes) -> bytes:
    """A file with this header whose seal fits."""
    encoded = header.encode("utf-8", "surrogatepass")
    return resealed(len(encoded).to_bytes(8, "little") + encoded + buffer)


def resealed(data: bytes) -> bytes:
    """`data` with a digest that fits; as it is where there is no place for one."""
    seal = SEAL.search(data)
    if seal is None:
        return data
    start, stop = seal.span(1)
    empty = data[:start] + NO_DIGEST.encode() + data[stop:]
    digest = hashlib.sha256(empty).hexdigest().encode()
    return data[:start] + digest + data[stop:]


@contextlib.contextmanager
def bounded_memory(more: int) -> Iterator[None]:
    """Let this process use at most `more` bytes of address space than now; then MemoryError."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def temporaries(directory: Path) -> list[str]:
    """Files that a writer has left behind."""
    return [path.name for path in directory.iterdir() if path.name.endswith(".partial")]


def history(model: Path) -> list[dict[str, str]]:
    """The losses of a run to the last bit: floats in hexadecimal."""
    training = parts(model.read_bytes())[1]["training"]
    return [
        {name: float(value).hex() for name, value in entry.items()}
        for entry in training["history"]
    ]
