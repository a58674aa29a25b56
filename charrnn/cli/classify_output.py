"""How classified texts are printed: a row for each, JSON, or a report on all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from charrnn.cli.tables import TEXT, Column, Table
from charrnn.cli.terminal import Output, note

if TYPE_CHECKING:
    from charrnn.inference.classification import Classification, Confusion

WIDEST_LABEL = 20
TOTAL = "total"


class Printer:
    """Prints a row, or a JSON object, for each text.

    Args:
        output: where to.
        names: of the labels.
        checkpoints: the paths of the models.
        as_json: JSON objects.
    """

    def __init__(
        self, output: Output, names: Sequence[str], checkpoints: Sequence[str], as_json: bool
    ) -> None:
        self.output, self.as_json = output, as_json
        self.checkpoints = list(checkpoints)
        self.width = min(WIDEST_LABEL, max(5, *map(len, names)))
        columns = (
            Column("label", "label", self.width),
            Column("probability", "probability", 11, ".3f"),
            TEXT,
        )
        self._table = None if as_json else Table(output, columns)

    def heading(self) -> None:
        """Print the heading now, if it is not there yet."""
        if self._table is not None:
            self._table.heading()

    def print(self, texts: Sequence[str], found: Sequence[Classification]) -> None:
        """Print what was found of each text."""
        for text, each in zip(texts, found, strict=True):
            if self._table is not None:
                self._table.row(each.label, each.probability, text)
            else:
                self.record(
                    {
                        "text": text,
                        "label": each.label,
                        "probability": each.probability,
                        "probabilities": each.probabilities,
                    }
                )

    def record(self, facts: dict[str, Any]) -> None:
        """Print a JSON object, which also names the model or the models."""
        named: dict[str, Any] = {"checkpoint": self.checkpoints[0]}
        if len(self.checkpoints) > 1:
            named = {"checkpoints": self.checkpoints}
        self.output.record({**facts, **named})


class Report:
    """Compares what was found with what is right.

    Args:
        printer: says how to print.
        names: of the labels.
    """

    def __init__(self, printer: Printer, names: Sequence[str]) -> None:
        self._printer = printer
        self._names = tuple(names)
        self._right: list[str] = []
        self._found: list[str] = []

    def add(self, right: Sequence[str], found: Sequence[Classification]) -> None:
        """Note the right labels of some texts, and what was found."""
        self._right += right
        self._found += [each.label for each in found]

    def print(self) -> None:
        """Print the report."""
        from charrnn.inference.classification import Confusion

        confusion = Confusion.of(self._names, self._right, self._found)
        if self._printer.as_json:
            self._printer.record(_record(confusion))
            return
        output = self._printer.output
        columns = (
            Column("label", "label", self._printer.width),
            Column("precision", "precision", 9, ".3f"),
            Column("recall", "recall", 6, ".3f"),
            Column("texts", "texts", 7, ","),
        )
        table = Table(output, columns)
        for row in _rows(confusion):
            table.row(*row)
        table.row(TOTAL, confusion.accuracy, confusion.accuracy, confusion.texts)
        if output.terminal:
            from charrnn.cli.confusion import print_confusion

            print_confusion(confusion.names, confusion.counts.tolist())
        note(f"accuracy: {confusion.accuracy:.4f} of {confusion.texts:,} texts")


def _rows(confusion: Confusion) -> list[tuple[str, float, float, int]]:
    """Precision, recall and number of texts of each label."""
    return list(
        zip(
            confusion.names,
            confusion.precision().tolist(),
            confusion.recall().tolist(),
            confusion.counts.sum(1).tolist(),
            strict=True,
        )
    )


def _record(confusion: Confusion) -> dict[str, Any]:
    """The report as JSON; a share of no texts is null."""
    return {
        "accuracy": confusion.accuracy,
        "texts": confusion.texts,
        "labels": {
            name: {"precision": _or_null(precision), "recall": _or_null(recall), "texts": texts}
            for name, precision, recall, texts in _rows(confusion)
        },
        "confusion": {
            name: {
                other: count for other, count in zip(confusion.names, row, strict=True) if count
            }
            for name, row in zip(confusion.names, confusion.counts.tolist(), strict=True)
        },
    }


def _or_null(share: float) -> float | None:
    return None if math.isnan(share) else share
