"""What can be left out of a checkpoint that is given to others."""

from __future__ import annotations

from dataclasses import dataclass

from charrnn.errors import Parameter, SettingsError


@dataclass(frozen=True)
class Reduction:
    """What to leave out of a checkpoint.

    Attributes:
        half: round the network's weights to float16.
        max_ngrams: keep at most this many n-grams, the rarest are dropped; None: all.
        no_ngram: leave out the n-gram model.
        without_history: leave out the history of the training run.

    Raises:
        SettingsError: two of them contradict each other.
    """

    half: bool = False
    max_ngrams: int | None = None
    no_ngram: bool = False
    without_history: bool = False

    def __post_init__(self) -> None:
        if self.no_ngram and self.max_ngrams is not None:
            raise SettingsError(
                "give ", Parameter("no_ngram"), " or ", Parameter("max_ngrams"), ", not both"
            )
