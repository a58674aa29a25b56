"""Options with any values, from the command line, variables and files: a result, or one line."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from unittest import mock

import click
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from charrnn.cli import main as cli
from charrnn.cli.completion import VARIABLE
from charrnn.models.checkpoint import save_checkpoint
from charrnn.storage.runs import MODEL_FILE
from tests.cli.support import command_of, options_of
from tests.support import Result, random_checkpoint

SHARED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
NUMBERS = st.one_of(
    st.floats().map(repr),
    st.integers(-3, 70).map(str),
    st.sampled_from(["1e999", "9" * 400, "0x1", "1_0", "٣", "-0", "1,2", "nan,1", ","]),
)
CHARACTERS = st.text(st.sampled_from("abc\n\\n0tΩ\u202e\x1b[]{}$'\" ="), max_size=8)
PATTERNS = st.one_of(
    st.text(st.sampled_from("ab.*+?()[]{}|^$\\1,0"), max_size=8),
    st.sampled_from(["(", "(?P<a>", "[z-a]", "a{99999999999}", "(?R)", "\\", "(?i", "a**", "^$"]),
)
SAMPLE: dict[str, st.SearchStrategy[str]] = {
    **dict.fromkeys(
        (
            *("--temperature", "--top-k", "--top-p", "--min-p", "--typical-p", "--beam"),
            *("--repetition-penalty", "--seed", "--num", "--tries", "--length"),
            "--adaptive-rate",
        ),
        NUMBERS,
    ),
    **dict.fromkeys(
        ("--forbid", "--only", "--stop", "--separator", "--prime", "--label"), CHARACTERS
    ),
    **dict.fromkeys(("--match", "--reject"), PATTERNS),
}
FLAGS = (
    *("--argmax", "--unique", "--sort", "--scores", "--null", "--no-prime", "--json", "--heat"),
    *("--until-eos", "--raw", "--strict", "--unseen", "--novelty"),
)
LIMITS = ("--length", "20", "--num", "2", "--tries", "70")
"""What is not drawn has these values, so that no draw takes long."""


@pytest.fixture(autouse=True)
def model() -> None:
    """An untrained model in `run`."""
    Path("run").mkdir()
    save_checkpoint(Path("run") / MODEL_FILE, random_checkpoint("abc\n"))


def run(arguments: Sequence[str], env: dict[str, str] | None = None) -> Result:
    """The command line in this process, with streams of its own."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for _ in range(2))
    stdin = io.TextIOWrapper(io.BytesIO(b"ab\n"), "utf-8")
    with (
        mock.patch.dict(os.environ, env or {}),
        mock.patch.object(sys, "stdin", stdin),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        status = cli.run(list(arguments))
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())
    return Result(status, *texts)


def check(result: Result) -> None:
    """A result, or one line that says what is wrong; an exception would have ended the test."""
    assert result.status in {0, 1, 2}, result.err
    lines = [line for line in result.err.splitlines() if not line.startswith("warning: ")]
    errors = [line for line in lines if line.startswith("Error: ")]
    assert len(errors) == (result.status != 0), result.err
    assert "Traceback" not in result.err
    if errors:
        assert lines[-1] == errors[0]


@st.composite
def options(draw: st.DrawFn, most: int = 4) -> list[str]:
    """Some options of `sample`, with any values."""
    names = draw(st.lists(st.sampled_from(sorted(SAMPLE)), max_size=most, unique=True))
    given = [f"{name}={draw(SAMPLE[name])}" for name in names]
    given += draw(st.lists(st.sampled_from(FLAGS), max_size=2, unique=True))
    for name, value in zip(LIMITS[::2], LIMITS[1::2], strict=True):
        if name not in names and (name != "--tries" or {"--match", "--reject"} & set(names)):
            given.append(f"{name}={value}")
    return given


