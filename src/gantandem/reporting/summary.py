"""One small picture of a run: data, the plain generator, and the best sampler side by side."""

from __future__ import annotations

from pathlib import Path

from gantandem.display.panels import panels_figure
from gantandem.display.style import png
from gantandem.errors import DataError
from gantandem.files import write_bytes
from gantandem.reporting.evidence import read_evidence


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
            f"{run}: no samples of {', '.join(missing) or 'the real data'} to plot; run "
            f"'gantandem compare {run}' first"
        )
    panels = [("real data", evidence.real, evidence.metrics.get("floor", {}))]
    for name in names:
        panels.append((name, evidence.samples[name], evidence.rows[name].get("metrics", {})))
    bounds = evidence.bounds if evidence.pictorial else None
    fig = panels_figure(panels, evidence.real, bounds)
    path = Path(out) if out is not None else evidence.run / "summary.png"
    content = png(fig, dpi=100)
    write_bytes(path, content)
    return path
