"""Sampling and scoring in NumPy against torch; the mixture against the network alone."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from functools import partial
from itertools import product
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor, nn

from charrnn.arrays import Array
from charrnn.errors import Parameter
from charrnn.inference.decoder import Decoder
from charrnn.inference.sampling import generate
from charrnn.inference.scoring import score_documents
from charrnn.inference.strategies import Value
from charrnn.models.ensemble import numpy_network
from charrnn.models.interface import LanguageModel
from charrnn.models.mixture import Mixture
from charrnn.models.ngram import NgramModel
from charrnn.models.torch_rnn import Network
from charrnn.text.documents import Documents, documents_of
from charrnn.text.vocabulary import EOS, Vocabulary
from charrnn.training.settings import DEFAULTS
from tests.benchmarks.material import MEGABYTE, checkpoint, networks, text
from tests.benchmarks.measure import Row, micro, paired, rate, seconds

STEPS = 200
ROUNDS = 9
READS = 20
SIZES = (128, 256, 512)
TOGETHER = 64
FEW_LINES, MANY_LINES, TIMED_LINES = 1_000, 10_000, 500
FLOOR_WIDTH = 1024
STEPPED_LINES = 50
VOCABULARY = 67
STRATEGY_VALUES: Mapping[str, Value] = {
    "forbid": "abc",
    "only": "abcdefghijklmnop",
    "repetition_penalty": 1.3,
    "temperature": 0.8,
    "top_k": 20,
    "top_p": 0.9,
    "min_p": 0.05,
    "typical_p": 0.9,
    "argmax": True,
    "stop": ("never",),
}
"""Of every strategy but the search, something that has an effect."""
FIRST = 5
"""Some character."""


def step_model(model: LanguageModel) -> None:
    """Read STEPS characters of one text, one at a time."""
    state = model.initial_state(1)
    token = np.array([FIRST])
    for _ in range(STEPS):
        _, state = model.step(token, state)


@torch.inference_mode()
def step_lstm(network: Network) -> None:
    """The same through nn.LSTM."""
    state = network.initial_state(1)
    token = torch.tensor([[FIRST]])
    for _ in range(STEPS):
        logits, state = network(token, state)
        logits.log_softmax(-1)


@torch.inference_mode()
def step_cells(network: Network, cells: list[nn.LSTMCell]) -> None:
    """The same through nn.LSTMCell."""
    token = torch.tensor([FIRST])
    zeros = torch.zeros(1, network.architecture.hidden)
    states: list[tuple[Tensor, Tensor]] = [(zeros, zeros) for _ in cells]
    for _ in range(STEPS):
        inputs = network.embedding(token)
        for layer, cell in enumerate(cells):
            states[layer] = cell(inputs, states[layer])
            inputs = states[layer][0]
        network.output(inputs).log_softmax(-1)


def cells_of(network: Network) -> list[nn.LSTMCell]:
    """One cell a layer, with the network's weights."""
    cells = []
    for layer in range(network.architecture.layers):
        width = network.architecture.hidden if layer else network.architecture.embedding
        cell = nn.LSTMCell(width, network.architecture.hidden)
        found = network.rnn.state_dict()
        cell.load_state_dict({name: found[f"{name}_l{layer}"] for name in cell.state_dict()})
        cells.append(cell)
    return cells


def several() -> list[Row]:
    """One stream from several networks, which takes as long as each of them in turn, at most."""
    rows = []
    for hidden, count in product(SIZES, (2, 3)):
        pairing = networks(hidden)
        weights = {name: each.numpy() for name, each in pairing.network.state_dict().items()}
        model = numpy_network(pairing.architecture, [weights] * count)
        pair = paired(
            lambda model=model: step_model(model),  # type: ignore[misc]
            lambda model=pairing.model: step_model(model),  # type: ignore[misc]
            ROUNDS,
        )
        rows.append(
            Row(
                f"one stream from {count} networks, hidden {hidden}, times {count}",
                micro(pair.measured / STEPS),
                micro(pair.reference / STEPS),
                count * pair.speed_up,
                target=0.9,
            )
        )
    return rows


def sampling() -> list[Row]:
    """One stream, character by character."""
    rows = []
    for hidden in SIZES:
        pairing = networks(hidden)
        network, model = pairing.network, pairing.model
        cells = cells_of(network)
        layers = (pairing.architecture.layers * 2 - 1) * 4 * hidden**2  # the first one's is a table
        floor = floor_seconds(4 * (layers + hidden * model.vocabulary_size))
        for other, target, reference in (
            ("nn.LSTM", 5.0, partial(step_lstm, network)),
            ("nn.LSTMCell", 2.5, partial(step_cells, network, cells)),
        ):
            pair = paired(partial(step_model, model), reference, ROUNDS)
            measured = pair.measured / STEPS
            rows.append(
                Row(
                    f"one stream, hidden {hidden}, against {other}",
                    micro(measured),
                    micro(pair.reference / STEPS),
                    pair.speed_up,
                    target=target,
                    note=f"floor {micro(floor)}: {measured / floor:.1f} times it",
                )
            )
    return rows


