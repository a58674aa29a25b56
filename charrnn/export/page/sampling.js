// Write new text and read a given one with a model. Knows nothing of the page.

/** Random numbers in [0, 1) that depend on `seed` alone: sfc32, by Chris Doty-Humphrey. */
function randomNumbers(seed) {
  let a = seed >>> 0;
  let b = Math.floor(seed / 2 ** 32) >>> 0;
  let c = 0x9e3779b9;
  let counter = 1;
  function next() {
    const sum = (((a + b) | 0) + counter++) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    return (sum >>> 0) / 2 ** 32;
  }
  for (let i = 0; i < 12; i++) next(); // until the seed has reached every bit
  return next;
}

/** The most probable id, the first if several are equal; `allowed` says which may be chosen. */
function mostProbable(logProbabilities, allowed) {
  let best = -1;
  for (let id = 0; id < logProbabilities.length; id++) {
    if (allowed(id) && (best < 0 || logProbabilities[id] > logProbabilities[best])) best = id;
  }
  return best;
}

/**
 * Draw the next id. As in charrnn, UNK is never drawn, and EOS only where it may end the text.
 *
 * @param temperature 0 for the most probable character.
 * @param topP draw from the most probable characters that make up this much of the probability.
 */
function choose(logProbabilities, temperature, topP, mayEnd, random) {
  const allowed = (id) => id !== UNK && (mayEnd || id !== EOS);
  const best = mostProbable(logProbabilities, allowed);
  if (temperature === 0) return best;
  const weighted = [];
  let total = 0;
  for (let id = 0; id < logProbabilities.length; id++) {
    if (!allowed(id)) continue;
    const weight = Math.exp((logProbabilities[id] - logProbabilities[best]) / temperature);
    weighted.push({ id, weight });
    total += weight;
  }
  if (topP < 1) {
    weighted.sort((one, other) => other.weight - one.weight || one.id - other.id);
    let kept = 0;
    let sum = 0;
    while (kept < weighted.length && (kept === 0 || sum < topP * total)) sum += weighted[kept++].weight;
    weighted.length = kept;
    total = sum;
  }
  const draw = random() * total;
  let running = 0;
  for (const { id, weight } of weighted) {
    running += weight;
    if (running > draw) return id;
  }
  return weighted[weighted.length - 1].id;
}

/**
 * Write a text, character by character; a generator that yields after each.
 *
 * @param settings prime, temperature, topP, seed, length.
 * @param onCharacter called with the id and all log-probabilities (V) at its place.
 * @returns "eos" if the model ended the text, "length" if it reached the given length.
 */
function* write(model, settings, onCharacter) {
  const random = randomNumbers(settings.seed);
  const state = model.initialState();
  let logProbabilities = model.step(EOS, state);
  for (const id of model.encode(settings.prime)) {
    logProbabilities = model.step(id, state);
    yield;
  }
  for (let count = 0; count < settings.length; count++) {
    const { temperature, topP } = settings;
    const id = choose(logProbabilities, temperature, topP, model.lines, random);
    if (id === EOS) return "eos";
    onCharacter(id, logProbabilities);
    if (count + 1 < settings.length) logProbabilities = model.step(id, state);
    yield;
  }
  return "length";
}

/**
 * Read a text; a generator that yields after each character.
 *
 * @param onCharacter called with each character's id and all log-probabilities (V) at its place.
 */
function* read(model, text, onCharacter) {
  const state = model.initialState();
  let previous = EOS;
  const ids = model.encode(text);
  if (model.lines) ids.push(EOS); // the end of the text is predicted too, as `charrnn score` does
  for (const id of ids) {
    onCharacter(id, model.step(previous, state));
    previous = id;
    yield;
  }
}

/** The `count` most probable ids: [{id, logProbability}], the most probable first. */
function alternatives(logProbabilities, count) {
  const best = [];
  for (let id = 0; id < logProbabilities.length; id++) {
    const logProbability = logProbabilities[id];
    if (best.length === count && logProbability <= best[count - 1].logProbability) continue;
    let place = best.length;
    while (place > 0 && best[place - 1].logProbability < logProbability) place -= 1;
    best.splice(place, 0, { id, logProbability });
    best.length = Math.min(best.length, count);
  }
  return best;
}
