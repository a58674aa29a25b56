"""What a sample shares with the training text, counted by hand and by slow search."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.inference import novelty
from charrnn.inference.novelty import WINDOW, Novelty, find_shared, measure_novelty

TRAINING = "abcdefghijklmnopqrstuvwxyz"


def ids(text: str) -> npt.NDArray[np.uint16]:
    return np.array([ord(character) for character in text], np.uint16)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Novelty(0, 0.0)),
        ("!!!", Novelty(0, 0.0)),
        ("xyzabc", Novelty(3, 0.0)),
        (TRAINING[:20], Novelty(20, 1.0)),
        (TRAINING[:21], Novelty(21, 1.0)),
        (TRAINING[:20] + "!", Novelty(20, 0.5)),
        ("!" + TRAINING[3:] + "!", Novelty(23, 4 / 6)),
    ],
)
def test_runs_and_windows_counted_by_hand(text: str, expected: Novelty) -> None:
    assert measure_novelty(ids(text), ids(TRAINING)) == expected
    assert measure_novelty(ids(text), ids(TRAINING).astype(np.uint8)) == expected


@given(
    st.text(st.sampled_from("ab"), max_size=40), st.text(st.sampled_from("ab"), max_size=90),
    st.integers(1, 25), st.integers(1, 30),
)
def test_shared_runs_are_found_wherever_blocks_end(
    text: str, training: str, length: int, block: int
) -> None:
    expected = [text[at : at + length] in training for at in range(len(text) - length + 1)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(novelty, "BLOCK", block)
        assert find_shared(ids(text), ids(training), length).tolist() == expected
        one = find_shared(ids(text), ids(training), length, only_one=True)
        assert one.any() == any(expected)


@given(st.integers(0, 2**32), st.integers(1, 60), st.integers(0, 60))
def test_the_longest_run_is_that_of_a_slow_search(seed: int, length: int, copied: int) -> None:
    random = np.random.default_rng(seed)
    training = random.integers(97, 101, 3000).astype(np.uint8)
    text = random.integers(97, 101, length + copied).astype(np.uint16)
    text[length:] = training[1000 : 1000 + copied]
    whole = "".join(map(chr, training))
    part = "".join(map(chr, text))
    runs = range(1, len(part) + 1)
    longest = max(
        (n for n in runs if any(part[a : a + n] in whole for a in range(len(part) - n + 1))),
        default=0,
    )
    windows = [part[a : a + WINDOW] in whole for a in range(len(part) - WINDOW + 1)]
    expected = Novelty(longest, sum(windows) / len(windows) if windows else 0.0)
    assert measure_novelty(text, training) == expected
