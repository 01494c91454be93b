"""One small picture of a run: data, the plain generator, and the best sampler side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gantandem.display.pictures import grid, to_pixels
from gantandem.display.plane import draw_scatter, whole_view
from gantandem.display.style import figure, png
from gantandem.display.table import COLUMNS, finite
from gantandem.errors import DataError
from gantandem.files import write_bytes
from gantandem.reporting.evidence import read_evidence

_INK = "#24292f"
_SHOWN = ("good", "js", "modes", "frechet_distance", "classifier_score")


def summary_figure(
    run: str | Path, out: str | Path | None = None, *, samplers: tuple[str, ...] = ()
) -> Path:
    """Draw data, ``direct`` and ``collaborative`` side by side with their key numbers.

    Args:
        run: A run folder that ``compare`` has filled.
        out: PNG to write. Default ``RUN/summary.png``.
        samplers: Which samplers; default ``direct`` and ``collaborative``.

    Raises:
        DataError: If the run has no real data or lacks the samples of a sampler.
        OutputError: If the picture cannot be written.
    """
    evidence = read_evidence(run)
    names = samplers or ("direct", "collaborative")
    missing = [name for name in names if name not in evidence.samples]
    if missing or evidence.real is None:
        raise DataError(
            f"{run}: no samples of {', '.join(missing) or 'the real data'} to draw; "
            f"run 'gantandem compare {run}' first"
        )
    panels = [("real data", evidence.real, evidence.metrics.get("floor", {}))]
    for name in names:
        panels.append((name, evidence.samples[name], evidence.rows[name].get("metrics", {})))
    fig = figure(3.2 * len(panels), 3.75, opaque=True)
    for place, (title, x, numbers) in enumerate(panels):
        axes = fig.add_axes(((place + 0.03) / len(panels), 0.02, 0.94 / len(panels), 0.8))
        if evidence.planar:
            real = evidence.real if place else None
            draw_scatter(axes, x, real, whole_view(evidence.real), 2.0)
        else:
            axes.imshow(grid(to_pixels(x[:64], evidence.bounds), 8), interpolation="nearest")
            axes.set_axis_off()
        axes.set_title(f"{title}\n{_numbers(numbers)}", fontsize=10, color=_INK, linespacing=1.5)
    path = Path(out) if out is not None else evidence.run / "summary.png"
    content = png(fig, dpi=100)
    write_bytes(path, content)
    return path


def _numbers(metrics: dict[str, Any]) -> str:
    shown = [
        f"{column.label} {column.show(metrics[column.key])}"
        for column in COLUMNS
        if column.key in _SHOWN and finite(metrics.get(column.key)) is not None
    ]
    return "   ".join(shown)
