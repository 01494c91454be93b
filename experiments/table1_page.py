"""The page and the picture of Table 1."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from experiments.stages import STARTS
from experiments.table1 import DIAGNOSTICS, METRICS, RESAMPLES, SELECTORS

NAMES = {"drs": "DRS", "metropolis": "MH 20"}


def table1_page(result: dict[str, Any]) -> str:
    """The result as a Markdown page: correlations beside the published ones, choices, points."""
    count = len(result["seeds"])
    whose = f"{'generator of seed' if count == 1 else 'generators of seeds'} "
    whose += ", ".join(result["seeds"])
    heads = ["published Pearson", "published Spearman"]
    heads += [f"{name} {what}" for name in NAMES.values() for what in ("Pearson", "Spearman")]
    lines = [
        "# Table 1: diagnostics of the discriminator and the gain from rejection",
        "",
        f"Liu et al., AAAI 2020, Table 1. Made by `{result['command']}`; every number is in",
        "`table1.json` beside this page. Correlations of a diagnostic with what rejection changes",
        "a metric by: after less before, as published. So a *negative* value for good and a",
        "*positive* one for KL and JS mean that a lower value of the diagnostic went with a larger",
        "gain. In parentheses the two-sided p-value; brackets hold the 2.5% and 97.5% quantiles of",
        f"ours over {RESAMPLES:,} resamples of the points. Published is one number a cell, of one",
        "rejection method.",
    ]
    for group, title in {"all": "all points", **STARTS}.items():
        first = result["correlations"]["drs"][group]
        lines += [
            "",
            f"From {title}" if group != "all" else "Over all points",
            f"({first['points']} points, {whose}):",
            "",
            "| diagnostic | change in | " + " | ".join(heads) + " |",
            "| --- | --- |" + " ---: |" * len(heads),
        ]
        for name, title_of in DIAGNOSTICS.items():
            for metric, metric_title in METRICS.items():
                known = result["published"].get(name, {}).get(metric)
                cells = ["", ""] if known is None else list(_cells(known))
                for selector in SELECTORS:
                    cells += _cells(result["correlations"][selector][group][metric][name])
                lines.append(f"| {title_of} | {metric_title} | " + " | ".join(cells) + " |")
    lines += [*_choices(result), *_points_table(result)]
    return "\n".join(lines) + "\n"


def _signed(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:+.2f}"


def _cells(found: Mapping[str, Any]) -> tuple[str, str]:
    """Pearson, its p-value and its interval if there is one; Spearman and its p-value."""
    pearson, spearman = (
        f"{_signed(found[name])} ({found[f'{name}_p']:.2f})" if _signed(found[name]) else ""
        for name in ("pearson", "spearman")
    )
    if pearson and "interval" in found:
        low, high = (_signed(end) for end in found["interval"])
        pearson += f" [{low}, {high}]"
    return pearson, spearman


def _choices(result: dict[str, Any]) -> list[str]:
    """What had to be chosen because the paper's table leaves it open to us."""
    return [
        "",
        "## What was chosen",
        "",
        "* **Generator**: imbalanced 8 Gaussians at 1,000 iterations, held as it is.",
        "* **Stages**: discriminators trained against that generator with the update of the GAN's",
        "  own training (SGD 1e-2, batch 1,000, fresh samples), from newly drawn weights and from",
        "  the one that the GAN came with (as published), judged after",
        f"  {', '.join(f'{update:,}' for update in result['updates'])} updates.",
        "* **Diagnostics**: Dawid's Z by its absolute value, ECE over 20 equal bins, Brier score",
        "  with Murphy's reliability and resolution, AUC; on 10,000 real test points and as many",
        "  generated ones. The discriminator is taken as it is, not calibrated.",
        f"* **Change**: good, KL and JS of {result['n']:,} samples accepted by that very",
        "  discriminator, DRS (percentile 95) or Metropolis-Hastings (20 proposals), less those of",
        "  as many plain ones.",
        "* Points of one training path are not independent, so the p-values are too small and the",
        "  brackets too narrow; and a correlation depends on which stages are taken.",
    ]


def _points_table(result: dict[str, Any]) -> list[str]:
    heads = ["Z", *[*DIAGNOSTICS.values()][1:]]
    heads += [f"{title} by {name}" for name in NAMES.values() for title in METRICS.values()]
    lines = [
        "",
        "## Every point",
        "",
        "*good*, *KL* and *JS*: the change, after less before.",
        "",
        "| seed | start | updates | " + " | ".join(heads) + " |",
        "| ---: | --- | ---: |" + " ---: |" * len(heads),
    ]
    for seed, found in result["seeds"].items():
        for point in found["points"]:
            cells = [f"{point['z']:+.1f}", *(f"{point[name]:.4f}" for name in [*DIAGNOSTICS][1:])]
            changes = [point["change"][name][metric] for name in SELECTORS for metric in METRICS]
            cells += ["" if value is None else f"{value:+.4f}" for value in changes]
            where = f"| {seed} | {point['start']} | {point['update']:,} | "
            lines.append(where + " | ".join(cells) + " |")
    return lines


def table1_picture(result: dict[str, Any]) -> Any:
    """What DRS changes, by metric, against the diagnostics that the paper has.

    One point a stage; both correlations, ours and the published, in the titles.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 10), layout="constrained")
    figure.suptitle(
        "What DRS changes against what diagnoses the discriminator: one point a stage, Pearson's "
        "correlation above"
    )
    points = [point for found in result["seeds"].values() for point in found["points"]]
    styles = {"new": ("o", "#2f6fde"), "trained": ("^", "#d9822b")}
    known = result["published"]
    rows = figure.subplots(len(METRICS), len(known), sharex="col", squeeze=False)
    for row, (metric, metric_title) in zip(rows, METRICS.items(), strict=True):
        for axes, name in zip(row, known, strict=True):
            for start, (marker, colour) in styles.items():
                some = [point for point in points if point["start"] == start]
                axes.scatter(
                    [abs(point[name]) for point in some],
                    [point["change"]["drs"][metric] for point in some],
                    marker=marker, color=colour, s=26, alpha=0.75, linewidths=0,
                    label=STARTS[start],
                )  # fmt: skip
            axes.axhline(0, color="#999999", linewidth=0.8)
            ours = result["correlations"]["drs"]["all"][metric][name]["pearson"]
            published = known[name][metric]["pearson"]
            title = f"{DIAGNOSTICS[name]}: {_signed(ours)}, published {_signed(published)}"
            axes.set_title(title, fontsize=10)
            axes.spines[["top", "right"]].set_visible(False)
        row[0].set_ylabel(f"{metric_title}(DRS) - {metric_title}(direct)")
    for axes, name in zip(rows[-1], known, strict=True):
        axes.set_xlabel(DIAGNOSTICS[name])
    figure.legend(
        *rows[0][0].get_legend_handles_labels(),
        loc="outside lower center", ncols=2, frameon=False,
    )  # fmt: skip
    return figure
