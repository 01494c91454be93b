"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from gantandem.report.table import COST_COLUMNS, SCORES, best, metric_columns, show

if TYPE_CHECKING:
    from gantandem.discriminator import Diagnosis


def comparison_table(metrics: Mapping[str, Any]) -> Table:
    """The rows of ``metrics.json`` under the floor of real data; the best of a column is bold."""
    columns = [column for column in metric_columns(metrics) if column.brief]
    costs = [column for column in COST_COLUMNS if column.brief]
    table = _table("sampler", *(column.label for column in (*columns, *costs)))
    floor = metrics.get("floor", {})
    table.add_row(
        "real data",
        *(column.show(floor.get(column.key)) for column in columns),
        *("" for _ in costs),
        style="dim",
    )
    winners = {column.key: best(metrics, column) for column in columns}
    for name, row in metrics["samplers"].items():
        cells = []
        for column in columns:
            style = "bold green" if name in winners[column.key] else ""
            cells.append(Text(column.show(row["metrics"].get(column.key)), style))
        cells += [Text(column.show(row.get(column.key))) for column in costs]
        table.add_row(name, *cells)
    return table


def diagnosis_table(found: Mapping[str, Diagnosis]) -> Table:
    """What was found of each law's ratio."""
    scores = [one for one in SCORES if not one.label.startswith("–")]
    table = _table("ratio on", *(one.label for one in scores))
    for name, diagnosis in found.items():
        table.add_row(name, *(one.show(getattr(diagnosis, one.key)) for one in scores))
    return table


def history_table(history: Sequence[Mapping[str, Any]]) -> Table:
    """The checks of shaping; the guide kept is marked."""
    table = _table("update", "distance", "Brier", "seconds")
    kept = min(range(len(history)), key=lambda index: history[index]["distance"])
    for index, entry in enumerate(history):
        values = (entry["update"], entry["distance"], entry.get("brier"), entry.get("seconds"))
        table.add_row(*map(show, values), style="bold green" if index == kept else "")
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table
