"""The picture of a sweep: quality against diversity, and each against what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter
from matplotlib.transforms import Bbox

from gantandem.display.style import MUTED, REAL, figure, literal, tidy
from gantandem.display.table import finite
from gantandem.evaluate.metrics.pareto import PASSES, Axis, sweep_axes

_INK = "#24292f"
_MARKERS = "osD^vP*Xp<>h8"
_COLOURS = (
    "#1f77b4", "#d9620f", "#2c8a2c", "#d62728", "#8259b8", "#8c564b", "#c83fa0", "#6b7280",
    "#8a8400", "#0d8fa0", "#4050c8", "#b07a10", "#10756a", "#a8324e", "#5d8030", "#7a3f8c",
)  # fmt: skip
"""Dark enough to be read as text on white, light enough on a dark page."""
_LABEL = 7
"""Size of the knobs' values beside the points."""

Row = Mapping[str, Any]


def pareto_figure(sweep: Mapping[str, Any], *, opaque: bool = False) -> Figure:
    """Four panels: quality against diversity, and quality, diversity, distance against passes.

    Args:
        sweep: The content of ``sweep.json``.
        opaque: On white, for use by itself.
    """
    axes, points = sweep_axes(sweep), sweep["points"]
    ink = _INK if opaque else MUTED
    fig, styles = figure(11, 9.2, opaque=opaque), _styles(points)
    top = 0.985 - 0.024 * _legend(fig, points, styles, ink)
    grid = fig.add_gridspec(
        2, 2, left=0.075, right=0.985, bottom=0.06, top=top, wspace=0.2, hspace=0.22
    )
    panels = (
        ("quality_diversity", axes["quality"], axes["diversity"]),
        ("quality_passes", PASSES, axes["quality"]),
        ("diversity_passes", PASSES, axes["diversity"]),
        ("distance_passes", PASSES, axes["distance"]),
    )
    drawn = []
    for place, (name, x, y) in enumerate(panels):
        panel = fig.add_subplot(grid[place // 2, place % 2])
        _panel(panel, points, styles, name, x, y, sweep.get("floor", {}), ink)
        drawn.append((panel, name, x, y))
    fig.canvas.draw()
    halo = [withStroke(linewidth=1.6, foreground="white")] if opaque else []
    for panel, name, x, y in drawn:
        _write_values(panel, points, styles, name, x, y, halo)
    return fig


def _panel(
    panel: Axes,
    points: Sequence[Row],
    styles: Mapping[str, tuple[str, str]],
    name: str,
    x: Axis,
    y: Axis,
    floor: Mapping[str, Any],
    ink: str,
) -> None:
    panel.margins(0.09)
    _scale(x, panel.xaxis, panel.set_xscale, points)
    _scale(y, panel.yaxis, panel.set_yscale, points)
    for axis, across in ((x, panel.axvline), (y, panel.axhline)):
        value = finite(floor.get(axis.key))
        if value is not None:
            across(value, color=REAL, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    for (sampler, _), line in _lines(points).items():
        colour, marker = styles[sampler]
        xs, ys = [x.value(p) for p in line], [y.value(p) for p in line]
        panel.plot(xs, ys, color=colour, linewidth=0.9, alpha=0.45, zorder=2)
        for px, py, point in zip(xs, ys, line, strict=True):
            face = colour if point["on_front"][name] else ("white" if ink == _INK else "none")
            panel.plot(
                px, py, marker=marker, color=colour, markerfacecolor=face, markersize=6, zorder=4
            )
    _front(panel, points, name, x, y)
    panel.set_xlabel(literal(_heading(x)))
    panel.set_ylabel(literal(_heading(y)))
    tidy(panel, ink=ink)
    panel.tick_params(which="minor", colors=ink, labelsize=7, width=0.4, length=2)


def _scale(axis: Axis, ticks: Any, set_scale: Any, points: Sequence[Row]) -> None:
    """Logarithmic passes and distances; a share that comes near 1 is stretched there."""
    values = [value for point in points if (value := finite(axis.value(point))) is not None]
    low, high = min(values, default=1), max(values, default=1)
    plain = FuncFormatter(lambda value, _: f"{value:,g}")
    if axis.better == "low" and 0 < 20 * low < high or axis.key == PASSES.key:
        set_scale("log")
        ticks.set_major_formatter(plain)
        ticks.set_minor_formatter(NullFormatter())
    elif axis.better == "high" and low >= 0 and 0.95 < high <= 1:
        set_scale("function", functions=(_stretch, _shrink))
        ticks.set_major_locator(FixedLocator(_SHARES))
        ticks.set_major_formatter(plain)


_SHARES = (0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.98, 0.99, 1)
_NEAR = 0.01
"""How near to 1 a share is no longer stretched."""


def _stretch(share: Any) -> Any:
    return -np.log(np.maximum(1 - np.asarray(share, float) + _NEAR, 1e-6))


def _shrink(place: Any) -> Any:
    return 1 + _NEAR - np.exp(-np.asarray(place, float))


def _heading(axis: Axis) -> str:
    """An axis and the direction of better."""
    if axis.better == "one":
        return f"{axis.title}   (better: near 1)"
    return f"{axis.title}   better →" if axis.better == "high" else f"← better   {axis.title}"


def _front(panel: Axes, points: Sequence[Row], name: str, x: Axis, y: Axis) -> None:
    """The border of what is beaten, to the edges: along it one axis gets worse for the other."""
    front = sorted((x.badness(p), x.value(p), y.value(p)) for p in points if p["on_front"][name])
    if not front or "one" in (x.better, y.better):
        return
    (left, right), (bottom, top) = panel.get_xlim(), panel.get_ylim()
    xs = [front[0][1], *(place[1] for place in front), left if x.better == "high" else right]
    ys = [bottom if y.better == "high" else top, *(place[2] for place in front), front[-1][2]]
    panel.step(xs, ys, where="post", color=MUTED, linewidth=3, alpha=0.35, zorder=1.5)
    panel.set_xlim(left, right)
    panel.set_ylim(bottom, top)


def _styles(points: Sequence[Row]) -> dict[str, tuple[str, str]]:
    names = list(dict.fromkeys(point["sampler"] for point in points))
    return {
        name: (_COLOURS[index % len(_COLOURS)], _MARKERS[index % len(_MARKERS)])
        for index, name in enumerate(names)
    }


def _lines(points: Sequence[Row]) -> dict[tuple[str, str | None], list[Row]]:
    lines: dict[tuple[str, str | None], list[Row]] = {}
    for point in points:
        lines.setdefault((point["sampler"], point["knob"]), []).append(point)
    return lines


def _legend(
    fig: Figure, points: Sequence[Row], styles: Mapping[str, tuple[str, str]], ink: str
) -> int:
    """What the marks mean, above the panels; returns how many lines that takes."""
    knobs: dict[str, list[str]] = {}
    for sampler, knob in _lines(points):
        knobs.setdefault(sampler, []).extend([knob] if knob else [])
    handles = [
        Line2D(
            [], [], color=colour, marker=marker, linewidth=0.9,
            label=literal(f"{name} ({', '.join(knobs[name])})" if knobs[name] else name),
        )
        for name, (colour, marker) in styles.items()
    ]  # fmt: skip
    handles += [
        Line2D([], [], color=MUTED, linewidth=3, alpha=0.35, label="Pareto front (full marks)"),
        Line2D([], [], color=REAL, linewidth=0.9, linestyle=(0, (4, 3)), label="real data"),
    ]
    columns = min(5, len(handles))
    fig.legend(
        handles=handles, loc="upper center", ncols=columns, frameon=False, fontsize=8,
        labelcolor=ink, bbox_to_anchor=(0.5, 0.995),
    )  # fmt: skip
    return -(-len(handles) // columns)


def _write_values(
    panel: Axes,
    points: Sequence[Row],
    styles: Mapping[str, tuple[str, str]],
    name: str,
    x: Axis,
    y: Axis,
    halo: list[Any],
) -> None:
    """Write each knob's value where there is room: points of the front first, never on another."""
    places = [
        (point, (x.value(point), y.value(point)))
        for point in points
        if finite(x.value(point)) is not None and finite(y.value(point)) is not None
    ]
    shown = [panel.transData.transform(place) for _, place in places]
    taken = [Bbox.from_bounds(a - 4, b - 4, 8, 8) for a, b in shown]
    renderer = panel.figure.canvas.get_renderer()  # type: ignore[union-attr]
    for index in sorted(range(len(places)), key=lambda i: not places[i][0]["on_front"][name]):
        point, place = places[index]
        if point["knob"] is None:
            continue
        colour = styles[point["sampler"]][0]
        for dx, dy, ha, va in _AROUND:
            text = panel.annotate(
                literal(_value(point["value"])), place, (dx, dy), textcoords="offset points",
                ha=ha, va=va, fontsize=_LABEL, color=colour, zorder=5, path_effects=halo,
            )  # fmt: skip
            box = text.get_window_extent(renderer)
            if not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
            text.remove()


_AROUND = tuple(
    (dx * reach, dy * reach, ha, va)
    for reach in (5, 9)
    for dx, dy, ha, va in (
        (1, 0.6, "left", "bottom"),
        (1, -0.6, "left", "top"),
        (-1, 0.6, "right", "bottom"),
        (-1, -0.6, "right", "top"),
        (0, 1, "center", "bottom"),
        (0, -1, "center", "top"),
    )
)


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
