from __future__ import annotations

import re

import numpy as np
import pytest

from charrnn.api import TrainedModel
from charrnn.errors import SettingsError
from charrnn.inference.fill_options import FillOptions
from tests.support import Trained, random_checkpoint, random_model


@pytest.fixture(scope="module")
def both() -> TrainedModel:
    """A forward model and a reader."""
    return random_model(random_checkpoint("abc", layers=2, bidirectional=True))


@pytest.mark.parametrize("using", ["both", "forward", "reader"])
@pytest.mark.parametrize("argmax", [False, True])
def test_what_is_known_stays_and_gaps_have_their_lengths(
    both: TrainedModel, using: str, argmax: bool
) -> None:
    for text in ("a__bc_", "_", "__a"):
        found = both.fill(text, 3, seed=1, using=using, argmax=argmax)
        assert 1 <= len(found) <= 3
        for each in found:
            assert re.fullmatch(text.replace("_", "[abc]"), each)


@pytest.mark.parametrize("using", ["both", "forward"])
@pytest.mark.parametrize("argmax", [False, True])
def test_gaps_of_unknown_length_are_filled(
    both: TrainedModel, using: str, argmax: bool
) -> None:
    found = both.fill("ab[...]ca[...]", 5, seed=1, longest=4, using=using, argmax=argmax)
    assert all(re.fullmatch("ab[abc]{1,4}ca[abc]{1,4}", each) for each in found)


def test_unknown_characters_of_the_text_stay(both: TrainedModel) -> None:
    assert both.fill("x_y", seed=1)[0][::2] == "xy"


def test_the_seed_decides(both: TrainedModel) -> None:
    assert both.fill("a____", 4, seed=7) == both.fill("a____", 4, seed=7)
    assert both.fill("a____", 4, seed=7) != both.fill("a____", 4, seed=8)
    assert both.fill("a_", 0) == []
    assert both.fill("a____", 4, seed=7, temperature=0) == both.fill(
        "a____", 4, seed=8, argmax=True
    )


def test_shares_of_a_forward_model_are_probabilities(both: TrainedModel) -> None:
    options = FillOptions(num=9, argmax=True)
    found = both.fillings("a__b", options, using="forward")
    shares = [each.probability or 0.0 for each in found]
    assert sum(shares) == pytest.approx(1)
    assert shares == sorted(shares, reverse=True)
    wanted = np.array([score.log_probability for score in both.score([x.text for x in found])])
    relative = np.exp(wanted - wanted.max())
    np.testing.assert_allclose(shares, relative / relative.sum(), rtol=1e-4)


def test_a_trained_model_fills_in_words(prose_model: Trained) -> None:
    model = TrainedModel.open(prose_model.run)
    assert model.fill("the old man likes the m__n.", argmax=True) == [
        "the old man likes the moon."
    ]
    assert model.fill("the old man [...] a red house.", longest=14, argmax=True)[0] in {
        f"the old man {verb} a red house."
        for verb in ("saw", "likes", "will not find", "remembers")
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"using": "reader"}, "this model has no reader; train one with bidirectional"),
        ({"using": "all"}, "using must be one of both, forward, reader, not 'all'"),
        ({"num": -1}, "num must be 0 to"),
        ({"sweeps": -1}, "sweeps must be 0 to"),
        ({"temperature": -1.0}, "temperature must be 0 or more"),
        ({"temperature": float("nan")}, "temperature must be 0 or more"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, object], message: str) -> None:
    model = random_model(random_checkpoint("abc"))
    with pytest.raises(SettingsError, match=message):
        model.fill("a_", **options)  # type: ignore[arg-type]


def test_a_reader_alone_needs_to_know_the_length(both: TrainedModel) -> None:
    with pytest.raises(SettingsError, match="a reader alone cannot tell how long a gap is"):
        both.fill("a[...]", using="reader")
