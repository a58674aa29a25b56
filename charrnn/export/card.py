"""Write a model card: what a model is, in Markdown, from what its checkpoint knows.

Mitchell et al. 2019, "Model Cards for Model Reporting". What a checkpoint cannot know (who may use
the model and for what) is left for its author to add, and said to be missing.
"""

from __future__ import annotations

import re
from pathlib import Path

from charrnn.export.facts import Facts, Losses, facts_of
from charrnn.models.checkpoint import Checkpoint
from charrnn.storage.files import write_atomically

MARKUP = re.compile(r"([\\`*_{}\[\]()#+!|<>~&$@:-])")
CONTROLS = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029"  # and characters that change the direction of writing:
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
LIMITS = """\
The model continues text character by character, in the manner of its training text. It knows
nothing about the world, does not follow instructions, and may repeat passages of its training text:
`charrnn sample --novelty --corpus FILE` shows how much. Probabilities are reliable only for texts
like the training text."""
LICENCE = """\
Not stated. Whether the model may be passed on or used for a purpose can depend on the texts that it
was trained on."""


def write_card(path: Path, checkpoint: Checkpoint, model: str) -> None:
    """Write the card of a model to `path` atomically; `model` is the name of its file.

    Raises:
        OutputError: the file cannot be written; an older one is intact.
    """
    write_atomically(path, card(checkpoint, model).encode())


def card(checkpoint: Checkpoint, model: str) -> str:
    """The text of the card."""
    facts = facts_of(checkpoint)
    sections = [
        f"# {escape(facts.name)}",
        facts.description,
        _table(("", ""), facts.rows),
        *_history(facts),
        "## Use",
        f"    charrnn sample -c {_one_line(model)}\n    charrnn score -c {_one_line(model)} TEXT",
        LIMITS,
        "## Licence",
        LICENCE,
    ]
    return "\n\n".join(sections) + "\n"


def escape(text: str) -> str:
    """`text` in one line of Markdown, in which none of it is markup."""
    return MARKUP.sub(r"\\\1", _one_line(text)).encode("utf-8", "replace").decode()


def _one_line(text: str) -> str:
    return CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text)


def _table(head: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> str:
    lines = [head, tuple("---" for _ in head)]
    lines += [tuple(escape(each) for each in row) for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _history(facts: Facts) -> list[str]:
    if not facts.history:
        return []
    rows = tuple(_losses(entry) for entry in facts.history)
    head = ("step", "training (nats per character)", "validation")
    return ["## Training", _table(head, rows)]


def _losses(entry: Losses) -> tuple[str, ...]:
    step, *losses = entry
    return (f"{step:,}", *("" if loss is None else f"{loss:.4f}" for loss in losses))
