"""Write a short text with the network as it is in the middle of its training."""

from __future__ import annotations

from charrnn.inference.decoder import Decoder
from charrnn.inference.sampling import generate
from charrnn.models.ensemble import numpy_network
from charrnn.text.corpus import Corpus
from charrnn.training.ensemble_trainer import AnyTrainer

LENGTH = 160


def live_sample(trainer: AnyTrainer, corpus: Corpus) -> str:
    """A text of at most LENGTH characters; another one at each step, but the same in each run."""
    weights = [member.weights() for member in trainer.members]
    model = numpy_network(trainer.network.architecture, weights)
    seeds = [(trainer.settings.seed, trainer.step)]
    vocabulary = corpus.vocabulary
    decoder = Decoder.of({}, vocabulary.encode, len(vocabulary))
    steps = generate(
        model, vocabulary.encode(""), decoder, seeds, LENGTH, corpus.reading.lines
    )
    return vocabulary.decode(int(step.ids[0]) for step in steps)
