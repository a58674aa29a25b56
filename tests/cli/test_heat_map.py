from __future__ import annotations

import pytest

from charrnn.cli.heat_map import heat_map
from tests.faults.support import on_terminal
from tests.support import Trained


def test_markup_in_texts_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    heat_map(("[", "red", "]", ":smile:", "\x1b", ""), (-0.1,) * 6)
    assert capsys.readouterr().out == "[red]:smile:^[<EOS>\n"


def test_a_heat_map_is_shown_on_a_terminal(prose_model: Trained) -> None:
    status, out = on_terminal("score", "-c", prose_model.run, "--per-character", "the cat")
    assert status == 0
    assert out.count("\x1b[") >= 7
    assert "Traceback" not in out
