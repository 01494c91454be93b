"""Liu et al., AAAI 2020, Table 1: does a diagnostic of D tell how much rejection will gain?

One generator is held as it is; discriminators at many stages of training against it are diagnosed
on held-out data and then used to reject. Each stage is a point; the table holds correlations.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from gantandem._version import __version__
from gantandem.comparing import compare
from gantandem.config import Recipe, load_recipe
from gantandem.discriminator import diagnose
from gantandem.discriminator.parts import batches, frozen_copy, seeded, trainable
from gantandem.gan import GAN
from gantandem.nets import build
from gantandem.pipeline import Workspace, train_run, write_json
from gantandem.progress import track
from gantandem.reproduce.common import command, read_kept
from gantandem.reproduce.published import TABLE_1
from gantandem.rng import Key
from gantandem.samplers import DRS, Direct, Metropolis
from gantandem.score import Ratio, Score
from gantandem.training.losses import discriminator_loss

logger = logging.getLogger(__name__)

SEEDS = (0,)
UPDATES = (0, 10, 30, 100, 200, 400, 700, 1_000, 1_500, 2_000, 3_000, 5_000, 7_000, 10_000)
"""Updates of D at which it is judged; denser where it changes faster."""
STARTS = {"new": "newly drawn weights", "trained": "the discriminator that the GAN came with"}
SELECTORS = {"drs": DRS(), "metropolis": Metropolis(proposals=20)}
NAMES = {"drs": "DRS", "metropolis": "MH 20"}
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
        n: Samples of each measurement of JS.
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
    direct = compare(work.gan, {"direct": Direct()}, work.task.metrics, n, seed=seed, width=WIDTH)
    js = direct["direct"].row["metrics"]["js"]
    points = []
    for start in STARTS:
        for update, network in stages(work, start, updates):
            judged = work.gan.with_ratio(work.gan.law(Direct()), Ratio(Score(network)))
            point = _point(judged, work, n, js)
            points.append({"start": start, "update": update, **point})
            logger.info("table1: seed %d, %s", seed, points[-1])
    return {"js_direct": js, "points": points}


def stages(work: Workspace, start: str, updates: Sequence[int]) -> Iterator[tuple[int, nn.Module]]:
    """Train D against the generator as it is, and yield a frozen copy at every stage.

    The update is that of the GAN's own training (same loss, optimiser SGD, rate and batch size)
    with the generator left alone.

    Args:
        work: A trained GAN.
        start: ``"new"`` or ``"trained"``, see ``STARTS``.
        updates: Ascending numbers of updates.
    """
    gan, train = work.gan, work.task.train
    key = Key(work.recipe.seed).fold(f"table1 {start}")
    if start == "new":
        with seeded(key.fold("weights"), gan.device):
            network = build(work.task.networks["discriminator"])
    else:
        network = gan.need_guide("table1").network
    own = trainable(network)
    optimiser = torch.optim.SGD(own.parameters(), lr=train.discriminator_rate)
    real = batches(work.real.fit, train.batch_size, key.fold("real").generator())
    with track(updates[-1], f"discriminator, {start}") as tick:
        for step in range(updates[-1] + 1):
            if step in updates:
                yield step, frozen_copy(own)
            made = _made(gan, key.fold("made"), step, train.batch_size)
            loss = discriminator_loss(own(next(real)), own(made))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            tick(1)


def _made(gan: GAN, key: Key, step: int, size: int) -> torch.Tensor:
    """Fresh samples of the plain generator; every id is used once."""
    ids = torch.arange(step * size, (step + 1) * size)
    with gan.frozen():
        return gan.decode(gan.latent.draw(key, ids))


def _point(judged: GAN, work: Workspace, n: int, js: float) -> dict[str, Any]:
    """Diagnose a ratio on test data, and measure what accepting by it gains in JS."""
    found = diagnose(judged, work.real, proposal=Direct(), width=WIDTH)
    rows = compare(
        judged, SELECTORS, work.task.metrics, n, seed=work.recipe.seed, width=WIDTH, strict=False
    )
    after = {name: one.row["metrics"]["js"] for name, one in rows.items()}
    return {
        "z": found.z,
        "ece": found.ece,
        "brier": found.brier,
        "reliability": found.brier_parts["reliability"],
        "resolution": found.brier_parts["resolution"],
        "auc": found.auc,
        "js": after,
        "gain": {name: js - value for name, value in after.items()},
        "passes_per_sample": {name: one.row["passes_per_sample"] for name, one in rows.items()},
    }


def correlations(points: Sequence[Mapping[str, Any]], selector: str) -> dict[str, dict[str, Any]]:
    """Correlate every diagnostic with the gain of a selector, over points.

    Args:
        points: Each with the diagnostics and ``gain[selector]``.
        selector: Key of ``SELECTORS``.

    Returns:
        For each of ``DIAGNOSTICS`` (Z by its absolute value): ``pearson``, ``spearman``, and
        ``interval``, the 2.5% and 97.5% quantiles of Pearson over 2,000 resamples of the points
        with replacement. NaN where one side is constant.
    """
    gain = np.array([point["gain"][selector] for point in points])
    pick = torch.randint(
        len(points), (RESAMPLES, len(points)), generator=Key(0).fold("bootstrap").generator()
    ).numpy()
    result = {}
    for name in DIAGNOSTICS:
        values = np.array([point[name] for point in points])
        values = np.abs(values) if name == "z" else values
        again = _pearson(values[pick], gain[pick])
        known = again[~np.isnan(again)]
        ends = np.quantile(known, [0.025, 0.975]) if len(known) else [math.nan] * 2
        result[name] = {
            "pearson": float(_pearson(values, gain)),
            "spearman": float(_pearson(_ranks(values), _ranks(gain))),
            "interval": [float(end) for end in ends],
        }
    return result


def _pearson(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Correlation along the last axis; NaN where a side is constant."""
    constant = (np.ptp(x, -1) == 0) | (np.ptp(y, -1) == 0)
    x, y = x - x.mean(-1, keepdims=True), y - y.mean(-1, keepdims=True)
    scale = np.sqrt((x * x).sum(-1) * (y * y).sum(-1))
    return np.where(constant, np.nan, ((x * y).sum(-1) / np.maximum(scale, 1e-300)).clip(-1, 1))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks, equal values sharing their mean rank: Spearman is Pearson on these."""
    from scipy.stats import rankdata

    return rankdata(values)


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
                group: {"points": len(of_group), **correlations(of_group, selector)}
                for group, of_group in groups.items()
            }
            for selector in SELECTORS
        },
    }


def table1_page(result: dict[str, Any]) -> str:
    """The result as a Markdown page: correlations beside the published ones, choices, points."""
    count = len(result["seeds"])
    whose = f"{'generator of seed' if count == 1 else 'generators of seeds'} "
    whose += ", ".join(result["seeds"])
    heads = [f"{name} {what}" for name in NAMES.values() for what in ("Pearson", "Spearman")]
    lines = [
        "# Table 1: diagnostics of the discriminator and the gain from rejection",
        "",
        f"Liu et al., AAAI 2020, Table 1. Made by `{result['command']}`; every number is in",
        "`table1.json` beside this page. The published values are Pearson correlations on JS,",
        "known to us without a sign. Ours carry one: negative means that a smaller value of the",
        "diagnostic went with a larger gain. Brackets hold the 2.5% and 97.5% quantiles over",
        f"{RESAMPLES:,} resamples of the points.",
    ]
    for group, title in {"all": "all points", **STARTS}.items():
        first = result["correlations"]["drs"][group]
        lines += [
            "",
            f"From {title}" if group != "all" else "Over all points",
            f"({first['points']} points, {whose}):",
            "",
            "| diagnostic | published | " + " | ".join(heads) + " |",
            "| --- | ---: |" + " ---: |" * len(heads),
        ]
        for name, title_of in DIAGNOSTICS.items():
            known = result["published"].get(name) if group == "all" else None
            cells = ["" if known is None else f"{known:.2f}"]
            for selector in SELECTORS:
                found = result["correlations"][selector][group][name]
                cells += [_with_interval(found), _signed(found["spearman"])]
            lines.append(f"| {title_of} | " + " | ".join(cells) + " |")
    lines += [*_choices(result), *_points_table(result)]
    return "\n".join(lines) + "\n"


def _signed(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:+.2f}"


def _with_interval(found: Mapping[str, Any]) -> str:
    low, high = (_signed(end) for end in found["interval"])
    return f"{_signed(found['pearson'])} [{low}, {high}]"


def _choices(result: dict[str, Any]) -> list[str]:
    """What had to be chosen because the paper's table leaves it open to us."""
    return [
        "",
        "## What was chosen",
        "",
        "* **Generator**: imbalanced 8 Gaussians at 1,000 iterations, held as it is.",
        "* **Stages**: discriminators trained against that generator with the update of the GAN's",
        "  own training (SGD 1e-2, batch 1,000, fresh samples), from newly drawn weights and from",
        "  the one that the GAN came with, judged after",
        f"  {', '.join(f'{update:,}' for update in result['updates'])} updates.",
        "* **Diagnostics**: Dawid's Z by its absolute value, ECE over 20 equal bins, Brier score",
        "  with Murphy's reliability and resolution, AUC; on 10,000 real test points and as many",
        "  generated ones. The discriminator is taken as it is, not calibrated.",
        f"* **Gain**: JS of {result['n']:,} plain samples less JS of as many accepted by that very",
        "  discriminator: DRS (percentile 95) or Metropolis-Hastings (20 proposals).",
        "* Points of one training path are not independent, so the true uncertainty is larger than",
        "  the brackets say; and a correlation depends on which stages are taken.",
    ]


