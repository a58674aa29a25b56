"""The exported page in a real browser, opened from the disk.

Where no Chromium is installed these tests are skipped, and say so.
"""

from __future__ import annotations

import math
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from charrnn.api import TrainedModel
from charrnn.export.web_page import write_page
from charrnn.models.checkpoint import Checkpoint
from tests.conftest import Report
from tests.export.browser import Browser, find_browser
from tests.export.support import LATIN, model_of
from tests.export.test_web_page import HOSTILE, hostile
from tests.support import Trained

PROGRAM = find_browser()
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(PROGRAM is None, reason="no Chromium is installed"),
]
AXE = "axe-core@4.14.1"
TABS = ("write", "read", "inside", "about")
Open = Callable[[Checkpoint], None]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    assert PROGRAM is not None
    with Browser(PROGRAM, tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture
def show(browser: Browser) -> Open:
    """Open the page of a model, and wait until it has written its first text."""

    def opened(checkpoint: Checkpoint) -> None:
        write_page(Path("page.html"), checkpoint)
        browser.open(Path("page.html"))
        status = "document.querySelector('#write-status')?.textContent"
        browser.wait_for(f"{status}?.includes(' a second')")

    return opened


def assert_quiet(browser: Browser) -> None:
    """The page has requested nothing but itself, and nothing went wrong."""
    urls = [each["request"]["url"] for each in browser.of_kind("Network.requestWillBeSent")]
    assert [url.rpartition("/")[2] for url in urls] == ["page.html"]
    for event in ("Log.entryAdded", "Runtime.exceptionThrown", "Page.javascriptDialogOpening"):
        assert browser.of_kind(event) == []


def fill(browser: Browser, **fields: str | int) -> None:
    for name, value in fields.items():
        browser.run(f"document.getElementById('{name.replace('_', '-')}').value = {value!r}; 1")


def submit(browser: Browser, tab: str, done: str) -> str:
    """Press the button of a tab; what its status says in the end."""
    browser.run(f"document.getElementById('tab-{tab}').click(); 1")
    browser.run(f"document.getElementById('{tab}-status').textContent = ''; 1")
    browser.run(f"document.getElementById('{tab}-form').requestSubmit(); 1")
    browser.wait_for(f"document.getElementById('{tab}-status').textContent.includes('{done}')")
    return str(browser.run(f"document.getElementById('{tab}-status').textContent"))


def test_it_writes_what_the_command_line_writes(
    browser: Browser, show: Open, prose_model: Trained, report: Report
) -> None:
    model = TrainedModel.open(prose_model.run)
    show(model.checkpoint)
    fill(browser, temperature=0, length=500, prime="the old man")
    status = submit(browser, "write", "Done")
    text = browser.run("document.getElementById('written').textContent")
    assert text == model.sample(length=500, prime="the old man", argmax=True)[0]
    report(f"the exported page in Chromium: {status}")
    assert_quiet(browser)


def test_it_shows_a_text_as_a_heat_map(
    browser: Browser, show: Open, prose_model: Trained
) -> None:
    model = TrainedModel.open(prose_model.run)
    show(model.checkpoint)
    fill(browser, given="the cat sees xx☃")
    status = submit(browser, "read", "bits per character")
    score = model.score(["the cat sees xx☃"])[0]
    assert status.startswith(f"{score.bits_per_character:.3f} bits per character, ")
    assert status.endswith(f"{score.characters} characters, {score.unknown_characters} unknown.")
    marks = browser.run("[...document.querySelectorAll('#heat-map span')].map((e) => e.className)")
    assert len(marks) == score.characters
    values = model.score_characters(["the cat sees xx☃"])[0].log_probabilities
    levels = [min(8, int(-value / math.log(2))) for value in values]
    unknown = model.vocabulary.unknown("the cat sees xx☃")
    assert [mark.removesuffix(" unknown") for mark in marks] == [
        f"s{level}" if level else "" for level in levels
    ]
    assert [mark.endswith(" unknown") for mark in marks] == [
        each in unknown for each in "the cat sees xx☃"
    ]
    assert levels[1] < levels[14]
    backgrounds = browser.run(
        "[1, 14].map((i) => getComputedStyle(document.querySelectorAll('#heat-map span')[i])"
        ".backgroundColor)"
    )
    assert backgrounds[0] != backgrounds[1]
    assert_quiet(browser)


def test_characters_are_chosen_with_the_keyboard(
    browser: Browser, show: Open, prose_model: Trained
) -> None:
    show(TrainedModel.open(prose_model.run).checkpoint)
    fill(browser, given="the cat")
    submit(browser, "read", "bits per character")
    browser.run("document.getElementById('heat-map').focus(); 1")
    for key in ("ArrowRight", "ArrowRight", "End", "ArrowLeft", "Home", "ArrowRight"):
        browser.call("Input.dispatchKeyEvent", type="keyDown", key=key)
        browser.call("Input.dispatchKeyEvent", type="keyUp", key=key)
    shown = browser.run("document.getElementById('read-details').innerText")
    assert shown.startswith("h\n")
    assert "Most probable here" in shown
    assert browser.run("document.getElementById('read-details').ariaLive") == "polite"


def test_it_looks_inside(browser: Browser, show: Open) -> None:
    show(model_of(LATIN))
    fill(browser, followed=LATIN[:60])
    assert submit(browser, "inside", "units").startswith("20 units; ")
    marks = browser.run("[...document.querySelectorAll('#activity span')].map((e) => e.className)")
    assert len(marks) == 60
    assert {mark[:1] for mark in marks} & {"p", "n"}
    assert_quiet(browser)


def test_writing_can_be_stopped(browser: Browser, show: Open) -> None:
    show(model_of(LATIN))
    fill(browser, length=20_000)
    browser.run("document.getElementById('write-form').requestSubmit(); 1")
    browser.wait_for("document.getElementById('written').textContent.length > 100")
    browser.run("document.getElementById('write-stop').click(); 1")
    browser.wait_for("document.getElementById('write-status').textContent.startsWith('Stopped')")


def test_a_hostile_model_runs_nothing(browser: Browser, show: Open) -> None:
    checkpoint = hostile(model_of(HOSTILE, ngram=True))
    show(checkpoint)
    assert browser.run("document.title") == HOSTILE.rpartition("/")[2]
    assert browser.run("document.querySelectorAll('img, iframe, object').length") == 0
    assert browser.run("document.scripts.length") == 2  # what it was made from is removed
    assert browser.run("document.querySelectorAll('#written span').length") == 500
    assert_quiet(browser)


@pytest.mark.parametrize("width", [320, 400, 1400])
@pytest.mark.parametrize("tab", TABS)
def test_nothing_is_wider_than_the_screen(
    tab: str, width: int, browser: Browser, show: Open
) -> None:
    training = {"history": [{"step": n, "training": 2 - n / 9, "validation": 2.1} for n in (1, 5)]}
    show(replace(model_of(LATIN), training=training, corpus={"digest": "a" * 64}))
    browser.resize(width, dark=width == 400)
    if tab == "inside":
        fill(browser, followed=LATIN)
        submit(browser, tab, "units")
    browser.run(f"document.getElementById('tab-{tab}').click(); 1")
    assert browser.run("document.documentElement.scrollWidth") <= width


@pytest.fixture(scope="module")
def axe(request: pytest.FixtureRequest) -> str:
    """axe-core's script, from npm once."""
    assert request.config.cache is not None
    directory = request.config.cache.mkdir("axe-core")
    script = directory / "node_modules" / "axe-core" / "axe.min.js"
    if not script.exists():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("no npm to download axe-core with")
        done = subprocess.run(
            [npm, "install", "--no-audit", "--no-fund", "--prefix", directory, AXE],
            capture_output=True, check=False, timeout=60,
        )
        if done.returncode != 0 or not script.exists():
            pytest.skip("npm cannot download axe-core")
    return script.read_text(encoding="utf-8")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_everybody_can_use_it(
    dark: bool, browser: Browser, show: Open, prose_model: Trained, axe: str
) -> None:
    show(TrainedModel.open(prose_model.run).checkpoint)
    browser.resize(1400, dark)
    browser.run("document.getElementById('colours').click(); 1")
    fill(browser, given="the cat ☃ zzz", followed=LATIN[:80])
    submit(browser, "read", "bits per character")
    submit(browser, "inside", "units")
    browser.run(axe + "; 1")
    for tab in TABS:
        browser.run(f"document.getElementById('tab-{tab}').click(); 1")
        found = browser.run(
            "axe.run().then(({violations}) => violations.map(({id, impact, nodes}) => "
            "[id, impact, nodes.map(({html}) => html.slice(0, 200)).slice(0, 3)]))"
        )
        assert [each for each in found if each[1] in {"serious", "critical"}] == [], tab
