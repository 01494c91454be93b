"""Liu et al., AAAI 2020, Table 1: does a diagnostic of D tell how much rejection will gain?

One generator is held as it is; discriminators at many stages of training against it are diagnosed
on held-out data and then used to reject. Each stage is a point; the table holds correlations of a
diagnostic with what rejection changes a metric by.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from experiments.correlations import RESAMPLES, correlate
from experiments.published import TABLE_1
from experiments.stages import STARTS, stages
from experiments.study import Given, Study, by_number
from experiments.tables import number, table
from gantandem.discriminator import diagnose
from gantandem.evaluate.comparing import compare
from gantandem.evaluate.metrics.mixture import js, kl, mode_counts
from gantandem.gan import GAN
from gantandem.networks.score import Score
from gantandem.ratios.ratio import Ratio
from gantandem.runs import Workspace, train_run
from gantandem.runs.reading import load_recipe
from gantandem.samplers import DRS, Direct, Metropolis
from gantandem.tasks import MixtureTask

UPDATES = (0, 10, 30, 100, 200, 400, 700, 1_000, 1_500, 2_000, 3_000, 5_000, 7_000, 10_000)
"""Updates of D at which it is judged; denser where it changes faster."""
SELECTORS = {"drs": DRS(), "metropolis": Metropolis(proposals=20)}
METRICS = {"good": "good", "kl": "KL", "js": "JS"}
"""What rejection changes."""
DIAGNOSTICS = {
    "z": "abs(Z)",
    "ece": "ECE",
    "brier": "Brier",
    "reliability": "reliability",
    "resolution": "resolution",
    "auc": "AUC",
}
NAMES = {"drs": "DRS", "metropolis": "MH 20"}
WIDTH = 4_096
"""Lanes: plain proposals cost little, so a wide pool saves most of the bookkeeping."""


def run(given: Given) -> dict[str, Any]:
    """Diagnose and use discriminators at many stages of training against one generator a seed."""
    overrides = list(given.overrides)
    settings = {
        "task": "imbalanced-8", "n": given.n, "updates": list(UPDATES), "overrides": overrides
    }  # fmt: skip
    rows: dict[str, Any] = given.kept(settings).get("seeds", {})
    for seed in given.missing(rows, given.seeds, "seed "):
        rows[str(seed)] = _points(given, seed)
        _save(given, settings, rows)
    return _save(given, settings, rows)


def _points(given: Given, seed: int) -> dict[str, Any]:
    """The points of one generator."""
    recipe = load_recipe("imbalanced-8", [f"seed={seed}", *given.overrides])
    work = train_run(recipe, given.out / "table1" / f"seed-{seed}", overwrite=True)
    n, plain = given.n, {"direct": Direct()}
    direct = compare(work.gan, plain, _three(work), n, seed=seed, width=WIDTH)
    before = _metrics(direct["direct"].row)
    points = []
    for start in STARTS:
        for update, network in stages(work, start, UPDATES):
            judged = work.gan.with_ratio(work.gan.law(Direct()), Ratio(Score(network)))
            point = _point(judged, work, n, before)
            points.append({"start": start, "update": update, **point})
    return {"direct": before, "points": points}


def _three(work: Workspace) -> Callable[[torch.Tensor], dict[str, Any]]:
    """Those three of the task's metrics: its two-sample test takes longer than all else here."""
    assert isinstance(work.task, MixtureTask)
    mixture = work.task.mixture

    def metrics(x: torch.Tensor) -> dict[str, Any]:
        counts = mode_counts(x.float(), mixture)
        good = counts.sum().item() / len(x)
        return {"good": good, "kl": kl(counts, mixture), "js": js(counts, len(x), mixture)}

    return metrics


def _metrics(row: Mapping[str, Any]) -> dict[str, float]:
    return {metric: number(row["metrics"][metric]) for metric in METRICS}


def _point(judged: GAN, work: Workspace, n: int, before: Mapping[str, float]) -> dict[str, Any]:
    """Diagnose a ratio on test data, and measure what accepting by it changes."""
    found = diagnose(judged, work.real, proposal=Direct(), width=WIDTH)
    rows = compare(
        judged, SELECTORS, _three(work), n, seed=work.recipe.seed, width=WIDTH, strict=False
    )
    after = {name: _metrics(one.row) for name, one in rows.items()}
    return {
        "z": found.z,
        "ece": found.ece,
        "brier": found.brier,
        "reliability": found.brier_parts["reliability"],
        "resolution": found.brier_parts["resolution"],
        "auc": found.auc,
        "after": after,
        "change": {
            name: {metric: values[metric] - before[metric] for metric in METRICS}
            for name, values in after.items()
        },
        "passes_per_sample": {name: one.row["passes_per_sample"] for name, one in rows.items()},
    }


