"""Odd texts to train on, and odd requests to a model. Rows 16-29."""

from __future__ import annotations

import codecs
import os
import resource
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from charrnn.errors import CorpusError
from charrnn.models.checkpoint import Checkpoint, save_checkpoint
from charrnn.text.corpus import load_corpus
from charrnn.text.reading import Reading, Source
from charrnn.text.vocabulary import EOS, UNK
from tests.conftest import Report
from tests.faults.support import TINY, Launcher, bounded_memory, one_line_error
from tests.support import Result, prose, random_checkpoint

MODEL = Path("model.safetensors")
MORE = 64
"""Mebibytes, besides the memory map, in which a text of any length must be read and trained on."""
ODD = (
    "a\x00b\x01\x1b[2J\x7f\x85\x9b\u2028\u2029\u202e\u200be\u0301ñ\u0302"
    "\U0001f600\U0010ffff\t\r\n\r\n\rz"
)
"""NUL, C0, C1, line separators, bidirectional, combining and astral characters, all line ends."""


def train(launcher: Launcher, *corpora: str | Path, steps: int = 3, **options: Any) -> Result:
    """Train in a moment; options may be among the corpora."""
    budget = ("--steps", str(steps), "--json", "--fresh")
    return launcher.run("train", "-o", "run", *TINY, *budget, *corpora, **options)


def trained(launcher: Launcher, *corpora: str | Path) -> dict[str, object]:
    """Train, and return what the run says of its corpus."""
    done = train(launcher, *corpora)
    assert done.status == 0, done.err
    assert "Warning" not in done.err
    start: dict[str, object] = done.records[0]
    return start


# --- row 16: too short


@pytest.mark.fault(16)
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "empty"),
        ("\ufeff", "empty"),
        ("a", "too short to train on: 1 characters"),
        ("short", "about 18 or more"),
    ],
)
def test_a_text_that_is_too_short_is_refused(
    text: str, expected: str, launcher: Launcher
) -> None:
    Path("corpus.txt").write_text(text)
    message = one_line_error(train(launcher, "corpus.txt"))
    assert "corpus.txt" in message
    assert expected in message


@pytest.mark.fault(16)
@pytest.mark.parametrize("lines", [(), ("--lines",)])
def test_a_text_shorter_than_a_window_trains(lines: tuple[str, ...], launcher: Launcher) -> None:
    Path("corpus.txt").write_text("a few words\nno more\n" * 2)
    done = train(launcher, "corpus.txt", "--chunk", "500", "--batch", "50", *lines)
    assert done.status == 0, done.err


# --- row 17: one character, over and over


@pytest.mark.fault(17)
def test_one_repeated_character_is_learned(launcher: Launcher) -> None:
    Path("corpus.txt").write_text("a" * 2000)
    done = train(launcher, "corpus.txt", "--rate", "0.1", steps=60)
    assert done.status == 0, done.err
    assert 0 <= done.records[-1]["nats_per_character"] < 0.1
    sample = launcher.run("sample", "-c", "run", "--length", "50", "--seed", "1", "--temperature=1")
    assert set(sample.out) == {"a", "\n"}


# --- rows 18 and 19: encodings


@pytest.mark.fault(18)
def test_bytes_that_are_no_text_are_refused_or_replaced(launcher: Launcher) -> None:
    Path("corpus.txt").write_bytes(b"good text " * 10 + b"\xff\xfe" + b" and more" * 10)
    message = one_line_error(train(launcher, "corpus.txt"))
    assert "byte 0xff at offset 100" in message
    assert "--encoding" in message
    assert "--errors replace" in message
    replaced = train(launcher, "corpus.txt", "--errors", "replace")
    assert replaced.records[0]["characters"] == 192
    assert train(launcher, "corpus.txt", "--encoding", "latin-1").status == 0
    evaluated = launcher.run("evaluate", "corpus.txt", "-c", "run", "--errors", "replace")
    assert evaluated.status == 0