def floor_seconds(size: int) -> float:
    """How long it takes to read `size` bytes of weights, from the cache that they fit in."""
    weights = np.ones((max(1, size // 4 // FLOOR_WIDTH), FLOOR_WIDTH), np.float32)
    return statistics.median(
        seconds(partial(_read, weights)) / READS for _ in range(ROUNDS)
    )


def _read(weights: Array) -> None:
    for _ in range(READS):
        weights.dot(weights[0])


def generate_some(
    model: LanguageModel, texts: int, decoding: Mapping[str, Value] = MappingProxyType({})
) -> None:
    """STEPS characters of each of several texts, as `sample` does."""
    seeds = [(1, number) for number in range(texts)]
    decoder = Decoder.of(decoding, _ids, model.vocabulary_size)
    for _ in generate(model, np.empty(0, np.int64), decoder, seeds, STEPS):
        pass


def _ids(text: str) -> Array:
    """Some ids of a text."""
    return np.frombuffer(text.encode("ascii"), np.uint8) % VOCABULARY


def strategies() -> list[Row]:
    """`sample` with each strategy against none; a search, which draws nothing, is left out."""
    model = networks(DEFAULTS.hidden, VOCABULARY).model
    plain = partial(generate_some, model, 1, {"temperature": 1.0})
    rows = []
    for name, value in STRATEGY_VALUES.items():
        decoding = {"temperature": 1.0, name: value}
        pair = paired(partial(generate_some, model, 1, decoding), plain, ROUNDS)
        rows.append(
            Row(
                f"one stream, {Parameter(name).option}, hidden {DEFAULTS.hidden}",
                micro(pair.measured / STEPS),
                micro(pair.reference / STEPS),
                pair.speed_up,
                target=0.7,
            )
        )
    return rows


def many_streams() -> list[Row]:
    """`sample --num 64`."""
    rows = []
    for hidden in (SIZES[0], DEFAULTS.hidden):
        model = networks(hidden).model
        pair = paired(
            partial(generate_some, model, TOGETHER), partial(generate_some, model, 1), ROUNDS
        )
        step = paired(partial(generate_some, model, 1), partial(step_model, model), ROUNDS)
        rows += [
            Row(
                f"sample --num {TOGETHER} against one stream, hidden {hidden}",
                rate(TOGETHER * STEPS, pair.measured),
                rate(STEPS, pair.reference),
                pair.speed_up * TOGETHER,
                target=8,
            ),
            Row(
                f"one stream, sampled against only computed, hidden {hidden}",
                micro(step.measured / STEPS),
                micro(step.reference / STEPS),
                step.speed_up,
            ),
        ]
    return rows


def lines(count: int) -> Documents:
    """Lines, with EOS, as ids of their own vocabulary."""
    corpus = text(80 * count).split("\n")[:count]
    vocabulary = Vocabulary.from_text("".join(corpus))
    return documents_of(
        [np.append(vocabulary.encode(line), EOS) for line in corpus], with_eos=True
    )


@torch.inference_mode()
def score_one_by_one(network: Network, documents: Documents) -> list[float]:
    """Each line through nn.LSTM by itself."""
    scores = []
    for start, length in zip(documents.starts, documents.lengths, strict=True):
        targets = torch.from_numpy(documents.ids[start : start + length].astype(np.int64))
        inputs = torch.cat([torch.tensor([EOS]), targets[:-1]])
        logits, _ = network(inputs[None], network.initial_state(1))
        chosen = logits[0].log_softmax(-1).gather(1, targets[:, None])
        scores.append(float(chosen.sum()))
    return scores


@torch.inference_mode()
def score_step_by_step(network: Network, documents: Documents) -> list[float]:
    """Each line by itself, one character a call."""
    scores = []
    for start, length in zip(documents.starts, documents.lengths, strict=True):
        state, token, total = network.initial_state(1), EOS, 0.0
        for target in documents.ids[start : start + length].tolist():
            logits, state = network(torch.tensor([[token]]), state)
            total += float(logits[0, 0].log_softmax(-1)[target])
            token = target
        scores.append(total)
    return scores


def scoring() -> list[Row]:
    """Many lines, against one by one through nn.LSTM, a line a call and a character a call."""
    rows = []
    for hidden, (count, target, rounds) in product(
        (SIZES[0], DEFAULTS.hidden), ((FEW_LINES, 5.0, 5), (MANY_LINES, 15.0, 3))
    ):
        documents = lines(count)
        pairing = networks(hidden, int(documents.ids.max()) + 1)
        for name, score, timed in (
            ("line by line", score_one_by_one, TIMED_LINES),
            ("step by step", score_step_by_step, STEPPED_LINES),
        ):
            every = np.arange(0, count, count // timed)
            sample = Documents(documents.ids, documents.starts[every], documents.lengths[every])
            pair = paired(
                partial(score_documents, pairing.model, documents),
                partial(score, pairing.network, sample),
                rounds,
                warm=False,
            )
            rows.append(
                Row(
                    f"scoring {count:,} lines, hidden {hidden}, against nn.LSTM {name}",
                    rate(documents.characters, pair.measured),
                    rate(sample.characters, pair.reference),
                    pair.speed_up * documents.characters / sample.characters,
                    target=target if name == "line by line" else None,
                    note=f"{documents.lengths.min()} to {documents.lengths.max()} characters",
                )
            )
    return rows


def mixture() -> list[Row]:
    """One stream of the mixture, and what the n-gram model's part of it costs."""
    found = checkpoint(MEGABYTE, with_ngram=True)
    assert found.ngram is not None
    assert found.exponents is not None
    network = networks(DEFAULTS.hidden, len(found.vocabulary)).model
    ngram = NgramModel(found.ngram)
    mixed = Mixture(network, ngram, found.exponents)
    pair = paired(lambda: generate_some(mixed, 1), lambda: generate_some(network, 1), ROUNDS)
    step = paired(lambda: step_model(ngram), lambda: step_model(network), ROUNDS)
    return [
        Row(
            f"mixture's single stream against the network alone, hidden {DEFAULTS.hidden}",
            rate(STEPS, pair.measured),
            rate(STEPS, pair.reference),
            pair.speed_up,
            target=0.4,
        ),
        Row(
            "n-gram model's step against the network's",
            micro(step.measured / STEPS),
            micro(step.reference / STEPS),
            step.speed_up,
        ),
    ]
