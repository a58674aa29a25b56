// The tab "Read": how surprising a text is to the model, character by character.

function startReading(model, textWritten) {
  const view = new TextView(byId("heat-map"), byId("read-details"), (panel, item) =>
    describeProbability(panel, item, model),
  );
  const task = new Task(byId("read-stop"));
  const status = byId("read-status");

  async function run() {
    const characters = Array.from(byId("given").value);
    view.clear();
    let pending = [];
    let total = 0;
    let unknown = 0;
    const flush = () => {
      view.append(pending);
      pending = [];
    };
    status.textContent = "Reading …";
    const work = read(model, characters.join(""), (id, logProbabilities) => {
      const item = predictionItem(model, id, logProbabilities);
      const place = view.items.length + pending.length;
      item.character = characters[place] ?? ""; // beyond the last one: the end of the text
      if (id === UNK) item.className += " unknown";
      unknown += Number(id === UNK);
      total -= item.logProbability;
      pending.push(item);
    });
    if ((await task.run(work, flush)) === null) return;
    flush();
    const count = view.items.length;
    const nats = count ? total / count : 0;
    const figures = [
      `${(nats * BITS).toFixed(3)} bits per character`,
      `${nats.toFixed(3)} nats`,
      `perplexity ${Math.exp(nats).toFixed(2)}`,
      `${count.toLocaleString("en")} characters`,
    ];
    if (unknown) figures.push(`${unknown.toLocaleString("en")} unknown`);
    status.textContent = `${figures.join(", ")}.`;
  }

  byId("read-form").addEventListener("submit", (event) => {
    event.preventDefault();
    run();
  });
  byId("take").addEventListener("click", () => {
    byId("given").value = textWritten();
    run();
  });
  showLegend(byId("read-legend"), SURPRISAL_LEGEND);
}
