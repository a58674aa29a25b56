"""The page's program against NumPy, in a JavaScript engine without a browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from py_mini_racer import MiniRacer, mini_racer

from charrnn.api import TrainedModel
from charrnn.export.smaller import halve
from charrnn.export.web_page import MODEL_SCRIPTS, page, source
from charrnn.models.cells import CELLS
from charrnn.models.checkpoint import Checkpoint
from charrnn.models.loading import load_model
from charrnn.models.numpy_rnn import NumpyRNN
from charrnn.text.vocabulary import EOS, UNK
from tests.export.support import LATIN, WORLD, greedy, model_of, part, wider
from tests.support import Trained

KINDS = [
    *((cell, ngram) for cell in CELLS for ngram in (False, True)),
    (None, True),
]


class Engine:
    """The page's program with one model."""

    def __init__(self, context: MiniRacer) -> None:
        self._context = context
        context.eval("\n".join(source(f"{name}.js") for name in MODEL_SCRIPTS))

    def load(self, checkpoint: Checkpoint) -> None:
        made = page(checkpoint)
        facts, data = part(made, "model-facts"), part(made, "model-data")
        self._context.eval(f"var model = finish(makeModel({facts}, {json.dumps(data)})); 0")

    def run(self, program: str, **values: Any) -> Any:
        """What the body of a function of these values returns."""
        names, given = ", ".join(values), ", ".join(map(json.dumps, values.values()))
        called = f"(({names}) => {{ {program} }})({given})"
        text = self._context.eval(f"JSON.stringify({called} ?? null)")
        return json.loads(str(text))

    def read(self, text: str) -> Any:
        """The log-probabilities of what comes at each place (T, V)."""
        rows = self.run(
            "const rows = []; "
            "finish(read(model, text, (id, each) => rows.push(Array.from(each)))); return rows",
            text=text,
        )
        return np.array(rows)

    def write(self, **settings: Any) -> list[int]:
        defaults = {"prime": "", "temperature": 1, "topP": 1, "seed": 1, "length": 50}
        ids: list[int] = self.run(
            "const ids = []; finish(write(model, settings, (id) => ids.push(id))); return ids",
            settings={**defaults, **settings},
        )
        return ids


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with mini_racer() as context:
        yield Engine(context)


@pytest.mark.parametrize(("cell", "ngram"), KINDS)
@pytest.mark.parametrize("half", [False, True])
def test_log_probabilities_are_those_of_numpy(
    cell: str | None, ngram: bool, half: bool, engine: Engine
) -> None:
    checkpoint = model_of(WORLD, cell, ngram=ngram)
    if half and cell:
        checkpoint = halve(checkpoint)
    engine.load(checkpoint)
    given = WORLD[:150] + "☃"  # which the model does not know
    model = load_model(checkpoint)
    ids = np.append(EOS, checkpoint.vocabulary.encode(given))[None, :-1]
    expected = model.forward(ids, model.initial_state(1))[0][0]
    np.testing.assert_allclose(engine.read(given), expected, atol=1e-3)


@pytest.mark.parametrize(("cell", "ngram"), KINDS)
def test_the_most_probable_text_is_that_of_numpy(
    cell: str | None, ngram: bool, engine: Engine
) -> None:
    checkpoint = model_of(WORLD, cell, ngram=ngram, seed=5)
    engine.load(checkpoint)
    written = engine.write(temperature=0, length=300)
    assert written == greedy(checkpoint, load_model(checkpoint), 300)


def test_a_trained_model_writes_what_the_command_line_writes(
    prose_model: Trained, names_model: Trained, engine: Engine
) -> None:
    for trained in (prose_model, names_model):
        model = TrainedModel.open(trained.run)
        engine.load(model.checkpoint)
        text = model.sample(length=500, argmax=True, seed=1)[0]
        assert model.vocabulary.decode(engine.write(temperature=0, length=500)) == text
        scored = model.score_characters([text[:100]])[0].log_probabilities
        rows = engine.read(text[:100])
        ids = [*model.vocabulary.encode(text[:100]), EOS]
        found = [row[each] for row, each in zip(rows, ids, strict=False)]
        np.testing.assert_allclose(found, scored, atol=1e-3)


