"""The sections of a report that hold pictures."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np

from gantandem.data.ranges import Range, count_clipped, say_range
from gantandem.display import pictures, plane
from gantandem.display.style import data_uri, png
from gantandem.display.table import SCORES, Column, finite, show, show_percent
from gantandem.reporting.caution import ratio_faults, weak
from gantandem.reporting.curves import reliability_figure, shaping_figure
from gantandem.reporting.evidence import Evidence
from gantandem.reporting.stale import stale_laws


def image(content: bytes, alt: str, css: str = "") -> str:
    """An image tag that holds its PNG."""
    kind = f' class="{css}"' if css else ""
    return f'<img{kind} src="{data_uri(content)}" alt="{escape(alt)}">'


def planar_section(evidence: Evidence) -> str:
    """Scatter, density and close-up of every sampler beside the data, and the landscape."""
    real = evidence.real
    reference = real if real is not None else next(iter(evidence.samples.values()))
    view = plane.whole_view(reference)
    close = plane.close_view(reference, view)
    top = float(plane.density(reference, view).max())
    columns = []
    if real is not None:
        columns.append(_planar_column("data", real, None, view, close, top, ""))
    for name, points in evidence.samples.items():
        outside = view.outside(points)
        note = f"{show_percent(outside)} lie outside the window" if outside > 0.001 else ""
        columns.append(_planar_column(name, points, real, view, close, top, note))
    text = (
        "<p class='note'>Each column is a sampler. Top: the samples in blue over real data in "
        "orange, so bare orange shows what a sampler misses. Middle: density, with rare modes "
        "made brighter (power 0.4). Bottom: close-up of the heaviest mode, which shows whether a "
        "sampler collapses within the mode.</p>"
    )
    parts = [
        f"<section><h2>Samples beside the data</h2>{text}"
        f'<div class="scroll"><div class="columns">{"".join(columns)}</div></div></section>'
    ]
    if evidence.landscape:
        fig = plane.landscape_figure(**evidence.landscape, real=real)
        parts.append(
            "<section><h2>Discriminator landscape</h2><p class='note'>The guide's logit over the "
            "plane: orange is real, purple is generated, the line is logit 0. Arrows show the "
            "direction of its gradient, black dots are real data. Refinement follows the arrows, "
            "so they should lead to the data from everywhere.</p>"
            f"{image(png(fig), 'logit of the guide before and after shaping', 'wide')}</section>"
        )
    return "\n".join(parts)


def _planar_column(
    name: str,
    points: Any,
    real: Any,
    view: plane.View,
    close: plane.View,
    top: float,
    note: str,
) -> str:
    figures = [
        image(png(plane.scatter_panel(points, real, view)), f"scatter of {name}"),
        image(
            png(plane.density_panel(points, view, top, is_real=real is None)), f"density of {name}"
        ),
        image(png(plane.scatter_panel(points, real, close, 3.0)), f"heaviest mode of {name}"),
    ]
    below = f"<p class='note'>{escape(note)}</p>" if note else ""
    return f"<figure><figcaption>{escape(name)}</figcaption>{''.join(figures)}{below}</figure>"


def pictorial_section(evidence: Evidence) -> str:
    """Grids of samples, before, after and difference, and the classes."""
    parts, bounds = [], evidence.bounds
    if evidence.pairs:
        before, after = evidence.pairs["before"], evidence.pairs["after"]
        whole = _whole(before) & _whole(after)
        grids = pictures.pair_grids(before[whole], after[whole], bounds)
        shown = "".join(
            f"<figure><figcaption>{name}</figcaption>{image(content, name, 'pixels')}</figure>"
            for name, content in grids.items()
        )
        named = evidence.pairs.get("sampler")
        by = "refinement" if named is None else f"<b>{escape(str(named))}</b>"
        parts.append(
            "<section><h2>Before, after, difference</h2><p class='note'>The same latents without "
            f"and with {by}. In the difference, blue pixels became brighter, red ones darker.</p>"
            f'<div class="stack">{shown}</div></section>'
        )
    real = {"data": evidence.real} if evidence.real is not None else {}
    grids = "".join(_grid(name, x, bounds) for name, x in {**real, **evidence.samples}.items())
    parts.append(
        "<section><h2>Samples beside the data</h2><p class='note'>The first 100 samples of "
        "each sampler, without selection. "
        f"Black is {bounds[0]:g} and white is {bounds[1]:g}.</p>"
        f'<div class="grids">{grids}</div></section>'
    )
    shares = _listed(evidence, "class_shares")
    if shares:
        fig = plane.modes_figure(shares, evidence.metrics.get("floor", {}).get("class_shares"))
        parts.append(
            "<section><h2>Classes</h2><p class='note'>Share of each class, by the task's own "
            f"classifier.</p>{image(png(fig), 'share of each class', 'wide')}</section>"
        )
    return "\n".join(parts)


def _grid(name: str, x: Any, bounds: Range) -> str:
    """The first samples, and a note of what the picture cannot show."""
    x = x[:100]
    whole = x[_whole(x)]
    notes, outside = [], count_clipped(whole, bounds)
    if len(whole) < len(x):
        notes.append(f"{len(x) - len(whole)} of {len(x)} are not finite and are left out.")
    if outside:
        share = show_percent(outside / whole.size)
        notes.append(f"{share} of the values lie outside {say_range(bounds)} and are clipped.")
    picture = ""
    if len(whole):
        picture = image(pictures.sample_grid(whole, bounds), f"samples of {name}", "pixels")
    note = f"<p class='note'>{' '.join(notes)}</p>" if notes else ""
    return f"<figure><figcaption>{escape(name)}</figcaption>{picture}{note}</figure>"


def _whole(x: Any) -> Any:
    """Which images (N, ...) are finite throughout."""
    return np.isfinite(x).reshape(len(x), -1).all(1)


def trust_section(evidence: Evidence) -> str:
    """How far the discriminator's ratios can be trusted, and how shaping went."""
    parts = []
    if evidence.diagnosis:
        old = stale_laws(evidence)
        named = {
            f"{k} (of an older guide)" if k in old else k: v for k, v in evidence.diagnosis.items()
        }
        laws = "".join(_law(name, found) for name, found in named.items())
        parts.append(
            "<section><h2>Can the ratio be trusted?</h2><p class='note'>For acceptance it is "
            "not enough that a discriminator ranks samples: its probabilities must be right on the "
            "proposals that it judges. Measured on held-out real data and fresh proposals.</p>"
            f'<div class="laws">{laws}</div></section>'
        )
    fig = shaping_figure(evidence.shaping)
    if fig is not None:
        parts.append(
            "<section><h2>Shaping</h2><p class='note'>Distance of the refined samples to "
            "held-out data while the guide was shaped. The guide is chosen by this distance, not "
            "by its Brier score, which rises as the samples get better. A later guide that is "
            "hardly farther than the nearest is preferred, because such differences are "
            f"noise.</p>{image(png(fig), 'held-out distance while shaping', 'wide')}</section>"
        )
    return "\n".join(parts)