def is_short(words: list[str]) -> bool:
    """Whether it writes little: numbers of texts and characters may be as large as one likes."""
    sizes = {"--length": 100, "--num": 100, "--tries": 1000, "--beam": 20}
    for word in words:
        name, _, value = word.partition("=")
        with contextlib.suppress(ValueError):
            if name in sizes and int(value) > sizes[name]:
                return False
    return not {"--until-eos"} & set(words) or any(each.startswith("--length") for each in words)


@pytest.mark.fault(39, 41)
@SHARED
@given(options().filter(is_short))
def test_sample_takes_any_values(words: list[str]) -> None:
    seed = [] if any(each.startswith("--seed") for each in words) else ["--seed=1"]
    check(run(["sample", "-c", "run", *seed, *words]))


TOML_VALUES = st.recursive(
    st.one_of(
        st.booleans().map(lambda value: str(value).lower()),
        st.integers(-5, 2**70).map(str),
        st.sampled_from(["nan", "inf", "1e400", '"x"', "'0.5'", '""', "1979-05-27", "[", "{}", ""]),
        st.floats(allow_nan=False, allow_infinity=False).map(repr),
    ),
    lambda inner: st.lists(inner, max_size=2).map(lambda each: f"[{', '.join(each)}]"),
    max_leaves=3,
)
KEYS = st.sampled_from(
    [*(name.removeprefix("--") for name in SAMPLE), "top_k", "json", "checkpoint", "corpus", "nil"]
)


@pytest.mark.fault(39)
@SHARED
@given(
    st.sampled_from(["sample", "train", "smaple", ""]),
    st.lists(st.tuples(KEYS, TOML_VALUES), max_size=3),
    st.binary(max_size=3),
)
def test_a_file_of_options_may_say_anything(
    table: str, lines: list[tuple[str, str]], rest: bytes
) -> None:
    entries = "".join(f"{key} = {value}\n" for key, value in lines)
    Path("my.toml").write_bytes(f"[{table}]\n{entries}".encode() + rest)
    with contextlib.suppress(ValueError):
        if any(int(value) > 20 for _, value in lines):
            return  # a long text, which is right
    check(run(["sample", "-c", "run", "--length=5", "--num=1", "--config", "my.toml"]))


@pytest.mark.fault(39)
@SHARED
@given(st.sampled_from(sorted(SAMPLE)), st.data())
def test_variables_may_have_any_values(name: str, data: st.DataObject) -> None:
    value = data.draw(SAMPLE[name].filter(lambda each: "\0" not in each))
    if not is_short([f"{name}={value}"]):
        return
    variable = "CHARRNN_SAMPLE_" + name.removeprefix("--").upper().replace("-", "_")
    limits = [] if name == "--length" else ["--length=5"]
    check(run(["sample", "-c", "run", *limits], {variable: value}))


def commands() -> Iterator[str]:
    yield from cli.COMMANDS


WORDS = st.one_of(
    st.sampled_from([*commands(), "-c", "run", "--", "-", "", "nothing", "--json", "--cell"]),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5),
    st.sampled_from(sorted(name for each in cli.COMMANDS for name in options_of(each))),
)


@pytest.mark.fault(39)
@SHARED
@given(st.lists(WORDS, max_size=4), st.integers(-2, 6), st.sampled_from(["bash", "zsh", "fish"]))
def test_completion_takes_any_words(words: list[str], at: int, shell: str) -> None:
    env = {
        VARIABLE: f"{shell}_complete",
        "COMP_WORDS": " ".join(["charrnn", *words]),
        "COMP_CWORD": str(at) if shell != "fish" else (words or [""])[-1],
    }
    status: object = None
    try:
        status = run([], env).status
    except SystemExit as ended:  # this is how click ends
        status = ended.code
    assert status in {0, 1}


def test_every_option_of_sample_with_a_value_is_drawn() -> None:
    """So that a new strategy is drawn too."""
    own = {
        *("--checkpoint", "--prime-file", "--corpus", "--encoding", "--errors", "--device"),
        *("--config", "--save"),
    }
    valued = {
        max(each.opts, key=len)
        for each in command_of("sample").params
        if isinstance(each, click.Option) and not each.is_flag
    }
    assert valued - own <= SAMPLE.keys()
