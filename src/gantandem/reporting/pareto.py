"""The report's section on a sweep: quality against diversity, and each against what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from gantandem.display.style import data_uri, png
from gantandem.display.table import COLUMNS, show
from gantandem.errors import DataError
from gantandem.evaluate.metrics.pareto import PASSES, Axis, sweep_axes
from gantandem.files import write_bytes
from gantandem.reporting.evidence import SWEEP_FILE, read_sweep
from gantandem.reporting.pareto_figure import pareto_figure

PICTURE_FILE = "sweep.png"


def write_pareto(run: str | Path) -> Path:
    """Draw ``RUN/sweep.json`` to ``RUN/sweep.png`` and return its path.

    Raises:
        DataError: If there is no sweep, or it is damaged.
        OutputError: If the picture cannot be written.
    """
    sweep = read_sweep(Path(run) / SWEEP_FILE)
    if sweep is None:
        raise DataError(f"{run}: holds no {SWEEP_FILE}; 'gantandem compare {run} --sweep' makes it")
    content = png(pareto_figure(sweep, opaque=True))
    write_bytes(Path(run) / PICTURE_FILE, content)
    return Path(run) / PICTURE_FILE


def pareto_section(sweep: Mapping[str, Any]) -> str:
    """The section of a report: the picture, the points of the fronts, and what was left out."""
    if not sweep.get("points"):
        return ""
    axes = sweep_axes(sweep)
    columns = [*axes.values(), PASSES, Axis("samples_per_second", "high", "samples / s")]
    head = "".join(f'<th scope="col">{escape(axis.title)}</th>' for axis in columns)
    rows = "".join(
        f'<tr><th scope="row">{escape(point["label"])}</th>'
        + "".join(
            f'<td data-of="{escape(axis.title)}">{show_axis(axis, point)}</td>' for axis in columns
        )
        + "</tr>"
        for point in sweep["points"]
        if point["on_front"]["quality_diversity"]
    )
    left_out = "".join(
        f"<li>{escape(one['label'])}: {escape(one['reason'])}</li>" for one in sweep["skipped"]
    )
    skipped = (
        f"<details><summary>{len(sweep['skipped'])} settings were skipped</summary>"
        f"<ul>{left_out}</ul></details>"
        if left_out
        else ""
    )
    quality, diversity = axes["quality"].title, axes["diversity"].title
    picture = data_uri(png(pareto_figure(sweep)))
    return (
        f"<section><h2>Quality against diversity</h2><p class='note'>{show(sweep['n'])} samples of "
        "each point. The numbers beside the points are the values of the setting that was varied. "
        "Full marks are on the front, the grey step line: no other point is better in both "
        "respects. Differences within the noise of so many samples mean nothing.</p>"
        f'<img class="wide" src="{picture}" alt="Pareto fronts of the samplers">'
        f"<p class='note'>The settings on the front of {escape(quality)} against "
        f"{escape(diversity)}:</p>"
        f'<div class="scroll"><table class="rows"><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{skipped}</section>"
    )


def show_axis(axis: Axis, point: Mapping[str, Any]) -> str:
    """A point's number on an axis, for people."""
    known = {column.key: column.show for column in COLUMNS}
    return known.get(axis.key, show)(axis.value(point))