def _law(name: str, found: Mapping[str, Any]) -> str:
    scores = {**found, **(found.get("brier_parts") or {})}
    errors = found.get("standard_errors") or {}
    rows = "".join(
        f'<tr><th scope="row" title="{escape(one.help)}">{escape(one.label)}</th>'
        f"<td>{_with_error(one, scores[one.key], errors.get(one.key))}</td></tr>"
        for one in SCORES
        if one.key in scores
    )
    counts = (
        f"<p class='note'>{show(found.get('n_real'))} real, {show(found.get('n_generated'))} "
        "generated samples</p>"
    )
    curve = ""
    if found.get("bins"):
        curve = image(png(reliability_figure(found["bins"])), f"reliability diagram on {name}")
    return (
        f"<figure><figcaption>{escape(name)}</figcaption><p class='note'>{_verdict(found)}</p>"
        f"{curve}<table>{rows}</table>{counts}</figure>"
    )


def _verdict(found: Mapping[str, Any]) -> str:
    """Whether a ratio can be trusted, and why not."""
    faults = ratio_faults(found)
    if faults is None:
        return (
            "<b>Not known.</b> This diagnosis did not measure the mean of the ratio or its "
            "effective share, and a small Z alone is not enough."
        )
    if not faults:
        return "<b>Yes</b>, as far as these numbers show."
    if weak(faults):
        return f"<b>In part</b>, to improve samples: {escape('; '.join(faults))}."
    return f"<b>No</b>: {escape('; '.join(faults))}."


def _with_error(column: Column, value: Any, error: Any) -> str:
    number = finite(error)
    return column.show(value) + (f" ± {column.show(number)}" if number is not None else "")


def _listed(evidence: Evidence, key: str) -> dict[str, list[float]]:
    """A list-valued metric by sampler, where all have it."""
    found = {name: row.get("metrics", {}).get(key) for name, row in evidence.rows.items()}
    return found if found and all(found.values()) else {}
