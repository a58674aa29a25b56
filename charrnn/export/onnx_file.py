"""Write a model's network as ONNX: one step, state in and out.

Inputs: `token` (B,) int64, and for each layer and array of its cell's state one of shape (B, H):
`state.0.0`, `state.0.1` and so on, of further networks `networks.1.state.0.0` and so on; at the
beginning of a text, token 1 and zeros. Outputs: `log_probabilities` (B, V) of the next character,
in nats, and the new state under the same names with `next.` before them. The metadata have the
vocabulary, so that no other file is needed.

Axes: B texts, V vocabulary entries, H hidden units, E width of a character's vector, G gates.
"""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.arrays import Array
from charrnn.errors import CharRNNError, SettingsError
from charrnn.export.facts import facts_of
from charrnn.models.architecture import Architecture
from charrnn.models.cells import CEILING, CELLS
from charrnn.models.checkpoint import Checkpoint
from charrnn.models.ensemble import numpy_network
from charrnn.models.members import prefix
from charrnn.storage.files import write_atomically
from charrnn.storage.tensor_file import canonical_json
from charrnn.text.vocabulary import EOS, UNK

OPSET = 17
IR_VERSION = 8
"""Old enough for every ONNX Runtime of the last years."""
CHECKED = 200
TOLERANCE = 1e-4
"""A file is written only if its log-probabilities of CHECKED characters are so close to NumPy's."""
METADATA_KEY = "charrnn"
ORDER = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2), "rnn": (0,), "rnn-relu": (0,)}
"""Cell -> torch's gates in ONNX's order: i, o, f, c for LSTM; z, r, h for GRU."""
OPERATORS: dict[str, tuple[str, dict[str, Any]]] = {
    "lstm": ("LSTM", {}),
    "gru": ("GRU", {"linear_before_reset": 1}),  # the reset gate applies after the product
    "rnn": ("RNN", {}),
    "rnn-relu": ("RNN", {"activations": ["Relu"], "clip": CEILING}),
}


def write_onnx(path: Path, checkpoint: Checkpoint) -> None:
    """Write the network of `checkpoint` to `path` atomically, after comparing it with NumPy.

    Raises:
        SettingsError: there is no network, or onnx or onnxruntime is not installed.
        CharRNNError: ONNX Runtime computes something else.
        OutputError: the file cannot be written; an older one is intact.
    """
    data = onnx_bytes(checkpoint)
    check_against_numpy(data, checkpoint)
    write_atomically(path, data)


def onnx_bytes(checkpoint: Checkpoint) -> bytes:
    """The network as the bytes of an ONNX file; equal networks give equal bytes."""
    architecture = checkpoint.architecture
    if architecture is None:
        raise SettingsError("ONNX holds networks only, and this model is an n-gram model")
    onnx = _library("onnx")
    graph = _Graph(onnx, checkpoint, architecture)
    model = onnx.helper.make_model(
        graph.build(),
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="charrnn",
    )
    onnx.helper.set_model_props(model, {METADATA_KEY: canonical_json(metadata(checkpoint))})
    onnx.checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def metadata(checkpoint: Checkpoint) -> dict[str, Any]:
    """What a user of the file has to know: ids, and when a text ends."""
    return {
        "vocabulary": checkpoint.vocabulary.code_points,  # of ids 2, 3, ...
        "unknown": UNK,
        "end_of_text": EOS,
        "lines": checkpoint.lines,
        "description": facts_of(replace(checkpoint, ngram=None, exponents=None)).description,
    }


