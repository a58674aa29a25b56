// A text of which every character can be marked and asked about, and the panel that answers.
//
// Everything from the model or the user goes in as textContent: it can never become markup.

/** A new element with classes and text. */
function element(name, text = "", className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

const byId = (id) => document.getElementById(id);

const NAMES = new Map([
  ["", "end of text"],
  ["\n", "line break"],
  [" ", "space"],
  ["\t", "tab"],
  ["\r", "carriage return"],
  ["\u00a0", "no-break space"],
]);

/** How a character is named: itself, or words where it would not be seen. */
function nameOf(character) {
  const known = NAMES.get(character);
  if (known !== undefined) return known;
  if (/[\p{C}\p{Z}\p{M}]/u.test(character)) {
    return "U+" + character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
  }
  return character;
}

/** A probability in per cent, with as many digits as it needs. */
function percent(logProbability) {
  const share = 100 * Math.exp(logProbability);
  if (share >= 9.95) return `${share.toFixed(0)} %`;
  return share >= 0.01 ? `${share.toPrecision(2)} %` : "< 0.01 %";
}

const BITS = 1 / Math.LN2;

/** The class that marks a character by its surprisal. */
function surprisalClass(logProbability) {
  const level = Math.min(8, Math.floor(-logProbability * BITS));
  return level >= 1 ? `s${level}` : "";
}

// Each line is an element of its own: what is added at the end then makes the browser lay out the last
// line, not the whole text.
class TextView {
  /**
   * @param root element for the text. @param panel element for what is known of a character.
   * @param describe (panel, item) -> fills the panel; items are what `append` was given.
   */
  constructor(root, panel, describe) {
    this.root = root;
    this.panel = panel;
    this.describe = describe;
    this.hint = "Point at a character, or move to it with the arrow keys.";
    root.addEventListener("pointerover", (event) => this.pointAt(event.target));
    root.addEventListener("click", (event) => this.pointAt(event.target));
    root.addEventListener("keydown", (event) => this.move(event));
    // A screen reader hears of the character only while its user moves through the text.
    root.addEventListener("focus", () => panel.setAttribute("aria-live", "polite"));
    root.addEventListener("blur", () => panel.removeAttribute("aria-live"));
    this.clear();
  }

  clear() {
    this.root.replaceChildren();
    this.line = null; // the one that goes on
    this.spans = [];
    this.items = [];
    this.current = -1;
    this.panel.replaceChildren(element("p", this.hint));
  }

  /** Add items: {character, className, ...}; only those with `known` can be asked about. */
  append(items) {
    for (const item of items) {
      if (this.line === null) {
        this.line = element("div");
        this.root.append(this.line);
      }
      const span = element("span", item.character || "⏹", item.className);
      span.charactersIndex = this.items.length;
      this.line.append(span);
      this.items.push(item);
      this.spans.push(span);
      if (item.character === "\n") this.line = null;
    }
  }

  /** Mark every character anew. */
  mark(classOf) {
    this.items.forEach((item, i) => {
      this.spans[i].className = classOf(item, i);
    });
    if (this.current >= 0) this.show(this.current);
  }

  /** The whole text. */
  get text() {
    return this.items.map((item) => item.character).join("");
  }

  pointAt(target) {
    if (target.charactersIndex !== undefined) this.show(target.charactersIndex);
  }

  move(event) {
    const last = this.items.length - 1;
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -20, ArrowDown: 20 };
    let place;
    if (event.key in steps) place = this.current + steps[event.key];
    else if (event.key === "Home") place = 0;
    else if (event.key === "End") place = last;
    else return;
    event.preventDefault();
    if (last >= 0) this.show(Math.max(0, Math.min(last, place)));
  }

  show(place) {
    if (this.current >= 0) this.spans[this.current].classList.remove("current");
    this.current = place;
    this.spans[place].classList.add("current");
    this.panel.replaceChildren();
    this.describe(this.panel, this.items[place], place);
  }
}

/** Fill `panel` with the probability of an item's character and its alternatives. */
function describeProbability(panel, item, model) {
  panel.append(element("h2", nameOf(item.character)));
  if (!item.alternatives) {
    panel.append(element("p", "Given, not written by the model."));
    return;
  }
  const bits = (-item.logProbability * BITS).toFixed(2);
  panel.append(element("p", `Probability ${percent(item.logProbability)}, ${bits} bits`));
  const table = document.createElement("table");
  const caption = element("caption", "Most probable here");
  table.append(caption);
  for (const { id, logProbability } of item.alternatives) {
    const row = element("tr", "", id === item.id ? "chosen" : "");
    const name = element("th", id === UNK ? "unknown" : nameOf(model.character(id)));
    name.scope = "row";
    const cell = document.createElement("td");
    const meter = document.createElement("meter");
    meter.max = 1;
    meter.value = Math.exp(logProbability);
    meter.setAttribute("aria-hidden", "true"); // the number beside it says the same
    cell.append(meter);
    row.append(name, cell, element("td", percent(logProbability)));
    table.append(row);
  }
  panel.append(table);
}

/** Explain the marks below a text: [[class, text], ...]. */
function showLegend(root, entries) {
  root.replaceChildren(...entries.map(([className, text]) => element("span", text, className)));
}

const SURPRISAL_LEGEND = [
  ["", "below 1 bit"],
  ...[1, 2, 3, 4, 5, 6, 7].map((bits) => [`s${bits}`, `${bits}`]),
  ["s8", "8 bits or more"],
];

/** Work that runs in slices, one at a time: a new start or the button ends the one before. */
class Task {
  /** @param button that stops it; enabled while it runs. */
  constructor(button) {
    this.button = button;
    this.current = null;
    this.stopped = false;
    button.addEventListener("click", () => (this.stopped = true));
  }

  /** @returns {result, stopped}, or null if other work has taken its place. */
  async run(generator, progress) {
    this.current = generator;
    this.stopped = false;
    this.button.disabled = false;
    const isStopped = () => this.stopped || this.current !== generator;
    const result = await inSlices(generator, progress, isStopped);
    if (this.current !== generator) return null;
    this.button.disabled = true;
    return { result, stopped: this.stopped };
  }
}
