from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, fields

import pytest

from charrnn.errors import SettingsError
from charrnn.training.settings import DEFAULTS, PRECISIONS, Settings, recorded


def test_defaults_are_what_nothing_given_means() -> None:
    assert Settings() == DEFAULTS
    assert DEFAULTS.precision in PRECISIONS


@pytest.mark.parametrize("field", fields(Settings), ids=lambda field: field.name)
def test_every_setting_is_described(field: object) -> None:
    assert Settings.__doc__ is not None
    assert f"\n        {getattr(field, 'name')}: " in Settings.__doc__  # noqa: B009


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        DEFAULTS.hidden = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    "name", ["layers", "hidden", "embedding", "chunk", "batch", "min_count", "steps",
             "validate_every"],
)
def test_counts_are_at_least_one(name: str) -> None:
    Settings(**{name: 1})  # type: ignore[arg-type]
    for value in (0, -1):
        with pytest.raises(SettingsError, match=f"{name} must be 1 or more, not {value}"):
            Settings(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["muon_rate", "rate", "clip"])
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, -math.inf])
def test_rates_are_positive_numbers(name: str, value: float) -> None:
    limits = "1e-09 to 1,000,000,000"
    with pytest.raises(SettingsError, match=f"{name} must be {limits}, not {value}"):
        Settings(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["dropout", "validation"])
def test_fractions_lie_between_nothing_and_nearly_all(name: str) -> None:
    for good in (0, 0.5, 0.95):
        Settings(**{name: good})  # type: ignore[arg-type]
    for bad in (-0.01, 0.951, 1, math.nan):
        with pytest.raises(SettingsError, match=f"{name} must be 0 to 0.95, not {bad}"):
            Settings(**{name: bad})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("weight_decay", -0.1), ("warmup", 1.5), ("warmup", -0.1), ("patience", -1), ("seed", -1),
        ("ngram_order", -1), ("ngram_order", 17), ("output_layers", -1), ("output_hidden", -1),
        ("recent", -1), ("activation_penalty", -0.1),
    ],
)
def test_other_values_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(SettingsError, match=f"{name} must be 0 .*not {value}"):
        Settings(**{name: value})  # type: ignore[arg-type]


def test_a_width_of_no_layers_is_refused() -> None:
    Settings(output_layers=1, output_hidden=8)
    with pytest.raises(SettingsError, match="output_hidden is the width of output_layers"):
        Settings(output_hidden=8)


def test_a_reader_is_trained_without_a_penalty() -> None:
    Settings(bidirectional=True, activation_penalty=0)
    with pytest.raises(SettingsError, match="or activation_penalty, not both"):
        Settings(bidirectional=True, activation_penalty=0.5)


@pytest.mark.parametrize("recent", [1, 999])
def test_an_end_too_short_to_learn_from_is_refused(recent: int) -> None:
    assert Settings(recent=1_000).recent == 1_000
    with pytest.raises(SettingsError, match=f"recent must be 0 or 1,000 or more, not {recent}"):
        Settings(recent=recent)


def test_files_leave_out_what_0_1_did_not_have_while_it_has_its_default() -> None:
    names = {field.name for field in fields(Settings)}
    assert names - recorded(DEFAULTS).keys() == {
        *("output_layers", "output_hidden", "bidirectional", "networks", "recent"),
        "activation_penalty",
    }
    assert recorded(Settings(output_layers=1))["output_layers"] == 1


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(SettingsError, match="unknown precision 'float16'; choose one of float32"):
        Settings(precision="float16")


def test_large_limits_are_shown_with_all_their_digits() -> None:
    with pytest.raises(SettingsError, match="must be 0 to 9,223,372,036,854,775,807, not -1"):
        Settings(seed=-1)
