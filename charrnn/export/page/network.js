// The recurrent network: embedding, layers of cells, feed-forward layers, linear output.
//
// The formulas are those of charrnn/models/cells.py; gates and weight names are torch's.
// Sizes: V characters, H hidden units, G gates.

function sigmoid(x) {
  return 1 / (1 + Math.exp(-x));
}

// One step of each kind of cell: (input part (G * H), recurrent part (G * H), state), both parts with
// their biases. The state, arrays (H), is changed in place; its first array is the cell's output.
const CELLS = {
  lstm: {
    gates: 4,
    states: 2,
    step(input, recurrent, [hidden, memory]) {
      const H = hidden.length;
      for (let i = 0; i < H; i++) {
        const open = sigmoid(input[i] + recurrent[i]);
        const keep = sigmoid(input[H + i] + recurrent[H + i]);
        const candidate = Math.tanh(input[2 * H + i] + recurrent[2 * H + i]);
        memory[i] = keep * memory[i] + open * candidate;
        hidden[i] = sigmoid(input[3 * H + i] + recurrent[3 * H + i]) * Math.tanh(memory[i]);
      }
    },
  },
  gru: {
    gates: 3,
    states: 1,
    step(input, recurrent, [hidden]) {
      const H = hidden.length;
      for (let i = 0; i < H; i++) {
        const reset = sigmoid(input[i] + recurrent[i]);
        const keep = sigmoid(input[H + i] + recurrent[H + i]);
        const candidate = Math.tanh(input[2 * H + i] + reset * recurrent[2 * H + i]);
        hidden[i] = candidate + keep * (hidden[i] - candidate);
      }
    },
  },
  rnn: {
    gates: 1,
    states: 1,
    step(input, recurrent, [hidden]) {
      for (let i = 0; i < hidden.length; i++) hidden[i] = Math.tanh(input[i] + recurrent[i]);
    },
  },
  "rnn-relu": {
    gates: 1,
    states: 1,
    step(input, recurrent, [hidden]) {
      for (let i = 0; i < hidden.length; i++) {
        hidden[i] = Math.min(Math.max(input[i] + recurrent[i], 0), 1e15);
      }
    },
  },
};

/**
 * result = bias + matrix (rows, columns) times vector. Eight rows at a time: each number of the vector
 * is loaded once for all of them, and the sums do not wait for one another.
 */
function product(result, matrix, vector, bias) {
  const rows = result.length;
  const columns = vector.length;
  const together = rows - (rows % 8);
  let row = 0;
  for (; row < together; row += 8) {
    const at = row * columns;
    let a = bias[row];
    let b = bias[row + 1];
    let c = bias[row + 2];
    let d = bias[row + 3];
    let e = bias[row + 4];
    let f = bias[row + 5];
    let g = bias[row + 6];
    let h = bias[row + 7];
    for (let i = 0; i < columns; i++) {
      const factor = vector[i];
      a += matrix[at + i] * factor;
      b += matrix[at + columns + i] * factor;
      c += matrix[at + 2 * columns + i] * factor;
      d += matrix[at + 3 * columns + i] * factor;
      e += matrix[at + 4 * columns + i] * factor;
      f += matrix[at + 5 * columns + i] * factor;
      g += matrix[at + 6 * columns + i] * factor;
      h += matrix[at + 7 * columns + i] * factor;
    }
    result[row] = a;
    result[row + 1] = b;
    result[row + 2] = c;
    result[row + 3] = d;
    result[row + 4] = e;
    result[row + 5] = f;
    result[row + 6] = g;
    result[row + 7] = h;
  }
  for (; row < rows; row++) {
    const at = row * columns;
    let sum = bias[row];
    for (let i = 0; i < columns; i++) sum += matrix[at + i] * vector[i];
    result[row] = sum;
  }
}

class Network {
  /**
   * @param architecture cell, embedding, hidden, layers, output_layers, vocabulary_size.
   * @param weight gives a weight by its name.
   */
  constructor(architecture, weight) {
    const { cell, hidden, layers, output_layers, embedding, vocabulary_size: V } = architecture;
    this.cell = CELLS[cell];
    this.hidden = hidden;
    this.embedding = embedding;
    this.characters = weight("embedding.weight"); // (V, E)
    this.output = weight("output.weight"); // (V, H)
    this.outputBias = weight("output.bias");
    this.layers = [];
    for (let k = 0; k < layers; k++) {
      this.layers.push({
        input: weight(`rnn.weight_ih_l${k}`),
        recurrent: weight(`rnn.weight_hh_l${k}`),
        inputBias: weight(`rnn.bias_ih_l${k}`),
        recurrentBias: weight(`rnn.bias_hh_l${k}`),
      });
    }
    this.outputLayers = [];
    for (let k = 0; k < output_layers; k++) {
      const bias = weight(`output_layers.${k}.bias`);
      const above = new Float32Array(bias.length);
      this.outputLayers.push({ weight: weight(`output_layers.${k}.weight`), bias, above });
    }
    this.inputPart = new Float32Array(this.cell.gates * hidden);
    this.recurrentPart = new Float32Array(this.cell.gates * hidden);
    this.logits = new Float32Array(V);
    this.firstLayer = new Array(V); // the first layer's input part depends on the character alone
  }

  /** The state before the first character: for each layer, its arrays. */
  initialState() {
    return this.layers.map(() =>
      Array.from({ length: this.cell.states }, () => new Float32Array(this.hidden)),
    );
  }

  /** Read the character `id`: changes `state`, and returns the logits (V), until the next call. */
  step(id, state) {
    this.read(id, state);
    let below = state[state.length - 1][0];
    for (const { weight, bias, above } of this.outputLayers) {
      product(above, weight, below, bias);
      const residual = above.length === below.length;
      for (let i = 0; i < above.length; i++) {
        above[i] = Math.tanh(above[i]) + (residual ? below[i] : 0);
      }
      below = above;
    }
    product(this.logits, this.output, below, this.outputBias);
    return this.logits;
  }

  /** Read the character `id` without a prediction: changes `state`. */
  read(id, state) {
    let input = this.inputOf(id);
    this.layers.forEach((layer, k) => {
      if (k > 0) {
        product(this.inputPart, layer.input, state[k - 1][0], layer.inputBias);
        input = this.inputPart;
      }
      product(this.recurrentPart, layer.recurrent, state[k][0], layer.recurrentBias);
      this.cell.step(input, this.recurrentPart, state[k]);
    });
  }

  inputOf(id) {
    if (this.firstLayer[id] === undefined) {
      const part = new Float32Array(this.cell.gates * this.hidden);
      const vector = this.characters.subarray(id * this.embedding, (id + 1) * this.embedding);
      product(part, this.layers[0].input, vector, this.layers[0].inputBias);
      this.firstLayer[id] = part;
    }
    return this.firstLayer[id];
  }
}
