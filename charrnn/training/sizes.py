"""Sizes of a network, and how long it may learn, from the time there is and the text's length.

Knows numbers only: no clock, no device, no text. What was measured, and what lost, is in
tests/benchmarks/README.md.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from charrnn.models.architecture import Architecture
from charrnn.training.settings import DEFAULTS, Settings

MOST_EPOCHS, OCCURRENCES, EPOCHS_EXPONENT = 5.0, 16, 1 / 8
"""A text is read MOST_EPOCHS times at most if its characters occur OCCURRENCES times on average,
and more often by this power if they occur more often. More makes a network worse on other texts."""
RECENT = 60_000_000
"""Characters at the end of a long document that are read first."""
STEPS_PER_EPOCH = 400
"""A short text is read in so few rows that one reading makes about this many updates."""
FEWEST_ROWS, FEWEST_ROWS_OF_MANY, MANY = 4, 8, 500
"""In a batch: with a vocabulary below MANY, and from there on."""
NETWORKS = ((64.0, 4), (36.0, 3), (7.5, 2))
"""(readings, networks): as often, at least, could the default network read the text."""
READINGS, FEWEST_STEPS = 3.75, 4_000
"""Each of several networks reads the text READINGS times or more."""
DROPOUTS = (
    (4.0, 0.0), (7.0, 0.05), (14.0, 0.1), (28.0, 0.2), (56.0, 0.3), (112.0, 0.4), (math.inf, 0.5)
)
"""(limit, dropout): where epochs x parameters / characters is below the limit."""


@dataclass(frozen=True)
class Sizes:
    """What to train. All but `epochs` are fields of Settings, described there.

    Attributes:
        epochs: how often the training text is read at most; time left then is given back.
    """

    layers: int
    hidden: int
    embedding: int
    chunk: int
    batch: int
    dropout: float
    epochs: float

    def settings(self) -> dict[str, Any]:
        """The fields of Settings among these."""
        fields = asdict(self)
        del fields["epochs"]
        return fields


@dataclass(frozen=True)
class Tier:
    """A network, for a budget and a text that both have room for it.

    Attributes:
        steps: the fewest steps of the default network that must fit into the budget.
        characters: the shortest training text.
        batch: at most.
    """

    steps: int
    characters: int
    layers: int
    hidden: int
    embedding: int
    chunk: int
    batch: int


TIERS = (
    Tier(0, 0, 2, 64, 64, 16, 32),
    Tier(60, 10_000, 2, 96, 64, 24, 32),
    Tier(250, 30_000, 2, 128, 64, 32, 32),
    Tier(1_000, 100_000, 2, 192, 64, 32, 32),
    Tier(2_000, 200_000, 2, 256, 64, 48, 32),
    Tier(6_000, 400_000, 2, 384, 64, 64, 32),
    Tier(40_000, 800_000, 2, 512, 64, 64, 32),
    Tier(150_000, 2_000_000, 2, 768, 96, 96, 64),
    Tier(600_000, 4_000_000, 3, 1024, 128, 96, 128),
    Tier(2_500_000, 10_000_000, 3, 1536, 192, 128, 128),
    Tier(10_000_000, 20_000_000, 3, 2048, 256, 128, 256),
)
"""From small to large."""


def choose_sizes(steps: float, characters: int, vocabulary: int) -> Sizes:
    """The network that learns most in a budget from a text, and how long it may learn.

    The widest network for which both budget and text have room:

    | steps, at least | characters, at least | layers x hidden | chunk | batch, at most |
    |---|---|---|---|---|
    |            0 |            | 2 x    64 |  16 |  32 |
    |           60 |     10,000 | 2 x    96 |  24 |  32 |
    |          250 |     30,000 | 2 x   128 |  32 |  32 |
    |        1,000 |    100,000 | 2 x   192 |  32 |  32 |
    |        2,000 |    200,000 | 2 x   256 |  48 |  32 |
    |        6,000 |    400,000 | 2 x   384 |  64 |  32 |
    |       40,000 |    800,000 | 2 x   512 |  64 |  32 |
    |      150,000 |  2,000,000 | 2 x   768 |  96 |  64 |
    |      600,000 |  4,000,000 | 3 x 1,024 |  96 | 128 |
    |    2,500,000 | 10,000,000 | 3 x 1,536 | 128 | 128 |
    |   10,000,000 | 20,000,000 | 3 x 2,048 | 128 | 256 |

    A short text has a smaller batch, so that its few readings are many updates: 4 rows for 50,000
    characters, 8 for 140,000, 16 for 400,000. Dropout grows with how often the text is read and
    with the parameters for each of its characters. Networks from 512 on are not measured: each
    starts where a budget leaves it thousands of updates, and width grows with the square root of
    the text's length; three layers are from Merity et al. 2018 (arXiv 1803.08240).

    Args:
        steps: how many of the default network fit into the budget; see `default_steps`.
        characters: of the training text.
        vocabulary: V.
    """
    tier = _widest(steps, characters)
    work = _work(tier, vocabulary)
    budget = steps * DEFAULTS.batch * DEFAULTS.chunk * _work(DEFAULTS, vocabulary)
    epochs = most_epochs(characters, vocabulary)
    read = min(epochs, budget / work / characters)
    memorised = read * work / characters
    return Sizes(
        layers=tier.layers,
        hidden=tier.hidden,
        embedding=tier.embedding,
        chunk=tier.chunk,
        batch=_rows(tier, characters, vocabulary),
        dropout=next(dropout for limit, dropout in DROPOUTS if memorised < limit),
        epochs=epochs,
    )


def choose_networks(steps: float, characters: int, vocabulary: int) -> int:
    """How many networks learn most together in a budget.

    Where one could read a megabyte eight times, two in the same time are better than it alone, and
    as good with the n-gram model; where it could read it half as often, one is better with the
    n-gram model (tests/benchmarks/README.md). Three and four, and other lengths of text, are not
    measured.

    Args: see `choose_sizes`.
    """
    if steps < FEWEST_STEPS:
        return 1
    default = steps * DEFAULTS.batch * DEFAULTS.chunk / characters
    for least, networks in NETWORKS:
        tier = _widest(steps / networks, characters)
        work = _work(tier, vocabulary) / _work(DEFAULTS, vocabulary)
        if default >= least and default / networks / work >= READINGS:
            return networks
    return 1


def choose_recent(budget: float, characters: int) -> int:
    """How many characters at the end of one long document a network reads in a budget; 0: all.

    As the n-gram model does, it learns most from those that are most like what follows, so it reads
    all only if the budget allows it. Table in tests/benchmarks/README.md.

    Args:
        budget: characters that can be read.
        characters: of the document.
    """
    wanted = max(RECENT, math.ceil(budget))
    return wanted if wanted < characters else 0


def most_epochs(characters: int, vocabulary: int) -> float:
    """How often a text of so many characters, of so many different ones, is worth reading."""
    return MOST_EPOCHS * math.pow(characters / vocabulary / OCCURRENCES, EPOCHS_EXPONENT)


def default_steps(steps: float, settings: Settings, vocabulary: int) -> float:
    """How many steps of the default network are as much work as `steps` of all `settings` networks.

    A GPU takes about as long for one step of the default network as for one of a network a hundred
    times as large, so what fits into its budget has to be measured on a large one.
    """
    work = settings.networks * settings.batch * settings.chunk * _work(settings, vocabulary)
    default = DEFAULTS.batch * DEFAULTS.chunk * _work(DEFAULTS, vocabulary)
    return steps * work / default


def _widest(steps: float, characters: int) -> Tier:
    return [each for each in TIERS if each.steps <= steps and each.characters <= characters][-1]


def _work(sizes: Tier | Settings, vocabulary: int) -> int:
    """Multiplications per character: by every parameter, but for the embeddings looked up."""
    network = Architecture(
        DEFAULTS.cell, vocabulary, sizes.embedding, sizes.hidden, sizes.layers
    )
    return network.parameters - vocabulary * sizes.embedding


def _rows(tier: Tier, characters: int, vocabulary: int) -> int:
    """B: the power of two that is nearest, by ratio, to what makes STEPS_PER_EPOCH."""
    wanted = max(1.0, characters / (STEPS_PER_EPOCH * tier.chunk))
    fewest = FEWEST_ROWS if vocabulary < MANY else FEWEST_ROWS_OF_MANY
    return min(tier.batch, max(fewest, 1 << round(math.log2(wanted))))
