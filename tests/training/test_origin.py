from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from charrnn.errors import SettingsError
from charrnn.inference.scoring import evaluate_documents
from charrnn.models.checkpoint import Checkpoint, save_checkpoint
from charrnn.models.loading import load_model
from charrnn.text.corpus import load_corpus
from charrnn.text.reading import Reading
from charrnn.text.vocabulary import EOS, UNK, Vocabulary
from charrnn.training.origin import Origin, open_origin, shifted, with_characters_of
from tests.support import random_checkpoint


def origin(checkpoint: Checkpoint) -> Origin:
    assert checkpoint.architecture is not None
    return Origin(Path("old"), checkpoint, checkpoint.architecture, "")


def test_ids_shift_where_a_character_comes_between() -> None:
    old, new = Vocabulary.from_text("ac"), Vocabulary.from_text("abc")
    assert shifted(old, new).tolist() == [UNK, EOS, 2, 4]
    assert shifted(new, old).tolist() == [UNK, EOS, 2, UNK, 3]


def test_a_new_character_starts_as_unk_and_the_others_as_they_were() -> None:
    old = random_checkpoint("ac")
    (weights,) = origin(old).weights(Vocabulary.from_text("abc"))
    for name in ("embedding.weight", "output.weight", "output.bias"):
        before = old.weights[name]
        expected = np.stack([before[row] for row in (UNK, EOS, 2, UNK, 3)])
        np.testing.assert_array_equal(weights[name], expected)
    np.testing.assert_array_equal(weights["rnn.weight_ih_l0"], old.weights["rnn.weight_ih_l0"])
    assert origin(old).new_characters(Vocabulary.from_text("abc")) == "b"


def test_what_the_old_model_says_of_a_text_is_what_it_says_as_it_is() -> None:
    Path("text.txt").write_text("caab" * 30)
    old = random_checkpoint("ac")
    ours = load_corpus(["text.txt"], Reading())
    theirs = load_corpus(["text.txt"], Reading(), vocabulary=old.vocabulary)
    expected = evaluate_documents(load_model(old), theirs.documents()).nats_per_character
    found = origin(old).measure(ours.documents(), ours.vocabulary)
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("names", [("text.txt",), ("-",)])
def test_a_corpus_gets_the_characters_of_the_old_model(
    names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("text.txt").write_text("caab")
    with Path("text.txt").open("rb") as file:
        monkeypatch.setattr("sys.stdin", type("Stdin", (), {"buffer": file, "closed": False})())
        corpus = load_corpus(names, Reading())
    joined = with_characters_of(corpus, origin(random_checkpoint("xa")))
    assert joined.vocabulary == Vocabulary.from_text("abcx")
    assert joined.vocabulary.decode(joined.ids) == "caab"
    assert joined.digest == corpus.digest


def test_what_contradicts_the_old_model_is_refused() -> None:
    save_checkpoint(Path("old.safetensors"), random_checkpoint("abc", hidden=8))
    found = open_origin("old.safetensors", Reading(), {"hidden": 8, "rate": 0.1})
    assert found.settings == {
        "cell": "lstm", "layers": 1, "hidden": 8, "embedding": 4,
        "output_layers": 0, "output_hidden": 0, "bidirectional": False, "networks": 1,
    }
    with pytest.raises(SettingsError, match=r"hidden 16 contradicts from_: .* has 8; leave it"):
        open_origin("old.safetensors", Reading(), {"hidden": 16})
    with pytest.raises(SettingsError, match="without lines=True; leave it out"):
        open_origin("old.safetensors", Reading(lines=True), {})
