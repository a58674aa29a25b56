from __future__ import annotations

from pathlib import Path

import click
import pytest

from charrnn.cli import main as cli
from charrnn.cli.command import Command as OwnCommand
from charrnn.cli.command import PathName
from charrnn.cli.main import COMMANDS
from tests.cli.support import command_of, options_of
from tests.conftest import Command

OPTIONS = [
    (name, option, each) for name in COMMANDS for option, each in options_of(name).items()
]
CORPUS = ["corpus.txt"]
ARGUMENTS = {
    **dict.fromkeys(("train", "evaluate", "inspect", "proofread"), CORPUS),
    "export": ["page.html"],
    "fill": ["text"],
}
"""What a command needs besides options."""
SINGLE = [
    pytest.param(name, option, id=f"{name} {option}")
    for name, option, each in OPTIONS
    if not (each.is_flag or each.multiple) and option != "--config"
]
PATHS = [
    pytest.param(name, option, id=f"{name} {option}")
    for name, option, each in OPTIONS
    if isinstance(each.type, PathName)
]


def parse(name: str, *arguments: str) -> dict[str, object]:
    """The parameters of a command, as it would be called with them."""
    return command_of(name).make_context(name, list(arguments)).params


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_one_of_ours(name: str) -> None:
    assert isinstance(command_of(name), OwnCommand)


@pytest.mark.parametrize(("name", "option"), SINGLE)
def test_a_single_option_given_twice_is_refused(name: str, option: str) -> None:
    each = options_of(name)[option]
    value = each.type.choices[0] if isinstance(each.type, click.Choice) else "1"
    corpora = ARGUMENTS.get(name, [])
    parse(name, *corpora, option, value)
    longest = max(each.opts, key=len)
    for again in each.opts:
        with pytest.raises(click.UsageError, match=f"{longest} is given 2 times; give it once"):
            parse(name, option, value, *corpora, again, value)


def test_a_flag_given_twice_means_what_it_means_once() -> None:
    assert parse("sample", "--argmax", "--argmax") == parse("sample", "--argmax")


@pytest.mark.parametrize("second", ["--no-eos", "--eos"])
def test_two_decisions_are_refused(second: str) -> None:
    with pytest.raises(click.UsageError, match="--eos/--no-eos is given 2 times; decide on one"):
        parse("score", "--eos", second, "text")


@pytest.mark.parametrize(
    "arguments",
    [
        ["sample", "-c", "a", "-c", "b"],
        ["sample", "-c", "a", "--checkpoint=b"],
        ["sample", "--temperature", "0.5", "--temperature", "1"],
        ["train", "corpus.txt", "-o", "a", "-o", "b"],
        ["train", "corpus.txt", "--hidden", "8", "--hidden", "16"],
    ],
    ids=" ".join,
)
def test_the_command_line_refuses_what_is_given_twice(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith("Error: --")
    assert f"is given 2 times; give it once; see charrnn {arguments[0]} --help\n" in err


def test_help_is_shown_whatever_else_is_given(charrnn: Command) -> None:
    result = charrnn("sample", "--seed", "1", "--seed", "2", "--help")
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith("Usage: charrnn sample")


@pytest.mark.parametrize(("name", "option"), PATHS)
def test_an_empty_path_is_refused(name: str, option: str) -> None:
    with pytest.raises(click.BadParameter, match="the name is empty"):
        parse(name, option, "", *ARGUMENTS.get(name, []))


def test_every_path_is_checked() -> None:
    paths = {
        *("--checkpoint", "--output", "--file", "--prime-file", "--corpus", "--config", "--from"),
        *("--with-forward", "--save"),
    }
    assert paths == {option for _, option, each in OPTIONS if option in paths} == {
        option for _, option, each in OPTIONS if isinstance(each.type, PathName) and len(option) > 2
    }


@pytest.mark.parametrize(
    "line", ["train @ -o run", "evaluate @", "info @", "train corpus.txt -o @"]
)
def test_an_empty_name_on_the_command_line_is_wrong_usage(line: str, charrnn: Command) -> None:
    Path("corpus.txt").write_text("some text")
    result = charrnn(*("" if word == "@" else word for word in line.split()))
    assert result.status == 2
    assert "the name is empty" in result.err
    assert [path.name for path in Path().iterdir()] == ["corpus.txt"]


@pytest.mark.parametrize("option", ["--resume", "--continue"])
def test_going_on_needs_no_option(option: str, charrnn: Command) -> None:
    result = charrnn("train", "corpus.txt", option)
    assert result.status == 2
    assert result.err == (
        f"Error: {option} is not needed: the same command goes on with an unfinished run; see "
        "charrnn train --help\n"
    )


@pytest.mark.parametrize("typed", ["fresh", "fres", "frehs", "refresh", "resume", "restart"])
def test_what_destroys_a_model_is_never_suggested(typed: str, charrnn: Command) -> None:
    for prefix in ("--", "-"):
        result = charrnn("train", "corpus.txt", prefix + typed)
        if (prefix, typed) == ("--", "fresh"):
            assert "cannot read corpus.txt" in result.err
        else:
            assert result.status == 2
            assert "--fresh" not in result.err


def test_other_options_are_suggested(charrnn: Command) -> None:
    result = charrnn("train", "corpus.txt", "--ngram-ordr", "2")
    assert "No such option '--ngram-ordr'. Did you mean '--ngram-order'?" in result.err
    result = charrnn("sample", "--temprature", "2")
    assert "No such option '--temprature'. Did you mean '--temperature'?" in result.err
