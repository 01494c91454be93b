"""Colours and small helpers of all figures: matplotlib's object API, no global state."""

from __future__ import annotations

import base64
import io
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure

from gantandem.display.text import visible

ACCENT = "#2f6fde"
REAL = "#d9822b"
BAD = "#c4473a"
MUTED = "#7d8590"
"""Readable on a light and on a dark page, for figures without a background."""


def literal(name: str) -> str:
    """A name for a figure, shown as it is: ``$`` begins no formula."""
    return visible(name).replace("$", r"\$")


def figure(width: float, height: float, *, opaque: bool = False) -> Figure:
    """A figure of the given size in inches, transparent unless ``opaque``."""
    fig = Figure(figsize=(width, height), facecolor="white" if opaque else "none")
    FigureCanvasAgg(fig)
    return fig


def tidy(axes: Axes, *, ink: str = MUTED) -> None:
    """Thin grey axes without a box."""
    axes.set_facecolor("none")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(ink)
        axes.spines[side].set_linewidth(0.6)
    axes.tick_params(colors=ink, labelsize=8, width=0.6, length=3)
    for text in (axes.xaxis.label, axes.yaxis.label, axes.title):
        text.set_color(ink)
        text.set_fontsize(9)


def legend(axes: Axes, **options: Any) -> None:
    """A legend without a frame, in the colour of the axes."""
    axes.legend(frameon=False, fontsize=8, labelcolor=MUTED, **options)


def fade(colour: str) -> LinearSegmentedColormap:
    """A colour map from nothing to a colour and on to a deeper shade, on light and dark pages."""
    red, green, blue = to_rgb(colour)
    deep = (0.75 * red, 0.75 * green, 0.75 * blue)
    stops = [(0.0, (red, green, blue, 0.0)), (0.8, (red, green, blue, 0.9)), (1.0, (*deep, 1.0))]
    return LinearSegmentedColormap.from_list(f"fade {colour}", stops)


def png(fig: Figure, *, dpi: int = 130) -> bytes:
    """A figure as PNG bytes."""
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def data_uri(content: bytes) -> str:
    """PNG bytes as an address that a page can hold."""
    return "data:image/png;base64," + base64.b64encode(content).decode("ascii")
