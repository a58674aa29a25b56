// The n-gram model: interpolated modified Kneser-Ney, from the counts that a checkpoint stores.
//
// The formulas are those of charrnn/models/ngram.py. The n-grams form a trie, one flat level per
// order; an n-gram's children (its continuations by one character) are contiguous and sorted.
// Contexts are numbered through all levels; the last number stands for every unseen context.
// A state is the contexts that a text ends with, longest first.

const SLICE_NGRAMS = 1 << 14;

class Ngram {
  /** @param order length of the longest n-grams; @param size V. Filled by `makeNgram`. */
  constructor(order, size) {
    this.order = order;
    this.size = size;
  }

  initialState() {
    return new Array(this.order - 1).fill(this.unseen);
  }

  /** Read the character `id` after `state`: the new state. */
  step(id, state) {
    const next = new Array(this.order - 1);
    for (let i = 0; i < next.length - 1; i++) next[i] = this.continuation(state[i + 1], id);
    if (next.length > 0) next[next.length - 1] = id; // the context of one character is its number
    return next;
  }

  /** The context that consists of `context` and the character `id`. */
  continuation(context, id) {
    let low = this.first[context];
    let high = this.first[context + 1];
    const end = high;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.character[middle] < id) low = middle + 1;
      else high = middle;
    }
    const found = low < end && this.character[low] === id;
    return found ? Math.min(low + this.size, this.unseen) : this.unseen;
  }

  /** How many of the contexts were ever continued: the length of the longest known one. */
  matched(state) {
    return state.filter((context) => this.first[context + 1] > this.first[context]).length;
  }

  /** Probabilities (V) of every character after `state`, into `result`. */
  predict(state, result) {
    result.set(this.unigram);
    for (let i = state.length - 1; i >= 0; i--) {
      const context = state[i];
      const gamma = this.gamma[context];
      if (gamma !== 1) for (let id = 0; id < result.length; id++) result[id] *= gamma;
      for (let place = this.first[context]; place < this.first[context + 1]; place++) {
        result[this.character[place]] += this.probability[place];
      }
    }
  }
}

/** The model whose counts are in `arrays`; `description` has its order, sizes and discounts. */
function* makeNgram({ order, vocabulary_size: size, ngrams, discounts }, arrays) {
  const model = new Ngram(order, size);
  model.unseen = ngrams.slice(0, -1).reduce((a, b) => a + b, 0);
  const contexts = model.unseen;
  const places = ngrams.slice(1).reduce((a, b) => a + b, 0);
  model.first = new Uint32Array(contexts + 2); // the children of context c: first[c] to first[c + 1]
  model.gamma = new Float32Array(contexts + 1).fill(1); // weight of the shorter context
  const Ids = size <= 1 << 8 ? Uint8Array : size <= 1 << 16 ? Uint16Array : Uint32Array;
  model.character = new Ids(places);
  model.probability = new Float32Array(places); // without what the shorter contexts add
  model.unigram = unigramProbabilities(arrays["ngram.1.count"], discounts[0]);
  let context = 0;
  let place = 0;
  for (let k = 1; k < order; k++) {
    const children = arrays[`ngram.${k}.children`];
    const dropped = arrays[`ngram.${k}.dropped`];
    const character = arrays[`ngram.${k + 1}.character`];
    const count = arrays[`ngram.${k + 1}.count`];
    const start = place;
    const table = [0, ...discounts[k]];
    for (let i = 0; i < children.length; i++, context++) {
      let total = dropped ? dropped[i] : 0;
      let left = total;
      model.first[context] = place;
      for (const end = place + children[i]; place < end; place++) {
        const seen = count[place - start];
        const taken = table[Math.min(seen, 3)];
        total += seen;
        left += taken;
        model.character[place] = character[place - start];
        model.probability[place] = seen - taken;
      }
      if (total > 0) {
        for (let child = model.first[context]; child < place; child++) model.probability[child] /= total;
        model.gamma[context] = left / total;
      }
      if (context % SLICE_NGRAMS === 0) yield;
    }
  }
  model.first[contexts] = place;
  model.first[contexts + 1] = place;
  return model;
}

/** Probabilities (V) after the empty context, interpolated with the uniform distribution. */
function unigramProbabilities(counts, discounts) {
  const table = [0, ...discounts];
  const total = counts.reduce((a, b) => a + b, 0);
  const taken = counts.reduce((a, count) => a + table[Math.min(count, 3)], 0);
  const uniform = total > 0 ? taken / total : 1;
  return Float64Array.from(
    counts,
    (count) => (count - table[Math.min(count, 3)]) / Math.max(total, 1) + uniform / counts.length,
  );
}
