from __future__ import annotations

from pathlib import Path
from subprocess import PIPE

import pytest

from charrnn.cli.decoding import STRATEGY_OPTIONS
from charrnn.inference.strategies import STRATEGIES, check_decoding
from charrnn.models.checkpoint import save_checkpoint
from charrnn.storage.runs import MODEL_FILE
from charrnn.text.vocabulary import EOS
from tests.cli.support import options_of
from tests.conftest import Command
from tests.faults.support import Launcher
from tests.support import QUICK, Trained, random_checkpoint


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_decoding_strategy_has_an_option_with_its_default(name: str) -> None:
    option = options_of("sample")["--" + name.replace("_", "-")]
    assert option.default == STRATEGIES[name].default
    assert option.help == STRATEGIES[name].help
    assert ",".join(STRATEGY_OPTIONS).replace("-", "_") == ",".join(STRATEGIES)


def test_the_help_lists_strategies_in_their_order(charrnn: Command) -> None:
    shown = charrnn("sample", "--help").out
    places = [shown.index(f"  --{name.replace('_', '-')} ") for name in STRATEGIES]
    assert places == sorted(places)
    assert "apply in the order" in shown


@pytest.mark.parametrize(
    "options",
    [
        ("--min-p", "0.3"), ("--typical-p", "0.3"), ("--repetition-penalty", "3"),
        ("--forbid", "e"), ("--only", "abcdehlmnost \\n"), ("--beam", "3"), ("--stop", "the"),
    ],
)
def test_a_strategy_changes_the_text_in_the_same_way_every_time(
    options: tuple[str, ...], charrnn: Command, prose_c: tuple[str, Path]
) -> None:
    common = ("sample", *prose_c, "--length", "200", "--seed", "3", "--temperature", "1")
    found = charrnn(*common, *options)
    assert found.status == 0
    assert found.out == charrnn(*common, *options).out != charrnn(*common).out
    (record,) = charrnn(*common, *options, "--json").records
    assert record["text"] + "\n" == found.out
    assert record["ended_by"] == ("stop" if options[0] == "--stop" else "length")
    if options[0] == "--forbid":
        assert "e" not in found.out
    if options[0] == "--only":
        assert set(found.out) <= set("abcdehlmnost \n")


def test_a_text_ends_before_the_first_of_several_stops(
    charrnn: Command, prose_c: tuple[str, Path]
) -> None:
    common = ("sample", *prose_c, "--length", "300", "--seed", "3")
    whole = charrnn(*common).out
    stopped = charrnn(*common, "--stop", "\\n", "--stop", " s", "--stop", "?!").out
    end = min(whole.index("\n"), whole.index(" s"))
    assert stopped == whole[:end] + "\n"
    many = charrnn(*common, "--num", "8", "--json", "--stop", "\\n").records
    for record in many:
        assert "\n" not in record["text"]
        assert record["ended_by"] == "stop"


def test_a_search_gives_its_best_texts(charrnn: Command, names_c: tuple[str, Path]) -> None:
    found = charrnn("sample", *names_c, "--beam", "6", "--num", "6", "--json").records
    scores = charrnn("score", *names_c, "--json", *(each["text"] for each in found)).records
    nats = [score["nats_per_character"] for score in scores]
    assert nats == sorted(nats)
    assert len({each["text"] for each in found}) == 6
    assert charrnn("sample", *names_c, "--beam", "6").out == found[0]["text"] + "\n"
    result = charrnn("sample", *names_c, "--beam", "6", "--num", "7")
    assert result.status == 2
    assert "--num must be at most --beam, not 7" in result.err


def test_the_seed_decides_the_text(run_interpreter: Command, prose_c: tuple[str, Path]) -> None:
    arguments = ("sample", *prose_c, "--length", "80")
    first, again, other = (run_interpreter(*arguments, "--seed", seed) for seed in ("1", "1", "2"))
    assert first.out == again.out
    assert first.out != other.out
    assert 1 < len(first.out) <= 81


def test_argmax_ignores_the_seed(charrnn: Command, prose_c: tuple[str, Path]) -> None:
    found = {
        charrnn("sample", *prose_c, "--length", "40", "--seed", seed, *greedy).out
        for seed in ("1", "2", "3")
        for greedy in (("--argmax",), ("--temperature", "0"), ("--top-k", "1"))
    }
    assert len(found) == 1
    assert len(found.pop()) > 20


