// The tab "Look inside": a text marked by the activation of one hidden unit.

const INSIDE_LEGEND = [
  ["n4", "lowest"], ["n3", ""], ["n2", ""], ["n1", ""],
  ["", "0"],
  ["p1", ""], ["p2", ""], ["p3", ""], ["p4", "highest"],
].map(([className, text]) => [className, text || "·"]);

/** The class that marks an activation, given the largest one. */
function activationClass(value, largest) {
  const level = Math.min(4, Math.ceil((4.5 * Math.abs(value)) / largest - 0.5));
  return level >= 1 ? `${value < 0 ? "n" : "p"}${level}` : "";
}

function startLookingInside(model, textWritten) {
  const status = byId("inside-status");
  const layerField = byId("layer");
  const unitField = byId("unit");
  const named = byId("named");
  const networks = model.network?.networks?.length ?? 1;
  let units = null; // for each layer, for each unit, its activations (T)
  const view = new TextView(byId("activity"), byId("inside-details"), (panel, item, place) => {
    panel.append(element("h2", nameOf(item.character)));
    panel.append(element("p", `Activation ${chosen()[place].toFixed(3)}`));
  });
  const task = new Task(byId("inside-stop"));

  function chosen() {
    const layer = Math.max(1, Math.min(units.length, Math.floor(layerField.valueAsNumber) || 1));
    const unit = Math.max(1, Math.min(units[0].length, Math.floor(unitField.valueAsNumber) || 1));
    return units[layer - 1][unit - 1];
  }

  function colour() {
    const values = chosen();
    const largest = Math.max(1e-9, values.reduce((a, b) => Math.max(a, Math.abs(b)), 0));
    view.mark((_, i) => activationClass(values[i], largest));
  }

  function offer(found) {
    named.replaceChildren(...found.map(({ feature, layer, unit, correlation: close }) => {
      const label = `${feature}: layer ${layer + 1}, unit ${unit + 1} (${close.toFixed(2)})`;
      const option = element("option", label);
      option.value = `${layer + 1} ${unit + 1}`;
      return option;
    }));
    if (found.length === 0) named.append(element("option", "none follows anything in this text"));
    choose();
  }

  function choose() {
    const [layer, unit] = named.value.split(" ").map(Number);
    if (layer && unit) {
      layerField.valueAsNumber = layer;
      unitField.valueAsNumber = unit;
    }
    colour();
  }

  async function run() {
    const text = byId("followed").value;
    if (text === "") return;
    status.textContent = "Following every unit …";
    view.clear();
    byId("unit-choice").hidden = true;
    const work = (function* () {
      const all = yield* activations(model, text);
      return [all, yield* namedUnits(all, text)];
    })();
    const ended = await task.run(work);
    if (ended === null) return;
    if (ended.stopped) {
      status.textContent = "Stopped.";
      return;
    }
    let found;
    [units, found] = ended.result;
    layerField.max = units.length;
    unitField.max = units[0].length;
    view.append(Array.from(text, (character) => ({ character, className: "" })));
    byId("unit-choice").hidden = false;
    byId("inside-legend").hidden = false;
    offer(found);
    const count = (units.length * units[0].length).toLocaleString("en");
    const several = networks > 1 ? `, in the layers of ${networks} networks, one after the other` : "";
    status.textContent = `${count} units${several}; ${found.length} kinds of place are followed by one.`;
  }

  if (!model.network) {
    byId("inside-form").hidden = true;
    status.textContent = "This model is an n-gram model: it has no hidden units.";
    return;
  }
  byId("inside-form").addEventListener("submit", (event) => {
    event.preventDefault();
    run();
  });
  byId("inside-take").addEventListener("click", () => {
    byId("followed").value = textWritten();
    run();
  });
  named.addEventListener("change", choose);
  layerField.addEventListener("input", colour);
  unitField.addEventListener("input", colour);
  showLegend(byId("inside-legend"), INSIDE_LEGEND);
}
