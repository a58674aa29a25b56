from __future__ import annotations

from charrnn.cli.layout import FullColumn, display_width, facts, table


def test_facts_have_their_labels_beside_them() -> None:
    rows = [("a", "one two three"), ("label", "x\ny")]
    assert facts(rows, 22) == ["a      one two three", "label  x", "       y"]
    assert facts(rows, 21)[0] == "a      one two three"


def test_facts_are_wrapped_and_on_narrow_terminals_below_their_labels() -> None:
    assert facts([("label", "one two three four")], 20) == ["label", "  one two three four"]
    assert facts([("label", "one two three four five six")], 24) == [
        "label  one two three",
        "       four five six",
    ]


def test_a_table_leaves_out_what_does_not_fit() -> None:
    columns = [
        FullColumn("run", ["a", "long name"]),
        FullColumn("nats", ["1.25", ""], numbers=True, rank=1),
        FullColumn("corpus", ["text.txt", "b"], rank=2),
    ]
    assert table(columns, 80) == [
        "run        nats  corpus",
        "a          1.25  text.txt",
        "long name        b",
    ]
    assert table(columns, 20) == ["run        nats", "a          1.25", "long name"]
    assert table(columns, 5) == ["run", "a", "long…"]


def test_wide_characters_take_two_columns() -> None:
    assert display_width("a字e\u0301") == 4
    assert table([FullColumn("x", ["字", "a"]), FullColumn("y", ["1", "2"])], 9) == [
        "x   y",
        "字  1",
        "a   2",
    ]
    assert facts([("a", "字" * 8)], 13) == ["a  字字字字字", "   字字字"]
