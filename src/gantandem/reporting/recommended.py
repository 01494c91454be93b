"""The section of a report that says which sampler to use."""

from __future__ import annotations

from html import escape

from gantandem.display.table import COLUMNS, show
from gantandem.reporting.evidence import Evidence
from gantandem.reporting.stale import older


def recommended_section(evidence: Evidence) -> str:
    """The verdict in words, and what was tried; empty if nothing was."""
    found = evidence.recommendation
    if not found:
        return ""
    candidates = found["candidates"]
    columns = [
        column
        for column in COLUMNS
        if any(column.key in row["metrics"] for row in candidates.values())
    ]
    head = "".join(
        f'<th scope="col" title="{escape(one.help)}">{escape(one.label)}</th>' for one in columns
    )
    lines = []
    for name, row in candidates.items():
        cells = "".join(
            f"<td>{_interval(row['metrics'].get(one.key), row['half_interval'].get(one.key))}</td>"
            for one in columns
        )
        shown = escape(name) + (" ✓" if name == found["recommended"] else "")
        lines.append(
            f'<tr><th scope="row">{shown}</th>{cells}<td>{show(row["passes_per_sample"])}</td></tr>'
        )
    head += '<th scope="col">passes</th>'
    old = older(found.get("weights"), evidence.weights)
    stale = "<b>Of networks that the run no longer holds: recommend again.</b> " if old else ""
    return (
        "<section><h2>Which sampler to use</h2>"
        f"<p>{stale}{escape(found['verdict'])}</p>"
        "<p class='note'>Means over blocks of samples and of held-out real data, with half of "
        "their 95% intervals. Candidates meet the same blocks, so that a difference is surer than "
        "two intervals beside each other look.</p>"
        f'<div class="scroll"><table class="rows"><thead><tr><th></th>{head}</tr>'
        f"</thead><tbody>{''.join(lines)}</tbody></table></div></section>"
    )


def _interval(mean: float | None, half: float | None) -> str:
    if mean is None:
        return "–"
    return f"{mean:.3f} <small>± {half or 0:.3f}</small>"
