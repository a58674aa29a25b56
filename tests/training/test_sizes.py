from __future__ import annotations

from dataclasses import astuple, fields, replace
from itertools import pairwise

import pytest

from charrnn.training.settings import DEFAULTS, Settings
from charrnn.training.sizes import (
    DROPOUTS,
    FEWEST_ROWS,
    RECENT,
    TIERS,
    Sizes,
    Tier,
    choose_recent,
    choose_sizes,
    default_steps,
)

MEGABYTE = 1_000_000
V = 67
STEPS = [0.1, 10, 59, 61, 249, 251, 700, 999, 1_001, 3_100, 13_400, 39_999, 150_000, 10**6, 10**8]
CHARACTERS = [16, 5_000, 29_999, 45_000, 140_000, 400_000, MEGABYTE, 60 * MEGABYTE, 5 * 10**9]


def settings_of(sizes: Sizes | Tier) -> Settings:
    names = {field.name for field in fields(Settings)}
    given = {field.name: getattr(sizes, field.name) for field in fields(sizes)}
    return replace(DEFAULTS, **{name: given[name] for name in names & set(given) - {"steps"}})


def own_steps(steps: float, sizes: Sizes | Tier) -> float:
    """Steps of a network of `sizes` in the time of `steps` of the default one."""
    return steps / default_steps(1, settings_of(sizes), V)


@pytest.mark.parametrize(
    ("minutes", "steps", "hidden", "chunk", "dropout"),
    [
        # a megabyte of English; steps as on the two cores of tests/benchmarks/README.md
        (0.5, 700, 128, 32, 0.0),
        (2.33, 3_100, 256, 48, 0.05),
        (5, 6_700, 384, 64, 0.1),
        (10, 13_400, 384, 64, 0.2),
    ],
)
def test_what_was_measured_best_on_a_megabyte_is_chosen(
    minutes: float, steps: float, hidden: int, chunk: int, dropout: float
) -> None:
    sizes = choose_sizes(steps, MEGABYTE, V)
    assert sizes.settings() == {
        "layers": 2, "hidden": hidden, "embedding": 64, "chunk": chunk, "batch": 32,
        "dropout": dropout,
    }, f"--minutes {minutes}"
    read = own_steps(steps, sizes) * sizes.batch * sizes.chunk / MEGABYTE
    assert read < sizes.epochs  # none of the time is given back


@pytest.mark.parametrize(
    ("characters", "hidden", "chunk", "batch"),
    [(13_500, 96, 24, 4), (45_000, 128, 32, 4), (126_000, 192, 32, 8), (360_000, 256, 48, 16)],
)
@pytest.mark.parametrize("steps", [3_100, 6_700, 10**6])
def test_a_short_text_has_a_small_network_and_few_rows_however_long_the_budget(
    characters: int, hidden: int, chunk: int, batch: int, steps: float
) -> None:
    sizes = choose_sizes(steps, characters, V)
    assert (sizes.hidden, sizes.chunk, sizes.batch) == (hidden, chunk, batch)
    assert 0.2 <= sizes.dropout <= 0.4


@pytest.mark.parametrize("characters", CHARACTERS)
@pytest.mark.parametrize("vocabulary", [2, V, 20_000])
def test_any_budget_and_text_have_sizes(characters: int, vocabulary: int) -> None:
    for steps in STEPS:
        sizes = choose_sizes(steps, characters, vocabulary)
        settings = replace(DEFAULTS, **sizes.settings())  # refuses what is out of range
        assert FEWEST_ROWS <= settings.batch <= TIERS[-1].batch
        assert sizes.epochs > 0


@pytest.mark.parametrize("characters", CHARACTERS)
def test_more_time_never_makes_anything_smaller(characters: int) -> None:
    for less, more in pairwise(choose_sizes(steps, characters, V) for steps in STEPS):
        assert less.hidden <= more.hidden
        assert less.layers <= more.layers
        assert less.chunk <= more.chunk
        assert less.dropout <= more.dropout


@pytest.mark.parametrize("steps", STEPS)
def test_more_text_never_makes_the_network_smaller_nor_needs_more_dropout(steps: float) -> None:
    for less, more in pairwise(choose_sizes(steps, characters, V) for characters in CHARACTERS):
        assert less.hidden <= more.hidden
        assert less.batch <= more.batch


