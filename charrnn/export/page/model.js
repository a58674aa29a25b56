// The whole model: networks, an n-gram model, or both (charrnn/models/mixture.py), and its characters.

const UNK = 0;
const EOS = 1;
const UNKNOWN_CHARACTER = "\uFFFD";

class Model {
  /**
   * @param facts what the page says of the model: vocabulary, lines, ...
   * @param network a Network, an Ensemble, or null. @param ngram or null.
   * @param exponents of the mixture: for each length of known context, the network's and the n-gram
   *   model's; null unless there are both.
   */
  constructor(facts, network, ngram, exponents) {
    this.network = network;
    this.ngram = ngram;
    this.exponents = exponents;
    this.lines = facts.lines;
    this.characters = ["", "", ...facts.vocabulary.map((point) => String.fromCodePoint(point))];
    this.ids = new Map(this.characters.slice(2).map((character, i) => [character, i + 2]));
    this.size = this.characters.length;
    this.probabilities = new Float64Array(this.size); // the n-gram model's, until the next step
  }

  /** The ids of the characters (code points) of `text`; unknown ones are UNK. */
  encode(text) {
    return Array.from(text, (character) => this.ids.get(character) ?? UNK);
  }

  /** The character `id`; UNK and the end of the text get signs of their own. */
  character(id) {
    return id === UNK ? UNKNOWN_CHARACTER : this.characters[id];
  }

  /** What is remembered before the first character; feed EOS first. */
  initialState() {
    return {
      network: this.network && this.network.initialState(),
      ngram: this.ngram && this.ngram.initialState(),
    };
  }

  /** Read the character `id`: changes `state`. @returns log-probabilities (V) in nats of the next. */
  step(id, state) {
    const result = new Float32Array(this.size);
    if (this.network) {
      result.set(this.network.step(id, state.network));
      normalise(result);
    }
    if (this.ngram) {
      state.ngram = this.ngram.step(id, state.ngram);
      this.ngram.predict(state.ngram, this.probabilities);
      this.mix(result, this.ngram.matched(state.ngram));
    }
    return result;
  }

  /** Mix the n-gram model's probabilities into the network's, of which there may be none. */
  mix(result, matched) {
    const { probabilities } = this;
    if (!this.network) {
      for (let id = 0; id < this.size; id++) result[id] = Math.log(probabilities[id]);
      return;
    }
    const a = this.exponents[2 * matched];
    const b = this.exponents[2 * matched + 1];
    for (let id = 0; id < this.size; id++) result[id] = a * result[id] + b * Math.log(probabilities[id]);
    normalise(result);
  }
}

/** Subtract from `logits` the logarithm of the sum of their exponentials. */
function normalise(logits) {
  let peak = -Infinity;
  for (const each of logits) if (each > peak) peak = each;
  let total = 0;
  for (const each of logits) total += Math.exp(each - peak);
  const shift = peak + Math.log(total);
  for (let i = 0; i < logits.length; i++) logits[i] -= shift;
}

/** The model that `facts` describe, from the page's base64 `text`; a generator. */
function* makeModel(facts, text) {
  const arrays = yield* decodeArrays(text, facts.arrays);
  const network = facts.network && makeNetwork(facts.network, facts.networks, arrays);
  const ngram = facts.ngram && (yield* makeNgram(facts.ngram, arrays));
  return new Model(facts, network, ngram, arrays["mixture.exponents"] ?? null);
}