def test_every_cell_is_in_the_page(engine: Engine) -> None:
    assert set(CELLS) <= set(engine.run("return Object.keys(CELLS)"))
    for name, cell in CELLS.items():
        sizes = engine.run("return [CELLS[name].gates, CELLS[name].states]", name=name)
        assert sizes == [len(cell.gates), cell.states]


@pytest.mark.parametrize("layers", [1, 3])
def test_any_number_of_layers(layers: int, engine: Engine) -> None:
    checkpoint = model_of(LATIN, "gru", layers=layers)
    engine.load(checkpoint)
    model = load_model(checkpoint)
    assert engine.write(temperature=0, length=100) == greedy(checkpoint, model, 100)


def assert_computes_as_numpy(engine: Engine, checkpoint: Checkpoint) -> None:
    engine.load(checkpoint)
    model = load_model(checkpoint)
    ids = np.append(EOS, checkpoint.vocabulary.encode(LATIN[:99]))[None]
    expected = model.forward(ids[:, :-1], model.initial_state(1))[0][0]
    np.testing.assert_allclose(engine.read(LATIN[:99]), expected, atol=1e-3)
    assert engine.write(temperature=0, length=100) == greedy(checkpoint, model, 100)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("width", [10, 7])
def test_output_layers_are_those_of_numpy(cell: str, width: int, engine: Engine) -> None:
    checkpoint = wider(model_of(LATIN, cell, output_layers=2), width)
    assert_computes_as_numpy(engine, checkpoint)


@pytest.mark.parametrize("networks", [2, 3])
@pytest.mark.parametrize("ngram", [False, True])
def test_several_networks_are_the_average_of_numpy(
    networks: int, ngram: bool, engine: Engine
) -> None:
    checkpoint = model_of(LATIN, "gru", ngram=ngram, output_layers=1, networks=networks)
    assert_computes_as_numpy(engine, checkpoint)


# --- drawing


def test_the_same_seed_writes_the_same_text(engine: Engine) -> None:
    engine.load(model_of(LATIN, ngram=True))
    texts = [engine.write(seed=seed) for seed in (1, 1, 2, 2**32 - 1)]
    assert texts[0] == texts[1]
    assert len({tuple(text) for text in texts}) == 3


def test_characters_are_drawn_with_their_probabilities(engine: Engine) -> None:
    counts = engine.run(
        "const random = randomNumbers(7); const counts = [0, 0, 0, 0, 0]; "
        "const given = [0.3, 0.2, 0.4, 0.1, 0].map(Math.log); "
        "for (let i = 0; i < 20000; i++) counts[choose(given, 1, 1, true, random)] += 1; "
        "return counts"
    )
    shares = np.array(counts) / 20_000  # UNK is never drawn
    np.testing.assert_allclose(shares, [0, 0.2 / 0.7, 0.4 / 0.7, 0.1 / 0.7, 0], atol=0.015)


@pytest.mark.parametrize(
    ("temperature", "top_p", "may_end", "possible"),
    [
        (0, 1, True, {1}),
        (0, 1, False, {2}),
        (1, 0, True, {1}),
        (1, 0.7, True, {1, 2}),
        (1, 0.9, True, {1, 2, 3}),
        (1, 0.7, False, {2, 3}),
        (1e-9, 1, True, {1}),
        (10, 1, True, {1, 2, 3, 4}),
    ],
)
def test_what_may_be_drawn(
    temperature: float, top_p: float, may_end: bool, possible: set[int], engine: Engine
) -> None:
    drawn = engine.run(
        "const random = randomNumbers(3); "
        "const given = [0.2, 0.4, 0.2, 0.15, 0.05].map(Math.log); "
        "return Array.from({length: 400}, () => choose(given, t, p, end, random))",
        t=temperature,
        p=top_p,
        end=may_end,
    )
    assert set(drawn) == possible


