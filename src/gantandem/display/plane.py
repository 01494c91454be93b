"""Figures of points in a plane: scatter, density, close-up of the heaviest mode, landscape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import AsinhNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from gantandem.display.style import ACCENT, MUTED, REAL, fade, figure, legend, literal, tidy

Array = NDArray[np.floating]
SHOWN = 10_000
_BINS = 400
_BANDWIDTH = 2.5
"""Standard deviation of the density's kernel, in bins of 1/400 of the view."""


@dataclass(frozen=True)
class View:
    """A square window on the plane."""

    x: float
    y: float
    half: float

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom, top."""
        return self.x - self.half, self.x + self.half, self.y - self.half, self.y + self.half

    def outside(self, points: Array) -> float:
        """Share of the points outside the window; one that is not finite is nowhere inside."""
        near = np.abs(points - np.array([self.x, self.y])).max(1) <= self.half
        return float(1 - near.mean())


def whole_view(points: Array) -> View:
    """A window on all real data with a margin."""
    low, high = points.min(0), points.max(0)
    x, y = (low + high) / 2
    return View(float(x), float(y), float((high - low).max() / 2 * 1.3) or 1.0)


def close_view(points: Array, view: View) -> View:
    """A window on the densest spot of the data, as wide as the mode that is there."""
    grid = density(points, view)
    row, column = np.unravel_index(int(grid.argmax()), grid.shape)
    left, _, bottom, _ = view.extent
    cell = 2 * view.half / _BINS
    centre = np.array([left + (column + 0.5) * cell, bottom + (row + 0.5) * cell])
    near = points[np.abs(points - centre).max(1) < view.half / 15]
    centre, spread = near.mean(0), float(near.std(0).max()) or cell
    return View(float(centre[0]), float(centre[1]), 5 * spread)


def density(points: Array, view: View) -> Array:
    """A kernel density estimate on a grid over the window, shape (bins, bins), y first."""
    left, right, bottom, top = view.extent
    counts, _, _ = np.histogram2d(
        points[:, 1], points[:, 0], bins=_BINS, range=[[bottom, top], [left, right]]
    )
    return gaussian_filter(counts / len(points), _BANDWIDTH, mode="constant")


def draw_scatter(axes: Axes, points: Array, real: Array | None, view: View, size: float) -> None:
    """Draw points over the real data, which stay visible where the points are missing."""
    if real is not None:
        axes.scatter(*real[:SHOWN].T, s=size, c=REAL, alpha=0.25, linewidths=0, rasterized=True)
    colour = ACCENT if real is not None else REAL
    axes.scatter(*points[:SHOWN].T, s=size, c=colour, alpha=0.35, linewidths=0, rasterized=True)
    frame(axes, view)


def draw_density(axes: Axes, points: Array, view: View, top: float, colour: str) -> None:
    """Draw a density; brightness is its 0.4th power, so that rare modes show beside heavy ones."""
    shade = np.clip(density(points, view) / top, 0, 1) ** 0.4
    axes.imshow(shade, extent=view.extent, origin="lower", cmap=fade(colour), vmin=0, vmax=1)
    frame(axes, view)


def frame(axes: Axes, view: View) -> None:
    """A square panel without ticks."""
    left, right, bottom, top = view.extent
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_facecolor("none")
    for spine in axes.spines.values():
        spine.set_color(MUTED)
        spine.set_linewidth(0.5)


def panel(size: float = 2.4) -> tuple[Figure, Axes]:
    """A square figure that is one panel."""
    fig = figure(size, size)
    return fig, fig.add_axes((0.01, 0.01, 0.98, 0.98))


def scatter_panel(points: Array, real: Array | None, view: View, size: float = 2.0) -> Figure:
    """One scatter as a figure."""
    fig, axes = panel()
    draw_scatter(axes, points, real, view, size)
    return fig


def density_panel(points: Array, view: View, top: float, *, is_real: bool = False) -> Figure:
    """One density as a figure."""
    fig, axes = panel()
    draw_density(axes, points, view, top, REAL if is_real else ACCENT)
    return fig


def landscape_figure(
    axis_x: Array, axis_y: Array, before: Array, after: Array, real: Array | None
) -> Figure:
    """The guide's logit over the plane before and after shaping, with its gradient's direction."""
    fig = figure(9.6, 4.9)
    for place, (title, logit) in enumerate(
        [("Guide before shaping", before), ("Guide after shaping", after)]
    ):
        axes = fig.add_axes((0.01 + 0.5 * place, 0.1, 0.48, 0.83))
        # asinh keeps the few units around 0 apart, where a shaped guide's logits span tens.
        limit = max(float(np.quantile(np.abs(logit), 0.95)), 1.0)
        norm = AsinhNorm(1.5, vmin=-limit, vmax=limit)
        extent = (axis_x[0], axis_x[-1], axis_y[0], axis_y[-1])
        shown = axes.imshow(
            logit, extent=extent, origin="lower", cmap="PuOr_r", norm=norm, alpha=0.85
        )
        if logit.min() < 0 < logit.max():
            axes.contour(axis_x, axis_y, logit, levels=[0], colors="k", linewidths=0.8)
        _arrows(axes, axis_x, axis_y, logit)
        if real is not None:
            axes.scatter(*real[:1500].T, s=2, c="#111111", alpha=0.6, linewidths=0)
        view = View(float(axis_x.mean()), float(axis_y.mean()), float(axis_x[-1] - axis_x[0]) / 2)
        frame(axes, view)
        axes.set_title(literal(title), color=MUTED, fontsize=10)
        bar_axes = fig.add_axes((0.08 + 0.5 * place, 0.065, 0.34, 0.02))
        ticks = [t for t in (-100, -10, -3, -1, 0, 1, 3, 10, 100) if abs(t) <= limit]
        bar = fig.colorbar(
            shown, cax=bar_axes, orientation="horizontal", extend="both", ticks=ticks, format="%g"
        )
        bar.minorticks_off()
        bar.ax.tick_params(colors=MUTED, labelsize=7, width=0.5, length=2)
        bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    return fig


def _arrows(axes: Axes, axis_x: Array, axis_y: Array, logit: Array) -> None:
    slope_y, slope_x = (np.asarray(one) for one in np.gradient(logit, axis_y, axis_x))
    every = max(1, len(axis_x) // 24)
    start = every // 2
    x, y = np.meshgrid(axis_x[start::every], axis_y[start::every])
    u, v = slope_x[start::every, start::every], slope_y[start::every, start::every]
    length = np.hypot(u, v)
    length[length == 0] = 1.0
    axes.quiver(
        x,
        y,
        u / length,
        v / length,
        color="#222222",
        alpha=0.55,
        scale=38,
        width=0.0028,
        pivot="mid",
    )


LEGEND_COLUMNS = 6


def modes_figure(shares: dict[str, list[float]], real: list[float] | None) -> Figure:
    """Share of the samples in each mode or class, a group of bars for each."""
    count = len(next(iter(shares.values())))
    fig = figure(9.6, 3.0)
    groups = {**({"data": real} if real is not None else {}), **shares}
    lines = -(-len(groups) // LEGEND_COLUMNS)
    axes = fig.add_axes((0.06, 0.14, 0.93, 0.82 - 0.08 * lines))
    width = 0.84 / len(groups)
    for place, (name, share) in enumerate(groups.items()):
        at = np.arange(count) + (place - (len(groups) - 1) / 2) * width
        fill = place / max(1, len(groups) - 1)
        colour = REAL if name == "data" else fade(ACCENT)(0.25 + 0.6 * fill)
        axes.bar(at, share, width * 0.9, label=literal(name), color=colour)
    axes.set_xticks(range(count))
    axes.set_ylabel("share of samples")
    tidy(axes)
    columns = min(len(groups), LEGEND_COLUMNS)
    legend(axes, ncols=columns, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    axes.margins(x=0.01)
    return fig
