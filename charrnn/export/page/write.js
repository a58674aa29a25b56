// The tab "Write": new text from the model.

const ALTERNATIVES = 5;

/** What the views need to know of one prediction. */
function predictionItem(model, id, logProbabilities) {
  const logProbability = logProbabilities[id];
  return {
    id,
    character: model.character(id),
    logProbability,
    alternatives: alternatives(logProbabilities, ALTERNATIVES),
    className: surprisalClass(logProbability),
  };
}

/** @returns () -> the text written so far. */
function startWriting(model) {
  const view = new TextView(byId("written"), byId("write-details"), (panel, item) =>
    describeProbability(panel, item, model),
  );
  const task = new Task(byId("write-stop"));
  const status = byId("write-status");
  const coloured = byId("colours");

  function colour() {
    byId("written").classList.toggle("plain", !coloured.checked);
    byId("write-legend").hidden = !coloured.checked;
  }

  async function run() {
    const settings = {
      prime: byId("prime").value,
      temperature: byId("temperature").valueAsNumber,
      topP: byId("top-p").valueAsNumber,
      seed: byId("seed").valueAsNumber,
      length: byId("length").valueAsNumber,
    };
    view.clear();
    const prime = model.encode(settings.prime);
    view.append(Array.from(settings.prime, (character, i) => ({
      character,
      className: prime[i] === UNK ? "prime unknown" : "prime",
    })));
    let pending = [];
    let count = 0;
    const flush = () => {
      view.append(pending);
      count += pending.length;
      pending = [];
    };
    status.textContent = "Writing …";
    const started = performance.now();
    const work = write(model, settings, (id, logProbabilities) =>
      pending.push(predictionItem(model, id, logProbabilities)),
    );
    const ended = await task.run(work, flush);
    if (ended === null) return;
    flush();
    const seconds = Math.max((performance.now() - started) / 1000, 1e-3);
    const rate = Math.round(count / seconds).toLocaleString("en");
    const how = ended.stopped ? "Stopped" : ended.result === "eos" ? "The model ended it" : "Done";
    status.textContent = `${how}: ${count.toLocaleString("en")} characters, ${rate} a second.`;
  }

  byId("write-form").addEventListener("submit", (event) => {
    event.preventDefault();
    run();
  });
  byId("another").addEventListener("click", () => {
    byId("seed").valueAsNumber = crypto.getRandomValues(new Uint32Array(1))[0];
    run();
  });
  byId("copy").addEventListener("click", () => copy(view.text, status));
  byId("download").addEventListener("click", () => download(view.text));
  coloured.addEventListener("change", colour);
  showLegend(byId("write-legend"), SURPRISAL_LEGEND);
  colour();
  run();
  return () => view.text;
}

async function copy(text, status) {
  try {
    await navigator.clipboard.writeText(text);
    status.textContent = "Copied.";
  } catch {
    status.textContent = "The browser does not allow copying here: select the text and copy it.";
  }
}

function download(text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  link.download = "text.txt";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
