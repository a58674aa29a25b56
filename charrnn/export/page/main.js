// Start the page: unpack the model, then let the tabs be used.

/** Tabs as in the ARIA Authoring Practices: arrow keys move, one tab is in the tab order. */
function startTabs() {
  const tabs = [...document.querySelectorAll('[role="tab"]')];

  function select(chosen, focus) {
    for (const tab of tabs) {
      tab.setAttribute("aria-selected", String(tab === chosen));
      tab.tabIndex = tab === chosen ? 0 : -1;
      byId(tab.getAttribute("aria-controls")).hidden = tab !== chosen;
    }
    if (focus) chosen.focus();
  }

  tabs.forEach((tab, i) => {
    tab.addEventListener("click", () => select(tab, false));
    tab.addEventListener("keydown", (event) => {
      const places = { ArrowLeft: i - 1, ArrowRight: i + 1, Home: 0, End: -1 };
      if (!(event.key in places)) return;
      event.preventDefault();
      select(tabs.at(places[event.key] % tabs.length), true);
    });
  });
  byId("tabs").hidden = false;
  select(tabs[0], false);
}

async function start() {
  const loading = byId("loading");
  try {
    const facts = JSON.parse(byId("model-facts").textContent);
    showAbout(facts);
    const model = await inSlices(makeModel(facts, byId("model-data").textContent));
    byId("model-data").remove(); // the text is no longer needed
    startTabs();
    const textWritten = startWriting(model);
    startReading(model, textWritten);
    startLookingInside(model, textWritten);
    loading.hidden = true;
  } catch (error) {
    loading.textContent = `This page cannot run here: ${error.message}`;
  }
}

start();