def test_a_chosen_seed_is_printed_and_can_be_given(
    charrnn: Command, prose_c: tuple[str, Path]
) -> None:
    first = charrnn("sample", *prose_c, "--length", "40")
    name, seed = first.err.strip().split(": ")
    assert name == "seed"
    assert charrnn("sample", *prose_c, "--length", "40", "--seed", seed).out == first.out
    assert charrnn("sample", *prose_c, "--length", "40").out != first.out


def test_text_k_is_the_same_however_many_there_are(
    charrnn: Command, prose_c: tuple[str, Path]
) -> None:
    def texts(num: int) -> list[str]:
        arguments = ("--num", str(num), "--length", "30", "--seed", "4", "--json")
        records = charrnn("sample", *prose_c, *arguments).records
        assert [record["number"] for record in records] == list(range(num))
        return [record["text"] for record in records]

    five = texts(5)
    assert texts(3) == five[:3]
    assert texts(70)[:5] == five
    assert len(set(five)) == 5
    single = charrnn("sample", *prose_c, "--length", "30", "--seed", "4").out
    assert single == five[0] + "\n"


def test_json_samples_have_the_agreed_keys(charrnn: Command, prose_c: tuple[str, Path]) -> None:
    (record,) = charrnn(
        *("sample", *prose_c, "--json", "--seed", "3", "--length", "9", "--prime", "the")
    ).records
    assert record.keys() == {
        "text", "ended_by", "seed", "number", "characters", "checkpoint", "log_probability",
        "nats_per_character", "settings",
    }
    assert record["settings"] == {
        **check_decoding({}), "stop": [], "length": 9, "prime": "the", "seed": 3,
        "until_eos": False,
    }
    assert record["nats_per_character"] == pytest.approx(-record["log_probability"] / 9)
    assert record["ended_by"] == "length"
    assert (record["seed"], record["checkpoint"]) == (3, str(prose_c[1]))
    assert record["text"].startswith("the")
    assert record["characters"] == len(record["text"]) - 3 <= 9


def test_a_prime_begins_the_text_wherever_it_comes_from(
    charrnn: Command, prose_c: tuple[str, Path]
) -> None:
    prime = "the old man\n"
    Path("prime.txt").write_text(prime)
    common = ("sample", *prose_c, "--length", "30", "--seed", "1")
    first = charrnn(*common, "--prime", prime)
    assert first.out.startswith(prime)
    assert len(first.out) > len(prime) + 1
    assert charrnn(*common, "--prime-file", "prime.txt").out == first.out
    assert charrnn(*common, "--prime", "-", stdin=prime).out == first.out
    assert charrnn(*common).out != first.out


@pytest.mark.parametrize("prime", ["", "the"])
def test_no_length_is_the_prime_alone(
    prime: str, charrnn: Command, prose_c: tuple[str, Path]
) -> None:
    result = charrnn("sample", *prose_c, "--length", "0", "--seed", "1", "--prime", prime)
    assert result.out == (prime + "\n" if prime else "")


def ending_model(lines: bool) -> None:
    """A model in the directory `run` in which EOS has a high probability everywhere."""
    checkpoint = random_checkpoint("abc", lines=lines)
    checkpoint.weights["output.bias"][EOS] = 1
    Path("run").mkdir()
    save_checkpoint(Path("run") / MODEL_FILE, checkpoint)


def test_a_text_of_files_goes_on_to_its_length(charrnn: Command) -> None:
    ending_model(lines=False)
    common = ("sample", "-c", "run", "--seed", "1", "--length", "60", "--temperature", "1")
    assert len(charrnn(*common).out) == 61
    assert len(charrnn(*common, "--until-eos").out) < 61
    records = charrnn(*common, "--num", "20", "--json").records
    assert {record["characters"] for record in records} == {60}
    assert {record["ended_by"] for record in records} == {"length"}
    records = charrnn(*common, "--num", "20", "--json", "--until-eos").records
    assert {record["ended_by"] for record in records} == {"eos"}
    assert max(record["characters"] for record in records) < 60


def test_a_text_of_lines_ends_as_lines_end(charrnn: Command) -> None:
    ending_model(lines=True)
    common = ("sample", "-c", "run", "--seed", "1", "--num", "30", "--json")
    records = charrnn(*common, "--length", "3").records
    for record in records:
        assert record["ended_by"] == ("length" if record["characters"] == 3 else "eos")
    assert {record["ended_by"] for record in records} == {"length", "eos"}
    usual, told = (charrnn(*common, *more).records for more in ((), ("--until-eos",)))
    assert [each["text"] for each in usual] == [each["text"] for each in told]


