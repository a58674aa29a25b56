"""The texts that a command is given: as arguments, in a file, or line by line on stdin."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import chain, islice

from charrnn.cli.terminal import note
from charrnn.errors import SettingsError
from charrnn.text.reading import line_batches

TEXTS_AT_ONCE = 4096
STDIN = "-"


def require_texts(texts: tuple[str, ...], file: str | None) -> None:
    """Raise SettingsError unless either texts or a file is given."""
    if bool(texts) == (file is not None):
        raise SettingsError("give texts, or - for stdin, or --file FILE")


def are_awaited(texts: tuple[str, ...], file: str | None) -> bool:
    """Whether the texts come on stdin."""
    return file == STDIN or texts == (STDIN,)


def ask_for_texts(for_what: str) -> None:
    """Say what is waited for, if a person is to type it."""
    if sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty():
        note(f"type a text and press Enter for its {for_what}; Ctrl-D ends")


def text_batches(
    texts: tuple[str, ...], file: str | None, encoding: str, errors: str
) -> Iterator[list[str]]:
    """The texts, TEXTS_AT_ONCE at a time; those of stdin as they arrive."""
    if are_awaited(texts, file):
        yield from line_batches(STDIN, encoding, errors)
        return
    source = iter(texts)
    if file is not None:
        source = chain.from_iterable(line_batches(file, encoding, errors))
    while batch := list(islice(source, TEXTS_AT_ONCE)):
        yield batch


def note_empty(count: int) -> None:
    """Say how many empty texts were skipped."""
    if count:
        note(f"{count:,} empty {'text' if count == 1 else 'texts'} skipped")