@pytest.mark.fault(19)
@pytest.mark.parametrize(
    "encoded",
    [
        prose(9).encode("utf-8-sig"),
        codecs.BOM_UTF16_LE + prose(9).encode("utf-16-le"),
        codecs.BOM_UTF16_BE + prose(9).encode("utf-16-be"),
        codecs.BOM_UTF32_LE + prose(9).encode("utf-32-le"),
    ],
)
def test_a_byte_order_mark_is_understood(encoded: bytes, launcher: Launcher) -> None:
    Path("plain.txt").write_text(prose(9))
    plain = trained(launcher, "plain.txt")
    Path("marked.txt").write_bytes(encoded)
    assert trained(launcher, "marked.txt") == plain


# --- rows 20 and 21: every character is kept


@pytest.mark.fault(21)
def test_every_character_survives(launcher: Launcher) -> None:
    Path("corpus.txt").write_bytes((ODD * 20).encode())
    start = trained(launcher, "corpus.txt")
    assert start["characters"] == len(ODD) * 20
    assert start["unknown_characters"] == 0
    known = launcher.run("info", "run", "--json").records[0]["characters_known"]
    assert known == "".join(sorted(set(ODD)))
    Path("prime").write_bytes(ODD.encode())
    sample = launcher.run("sample", "-c", "run", "--prime-file", "prime", "--length=0", "--json")
    assert sample.records[0]["text"] == ODD
    piped = launcher.start("sample", "-c", "run", "--prime-file", "prime", "--length", "0")
    assert piped.wait().status == 0
    assert piped.raw_out == (ODD + "\n").encode()


@pytest.mark.fault(20)
@pytest.mark.parametrize(("ends", "expected"), [("\r\n", "\r\n"), ("\r", "\r"), ("\n", "\n")])
def test_the_ends_of_lines_are_kept(ends: str, expected: str, launcher: Launcher) -> None:
    Path("corpus.txt").write_bytes(prose(9).replace("\n", ends).encode())
    trained(launcher, "corpus.txt")
    known = launcher.run("info", "run", "--json").records[0]["characters_known"]
    assert set("\r\n") & set(known) == set(expected)


# --- row 22: too many characters


@pytest.mark.fault(22)
def test_a_million_distinct_characters_are_refused_with_what_to_do(launcher: Launcher) -> None:
    every = [chr(point) for point in range(0x20, 0x20 + 1_000_000) if not 0xD800 <= point < 0xE000]
    frequent = "".join(every[:500]) * 3
    Path("corpus.txt").write_text("".join(every) + frequent, "utf-8", newline="")
    message = one_line_error(train(launcher, "corpus.txt"))
    assert "distinct characters are more than the 65,534 supported" in message
    remedy = message.split("drop rare ones with ")[1].split()
    done = train(launcher, "corpus.txt", *remedy, "--validation", "0.001")
    assert done.status == 0, done.err
    start = done.records[0]
    assert start["vocabulary_size"] == 502
    assert start["parameters"] > 502 * 8
    assert start["unknown_characters"] > 900_000


@pytest.mark.fault(22)
def test_a_million_equally_rare_characters_are_refused_without_a_false_promise(
    launcher: Launcher,
) -> None:
    every = (chr(point) for point in range(0x20, 0x20 + 100_000) if not 0xD800 <= point < 0xE000)
    Path("corpus.txt").write_text("".join(every), "utf-8", newline="")
    assert "no --min-count chooses" in one_line_error(train(launcher, "corpus.txt"))


# --- row 23: large texts


