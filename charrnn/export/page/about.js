// The tab "About": what the model is, and its history as a chart.

const SVG = "http://www.w3.org/2000/svg";
const CHART = { widest: 640, height: 260, left: 52, right: 92, top: 12, bottom: 34 };
const MARGIN = 30; // beside the chart, on a narrow screen

function drawing(name, attributes, text = "") {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

/** The history [[step, training, validation], ...] as lines; a value may be null. */
function chart(history) {
  const values = history.flatMap(([, ...losses]) => losses).filter((loss) => loss !== null);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const [first, last] = [history[0][0], history[history.length - 1][0]];
  const { widest, height, left, right, top, bottom } = CHART;
  const width = Math.min(widest, document.documentElement.clientWidth - MARGIN);
  const x = (step) => left + ((step - first) / (last - first || 1)) * (width - left - right);
  const y = (loss) => top + ((high - loss) / (high - low || 1)) * (height - top - bottom);
  const label = `Loss in nats per character, steps ${first} to ${last}; numbers in the table below`;
  const svg = drawing("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  for (const loss of [low, (low + high) / 2, high]) {
    svg.append(
      drawing("line", { class: "axis", x1: left, x2: width - right, y1: y(loss), y2: y(loss) }),
      drawing("text", { x: left - 8, y: y(loss) + 4, "text-anchor": "end" }, loss.toFixed(2)),
    );
  }
  for (const step of new Set([first, last])) {
    const number = step.toLocaleString("en");
    svg.append(drawing("text", { x: x(step), y: height - 12, "text-anchor": "middle" }, number));
  }
  const ends = [];
  for (const [column, name] of [[1, "training"], [2, "validation"]]) {
    const known = history.filter((entry) => entry[column] !== null);
    if (known.length === 0) continue;
    const points = known.map((entry) => `${x(entry[0]).toFixed(1)},${y(entry[column]).toFixed(1)}`);
    const end = known[known.length - 1];
    svg.append(drawing("polyline", { class: name, points: points.join(" ") }));
    ends.push({ name, x: x(end[0]) + 8, y: y(end[column]) + 4 });
  }
  ends.sort((one, other) => one.y - other.y);
  ends.forEach((end, i) => {
    if (i > 0) end.y = Math.max(end.y, ends[i - 1].y + 14); // names do not overlap
    svg.append(drawing("text", { x: end.x, y: end.y }, end.name));
  });
  return svg;
}

function historyTable(history) {
  const table = element("table", "", "history-table");
  const head = document.createElement("tr");
  for (const name of ["step", "training", "validation"]) {
    const cell = element("th", name);
    cell.scope = "col";
    head.append(cell);
  }
  table.append(head);
  for (const [step, ...losses] of history) {
    const row = document.createElement("tr");
    row.append(element("td", step.toLocaleString("en")));
    row.append(...losses.map((loss) => element("td", loss === null ? "–" : loss.toFixed(4))));
    table.append(row);
  }
  const details = document.createElement("details");
  details.append(element("summary", "The numbers"), table);
  return details;
}

function showAbout(facts) {
  for (const [name, value] of facts.about) byId("facts").append(element("dt", name), element("dd", value));
  const hasLosses = facts.history.some(([, ...losses]) => losses.some((loss) => loss !== null));
  if (facts.history.length < 2 || !hasLosses) return;
  const heading = element("h2", "History: nats per character while it was trained");
  byId("history").append(heading, chart(facts.history), historyTable(facts.history));
}
