"""Run the commands that help texts and the README show, in a moment: with smaller runs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from charrnn.errors import Parameter
from charrnn.training.origin import FIXED
from charrnn.training.request import Budget
from tests.conftest import Command
from tests.support import QUICK, Result, Trained, labelled_lines, names, prose

LONGER = "--more-minutes"
BUDGETS = {f"--{name}" for name in vars(Budget(steps=1))}
FILES = {
    **dict.fromkeys(("shakespeare.txt", "unseen.txt", "a.txt", "text.txt", "new.txt"), prose(300)),
    "names.tsv": labelled_lines(300),
    "names.txt": "".join(f"{name}\n" for name in names(300)),
    **dict.fromkeys(("sentences.txt", "letters.txt"), prose(3)),
    "my.toml": "[train]\nbatch = 16\n",
}
"""What examples may name -> its text."""


def prepare(texts: Trained, lines: Trained, labelled: Trained) -> None:
    """Make the files and runs that examples name here: models of whole texts and of lines."""
    for name, text in FILES.items():
        Path(name).write_text(text)
    Path("poems").mkdir()
    Path("poems", "one.txt").write_text(prose(300))
    models = {"shakespeare": texts, "gru": texts, "names": lines, "surnames": labelled}
    for name, model in models.items():
        run = Path("checkpoints") / name
        run.mkdir(parents=True)
        for path in model.run.glob("*.*"):
            (run / path.name).write_bytes(path.read_bytes())
    (Path("checkpoints") / ".latest").write_text("shakespeare\n")


def run_example(line: str, charrnn: Command) -> Result:
    """Run a line of a shell: charrnn, with `< FILE` and `> FILE` at most, and no comment."""
    words = shlex.split(line, comments=True)
    if words[:1] == ["eval"]:  # eval "$(charrnn ...)"
        words = shlex.split(words[1].removeprefix("$(").removesuffix(")"))
    assert words[0] == "charrnn", line
    stdin, target = "", None
    if ">" in words:
        target = Path(words[words.index(">") + 1])
        words = words[: words.index(">")]
    if "<" in words:
        stdin = Path(words[words.index("<") + 1]).read_text()
        words = words[: words.index("<")]
    if LONGER in words:
        at = words.index(LONGER)
        finished = charrnn(*_shortened([*words[1:at], *words[at + 2 :]]))
        assert finished.status == 0, finished.err
        words[at + 1] = "0.01"
        result = charrnn(*words[1:])
    else:
        result = charrnn(*_shortened(words[1:]), stdin=stdin)
    if target is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(result.out)
    return result


def _shortened(words: Sequence[str]) -> list[str]:
    """The same command; if it trains, for two steps, and not over a finished run."""
    if words[0] != "train" or {"--help", "--dry-run"} & set(words):
        return list(words)
    kept = list(words)
    for budget in BUDGETS & set(words):
        del kept[kept.index(budget) : kept.index(budget) + 2]
    given = {word for word in kept if word.startswith("--")}
    if "--from" in given:
        given |= {Parameter(name).option for name in FIXED}
    quick = [
        word
        for option, value in zip(QUICK[::2], QUICK[1::2], strict=True)
        if option not in given
        for word in (option, value)
    ]
    return [*kept, *quick, "--steps", "2", *([] if "--fresh" in given else ["--fresh"])]


def blocks(markdown: str, language: str = "") -> list[str]:
    """The fenced blocks in `language` of a Markdown text."""
    return re.findall(rf"^```{language}\n(.*?)^```$", markdown, re.MULTILINE | re.DOTALL)
