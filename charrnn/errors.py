"""The errors that a user can fix. Knows nothing of where they are raised or shown.

Every message is one line that names the offending value and says what to do about it.
"""

from __future__ import annotations

from collections.abc import Iterable
from keyword import iskeyword


class Parameter(str):
    """The name of a parameter in a message: `top_k` in Python, `--top-k` on the command line."""

    __slots__ = ()

    @property
    def option(self) -> str:
        """The name as an option of the command line."""
        return "--" + self.replace("_", "-")

    @property
    def argument(self) -> str:
        """The name as an argument in Python, where `from` cannot be one: `from_`."""
        return f"{str.__str__(self)}{'_' * iskeyword(self)}"


class Flag(Parameter):
    """The name of a parameter that is switched on: `fresh=True` in Python, `--fresh`."""

    __slots__ = ()

    @property
    def argument(self) -> str:
        """How the parameter is switched on in Python."""
        return f"{super().argument}=True"


class ShortOption(Parameter):
    """The name of a parameter whose option is known by its first letter: `-o` for `output`."""

    __slots__ = ()

    @property
    def option(self) -> str:
        """The name as a short option of the command line."""
        return f"-{self[0]}"


class CharRNNError(Exception):
    """Base of every error that a user can fix; the command line shows it in one line.

    Args:
        parts: the message in pieces, so that each Parameter is a piece of its own.
    """

    def __init__(self, *parts: str) -> None:
        super().__init__(*parts)
        self.parts = parts

    def __str__(self) -> str:
        return "".join(
            part.argument if isinstance(part, Parameter) else part for part in self.parts
        )

    def for_command_line(self) -> str:
        """The message with parameters as options."""
        return "".join(
            part.option if isinstance(part, Parameter) else part for part in self.parts
        )


class CorpusError(CharRNNError):
    """A text that cannot be read, decoded or trained on."""


class VocabularyError(CharRNNError):
    """An invalid vocabulary, or characters outside the vocabulary."""


class CheckpointError(CharRNNError):
    """A file that is not a checkpoint, or a checkpoint that cannot be read, verified or written."""


class SettingsError(CharRNNError):
    """A hyperparameter or option outside its range, or two that contradict each other."""


class TrainingError(CharRNNError):
    """A run that cannot start or resume, or that has diverged."""


def suggestion(typed: str, known: Iterable[str]) -> str:
    """What to add to a message about the unknown name `typed`; "" if no `known` one is similar."""
    import difflib

    near = difflib.get_close_matches(typed, sorted(known), 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def suggestions(typed: str, known: Iterable[str], most: int = 3) -> str:
    """As `suggestion`, with the `most` similar names."""
    import difflib

    folded = {each.casefold(): each for each in sorted(known)}
    near = difflib.get_close_matches(typed.casefold(), folded, most)
    return f"; did you mean {' or '.join(repr(folded[each]) for each in near)}?" if near else ""
