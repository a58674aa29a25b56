"""The exported page in Chromium against `sample` in NumPy: characters written in a second."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from charrnn.export.web_page import write_page
from charrnn.models.loading import load_model
from charrnn.training.settings import DEFAULTS
from tests.benchmarks.inference import STEPS, generate_some
from tests.benchmarks.material import MEGABYTE, checkpoint
from tests.benchmarks.measure import Row, paired, rate
from tests.export.browser import Browser, find_browser

REQUIRED = 500
WRITTEN = 500
ROUNDS = 9
WRITE = """
(() => {
  const status = document.getElementById("write-status");
  document.getElementById("length").value = %d;
  document.getElementById("write-form").requestSubmit();
  return new Promise((resolve) => new MutationObserver((_, observer) => {
    if (!status.textContent.includes(" a second")) return;
    observer.disconnect();
    resolve(status.textContent);
  }).observe(status, {childList: true}));
})()
"""


def writing() -> list[Row]:
    """The default network with the n-gram model of a megabyte; none without a Chromium."""
    program = find_browser()
    if program is None:
        return []
    found = checkpoint(MEGABYTE, with_ngram=True)
    with TemporaryDirectory() as directory:
        file = Path(directory) / "page.html"
        write_page(file, found)
        with Browser(program, Path(directory) / "profile") as browser:
            browser.open(file)
            browser.wait_for("document.querySelector('#write-status')?.textContent.includes(' a ')")
            pair = paired(
                partial(browser.run, WRITE % WRITTEN),
                partial(generate_some, load_model(found), 1),
                ROUNDS,
            )
    return [
        Row(
            f"page in Chromium against sample in NumPy, hidden {DEFAULTS.hidden}",
            rate(WRITTEN, pair.measured),
            rate(STEPS, pair.reference),
            WRITTEN / pair.measured,
            unit="char/s",
            target=REQUIRED,
        )
    ]
