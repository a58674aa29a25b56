"""Count the n-grams of a text while it is read, and predict from those read so far.

A tree grows with the text: a node is a context, its children are the characters that have followed
it, with their counts. A context read only once is a leaf: it points to its place in the text, and
gets children when it comes a second time (as in PPM*, Cleary & Teahan 1997). So long contexts cost
little more than short ones.

A context predicts by its relative frequencies and, with the probability of an escape, by those of
the context one character shorter; the empty context escapes to the uniform distribution. Contexts
with about as many characters read, and as many different ones, share an escape, which is learnt
(as in PPMd, Shkarin 2002), here by online expectation maximisation.

Axis: V vocabulary entries.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple, TypeAlias

import numpy as np

from charrnn.arrays import Floats
from charrnn.text.vocabulary import EOS

ORDER = 16
"""The longest context, in characters."""
MAX_NODES = 1 << 20
"""Of the tree; when it is full, the older half of the text is forgotten."""
ROOT = 0
PRIOR = 2.0
"""An escape starts as if it had been seen so often."""
MEMORY = 1000.0
"""An escape is learnt from about so many of its latest occasions."""
SMALLEST = 1e-4
"""No escape is less probable: in a long text it would become impossible."""

Contexts: TypeAlias = list[int]
"""The known contexts that a text ends with, the empty one first: nodes, or where there is none yet,
~place of the one character that followed."""
Escape: TypeAlias = list[float]
"""[escapes, occasions]."""


class _Counts(NamedTuple):
    """What followed a context: pairs of a character and its count, their sum, and its escape."""

    pairs: Sequence[tuple[int, int]]
    total: int
    escape: Escape


class OnlineNgram:
    """An n-gram model of the text read so far.

    Args:
        vocabulary_size: V.
        max_nodes: of the tree.
    """

    def __init__(self, vocabulary_size: int, max_nodes: int = MAX_NODES) -> None:
        self._size = vocabulary_size
        self._max_nodes = max_nodes
        self._escapes: dict[tuple[int, int, int], Escape] = {}
        self._plant()

    def _plant(self) -> None:
        self._text: list[int] = []
        self._children: list[dict[int, int] | None] = [{}]
        self._counts = [0]
        self._next = [0]  # for each leaf, the place in the text of what followed it
        self._contexts = [ROOT]
        self._predicted: tuple[Contexts, list[_Counts]] = ([], [])

    @property
    def contexts(self) -> Contexts:
        """Those that the text read so far ends with."""
        return self._contexts

    def begin(self) -> None:
        """A new text begins, with EOS; no context reaches back beyond it."""
        if self._text[-1:] != [EOS]:
            self._grow(EOS)
        self._contexts = self._contexts[:2]

    def learn(self, character: int) -> None:
        """Read the next character of the text."""
        below = 1.0 / self._size
        contexts, known = self._predicted
        if contexts is not self._contexts:
            known = self._known(self._contexts)
        for pairs, total, escape in reversed(known):
            share = max(SMALLEST, escape[0] / escape[1])
            count = next((count for each, count in pairs if each == character), 0)
            probability = (1 - share) * count / total + share * below
            if escape[1] > MEMORY:
                escape[:] = escape[0] / 2, escape[1] / 2
            escape[0] += share * below / probability
            escape[1] += 1
            below = probability
        self._grow(character)
        if len(self._counts) >= self._max_nodes:
            self._forget()

    def predict(self, contexts: Contexts) -> Floats:
        """Log-probabilities (V,) in nats of what follows a text that ends with `contexts`."""
        probabilities = [0.0] * self._size
        scale = 1.0
        known = self._known(contexts)
        self._predicted = contexts, known
        for pairs, total, escape in known:
            share = max(SMALLEST, escape[0] / escape[1])
            each = scale * (1 - share) / total
            for character, count in pairs:
                probabilities[character] += each * count
            scale *= share
        found = np.array(probabilities)
        found += scale / self._size
        predicted: Floats = np.log(found).astype(np.float32)
        return predicted

    def follow(self, contexts: Contexts, character: int) -> Contexts:
        """The contexts after one more character, of which nothing is learnt."""
        following = [ROOT]
        for context in islice(contexts, ORDER):
            after = self._child(context, character)
            if after is None or not self._is_continued(after):
                break
            following.append(after)
        return following

    def _child(self, context: int, character: int) -> int | None:
        """The context `context` and `character`; None if it was never read."""
        if context >= ROOT and (children := self._children[context]) is not None:
            return children.get(character)
        place = self._next[context] if context >= ROOT else ~context
        return ~(place + 1) if self._text[place] == character else None

    def _is_continued(self, context: int) -> bool:
        if context >= ROOT and self._children[context] is not None:
            return True
        return (self._next[context] if context >= ROOT else ~context) < len(self._text)

    def _known(self, contexts: Contexts) -> list[_Counts]:
        """What followed each of the `contexts`, the longest first."""
        found = []
        counts = self._counts
        for length in range(len(contexts) - 1, -1, -1):
            context = contexts[length]
            children = self._children[context] if context >= ROOT else None
            if children is None:
                place = self._next[context] if context >= ROOT else ~context
                found.append(_Counts(((self._text[place], 1),), 1, self._escape(length, 1, 1)))
            elif children:
                pairs = [(character, counts[child]) for character, child in children.items()]
                total = sum([count for _, count in pairs])
                found.append(_Counts(pairs, total, self._escape(length, total, len(pairs))))
        return found

    def _escape(self, length: int, total: int, different: int) -> Escape:
        key = min(length, 8), _magnitude(total), _magnitude(different)
        found = self._escapes.get(key)
        if found is None:  # Witten & Bell 1991, until more is known
            found = [PRIOR * different / (total + different), PRIOR]
            self._escapes[key] = found
        return found

    def _grow(self, character: int) -> None:
        """Add the next character of the text to all contexts that it ends with."""
        children, counts, places = self._children, self._counts, self._next
        here = len(self._text)
        self._text.append(character)
        following = [ROOT]
        for length, context in enumerate(self._contexts):
            known = children[context]
            if known is None:
                known = children[context] = {}
                self._add_leaf(known, self._text[places[context]], places[context] + 1)
            child = known.get(character)
            if child is None:
                self._add_leaf(known, character, here + 1)
                continue
            counts[child] += 1
            if length < ORDER:
                following.append(child)
        self._contexts = following

    def _add_leaf(self, siblings: dict[int, int], character: int, place: int) -> None:
        siblings[character] = len(self._counts)
        self._children.append(None)
        self._counts.append(1)
        self._next.append(place)

    def _forget(self) -> None:
        """Start again with the newer half of the text; what escapes have learnt stays."""
        kept = self._text[len(self._text) // 2 :]
        self._plant()
        for character in kept:
            self._grow(character)


def _magnitude(number: int) -> int:
    """Which numbers share an escape: 1, 2, 3, 4 to 5, 6 to 7, 8 to 11, ..."""
    bits = number.bit_length()
    return 2 * bits + (number >> max(0, bits - 2) & 1)