def test_a_fast_device_and_a_long_text_have_a_wide_network_and_a_large_batch() -> None:
    largest = choose_sizes(10**8, 5 * 10**9, V)
    assert (largest.layers, largest.hidden, largest.chunk, largest.batch) == (3, 2048, 128, 256)
    assert largest.dropout == 0.0
    hour = choose_sizes(80_000, 60 * MEGABYTE, V)  # of two cores
    assert (hour.hidden, hour.batch) == (512, 32)


@pytest.mark.parametrize(("smaller", "larger"), list(pairwise(TIERS)))
def test_tiers_grow_without_a_gap(smaller: Tier, larger: Tier) -> None:
    for less, more in zip(astuple(smaller), astuple(larger), strict=True):
        assert less <= more
    assert larger.hidden <= 1.5 * smaller.hidden


@pytest.mark.parametrize("tier", TIERS[1:], ids=lambda tier: str(tier.hidden))
def test_where_a_tier_starts_its_network_has_steps_enough(tier: Tier) -> None:
    # one that is not measured must not have fewer than those that are
    assert own_steps(tier.steps, tier) > (2_500 if tier.hidden >= 512 else 300)


def test_the_table_for_the_reader_says_what_is_chosen() -> None:
    table = [
        [cell.strip().replace(",", "") for cell in line.strip().strip("|").split("|")]
        for line in str(choose_sizes.__doc__).splitlines()
        if " x " in line and line.strip().startswith("|") and "hidden" not in line
    ]
    assert [
        [steps, characters or "0", " ".join(network.split()), chunk, batch]
        for steps, characters, network, chunk, batch in table
    ] == [
        [str(t.steps), str(t.characters), f"{t.layers} x {t.hidden}", str(t.chunk), str(t.batch)]
        for t in TIERS
    ]


def test_dropout_grows_with_readings_and_with_parameters_for_a_character() -> None:
    # 700 steps x 1,536 characters x 0.865 million parameters = 0.93e12 multiplications; divided by
    # the square of 482,000 characters they are 4
    assert choose_sizes(700, 487_000, V).dropout == DROPOUTS[0][1]
    assert choose_sizes(700, 478_000, V).dropout == DROPOUTS[1][1]


@pytest.mark.parametrize(
    ("characters", "vocabulary", "epochs"),
    [(16_000, 1_000, 5.0), (256 * 16_000, 1_000, 10.0), (16 * 20_000, 20_000, 5.0)],
)
def test_a_text_is_read_more_often_the_more_often_its_characters_occur(
    characters: int, vocabulary: int, epochs: float
) -> None:
    # 256 times as often: 256 ** (1 / 8) = 2 times as many readings
    assert choose_sizes(3_100, characters, vocabulary).epochs == pytest.approx(epochs)


def test_a_short_text_of_many_characters_has_more_rows_and_more_dropout() -> None:
    few, many = choose_sizes(3_100, 41_000, V), choose_sizes(3_100, 41_000, 2_600)
    assert (few.batch, few.dropout) == (4, 0.3)
    assert (many.batch, many.dropout) == (8, 0.4)
    assert many.epochs == pytest.approx(5, abs=0.05)


def test_steps_are_compared_by_their_multiplications() -> None:
    assert default_steps(10, DEFAULTS, V) == 10
    assert default_steps(10, replace(DEFAULTS, batch=64, chunk=24), V) == 10
    # multiplications per character, biases included: 1 x 4 with V = 3, embedding 2:
    # 16 x 2 + 16 x 4 + 2 x 16 + 3 x 4 + 3 = 143; the default's with V = 3:
    # 1,024 x (64 + 256 + 2 + 256 + 256 + 2) + 3 x 256 + 3 = 856,835
    tiny = replace(DEFAULTS, layers=1, hidden=4, embedding=2)
    assert default_steps(1, tiny, 3) == pytest.approx(143 / 856_835)


def test_a_large_vocabulary_counts_as_work() -> None:
    wide = replace(DEFAULTS, hidden=512)
    assert default_steps(1, wide, 65) > 3.5  # recurrent matrices: four times as large
    assert default_steps(1, wide, 60_000) < 2.2  # the output layer's: twice


@pytest.mark.parametrize(
    ("budget", "characters", "recent"),
    [
        (3e6, MEGABYTE, 0),
        (3e6, RECENT, 0),
        (3e6, RECENT + 1, RECENT),
        (3e6, 5 * 10**9, RECENT),
        (2.5 * RECENT, 5 * 10**9, 5 * RECENT // 2),
        (6e9, 5 * 10**9, 0),
    ],
)
def test_of_a_long_document_the_end_is_read_unless_there_is_time_for_all(
    budget: float, characters: int, recent: int
) -> None:
    assert choose_recent(budget, characters) == recent