def test_a_model_of_lines_ends_its_texts_and_predicts_their_ends(engine: Engine) -> None:
    checkpoint = replace(model_of(LATIN, None, ngram=True), lines=True)
    engine.load(checkpoint)
    lengths = {len(engine.write(seed=seed, length=2000)) for seed in range(5)}
    assert max(lengths) < 2000
    assert EOS not in engine.write(length=100)
    assert len(engine.read("It was")) == 7


def test_alternatives_are_the_most_probable(engine: Engine) -> None:
    found = engine.run("return alternatives(given, 3)", given=[-3.0, -1.0, -2.0, -1.0, -9.0])
    assert [each["id"] for each in found] == [1, 3, 2]
    assert engine.run("return alternatives([-1], 3)") == [{"id": 0, "logProbability": -1}]


def test_unknown_characters_are_shown_as_such(engine: Engine) -> None:
    engine.load(model_of("ab"))
    assert engine.run("return model.encode('a☃b👩')") == [2, UNK, 3, UNK]
    assert engine.run("return [0, 1, 2].map((id) => model.character(id))") == ["\ufffd", "", "a"]


# --- looking inside


@pytest.mark.parametrize("networks", [1, 2])
def test_activations_are_the_hidden_states_of_numpy(networks: int, engine: Engine) -> None:
    """Of several networks, all layers of the first, then those of the second."""
    checkpoint = model_of(LATIN, "lstm", networks=networks)
    assert checkpoint.architecture is not None
    engine.load(checkpoint)
    found = np.array(engine.run(
        "return finish(activations(model, text)).map((layer) => layer.map((each) => [...each]))",
        text=LATIN[:30],
    ))
    expected = []
    for weights in checkpoint.members():
        network: Any = NumpyRNN(checkpoint.architecture, weights)
        state = network.initial_state(1)
        rows = []
        for each in (EOS, *checkpoint.vocabulary.encode(LATIN[:30])):
            _, state = network.step(np.array([each]), state)
            rows.append([layer[0][0] for layer in state])
        expected += [*np.array(rows[1:]).transpose(1, 2, 0)]
    np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize(
    ("feature", "text", "series"),
    [
        ("inside quotation marks", 'a "b" c', [0, 0, 1, 1, 0, 0, 0]),
        ("inside quotation marks", "“b”c", [1, 1, 0, 0]),
        ("inside brackets", "a(b[c])]d", [0, 1, 1, 2, 2, 1, 0, 0, 0]),
        ("capital letters", "aBÉ1.", [0, 1, 1, 0, 0]),
        ("position in the line", "ab\nc", [1, 2, 0, 1]),
        ("position in the word", "ab é1.", [1, 2, 0, 1, 2, 0]),
        ("digits", "a1²", [0, 1, 1]),
    ],
)
def test_features_are_what_their_names_say(
    feature: str, text: str, series: list[int], engine: Engine
) -> None:
    program = "return FEATURES[feature](Array.from(text))"
    assert engine.run(program, feature=feature, text=text) == series


def test_a_unit_that_follows_capitals_is_found(engine: Engine) -> None:
    text = "Now IS the Time"
    capitals = [float(each.isupper()) for each in text]
    noise = [float(place % 3) for place in range(len(text))]
    found = engine.run(
        "return finish(namedUnits([[noise, capitals.map((each) => -each)]], text))",
        noise=noise, capitals=capitals, text=text,
    )
    assert (found[0]["feature"], found[0]["layer"], found[0]["unit"]) == ("capital letters", 0, 1)
    assert found[0]["correlation"] == pytest.approx(-1)


# --- arrays


def test_half_precision_is_decoded_exactly(engine: Engine) -> None:
    bits = np.arange(1 << 16, dtype=np.uint16)
    values = bits.view(np.float16)
    finite = np.isfinite(values)
    found = engine.run("return [...finish(fromHalf(bits))]", bits=bits[finite].tolist())
    np.testing.assert_array_equal(found, values[finite].astype(np.float64))


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 255])
def test_base64_is_decoded(size: int, engine: Engine) -> None:
    import base64

    data = bytes(range(size))[::-1]
    text = base64.b64encode(data).decode()
    assert engine.run("return [...finish(decodeBase64(text))]", text=text) == list(data)