def test_what_decides_a_text_is_said_in_the_help() -> None:
    text = options_of("sample")["--seed"].help
    assert text is not None
    assert "The same seed, options and --num give the same texts on the same machine" in text


def test_the_same_command_gives_the_same_texts(
    charrnn: Command, prose_c: tuple[str, Path]
) -> None:
    command = ("sample", *prose_c, "--num", "70", "--length", "40", "--seed", "4")
    assert charrnn(*command).out == charrnn(*command).out


@pytest.mark.parametrize("given", [False, True])
def test_novelty_reads_the_corpus_as_training_did(given: bool, charrnn: Command) -> None:
    text = "übermäßig schöne Sätze. " * 60
    Path("corpus.txt").write_bytes(text.encode("latin-1"))
    train = ("train", "corpus.txt", "-o", "run", *QUICK, "--steps", "1", "--quiet")
    assert charrnn(*train, "--encoding", "latin-1").status == 0
    corpus, options = "corpus.txt", ["--novelty", "--json", "--seed", "1"]
    if given:
        corpus = "other.txt"
        Path(corpus).write_bytes(text.encode("utf-16-le"))
        options += ["--encoding", "utf-16-le"]
    (record,) = charrnn(
        "sample", "-c", "run", *options, "--corpus", corpus, "--length", "5"
    ).records
    assert record["longest_run"] >= 1


def test_novelty_forgives_the_bytes_that_training_forgave(charrnn: Command) -> None:
    Path("corpus.txt").write_bytes(b"some text \xff and more. " * 60)
    train = ("train", "corpus.txt", "-o", "run", *QUICK, "--steps", "1", "--quiet")
    assert charrnn(*train, "--errors", "replace").status == 0
    common = ("sample", "-c", "run", "--novelty", "--seed", "1", "--corpus", "corpus.txt")
    assert charrnn(*common).status == 0
    result = charrnn(*common, "--errors", "strict")
    assert result.status == 1
    assert "is not utf-8 text" in result.err


def test_no_texts_are_nothing(charrnn: Command, prose_c: tuple[str, Path]) -> None:
    result = charrnn("sample", *prose_c, "--num", "0", "--seed", "1")
    assert (result.status, result.out) == (0, "")


def test_unknown_characters_in_a_prime_are_counted(
    charrnn: Command, prose_c: tuple[str, Path]
) -> None:
    result = charrnn("sample", *prose_c, "--prime", "éaéΩ", "--length", "5", "--seed", "1")
    assert result.status == 0
    assert result.out.startswith("éaéΩ")
    assert result.err == "3 unknown characters, read as UNK: é Ω\n"


def test_a_reader_that_leaves_is_no_error(launcher: Launcher, prose_model: Trained) -> None:
    arguments = ("sample", "-c", prose_model.run, "--num", "100000", "--seed", "1")
    with launcher.start(*arguments, stdout=PIPE) as job:
        assert len(job.pipes["stdout"].read(100)) == 100  # long before all of it is made
    ended = job.wait()
    assert (ended.status, ended.err) == (0, "")


def test_the_default_checkpoint_is_named_on_stderr(
    charrnn: Command, prose_model: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHARRNN_CHECKPOINT", str(prose_model.run))
    result = charrnn("sample", "--length", "5", "--seed", "1")
    assert result.err == f"checkpoint: {prose_model.run}\n"


def test_lines_end_by_themselves_and_are_mostly_new(
    charrnn: Command, names_model: Trained
) -> None:
    result = charrnn("sample", "-c", names_model.run, "--num", "100", "--seed", "1")
    names = result.out.splitlines()
    known = set(names_model.text.splitlines())
    assert len(names) == 100
    assert all(2 <= len(name) <= 15 for name in names)
    assert sum(name not in known for name in names) > 50
    assert sum(name[:1].isupper() and name[1:].islower() for name in names) > 90
    assert len(set(names)) > 70


def test_one_line_is_one_line(charrnn: Command, names_c: tuple[str, Path]) -> None:
    many = charrnn("sample", *names_c, "--num", "5", "--seed", "1").out.splitlines()
    assert charrnn("sample", *names_c, "--seed", "1").out == many[0] + "\n"
    assert charrnn("sample", *names_c, "--seed", "1", "--until-eos").out == many[0] + "\n"


def test_a_primed_line_begins_with_the_prime(charrnn: Command, names_c: tuple[str, Path]) -> None:
    names = charrnn("sample", *names_c, "--num", "9", "--seed", "1", "--prime", "To").out
    assert all(name.startswith("To") for name in names.splitlines())
