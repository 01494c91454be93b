"""Samples side by side: a panel for real data and one for each sampler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from numpy.typing import NDArray

from gantandem.data.ranges import Range, shown_range
from gantandem.display.pictures import grid, to_pixels
from gantandem.display.plane import draw_scatter, whole_view
from gantandem.display.style import figure, literal
from gantandem.display.table import COLUMNS, finite
from gantandem.errors import InputError

Array = NDArray[Any]
_INK = "#24292f"
_SHOWN = ("good", "js", "modes", "frechet_distance", "classifier_score", "sliced_w1", "c2st")
_ACROSS = 4
_EDGE = 8
_DOT, _MANY = 2.0, 500
"""Size of a point where there are at least so many; of fewer five times that."""


def panels_figure(
    panels: Sequence[tuple[str, Array, Mapping[str, Any]]],
    real: Array | None = None,
    bounds: Range | None = None,
) -> Figure:
    """Draw points in one window, over real data, or grids of images.

    Args:
        panels: Title, samples (N, 2) or (N, C, H, W), and the metrics of each; a panel of the real
            data themselves has ``real`` for its samples.
        real: Real data.
        bounds: The values of black and white of images.

    Raises:
        InputError: If the samples are neither points in a plane nor images.
    """
    shape = panels[0][1].shape[1:]
    if shape != (2,) and not (len(shape) == 3 and shape[0] in (1, 3)):
        raise InputError(
            f"plot: got samples of shape {tuple(shape)}; allowed are points in a plane, (N, 2), "
            "and images, (N, 1, H, W) or (N, 3, H, W)"
        )
    across = min(len(panels), _ACROSS)
    down = -(-len(panels) // across)
    fig = figure(3.2 * across, 3.75 * down, opaque=True)
    planar = shape == (2,)
    view = whole_view(panels[0][1] if real is None else real) if planar else None
    values = (0.0, 1.0) if planar else bounds or shown_range([x for _, x, _ in panels])
    for place, (title, x, numbers) in enumerate(panels):
        row, column = divmod(place, across)
        left, bottom = (column + 0.03) / across, (down - row - 1 + 0.02) / down
        axes = fig.add_axes((left, bottom, 0.94 / across, 0.8 / down))
        if view is not None:
            draw_scatter(
                axes, x, None if x is real else real, view, _DOT if len(x) >= _MANY else 5 * _DOT
            )
        else:
            shown = to_pixels(x[: _EDGE * _EDGE], values)
            axes.imshow(grid(shown, _EDGE), interpolation="nearest")
            axes.set_axis_off()
        axes.set_title(
            f"{literal(title)}\n{_numbers(numbers)}", fontsize=10, color=_INK, linespacing=1.5
        )
    return fig


def _numbers(metrics: Mapping[str, Any]) -> str:
    shown = [
        f"{column.label} {column.show(metrics[column.key])}"
        for column in COLUMNS
        if column.key in _SHOWN and finite(metrics.get(column.key)) is not None
    ]
    return "   ".join(shown[:3])
