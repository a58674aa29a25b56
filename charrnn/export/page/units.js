// What the network's hidden units follow, in a text: Karpathy, Johnson & Fei-Fei 2015.

// What a person can name in a text: for each character, a number. They are compared with units.
const FEATURES = {
  "inside quotation marks": (characters) => {
    let inside = 0;
    return characters.map((character) => {
      if (character === "“" || character === "«") inside = 1;
      else if (character === "”" || character === "»") inside = 0;
      else if (character === '"') inside = 1 - inside;
      return inside;
    });
  },
  "inside brackets": (characters) => {
    let depth = 0;
    return characters.map((character) => {
      if ("([{".includes(character)) depth += 1;
      if (")]}".includes(character)) depth = Math.max(0, depth - 1);
      return depth;
    });
  },
  "capital letters": (characters) =>
    characters.map((each) => Number(each !== each.toLowerCase() && each === each.toUpperCase())),
  "position in the line": (characters) => {
    let column = 0;
    return characters.map((character) => (character === "\n" ? (column = 0) : ++column));
  },
  "position in the word": (characters) => {
    let place = 0;
    return characters.map((character) => (/\p{L}|\p{N}/u.test(character) ? ++place : (place = 0)));
  },
  "beginning of a line": (characters) =>
    characters.map((character, i) => Number(character === "\n" || (i > 0 && characters[i - 1] === "\n"))),
  "spaces between words": (characters) => characters.map((each) => Number(/\s/u.test(each))),
  "vowels": (characters) => characters.map((each) => Number(/[aeiouyäöüàâéèêëîïôùû]/iu.test(each))),
  "digits": (characters) => characters.map((each) => Number(/\p{N}/u.test(each))),
  "punctuation": (characters) => characters.map((each) => Number(/\p{P}/u.test(each))),
};
const WEAKEST = 0.3; // a correlation below this is not worth a look

/** Pearson's correlation of two series of equal length; 0 if one of them is constant. */
function correlation(one, other) {
  const n = one.length;
  let x = 0;
  let y = 0;
  for (let i = 0; i < n; i++) {
    x += one[i];
    y += other[i];
  }
  x /= n;
  y /= n;
  let xy = 0;
  let xx = 0;
  let yy = 0;
  for (let i = 0; i < n; i++) {
    xy += (one[i] - x) * (other[i] - y);
    xx += (one[i] - x) ** 2;
    yy += (other[i] - y) ** 2;
  }
  return xx > 0 && yy > 0 ? xy / Math.sqrt(xx * yy) : 0;
}

/**
 * The activation of every hidden unit after every character of `text`; a generator.
 *
 * @returns for each layer, for each unit, an array (T).
 */
function* activations(model, text) {
  const { network } = model;
  const state = network.initialState();
  network.read(EOS, state);
  const ids = model.encode(text);
  const found = state.map(() =>
    Array.from({ length: network.hidden }, () => new Float32Array(ids.length)),
  );
  for (let t = 0; t < ids.length; t++) {
    network.read(ids[t], state);
    state.forEach((layer, k) => layer[0].forEach((value, unit) => (found[k][unit][t] = value)));
    yield;
  }
  return found;
}

/**
 * For each feature, the unit that follows it best; a generator.
 *
 * @returns [{feature, layer, unit, correlation}], the closest first, without weak ones.
 */
function* namedUnits(units, text) {
  const characters = Array.from(text);
  const found = [];
  for (const [feature, measure] of Object.entries(FEATURES)) {
    const series = measure(characters);
    let best = null;
    for (const [layer, all] of units.entries()) {
      for (const [unit, values] of all.entries()) {
        const close = correlation(values, series);
        if (best === null || Math.abs(close) > Math.abs(best.correlation)) {
          best = { feature, layer, unit, correlation: close };
        }
      }
      yield;
    }
    if (best !== null && Math.abs(best.correlation) >= WEAKEST) found.push(best);
  }
  return found.sort((one, other) => Math.abs(other.correlation) - Math.abs(one.correlation));
}
