"""The section of a report that says which sampler to use."""

from __future__ import annotations

from html import escape

from gantandem.display.table import COLUMNS, COST_COLUMNS
from gantandem.reporting.cells import cell, heading
from gantandem.reporting.evidence import Evidence
from gantandem.reporting.stale import older

PASSES = next(column for column in COST_COLUMNS if column.key == "passes_per_sample")


def recommended_section(evidence: Evidence) -> str:
    """The verdict in words, and what was tried; empty if nothing was."""
    found = evidence.recommendation
    if not found:
        return ""
    candidates = found["candidates"]
    columns = [
        one for one in COLUMNS if any(one.key in row["metrics"] for row in candidates.values())
    ]
    head = "".join(map(heading, (*columns, PASSES)))
    lines = []
    for name, row in candidates.items():
        cells = [
            cell(one, _interval(row["metrics"].get(one.key), row["half_interval"].get(one.key)))
            for one in columns
        ]
        cells.append(cell(PASSES, PASSES.show(row["passes_per_sample"])))
        shown = escape(name) + (" ✓" if name == found["recommended"] else "")
        lines.append(f'<tr><th scope="row">{shown}</th>{"".join(cells)}</tr>')
    old = older(found.get("weights"), evidence.weights)
    stale = "<b>Measured with networks that the run no longer holds: recommend again.</b> "
    stale = stale if old else ""
    return (
        "<section><h2>Which sampler to use</h2>"
        f"<p>{stale}{escape(found['verdict'])}</p>"
        "<p class='note'>Means over blocks of samples and of held-out real data, with half of "
        "their 95% intervals. All candidates are compared with the same blocks, so a difference is "
        "more certain than two separate intervals suggest.</p>"
        f'<div class="scroll"><table class="rows"><thead><tr><th></th>{head}</tr>'
        f"</thead><tbody>{''.join(lines)}</tbody></table></div></section>"
    )


def _interval(mean: float | None, half: float | None) -> str:
    if mean is None:
        return "–"
    return f"<span>{mean:.3f} <small>±&nbsp;{half or 0:.3f}</small></span>"
