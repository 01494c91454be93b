"""Liu et al., AAAI 2020, Table 1: does a diagnostic of D tell how much rejection will gain?

One generator is held as it is; discriminators at many stages of training against it are diagnosed
on held-out data and then used to reject. Each stage is a point; the table holds correlations of a
diagnostic with what rejection changes a metric by.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from experiments.common import command, number, read_kept
from experiments.published import TABLE_1
from experiments.stages import STARTS, stages
from gantandem._version import __version__
from gantandem.discriminator import diagnose
from gantandem.evaluate.comparing import compare
from gantandem.evaluate.metrics.mixture import js, kl, mode_counts
from gantandem.gan import GAN
from gantandem.networks.score import Score
from gantandem.ratios.ratio import Ratio
from gantandem.rng import Key
from gantandem.runs import Workspace, train_run, write_json
from gantandem.runs.recipe import Recipe, load_recipe
from gantandem.samplers import DRS, Direct, Metropolis
from gantandem.tasks import MixtureTask

logger = logging.getLogger(__name__)

SEEDS = (0,)
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
WIDTH = 4_096
"""Lanes: plain proposals cost little, so a wide pool saves most of the bookkeeping."""
RESAMPLES = 2_000


def table1_result(
    out: Path,
    *,
    seeds: Sequence[int] = SEEDS,
    n: int = 10_000,
    updates: Sequence[int] = UPDATES,
    overrides: Sequence[str] = (),
) -> dict[str, Any]:
    """Diagnose and use discriminators at many stages of training against one generator.

    Seeds that ``table1.json`` in ``out`` holds already are kept; it is written after every seed.

    Args:
        out: Folder of the runs and of ``table1.json``.
        seeds: Each trains its own generator, imbalanced 8 Gaussians at 1,000 iterations.
        n: Samples of each measurement.
        updates: Updates of D at which it is judged.
        overrides: ``key=value`` texts on the recipe of every seed.

    Returns:
        What ``table1.json`` holds: the points of every seed, and the correlations over them.

    Raises:
        ConfigError: If ``table1.json`` was made with other settings.
    """
    path = out / "table1.json"
    settings = {
        "task": "imbalanced-8",
        "n": n,
        "updates": sorted(set(updates)),
        "overrides": list(overrides),
    }
    rows: dict[str, Any] = read_kept(path, settings).get("seeds", {})
    for seed in seeds:
        if str(seed) in rows:
            logger.info("table1: seed %d is kept from %s", seed, path)
            continue
        recipe = load_recipe("imbalanced-8", [f"seed={seed}", *overrides])
        rows[str(seed)] = _seed(recipe, out / "table1" / f"seed-{seed}", settings["updates"], n)
        write_json(path, _result(settings, rows))
    return _result(settings, rows)


def _seed(recipe: Recipe, run: Path, updates: Sequence[int], n: int) -> dict[str, Any]:
    """The points of one generator."""
    work = train_run(recipe, run)
    seed = recipe.seed
    direct = compare(work.gan, {"direct": Direct()}, _three(work), n, seed=seed, width=WIDTH)
    before = _metrics(direct["direct"].row)
    points = []
    for start in STARTS:
        for update, network in stages(work, start, updates):
            judged = work.gan.with_ratio(work.gan.law(Direct()), Ratio(Score(network)))
            point = _point(judged, work, n, before)
            points.append({"start": start, "update": update, **point})
            logger.info("table1: seed %d, %s", seed, points[-1])
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
        For each of ``DIAGNOSTICS`` (Z by its absolute value): ``pearson`` and ``spearman``, the
        two-sided p-value of each (``pearson_p``, ``spearman_p``; of independent points), and
        ``interval``, the 2.5% and 97.5% quantiles of Pearson over 2,000 resamples of the points
        with replacement. NaN where one side is constant.
    """
    change = np.array([number(point["change"][selector][metric]) for point in points])
    pick = torch.randint(
        len(points), (RESAMPLES, len(points)), generator=Key(0).fold("bootstrap").generator()
    ).numpy()
    result = {}
    for name in DIAGNOSTICS:
        values = np.array([point[name] for point in points])
        values = np.abs(values) if name == "z" else values
        again = _pearson(values[pick], change[pick])
        known = again[~np.isnan(again)]
        ends = np.quantile(known, [0.025, 0.975]) if len(known) else [math.nan] * 2
        result[name] = {
            **_both(values, change),
            "interval": [float(end) for end in ends],
        }
    return result


def _both(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Pearson and Spearman with their p-values; NaN where a side is constant or too short."""
    from scipy import stats

    names = ("pearson", "pearson_p", "spearman", "spearman_p")
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return dict.fromkeys(names, math.nan)
    tests: list[Any] = [*stats.pearsonr(x, y), *stats.spearmanr(x, y)]
    return {name: float(value) for name, value in zip(names, tests, strict=True)}


def _pearson(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Correlation along the last axis; NaN where a side is constant."""
    constant = (np.ptp(x, -1) == 0) | (np.ptp(y, -1) == 0)
    x, y = x - x.mean(-1, keepdims=True), y - y.mean(-1, keepdims=True)
    scale = np.sqrt((x * x).sum(-1) * (y * y).sum(-1))
    return np.where(constant, np.nan, ((x * y).sum(-1) / np.maximum(scale, 1e-300)).clip(-1, 1))


def _result(settings: Mapping[str, Any], rows: Mapping[str, Any]) -> dict[str, Any]:
    rows = dict(sorted(rows.items(), key=lambda item: int(item[0])))
    points = [point for found in rows.values() for point in found["points"]]
    groups = {"all": points} | {
        start: [point for point in points if point["start"] == start] for start in STARTS
    }
    options = {"seeds": (rows, SEEDS)}
    return {
        **settings,
        "version": __version__,
        "command": command("table1", options),
        "published": TABLE_1,
        "seeds": rows,
        "correlations": {
            selector: {
                group: {
                    "points": len(of_group),
                    **{metric: correlations(of_group, selector, metric) for metric in METRICS},
                }
                for group, of_group in groups.items()
            }
            for selector in SELECTORS
        },
    }
