"""Figures of numbers: reliability of a ratio, history of shaping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from gantandem.display.style import ACCENT, MUTED, REAL, figure, legend, tidy
from gantandem.display.table import finite


def reliability_figure(bins: Sequence[Mapping[str, Any]]) -> Figure:
    """How often a sample is real against how sure the discriminator is, with the counts below.

    Args:
        bins: ``low``, ``high``, ``count``, ``confidence`` and ``frequency`` of each; empty bins
            are left out.
    """
    full = [one for one in bins if one["count"]]
    fig = figure(4.4, 4.4)
    axes = fig.add_axes((0.14, 0.34, 0.83, 0.63))
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)), label="calibrated")
    axes.plot(
        [one["confidence"] for one in full],
        [one["frequency"] for one in full],
        color=ACCENT,
        marker="o",
        markersize=4.5,
        linewidth=1.4,
        label="measured",
    )
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xticklabels([])
    axes.set_ylabel("share that is real")
    tidy(axes)
    legend(axes, loc="upper left")
    below = fig.add_axes((0.14, 0.12, 0.83, 0.17))
    total = sum(one["count"] for one in full) or 1
    below.bar(
        [(one["low"] + one["high"]) / 2 for one in bins],
        [one["count"] / total for one in bins],
        [0.92 * (one["high"] - one["low"]) for one in bins],
        color=ACCENT,
        alpha=0.55,
    )
    below.set_xlim(-0.02, 1.02)
    below.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    below.set_xlabel("probability of real, as the discriminator says")
    tidy(below)
    return fig


def shaping_figure(history: Sequence[Mapping[str, Any]]) -> Figure | None:
    """Held-out distance of the refined samples to the data while shaping; the guide kept is marked.

    Args:
        history: Entries with ``update`` and ``distance``, and ``kept`` in one; others may be there.
            Where none has it (older runs did not note it), the nearest is marked, and as no more.

    Returns:
        None if fewer than two entries have both.
    """
    points, kept = [], []
    for entry in history:
        step, distance = (
            finite(entry.get("update", entry.get("step"))),
            finite(entry.get("distance")),
        )
        if step is not None and distance is not None:
            points.append((step, distance))
            kept += [points[-1]] if entry.get("kept") else []
    if len(points) < 2:
        return None
    fig = figure(9.6, 2.9)
    axes = fig.add_axes((0.07, 0.18, 0.92, 0.77))
    axes.plot(*zip(*points, strict=True), color=ACCENT, marker="o", markersize=3.5, linewidth=1.3)
    marked = kept[0] if kept else min(points, key=lambda point: point[1])
    label = "guide kept" if kept else "nearest (the run does not say which guide was kept)"
    axes.plot(*marked, color=REAL, marker="o", markersize=8, linestyle="none", label=label)
    distances = [distance for _, distance in points]
    if 0 < 10 * min(distances) < max(distances):
        axes.set_yscale("log")
    axes.set_xlabel("updates of the discriminator")
    axes.set_ylabel("distance to held-out data")
    tidy(axes)
    axes.tick_params(which="minor", colors=MUTED, labelsize=7, width=0.4, length=2)
    legend(axes, loc="best")
    return fig
