"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from gantandem.display.table import brief_rows, show
from gantandem.display.text import visible
from gantandem.evaluate.metrics.pareto import sweep_axes
from gantandem.reporting.pareto import show_axis

if TYPE_CHECKING:
    from gantandem.discriminator import Diagnosis
    from gantandem.networks.layers import Layer


def comparison_table(metrics: Mapping[str, Any]) -> Table:
    """The rows of ``metrics.json`` under the floor of real data; the best of a column is bold."""
    head, *lines = brief_rows(metrics, lambda text: Text(text, "bold green"))
    table = _table("sampler", *map(str, head[1:]))
    for line in lines:
        table.add_row(*map(_literal, line), style="dim" if line[0] == "real data" else "")
    return table


def sweep_table(sweep: Mapping[str, Any]) -> Table:
    """The points of ``sweep.json``; those on a front are marked."""
    axes = sweep_axes(sweep)
    names = [axis.title for axis in axes.values()]
    table = _table("  setting", *names, "passes", "a second", "setup")
    table.columns[0].no_wrap = False
    table.add_row(
        "  real data", *(show_axis(axis, sweep["floor"]) for axis in axes.values()), style="dim"
    )
    for point in sweep["points"]:
        on = point["on_front"]
        best = on["quality_diversity"]
        label = Text(
            visible(f"{'●' if best else ' '} {point['label']}"), "bold green" if best else ""
        )
        cells = [
            Text(show_axis(axis, point), "bold green" if on[f"{role}_passes"] else "")
            for role, axis in axes.items()
        ]
        costs = [show(point[key]) for key in ("passes_per_sample", "samples_per_second")]
        fitted = "fit " if point["fitted"] else ""
        table.add_row(label, *cells, *costs, fitted + show(point["setup_passes"]))
    caption = f"●: none is better in both {names[0]} and {names[1]}; green: nor at as few passes"
    if sweep["skipped"]:
        grouped: dict[tuple[str, str], list[str]] = {}
        for one in sweep["skipped"]:
            group = (one["sampler"], one["label"].partition("=")[0])
            grouped.setdefault(group, []).append(one["label"].partition("=")[2])
        left_out = [f"{label}={', '.join(values)}" for (_, label), values in grouped.items()]
        caption += f"\nskipped: {'; '.join(one.removesuffix('=') for one in left_out)}"
    table.caption = Text(visible(caption), "table.caption")
    table.caption_justify = "left"
    return table


def layers_table(layers: Sequence[Layer]) -> Table:
    """The layers that can be refined."""
    table = _table("layer", "module", "activation", "tail", "memory a lane")
    for one in layers:
        shape = " x ".join(map(str, one.shape))
        table.add_row(
            _literal(one.name), one.kind, shape, f"{one.tail:.0%}", show_bytes(one.memory)
        )
    table.caption = Text(
        "tail: share of the generator's cost that each step repeats, counted in multiplications; "
        "memory: what a step keeps for one sample, counted",
        "table.caption",
    )
    table.caption_justify = "left"
    return table


def show_bytes(count: int) -> str:
    """A number of bytes for people."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} B"


def diagnosis_text(found: Mapping[str, Diagnosis]) -> str:
    """What was found of each law's ratio, in words and numbers."""
    many = len(found) > 1
    return "\n\n".join(f"[{name}]\n{one}" if many else str(one) for name, one in found.items())


def history_table(history: Sequence[Mapping[str, Any]]) -> Table:
    """The checks of shaping; the guide kept is marked."""
    table = _table("  update", "distance", "Brier", "seconds")
    for entry in history:
        kept, first = bool(entry.get("kept")), show(entry["update"])
        values = (entry["distance"], entry.get("brier"), entry.get("seconds"))
        style = "bold green" if kept else ""
        table.add_row(f"{'●' if kept else ' '} {first}", *map(show, values), style=style)
    if any(entry.get("kept") for entry in history):
        table.caption, table.caption_justify = "●: the guide kept", "left"
    return table


def _literal(cell: str | Text) -> Text:
    """A cell that is shown as it is: a name is no markup."""
    return Text(visible(cell)) if isinstance(cell, str) else cell


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column(_literal(first), no_wrap=True)
    for name in others:
        table.add_column(_literal(name), justify="right", no_wrap=True)
    return table