def _points_table(result: dict[str, Any]) -> list[str]:
    heads = ["Z", *[*DIAGNOSTICS.values()][1:], *(f"gain by {name}" for name in NAMES.values())]
    lines = [
        "",
        "## Every point",
        "",
        "| seed | start | updates | " + " | ".join(heads) + " |",
        "| ---: | --- | ---: |" + " ---: |" * len(heads),
    ]
    for seed, found in result["seeds"].items():
        for point in found["points"]:
            cells = [f"{point['z']:+.1f}", *(f"{point[name]:.4f}" for name in [*DIAGNOSTICS][1:])]
            cells += [f"{point['gain'][name]:+.4f}" for name in SELECTORS]
            where = f"| {seed} | {point['start']} | {point['update']:,} | "
            lines.append(where + " | ".join(cells) + " |")
    return lines


def table1_picture(result: dict[str, Any]) -> Any:
    """Gain against every diagnostic; ours by point, the published correlation in the title."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 7.2), layout="constrained")
    figure.suptitle("Gain of DRS in JS against what diagnoses the discriminator, one point a stage")
    points = [point for found in result["seeds"].values() for point in found["points"]]
    styles = {"new": ("o", "#2f6fde"), "trained": ("^", "#d9822b")}
    panels = zip(figure.subplots(2, 3).flat, DIAGNOSTICS.items(), strict=True)
    for at, (axes, (name, title)) in enumerate(panels):
        for start, (marker, colour) in styles.items():
            some = [point for point in points if point["start"] == start]
            axes.scatter(
                [abs(point[name]) for point in some],
                [point["gain"]["drs"] for point in some],
                marker=marker, color=colour, s=26, alpha=0.75, linewidths=0, label=STARTS[start],
            )  # fmt: skip
        known = result["published"].get(name)
        beside = "" if known is None else f", published {known:.2f}"
        ours = result["correlations"]["drs"]["all"][name]["pearson"]
        axes.set_title(f"{title}: Pearson {_signed(ours)}{beside}", fontsize=11)
        axes.set_xlabel(title)
        if at % 3 == 0:
            axes.set_ylabel("JS(direct) - JS(DRS)")
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(
        *figure.axes[0].get_legend_handles_labels(),
        loc="outside lower center", ncols=2, frameon=False,
    )  # fmt: skip
    return figure