def correlations(
    points: Sequence[Mapping[str, Any]], selector: str, metric: str
) -> dict[str, dict[str, Any]]:
    """Correlate every diagnostic with what a selector changes a metric by, over points.

    Args:
        points: Each with the diagnostics and ``change[selector][metric]``, after less before.
        selector: Key of ``SELECTORS``.
        metric: Key of ``METRICS``.

    Returns:
        For each of ``DIAGNOSTICS`` (Z by its absolute value) what :func:`correlate` gives.
    """
    change = np.array([number(point["change"][selector][metric]) for point in points])
    columns = {name: np.array([point[name] for point in points]) for name in DIAGNOSTICS}
    columns["z"] = np.abs(columns["z"])
    return {name: correlate(column, change) for name, column in columns.items()}


def _save(given: Given, settings: Mapping[str, Any], rows: dict[str, Any]) -> dict[str, Any]:
    rows = by_number(rows)
    points = [point for found in rows.values() for point in found["points"]]
    groups = {"all": points} | {
        start: [point for point in points if point["start"] == start] for start in STARTS
    }
    found = {
        selector: {
            group: {
                "points": len(of_group),
                **{metric: correlations(of_group, selector, metric) for metric in METRICS},
            }
            for group, of_group in groups.items()
        }
        for selector in SELECTORS
    }
    return given.save(
        settings, {"published": TABLE_1, "seeds": rows, "correlations": found}, seeds=rows
    )


def page(result: dict[str, Any]) -> list[str]:
    """Correlations beside the published ones, choices, points."""
    count = len(result["seeds"])
    whose = f"{'generator of seed' if count == 1 else 'generators of seeds'} "
    whose += ", ".join(result["seeds"])
    heads = ["published Pearson", "published Spearman"]
    heads += [f"{name} {what}" for name in NAMES.values() for what in ("Pearson", "Spearman")]
    lines = [
        "# Table 1: diagnostics of the discriminator and the gain from rejection",
        "",
        "Liu et al., AAAI 2020, Table 1. Correlations of a diagnostic with what rejection changes",
        "a metric by: after less before, as published. So a *negative* value for good and a",
        "*positive* one for KL and JS mean that a lower value of the diagnostic went with a larger",
        "gain. In parentheses the two-sided p-value; brackets hold the 2.5% and 97.5% quantiles of",
        f"ours over {RESAMPLES:,} resamples of the points. Published is one number a cell, of one",
        "rejection method.",
    ]
    for group, title in {"all": "all points", **STARTS}.items():
        first = result["correlations"]["drs"][group]
        rows = []
        for name, title_of in DIAGNOSTICS.items():
            for metric, metric_title in METRICS.items():
                known = result["published"].get(name, {}).get(metric)
                cells = ["", ""] if known is None else list(_cells(known))
                for selector in SELECTORS:
                    cells += _cells(result["correlations"][selector][group][metric][name])
                rows.append([title_of, metric_title, *cells])
        lines += [
            "",
            f"From {title}" if group != "all" else "Over all points",
            f"({first['points']} points, {whose}):",
            "",
            *table(["diagnostic", "change in", *heads], rows),
        ]
    return [*lines, *_choices(result), *_points_table(result)]


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
    heads = ["seed", "start", "updates", "Z", *[*DIAGNOSTICS.values()][1:]]
    heads += [f"{title} by {name}" for name in NAMES.values() for title in METRICS.values()]
    rows = []
    for seed, found in result["seeds"].items():
        for point in found["points"]:
            cells = [f"{point['z']:+.1f}", *(f"{point[name]:.4f}" for name in [*DIAGNOSTICS][1:])]
            changes = [point["change"][name][metric] for name in SELECTORS for metric in METRICS]
            cells += ["" if value is None else f"{value:+.4f}" for value in changes]
            rows.append([seed, point["start"], f"{point['update']:,}", *cells])
    return [
        "",
        "## Every point",
        "",
        "*good*, *KL* and *JS*: the change, after less before.",
        "",
        *table(heads, rows),
    ]


def picture(result: dict[str, Any]) -> Figure:
    """What DRS changes, by metric, against the diagnostics that the paper has.

    One point a stage; both correlations, ours and the published, in the titles.
    """
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
        row[0].set_ylabel(f"{metric_title}(DRS) - {metric_title}(direct)")
    for axes, name in zip(rows[-1], known, strict=True):
        axes.set_xlabel(DIAGNOSTICS[name])
    handles = rows[0][0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=2)
    return figure


TABLE1 = Study(
    "table1",
    "Change of good, KL and JS by rejection against each diagnostic, one point a stage",
    run,
    page,
    picture,
)
