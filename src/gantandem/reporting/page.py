"""One self-contained HTML page of a run: no script, no font, no picture from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from gantandem.display.table import (
    COST_COLUMNS,
    Column,
    best,
    finite,
    metric_columns,
    show,
    show_percent,
)
from gantandem.display.text import visible
from gantandem.files import write_bytes
from gantandem.files.locking import locked
from gantandem.reporting.caution import cautions
from gantandem.reporting.cells import cell, heading
from gantandem.reporting.evidence import Evidence, read_evidence
from gantandem.reporting.pareto import pareto_section
from gantandem.reporting.recommended import recommended_section
from gantandem.reporting.sections import pictorial_section, planar_section, trust_section
from gantandem.reporting.stale import stale_rows

REPORT_FILE = "report.html"
EYES = {"guide": "guided", "judge": "judged", "measure": "measured"}
"""What is done to a sample, by the role in ``eyes`` of a row."""
ALIKE = "as many real data"


def write_report(run: str | Path) -> Path:
    """Write ``RUN/report.html`` from the files in a run folder and return its path.

    Raises:
        DataError: If ``metrics.json`` is missing or a file is damaged.
        LockedError: If another command writes to the folder.
        OutputError: If the page cannot be written.
    """
    evidence = read_evidence(run)
    path = evidence.run / REPORT_FILE
    page = render(evidence)
    with locked(run, "report"):
        write_bytes(path, visible(page).encode("utf-8", "backslashreplace"))
    return path


def render(evidence: Evidence) -> str:
    """The page as text."""
    style = resources.files("gantandem.reporting").joinpath("page.css").read_text(encoding="utf-8")
    metrics = evidence.metrics
    task, seed = metrics.get("task", "?"), metrics.get("seed", "?")
    title, of = metrics.get("title") or task, f"data {task}, " if metrics.get("title") else ""
    body = "\n".join(_sections(evidence))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(str(title))} · GANtandem report</title>
<style>{style}</style>
</head>
<body>
<header>
<p class="eyebrow">GANtandem report</p>
<h1>{escape(str(title))} <span>{escape(of)}seed {escape(str(seed))}</span></h1>
{_headline(evidence)}
</header>
<main>
{body}
</main>
<footer>{_footer(evidence)}</footer>
</body>
</html>
"""


def _sections(evidence: Evidence) -> Iterator[str]:
    warnings = cautions(evidence)
    if warnings:
        items = "".join(f"<li>{escape(text)}</li>" for text in warnings)
        yield f'<section class="cautions"><h2>Read with care</h2><ul>{items}</ul></section>'
    yield recommended_section(evidence)
    if evidence.planar:
        yield planar_section(evidence)
    elif evidence.pictorial:
        yield pictorial_section(evidence)
    yield f"<section><h2>Quality and cost</h2>{_table(evidence)}</section>"
    yield pareto_section(evidence.sweep)
    yield trust_section(evidence)
    yield _commands(evidence)


def _headline(evidence: Evidence) -> str:
    """One sentence that says what the run showed, from its own numbers."""
    rows = evidence.rows
    if "direct" not in rows or len(rows) < 2:
        return ""
    name = "collaborative" if "collaborative" in rows else list(rows)[-1]
    floor = evidence.metrics.get("floor", {})
    labels = {
        "js": "Jensen-Shannon divergence",
        "frechet_distance": "Fréchet distance",
        "sliced_w1": "Sliced Wasserstein-1 distance",
    }
    for key, label in labels.items():
        before, after = (finite(rows[one]["metrics"].get(key)) for one in ("direct", name))
        if before is None or after is None:
            continue
        real = finite(floor.get(key))
        few = _of_floor(floor, rows[name].get("n"))
        of = "" if few == ALIKE else f", measured on {few}, which alone makes it larger"
        beside = f" Real data score {show(real)}{of}." if real is not None else ""
        return (
            f'<p class="lead">{label} to the data: <b>{show(before)}</b> for samples straight from '
            f"the generator, <b>{show(after)}</b> for <b>{escape(name)}</b>.{beside}</p>"
        )
    return ""


