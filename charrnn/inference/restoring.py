"""What a model makes of texts with gaps and slips, for the Python interface."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from charrnn.errors import Parameter, SettingsError
from charrnn.inference.arguments import seed_or_new
from charrnn.inference.fill_options import BLANK, LONGEST, USING, FillOptions
from charrnn.models.checkpoint import Checkpoint
from charrnn.models.interface import LanguageModel
from charrnn.models.loading import load_reader
from charrnn.models.reader import NumpyReader
from charrnn.text.vocabulary import Vocabulary

if TYPE_CHECKING:
    from charrnn.inference.filling import Filled
    from charrnn.inference.passages import Passage, Slip


class Restorer:
    """A part of `charrnn.api.TrainedModel`."""

    checkpoint: Checkpoint
    model: LanguageModel

    @cached_property
    def reader(self) -> NumpyReader | None:
        """Predicts each character from all others; None if the model was not trained for that."""
        return load_reader(self.checkpoint)

    def fill(
        self,
        text: str,
        num: int = 1,
        seed: int | None = None,
        blank: str = BLANK,
        longest: int = LONGEST,
        using: str = USING[0],
        **how: Any,
    ) -> list[str]:
        """`num` texts like `text`, with its gaps filled.

        `how` is temperature, argmax and sweeps, as in FillOptions; other arguments and errors: see
        `fillings`.
        """
        options = FillOptions(num, seed=seed_or_new(seed), **how)
        return [each.text for each in self.fillings(text, options, blank, longest, using)]

    def fillings(
        self,
        text: str,
        options: FillOptions,
        blank: str = BLANK,
        longest: int = LONGEST,
        using: str = USING[0],
    ) -> list[Filled]:
        """Texts like `text`, with its gaps filled.

        Args:
            text: each `blank` is one missing character, each "[...]" 1 to `longest` of them.
            options: how they are filled.
            blank: one character.
            longest: of a gap of unknown length.
            using: "both", "forward" (without the reader, if there is one) or "reader" (alone).

        Raises:
            SettingsError: an argument is out of range, nothing is missing, or there is no reader.
        """
        from charrnn.inference.filling import Gaps
        from charrnn.inference.pattern import parse_pattern

        model, reader = self._chosen(using)
        parts = parse_pattern(text, self._vocabulary, blank, longest)
        return Gaps(self._vocabulary, model, reader, self.checkpoint.lines).fill(parts, options)

    def proofread(
        self, text: str, threshold: float = 0.0, using: str = USING[0]
    ) -> list[Slip]:
        """The places where `text` is probably wrong, and what should stand there.

        Args:
            text: any text.
            threshold: log-odds, in nats, from which a place counts as wrong.
            using: as in `fillings`.

        Raises:
            SettingsError: there is no reader, and `using` wants one.
        """
        return [
            slip for each in self.proofread_pieces([text], threshold, using) for slip in each.slips
        ]

    def proofread_pieces(
        self, pieces: Iterable[str], threshold: float = 0.0, using: str = USING[0]
    ) -> Iterator[Passage]:
        """Check a text that comes in pieces; other arguments and errors: see `proofread`."""
        from charrnn.inference.passages import proofread
        from charrnn.inference.proofreading import Proofreader

        model, reader = self._chosen(using)
        count = len(self._vocabulary.code_points)
        proofreader = Proofreader(model, reader, count, threshold)
        return proofread(proofreader, self._vocabulary, pieces, self.checkpoint.lines)

    @property
    def _vocabulary(self) -> Vocabulary:
        return self.checkpoint.vocabulary

    def _chosen(self, using: str) -> tuple[LanguageModel | None, NumpyReader | None]:
        """The forward model and the reader to use."""
        if using not in USING:
            raise SettingsError(
                Parameter("using"), f" must be one of {', '.join(USING)}, not {using!r}"
            )
        if using == "reader" and self.reader is None:
            raise SettingsError(
                "this model has no reader; train one with ", Parameter("bidirectional")
            )
        return (
            None if using == "reader" else self.model,
            None if using == "forward" else self.reader,
        )