class _Graph:
    """The graph of one step."""

    def __init__(self, onnx: Any, checkpoint: Checkpoint, architecture: Architecture) -> None:
        self._onnx = onnx
        self._networks = checkpoint.networks
        self._weights = checkpoint.weights
        self._architecture = architecture
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._inputs = [self._value("token", ["B"], onnx.TensorProto.INT64)]
        self._outputs: list[Any] = []

    def build(self) -> Any:
        """The graph."""
        V = self._architecture.vocabulary_size
        logits = [self._network(prefix(number)) for number in range(self._networks)]
        mean = self._node("Mean", logits, "mean") if len(logits) > 1 else logits[0]
        self._node("LogSoftmax", [mean], "log_probabilities", axis=-1)
        first = self._value("log_probabilities", ["B", V])
        return self._onnx.helper.make_graph(
            self._nodes, "step", self._inputs, [first, *self._outputs], self._constants
        )

    def _network(self, own: str) -> str:
        """The network whose names begin with `own` -> the name of its logits (B, V)."""
        embedding = self._weight(f"{own}embedding.weight")
        below = self._node("Gather", [embedding, "token"], f"{own}embedded")
        for layer in range(self._architecture.layers):
            below = self._layer(own, layer, below)
        below = self._output_layers(own, below)
        parts = self._weight(f"{own}output.weight"), self._weight(f"{own}output.bias")
        return self._node("Gemm", [below, *parts], f"{own}logits", transB=1)

    def _layer(self, own: str, layer: int, below: str) -> str:
        """One layer -> the name of its output (B, H)."""
        H = self._architecture.hidden
        operator, options = OPERATORS[self._architecture.cell]
        states = CELLS[self._architecture.cell].states
        names = [f"{own}state.{layer}.{part}" for part in range(states)]
        first = self._constant("axis", np.array([0]))
        before = []
        for name in names:
            self._inputs.append(self._value(name, ["B", H]))
            before.append(self._node("Unsqueeze", [name, first], f"{name}.before"))
        inputs = [self._node("Unsqueeze", [below, first], f"{below}.sequence")]
        inputs += [
            self._constant(f"{own}{kind}.{layer}", self._gates(own, kind, layer)[None])
            for kind in ("weight_ih", "weight_hh")
        ]
        biases = [self._gates(own, kind, layer) for kind in ("bias_ih", "bias_hh")]
        inputs.append(self._constant(f"{own}bias.{layer}", np.concatenate(biases)[None]))
        after = [f"{name}.after" for name in names]
        self._nodes.append(
            self._onnx.helper.make_node(
                operator, [*inputs, "", *before], ["", *after], hidden_size=H, **options
            )
        )
        for name, new in zip(names, after, strict=True):
            self._node("Squeeze", [new, first], f"next.{name}")
            self._outputs.append(self._value(f"next.{name}", ["B", H]))
        return f"next.{names[0]}"

    def _output_layers(self, own: str, below: str) -> str:
        """The feed-forward layers -> the name of the last one's output."""
        width = self._architecture.hidden
        for layer in range(self._architecture.output_layers):
            name = f"{own}output_layers.{layer}"
            parts = self._weight(f"{name}.weight"), self._weight(f"{name}.bias")
            product = self._node("Gemm", [below, *parts], f"{name}.product", transB=1)
            above = self._node("Tanh", [product], f"{name}.tanh")
            if width == self._architecture.output_hidden:
                above = self._node("Add", [above, below], name)
            below, width = above, self._architecture.output_hidden
        return below

    def _gates(self, own: str, kind: str, layer: int) -> Array:
        """A layer's weights with the gates in ONNX's order."""
        weight = self._weights[f"{own}rnn.{kind}_l{layer}"]
        gates = weight.reshape(-1, self._architecture.hidden, *weight.shape[1:])
        ordered: Array = gates[list(ORDER[self._architecture.cell])].reshape(weight.shape)
        return ordered

    def _weight(self, name: str) -> str:
        return self._constant(name, self._weights[name])

    def _constant(self, name: str, array: Array) -> str:
        if all(each.name != name for each in self._constants):
            contiguous = np.ascontiguousarray(array)
            self._constants.append(self._onnx.numpy_helper.from_array(contiguous, name))
        return name

    def _node(self, operator: str, inputs: list[str], output: str, **options: Any) -> str:
        self._nodes.append(self._onnx.helper.make_node(operator, inputs, [output], **options))
        return output

    def _value(self, name: str, shape: list[int | str], kind: int | None = None) -> Any:
        kind = self._onnx.TensorProto.FLOAT if kind is None else kind
        return self._onnx.helper.make_tensor_value_info(name, kind, shape)


def check_against_numpy(data: bytes, checkpoint: Checkpoint) -> None:
    """Compare the ONNX file `data` with NumPy, over CHECKED characters.

    Raises:
        SettingsError: onnxruntime is not installed.
        CharRNNError: they differ by more than TOLERANCE in a log-probability.
    """
    assert checkpoint.architecture is not None
    runtime = _library("onnxruntime")
    session = runtime.InferenceSession(data, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()][1:]
    hidden = checkpoint.architecture.hidden
    state = {name: np.zeros((1, hidden), np.float32) for name in names}
    network = numpy_network(checkpoint.architecture, checkpoint.members())
    expected_state = network.initial_state(1)
    random = np.random.default_rng(0)
    token = np.array([EOS])
    for _ in range(CHECKED):
        found, *after = session.run(None, {"token": token, **state})
        state = dict(zip(names, after, strict=True))
        expected, expected_state = network.step(token, expected_state)
        difference = float(np.abs(found - expected).max())
        if not difference <= TOLERANCE:
            raise CharRNNError(
                f"ONNX Runtime computes log-probabilities that differ by {difference:.2g} from "
                "this network's; export it as .safetensors or .html"
            )
        token = random.integers(EOS + 1, network.vocabulary_size, 1)


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise SettingsError(
            f"ONNX needs the library {name}; install it with: pip install 'charrnn[onnx]'"
        ) from None