def _table(evidence: Evidence) -> str:
    metrics, columns = evidence.metrics, metric_columns(evidence.metrics)
    head = "".join(heading(column) for column in (*columns, *COST_COLUMNS))
    winners = {column.key: best(metrics, column) for column in columns}
    floor = metrics.get("floor", {})
    lines = [
        '<tr class="floor"><th scope="row">real data</th>'
        + "".join(cell(column, column.show(floor.get(column.key))) for column in columns)
        + '<td class="none"></td>' * len(COST_COLUMNS)
        + "</tr>"
    ]
    stale = stale_rows(evidence)
    for name, row in metrics["samplers"].items():
        shown = escape(name) + (" (stale)" if name in stale else "")
        cells = [
            cell(
                column,
                column.show(row.get("metrics", {}).get(column.key)),
                name in winners[column.key],
            )
            for column in columns
        ]
        cells += [cell(column, _cost(column, row)) for column in COST_COLUMNS]
        lines.append(f'<tr><th scope="row">{shown}</th>{"".join(cells)}</tr>')
    terms = "".join(
        f"<dt>{escape(column.label)}</dt><dd>{escape(column.help)}</dd>"
        for column in (*columns, *COST_COLUMNS)
        if column.help
    )
    n = next(iter(metrics["samplers"].values())).get("n")
    return (
        f'<p class="note">{show(n)} samples each. <b class="best">Marked</b> is the best of a '
        f"column. The first line is the floor: {_of_floor(floor, n)} in place of samples. A "
        "sampler is better than the floor by chance, or in a metric that rewards narrow samples "
        f"(good, precision, classifier score).{_of_pixels(evidence)}</p>"
        f'<div class="scroll"><table class="rows"><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
        f"<details><summary>What the columns mean</summary><dl>{terms}</dl></details>"
        f"{_counted(metrics['samplers'])}{_eyes(metrics['samplers'])}"
    )


def _of_pixels(evidence: Evidence) -> str:
    """What to think of distances between pictures that no network looked at."""
    seen = any("frechet_distance" in row.get("metrics", {}) for row in evidence.rows.values())
    if seen or not evidence.pictorial:
        return ""
    return (
        " The distances are between pixels, which say little of what images show: look at the "
        "images, and measure by the features of a network (gantandem compare RUN --backbone "
        "NAME; in Python compare(..., backbone=))."
    )


def _counted(rows: dict[str, Any]) -> str:
    """All events of all samplers, faults and what was only counted."""
    lines = []
    for name, row in rows.items():
        events = {event: count for event, count in (row.get("events") or {}).items() if count}
        told = ", ".join(f"{escape(event)} {show(count)}" for event, count in events.items())
        lines += [f"<dt>{escape(name)}</dt><dd>{told}</dd>"] if told else []
    return (
        f"<details><summary>What was counted</summary><dl>{''.join(lines)}</dl></details>"
        if lines
        else ""
    )


def _eyes(rows: dict[str, Any]) -> str:
    """Through which networks each sampler was guided, judged and measured, where one is noted."""
    seen = {name: row.get("eyes") or {} for name, row in rows.items()}
    if not any(isinstance(one, str) for eyes in seen.values() for one in eyes.values()):
        return ""
    lines = []
    for name, eyes in seen.items():
        told = [
            f"{done} {f'through {escape(str(eyes[role]))}' if eyes[role] else 'as it is'}"
            for role, done in EYES.items()
            if role in eyes
        ]
        lines += [f"<dt>{escape(name)}</dt><dd>{', '.join(told)}</dd>"] if told else []
    return (
        "<details><summary>What guided, judged and measured through which network</summary>"
        f"<dl>{''.join(lines)}</dl></details>"
    )


def _of_floor(floor: dict[str, Any], n: Any) -> str:
    """What the floor was measured of; Fréchet distances of fewer images are larger."""
    size = finite(floor.get("n"))
    if size is None or size == n:
        return ALIKE
    return f"{show(size)} real data (there are no more)"


def _cost(column: Column, row: dict[str, Any]) -> str:
    value = row.get(column.key)
    return show_percent(value) if column.key == "acceptance" else column.show(value)


def _commands(evidence: Evidence) -> str:
    """What was typed to make this, with the day of each."""
    lines = "".join(
        f"<li><code>{escape(str(one['command']))}</code> <span>{escape(_day(one['date']))}</span>"
        "</li>"
        for one in evidence.commands
    )
    if not lines:
        return ""
    return f'<section><h2>How this was made</h2><ol class="commands">{lines}</ol></section>'


def _day(date: Any) -> str:
    """A date of a file, to the minute."""
    return str(date).replace("T", " ")[:16]


def _footer(evidence: Evidence) -> str:
    parts = []
    setup = evidence.metrics.get("setup", {})
    for name, spent in setup.items():
        seconds, passes = finite(spent.get("seconds")), finite(spent.get("passes"))
        costs = [f"{seconds:.1f} s" if seconds is not None else ""]
        costs.append(f"{passes:,.0f} passes" if passes is not None else "")
        parts.append(f"{escape(name)} {', '.join(cost for cost in costs if cost)}")
    spent = f"Spent once, before sampling: {'; '.join(parts)}. " if parts else ""
    version = evidence.metrics.get("version")
    date = evidence.metrics.get("date")
    made = f"Made by GANtandem {escape(str(version))}. " if version else ""
    made += f"Measured on {escape(_day(date))} UTC. " if date else ""
    return f"<p>{spent}{made}Numbers: metrics.json; samples: samples/*.npz beside this page.</p>"
