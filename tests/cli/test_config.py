"""Options from variables and from files; what is nearer to the user's fingers counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from charrnn.cli.main import COMMANDS
from tests.cli.support import command_of, options_of
from tests.conftest import Command
from tests.faults.support import one_line_error
from tests.support import QUICK, Trained, prose


def given(*arguments: str, name: str = "train") -> dict[str, object]:
    return command_of(name).make_context(name, list(arguments)).params


def test_flags_go_before_variables_before_files_before_defaults(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("my.toml").write_text("[train]\nhidden = 1\nlayers = 1\nbatch = 1\nmuon-rate = 0.5\n")
    monkeypatch.setenv("CHARRNN_TRAIN_HIDDEN", "2")
    monkeypatch.setenv("CHARRNN_TRAIN_LAYERS", "2")
    found = given("corpus.txt", "--config", "my.toml", "--hidden", "3")
    assert [found[name] for name in ("hidden", "layers", "batch", "muon_rate", "chunk")] == [
        3, 2, 1, 0.5, None,
    ]


def test_the_file_can_be_named_by_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("my.toml").write_text("[sample]\ntemperature = 0.25\nno-ngram = true\nuntil_eos = true\n")
    monkeypatch.setenv("CHARRNN_CONFIG", "my.toml")
    found = given(name="sample")
    assert (found["temperature"], found["no_ngram"], found["until_eos"]) == ((0.25,), True, True)
    assert given(name="score")["no_ngram"] is False


@pytest.mark.parametrize(("value", "expected"), [("1", True), ("0", False), ("yes", True)])
def test_a_variable_can_be_a_flag(
    value: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHARRNN_SCORE_JSON", value)
    assert given("text", name="score")["as_json"] is expected


def test_one_budget_overrides_another_from_further_away(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("my.toml").write_text("[train]\nminutes = 10\n")
    found = given("corpus.txt", "--config", "my.toml", "--steps", "5")
    assert (found["minutes"], found["epochs"], found["steps"]) == (None, None, 5)
    monkeypatch.setenv("CHARRNN_TRAIN_EPOCHS", "2")
    found = given("corpus.txt", "--config", "my.toml")
    assert (found["minutes"], found["epochs"], found["steps"]) == (None, 2, None)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_a_variable(name: str) -> None:
    variables = [
        str(each.envvar) for option, each in options_of(name).items() if option.startswith("--")
    ]
    assert len(set(variables)) == len(set(options_of(name).values())) - variables.count("None") + (
        "None" in variables
    )
    for option, each in options_of(name).items():
        if option.startswith("--") and option not in {"--config", "--fresh", "--force"}:
            own = f"CHARRNN_{name}_{option[2:]}".upper().replace("-", "_")
            assert each.envvar == own or option not in max(each.opts, key=len)


def test_what_destroys_a_model_is_typed_each_time(
    charrnn: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("my.toml").write_text("[train]\nfresh = true\n")
    result = charrnn("train", "corpus.txt", "--config", "my.toml")
    assert "charrnn train has no option 'fresh'" in one_line_error(result, 2)
    monkeypatch.setenv("CHARRNN_TRAIN_FRESH", "1")
    assert given("corpus.txt")["fresh"] is False


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[train]\nhiden = 1", "charrnn train has no option 'hiden'; did you mean 'hidden'?"),
        ("[train]\nxyz = 1", "charrnn train has no option 'xyz'"),
        ("[trane]\nhidden = 1", "no command 'trane' for its table; did you mean 'train'?"),
        ("hidden = 1", "no command 'hidden' for its table"),
        ("train = 1", "train is not a table; write [train] above its options"),
        ("[train]\nhidden = 'x'", "hidden: 'x' is not a valid integer"),
        ("[train]\nhidden = true", "hidden must be a value, not True"),
        ("[train]\nlines = 1", "lines must be true or false, not 1"),
        ("[train]\ncell = 'tree'", "cell: 'tree' is not one of 'lstm'"),
        ("[train]\nhidden = 0", "--hidden must be 1 or more, not 0"),
        ("[train", "my.toml is not valid TOML"),
        ("\xff", "my.toml is not valid TOML"),
    ],
)
def test_what_a_file_gets_wrong_is_one_line(content: str, says: str, charrnn: Command) -> None:
    Path("my.toml").write_bytes(content.encode("latin-1"))
    assert says in one_line_error(charrnn("train", "a.txt", "--config", "my.toml"), 2)


@pytest.mark.parametrize("name", ["missing.toml", "."])
def test_a_file_that_cannot_be_read_is_one_line(name: str, charrnn: Command) -> None:
    assert f"cannot read {name}" in one_line_error(charrnn("train", "a", "--config", name), 2)


def test_a_wrong_variable_is_named(charrnn: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHARRNN_TRAIN_HIDDEN", "x")
    message = one_line_error(charrnn("train", "a.txt"), 2)
    assert "'x' is not a valid integer (from CHARRNN_TRAIN_HIDDEN)" in message


def test_an_unknown_variable_is_noticed(
    charrnn: Command, monkeypatch: pytest.MonkeyPatch, prose_model: Trained
) -> None:
    monkeypatch.setenv("CHARRNN_SCORE_STRCT", "1")
    monkeypatch.setenv("CHARRNN_SAMPLE_X", "1")
    result = charrnn("score", "-c", prose_model.run, "the cat")
    assert result.status == 0
    assert result.err == (
        "warning: CHARRNN_SCORE_STRCT is ignored: charrnn score has no such option; did you mean "
        "'CHARRNN_SCORE_STRICT'?\n"
    )


def test_a_run_can_be_described_by_a_file(charrnn: Command) -> None:
    Path("corpus.txt").write_text(prose(40))
    options = dict(zip((each[2:] for each in QUICK[::2]), QUICK[1::2], strict=True))
    lines = [f"{name} = {value!r}\n" for name, value in {**options, "output": "run"}.items()]
    Path("my.toml").write_text("[train]\nsteps = 1\nquiet = true\n" + "".join(lines))
    result = charrnn("train", "corpus.txt", "--config", "my.toml")
    assert (result.status, result.err) == (0, "")
    (record,) = charrnn("info", "run", "--json").records
    assert record["network"]["hidden"] == int(options["hidden"])
