from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from charrnn.export.web_page import SCRIPTS, json_in_html, page, source, write_page
from charrnn.models.checkpoint import Checkpoint
from charrnn.storage.files import OutputError
from tests.export.support import LATIN, WORLD, model_of, part
from tests.support import REPOSITORY

PAGE = REPOSITORY / "charrnn" / "export" / "page"
HOSTILE = '</script><script>alert(1)</script><!--<img src=x onerror=alert(2)>"\'&$title${x}\u202e'


class Elements(HTMLParser):
    """The elements of a page with their attributes, and the contents of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.contents: dict[str, list[str]] = {"script": [], "style": [], "title": []}
        self._inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._inside = tag
        if tag in self.contents:
            self.contents[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside in self.contents:
            self.contents[self._inside][-1] += data

    def tags(self) -> list[str]:
        return [tag for tag, _ in self.found]


def hostile(checkpoint: Checkpoint) -> Checkpoint:
    """`checkpoint` with markup wherever it has words."""
    training = {HOSTILE: HOSTILE, "settings": {"seed": HOSTILE, "rate": 1e400}, "history": HOSTILE}
    corpus = {"names": [HOSTILE, HOSTILE], "digest": HOSTILE, "characters": HOSTILE}
    return replace(checkpoint, training=training, corpus=corpus)


def policy(elements: Elements) -> str:
    (found,) = [
        attributes["content"]
        for tag, attributes in elements.found
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert found is not None
    return found


def digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@pytest.mark.parametrize("checkpoint", [model_of(LATIN), hostile(model_of(HOSTILE, ngram=True))])
def test_the_page_may_run_its_own_script_and_load_nothing(checkpoint: Checkpoint) -> None:
    elements = Elements(page(checkpoint))
    program = elements.contents["script"][-1]
    assert policy(elements) == (
        f"default-src 'none'; script-src {digest(program)}; "
        f"style-src {digest(elements.contents['style'][0])}; base-uri 'none'; form-action 'none'"
    )
    for _, attributes in elements.found:
        assert not {"src", "href", "srcset", "action", "style", "data"} & set(attributes)
        assert not any(name.startswith("on") for name in attributes)


def test_no_word_of_the_model_becomes_markup() -> None:
    plain, attacked = (
        Elements(page(each)) for each in (model_of(LATIN), hostile(model_of(HOSTILE)))
    )
    assert attacked.tags() == plain.tags()
    assert attacked.contents["title"] == [HOSTILE.rpartition("/")[2]]  # as of a path
    assert attacked.contents["script"][-1] == plain.contents["script"][-1]


def test_the_data_say_what_the_checkpoint_says() -> None:
    checkpoint = hostile(model_of(WORLD, ngram=True))
    made = page(checkpoint)
    facts: dict[str, Any] = json.loads(part(made, "model-facts"))
    assert tuple(facts["vocabulary"]) == checkpoint.vocabulary.code_points
    assert facts["network"]["cell"] == "lstm"
    data = base64.b64decode(part(made, "model-data"), validate=True)
    weights = dict(checkpoint.weights)
    for each in facts["arrays"]:
        assert each["offset"] % 8 == 0
        if each["name"] in weights:
            weight = weights.pop(each["name"])
            raw = data[each["offset"] : each["offset"] + 4 * each["length"]]
            assert raw == weight.tobytes()
    assert weights == {}


@pytest.mark.parametrize(
    "value",
    ["</script>", "<!--", "]]>", "&amp;", "\u2028\u2029", "\ud800", {"<a>": ["<"]}, [1.5, None]],
)
def test_json_in_html_is_the_same_value_without_markup(value: Any) -> None:
    text = json_in_html(value)
    assert json.loads(text) == value
    assert text.isascii()
    assert not set("<>&") & set(text)


def test_equal_models_give_equal_pages() -> None:
    assert page(model_of(WORLD, ngram=True)) == page(model_of(WORLD, ngram=True))


def test_a_page_is_written_atomically() -> None:
    write_page(Path("page.html"), model_of(LATIN))
    assert Path("page.html").read_text(encoding="utf-8") == page(model_of(LATIN))
    with pytest.raises(OutputError, match=r"cannot write no/page\.html: no such file"):
        write_page(Path("no/page.html"), model_of(LATIN))


# --- the program's files


def test_every_file_of_the_program_is_in_the_page() -> None:
    assert {path.name for path in PAGE.iterdir()} == {
        *(f"{name}.js" for name in SCRIPTS), "page.css", "page.html"
    }
    made = page(model_of(LATIN))
    for path in PAGE.glob("*.js"):
        assert path.read_text(encoding="utf-8") in made


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_program_makes_no_markup_and_no_request(name: str) -> None:
    text = source(f"{name}.js")
    assert text.startswith("// ")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|DOMParser", text)
    assert not re.search(r"\beval\b|new Function|import\(|fetch|XMLHttp|WebSocket|sendBeacon", text)
    assert not re.search(r"</script|<!--", text, re.IGNORECASE)
    assert len(text.splitlines()) < 350
    assert max(map(len, text.splitlines())) <= 110


def test_the_files_come_with_the_package() -> None:
    setup = (REPOSITORY / "setup.cfg").read_text(encoding="utf-8")
    assert "charrnn.export = page/*" in setup