def train_in_bounded_memory(launcher: Launcher, megabytes: int) -> None:
    """Train on a large text with enough memory for its map and little more."""
    sentence = prose(5000).encode()
    with Path("corpus.txt").open("wb") as file:
        file.writelines(sentence for _ in range((megabytes << 20) // len(sentence)))
    options = ("--ngram-order", "0", "--validation", "0.0001")
    done = train(launcher, "corpus.txt", *options, more_memory=(megabytes + MORE) << 20)
    assert done.status == 0, done.err


@pytest.mark.fault(23)
def test_memory_does_not_grow_with_the_text(
    launcher: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHARRNN_CACHE", "cache")
    train_in_bounded_memory(launcher, 100)


@pytest.mark.fault(23)
@pytest.mark.soak
def test_memory_does_not_grow_with_a_very_large_text(
    launcher: Launcher, monkeypatch: pytest.MonkeyPatch, report: Report
) -> None:
    monkeypatch.setenv("CHARRNN_CACHE", "cache")
    started = time.monotonic()
    train_in_bounded_memory(launcher, 1000)
    seconds = time.monotonic() - started
    report(f"1,000 MiB of text read and trained on in {MORE} MiB of memory, {seconds:.0f} s")


# --- row 24: what is no file


@pytest.mark.fault(24)
def test_a_pipe_is_read_once(launcher: Launcher) -> None:
    os.mkfifo("pipe")
    writer = threading.Thread(target=lambda: Path("pipe").write_text(prose(20)))
    writer.start()
    start = trained(launcher, "pipe")
    writer.join()
    assert start["characters"] == len(prose(20))


@pytest.mark.fault(24)
def test_standard_input_is_a_text(launcher: Launcher) -> None:
    Path("corpus.txt").write_text(prose(20))
    done = train(launcher, "-", stdin="corpus.txt", env={"CHARRNN_CACHE": "cache"})
    assert done.records[0]["characters"] == len(prose(20))
    assert not Path("cache").exists()  # nothing of it is kept
    train(launcher, "corpus.txt", env={"CHARRNN_CACHE": "cache"})
    (entry,) = Path("cache").glob("*.ids")
    assert entry.stat().st_mode & 0o777 == 0o600


@pytest.mark.fault(24)
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("empty", "empty has no *.txt file (directories in it are not searched); name the files"),
        ("missing.txt", "cannot read missing.txt: no such file or directory"),
        ("/dev/zero", "cannot read /dev/zero: neither a text file nor a pipe"),
        ("/dev/null", "cannot read /dev/null: neither a text file nor a pipe"),
    ],
)
def test_what_is_no_text_is_refused(name: str, expected: str, launcher: Launcher) -> None:
    Path("empty").mkdir()
    assert expected in one_line_error(train(launcher, name))


@pytest.mark.fault(24)
def test_a_directory_stands_for_its_texts(launcher: Launcher) -> None:
    Path("texts").mkdir()
    for name in ("b.txt", "a.txt"):
        Path("texts", name).write_text(prose(9))
    assert trained(launcher, "texts")["characters"] == 2 * len(prose(9))


@pytest.mark.fault(24)
@pytest.mark.parametrize("options", [(), ("--lines",)])
def test_files_named_one_by_one_are_the_directory(
    options: tuple[str, ...], launcher: Launcher
) -> None:
    Path("poems").mkdir()
    files = [Path("poems", f"{number:02}.txt") for number in range(50)]
    for number, path in enumerate(files):
        path.write_text(prose(9, seed=number))
    runs = [train(launcher, *corpora, *options) for corpora in (["poems"], files)]
    directory, named = (
        [event for event in done.records if event["event"] in {"start", "validation"}]
        for done in runs
    )
    for event in (*directory, *named):
        event.pop("seconds", None)
    assert directory == named
    assert directory[0]["validation_characters"] > 500


@pytest.mark.fault(24)
def test_a_thousand_small_files_are_read_one_at_a_time(launcher: Launcher) -> None:
    Path("poems").mkdir()
    files = [Path("poems", f"{number}.txt") for number in range(1500)]
    for path in files:
        path.write_text(f"{path.stem}: a poem\n")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(list(Path("/proc/self/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 20, hard))
    try:
        with bounded_memory(MORE << 20):
            named = [str(path) for path in files]
            corpora = [load_corpus(names, Reading()) for names in (["poems"], named)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    for corpus in corpora:
        assert corpus.characters == sum(path.stat().st_size for path in files)
        assert len(corpus.documents().starts) == 1500
    assert trained(launcher, *files)["characters"] == corpora[0].characters


@pytest.mark.fault(24)
def test_a_text_that_grows_is_taken_as_it_was(launcher: Launcher) -> None:
    path = Path("corpus.txt")
    path.write_text(prose(20_000))
    before = path.stat().st_size
    options = ("--steps", "20", "--validate-every", "5", "--json")
    job = launcher.start("train", "corpus.txt", "-o", "run", *TINY, *options)
    with path.open("a") as file:
        for _ in range(200):
            file.write(prose(20))
            file.flush()
            time.sleep(0.002)
    done = job.wait()
    assert done.status == 0, done.err
    assert before <= done.records[0]["characters"] <= path.stat().st_size


@pytest.mark.fault(24)
def test_a_text_that_changes_while_it_is_read_is_refused() -> None:
    Path("corpus.txt").write_text("one text")
    source = Source("corpus.txt")
    assert list(source.blocks())
    with Path("corpus.txt").open("r+") as file:
        file.write("another")
    with pytest.raises(CorpusError, match=r"corpus\.txt changed while it was read; run"):
        list(source.blocks())
    source.close()


@pytest.mark.fault(24)
def test_a_text_on_read_only_storage_is_read(launcher: Launcher) -> None:
    Path("texts").mkdir()
    path = Path("texts/corpus.txt")
    path.write_text(prose(20))
    path.chmod(0o444)
    Path("texts").chmod(0o555)
    try:
        assert trained(launcher, path)["characters"] == len(prose(20))
    finally:
        Path("texts").chmod(0o755)


@pytest.mark.fault(24)
@pytest.mark.parametrize(
    "environment",
    [
        {"CHARRNN_CACHE": "/proc/nowhere"},
        {"CHARRNN_CACHE": "corpus.txt/cache"},
        {"CHARRNN_CACHE": "/dev/full"},
        {"CHARRNN_CACHE": "", "XDG_CACHE_HOME": "/proc"},
        {"CHARRNN_CACHE": "", "XDG_CACHE_HOME": "", "HOME": "/proc/nowhere"},
    ],
)
def test_without_a_cache_a_text_is_read_all_the_same(
    environment: dict[str, str], launcher: Launcher
) -> None:
    Path("corpus.txt").write_text(prose(21))
    done = train(launcher, "corpus.txt", env=environment)
    assert done.status == 0, done.err
    assert done.records[0]["characters"] == len(prose(21))


@pytest.mark.fault(24)
def test_a_user_without_a_home_has_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("CHARRNN_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(variable, raising=False)

    def unknown(number: int) -> None:
        raise KeyError(number)

    monkeypatch.setattr("pwd.getpwuid", unknown)
    Path("corpus.txt").write_text("a text")
    assert load_corpus(["corpus.txt"], Reading()).characters == 6


@pytest.mark.fault(24)
def test_nowhere_to_put_an_encoded_text_is_an_error(launcher: Launcher) -> None:
    Path("corpus.txt").write_text(prose(100))
    for cache in ("/proc/nowhere", "cache"):
        done = train(launcher, "corpus.txt", env={"CHARRNN_CACHE": cache}, file_size=1000)
        message = one_line_error(done)
        assert "cannot write the encoded corpus: file too large" in message
        assert "CHARRNN_CACHE" in message


# --- row 26: characters a model does not know


@pytest.fixture
def model(isolation: None) -> Checkpoint:
    """An untrained model of "ab" in the current directory."""
    checkpoint = random_checkpoint("ab")
    save_checkpoint(MODEL, checkpoint)
    return checkpoint


def biased(model: Checkpoint, index: int, bias: float) -> None:
    """Make an id of the model as probable as `bias` says."""
    weights = {name: array.copy() for name, array in model.weights.items()}
    weights["output.bias"][index] = bias
    save_checkpoint(MODEL, replace(model, weights=weights))


@pytest.mark.fault(26)
@pytest.mark.parametrize(
    "command",
    [("sample", "--prime", "aXbYX", "--length", "3", "--seed", "1"), ("score", "aXbYX")],
)
def test_unknown_characters_are_counted_or_refused(
    command: tuple[str, ...], model: Checkpoint, launcher: Launcher
) -> None:
    done = launcher.run(*command, "-c", MODEL)
    assert done.status == 0
    assert "3 unknown characters, read as UNK: X Y" in done.err
    message = one_line_error(launcher.run(*command, "-c", MODEL, "--strict"))
    assert "'X' 'Y'" in message


@pytest.mark.fault(26)
def test_an_empty_prime_works(model: Checkpoint, launcher: Launcher) -> None:
    done = launcher.run("sample", "-c", MODEL, "--prime", "", "--length", "3", "--seed", "1")
    assert done.status == 0
    assert "unknown" not in done.err


# --- row 27: temperatures


def sampled(launcher: Launcher, *options: str) -> list[str]:
    """Many short texts."""
    command = ("sample", "-c", MODEL, "--num", "1500", "--length", "20", "--seed", "7", "--json")
    done = launcher.run(*command, *options)
    assert done.status == 0, done.err
    assert "Warning" not in done.err
    return [record["text"] for record in done.records]


@pytest.mark.fault(27)
@pytest.mark.parametrize("temperature", ["0", "1e-30", "1e-45", "1e-320"])
def test_no_temperature_is_the_most_probable_text(
    temperature: str, model: Checkpoint, launcher: Launcher
) -> None:
    biased(model, EOS, -10)
    assert sampled(launcher, "--temperature", temperature) == sampled(launcher, "--argmax")


@pytest.mark.fault(27)
def test_an_endless_temperature_is_uniform(model: Checkpoint, launcher: Launcher) -> None:
    biased(model, 2, 30)
    for temperature in ("1e30", "1.7e308"):
        texts = sampled(launcher, "--until-eos", "--temperature", temperature)
        counts = Counter("".join(texts))
        total = sum(counts.values())
        assert set(counts) == {"a", "b"}
        # Of a, b and EOS each has a third: within four standard deviations.
        assert abs(counts["a"] - total / 2) < 4 * (total / 4) ** 0.5
        assert abs(len(texts) - total / 2) < 4 * (total * 3 / 4) ** 0.5


@pytest.mark.fault(27)
@pytest.mark.parametrize("temperature", ["-1", "-1e-30", "nan", "inf", "-inf", "warm"])
def test_impossible_temperatures_are_wrong_usage(
    temperature: str, model: Checkpoint, launcher: Launcher
) -> None:
    done = launcher.run("sample", "-c", MODEL, f"--temperature={temperature}")
    assert "temperature" in one_line_error(done, status=2)
    assert done.out == ""


# --- row 28: how many


@pytest.mark.fault(28)
def test_more_characters_than_there_are_means_all(model: Checkpoint, launcher: Launcher) -> None:
    expected = sampled(launcher)
    for k in ("0", "4", "99999"):
        assert sampled(launcher, "--top-k", k) == expected
    assert sampled(launcher, "--top-k", "1") == sampled(launcher, "--argmax")


@pytest.mark.fault(28)
def test_no_characters_are_nothing(model: Checkpoint, launcher: Launcher) -> None:
    done = launcher.run("sample", "-c", MODEL, "--length", "0", "--seed", "1")
    assert (done.status, done.out, done.err) == (0, "", "")
    done = launcher.run("sample", "-c", MODEL, "--num", "0", "--seed", "1")
    assert (done.status, done.out, done.err) == (0, "", "")


def resident(pid: int) -> int:
    """Bytes of memory that a process occupies."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.fault(28)
def test_a_billion_characters_stream_in_constant_memory(model: Checkpoint) -> None:
    biased(model, EOS, -1e6)
    command = ("sample", "-c", str(MODEL), "--length", "1000000000", "--seed", "1")
    with subprocess.Popen(
        [sys.executable, "-m", "charrnn", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10_000)
        before = resident(process.pid)
        process.stdout.read(40_000)
        assert resident(process.pid) - before < 2 << 20
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(5) == 0


# --- row 29: what is no character


@pytest.mark.fault(29)
def test_unk_is_never_sampled(model: Checkpoint, launcher: Launcher) -> None:
    biased(model, UNK, 1e6)
    for options in ((), ("--temperature", "1e30"), ("--argmax",), ("--top-k", "1")):
        assert "\ufffd" not in "".join(sampled(launcher, *options))


@pytest.mark.fault(29)
def test_eos_ends_a_text(model: Checkpoint, launcher: Launcher) -> None:
    biased(model, EOS, 1e6)
    assert set(sampled(launcher, "--until-eos")) == {""}
    assert {len(text) for text in sampled(launcher)} == {20}
