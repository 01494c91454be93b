"""Do all exact samplers say the same of one trained GAN? The 25 Gaussians, one ratio for all.

Exact samplers draw from p_G times the ratio they are given. With one ratio, fitted on p_G, they
must agree with each other within Monte Carlo error, whatever the ratio is; how near they come to
the data is then the ratio's merit. Biased samplers on the same GAN are shown as they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from matplotlib.figure import Figure

from experiments.modes import js_deviation, ratio_shares
from experiments.study import Given, Study
from experiments.tables import COLUMNS, TITLES, cells, number, numbers, table
from gantandem.evaluate.comparing import compare
from gantandem.nets.hashing import weights_hash
from gantandem.rng import Key
from gantandem.runs import fit_run, pretrained_run
from gantandem.runs.reading import load_recipe
from gantandem.samplers import (
    DOT,
    ISIR,
    MALA,
    OBRS,
    SIR,
    ULA,
    DGFlow,
    Direct,
    Ex2MCMC,
    LatentOpt,
    Metropolis,
    Rejection,
    WangLandau,
)
from gantandem.tasks import MixtureTask

EXACT = ("rejection", "obrs", "metropolis", "isir", "mala", "ex2mcmc", "wlgan")
SPREAD = "within_mode_std"
KEYS = {key.removesuffix("_main"): form for key, form in COLUMNS.items()}
"""All modes count alike here."""


def samplers(max_ratio: float) -> dict[str, Any]:
    """Every sampler of the comparison; chains are long enough to have forgotten their start.

    Steps of ``mala`` and ``wlgan`` are a hundred times the tuned ones and more: most moves are
    rejected, and the others may lead to another of the 25 modes. Tuned steps leave the shares of
    the modes off for long (see the study in ``wlgan.py``).

    Args:
        max_ratio: Of a pilot: OBRS is exact from K = max r on.
    """
    return {
        "direct": Direct(),
        "rejection": Rejection(),
        "obrs": OBRS(expected=max(1.0, max_ratio)),
        "metropolis": Metropolis(proposals=300),
        "isir": ISIR(points=10, rounds=40),
        "mala": MALA(steps=2000, step_size=0.1),
        "ex2mcmc": Ex2MCMC(rounds=60),
        "wlgan": WangLandau(steps=2000, step_size=0.3),
        "sir": SIR(proposals=10),
        "ula": ULA(steps=100),
        "dgflow": DGFlow(),
        "dot": DOT(),
        "latent_opt": LatentOpt(),
    }


def run(given: Given) -> dict[str, Any]:
    """Fit one ratio on the shipped pair and run every sampler."""
    recipe = load_recipe("grid-25", list(given.overrides))
    work = pretrained_run(recipe, given.out / "agreement", overwrite=True)
    fit_run(work, ["direct"])
    real = work.real.fit[:20_000]
    ratio = work.gan.ratio(Direct(), quiet=True)
    # Another machine may round a fit otherwise, and rows of two ratios need not agree.
    judge, overrides = weights_hash(ratio.score.network), list(given.overrides)
    settings = {"task": "grid-25", "n": given.n, "overrides": overrides, "ratio": judge}
    rows: dict[str, Any] = given.kept(settings).get("samplers", {})
    with work.gan.networks.frozen(), torch.no_grad():
        ids = torch.arange(len(real))
        made = work.gan.decode(work.gan.latent.draw(Key(0).fold("agreement pilot"), ids))
        top = math.exp(float(ratio.log_ratio(made).max()))
    assert isinstance(work.task, MixtureTask)
    shares = ratio_shares(work.gan, work.task.mixture, seed=1)
    found = {
        "js_deviation": js_deviation(shares, work.task.mixture, given.n),
        "max_ratio": top,
        "floor": work.task.floor(given.n),
    }
    # Guides of the biased movers: the fitted ratio's own network, so that all follow the same.
    gan = work.gan.replace(guide=ratio.score).observe(real)
    chosen = samplers(top)
    for name in given.missing(rows, chosen):
        one = compare(gan, {name: chosen[name]}, work.task.metrics, given.n, strict=False)
        rows[name] = one[name].row
        given.save(settings, {**found, "spread": spread(rows, given.n), "samplers": rows})
    return given.save(settings, {**found, "spread": spread(rows, given.n), "samplers": rows})


def spread(rows: Mapping[str, Any], n: int) -> dict[str, float]:
    """How far the exact samplers are apart, in standard errors of their difference.

    For the share of good samples two exact samplers differ by chance by
    sqrt(2 p (1 - p) / n); the largest difference of all pairs is given in those units.
    """
    good = [rows[name]["metrics"]["good"] for name in EXACT if name in rows]
    js = [rows[name]["metrics"]["js"] for name in EXACT if name in rows]
    if not good:
        return {}
    mean = sum(good) / len(good)
    error = math.sqrt(max(2 * mean * (1 - mean) / n, 1e-12))
    return {
        "good_range": max(good) - min(good),
        "good_range_in_standard_errors": (max(good) - min(good)) / error,
        "js_range": max(js) - min(js),
    }


def _order(rows: Mapping[str, Any]) -> list[str]:
    """Exact samplers first."""
    return [*EXACT, *(name for name in rows if name not in EXACT)]


def page(result: dict[str, Any]) -> list[str]:
    """Exact samplers, then the others."""
    rows, apart = result["samplers"], result["spread"]
    floor, count = result["floor"], len(EXACT)
    shown = [["*real data*", *cells(floor, KEYS), "1.0", ""]]
    for name in _order(rows):
        values = numbers(rows[name]) | {SPREAD: number(rows[name]["metrics"][SPREAD])}
        times = values["sliced_w1"] / number(floor["sliced_w1"])
        law = "exact" if name in EXACT else "p_G" if name == "direct" else "biased"
        shown.append([name, *cells(values, KEYS), f"{times:.1f}", law])
    return [
        f"# Cross-sampler agreement on {result['task']}",
        "",
        "One trained GAN (the shipped pair), one ratio fitted on p_G (largest of a pilot:",
        f"{result['max_ratio']:.1f}), {result['n']:,} samples of each sampler.",
        "*spread*: mean standard deviation inside the modes over the true one.",
        "",
        f"Among the exact samplers the share of good samples differs by {apart['good_range']:.4f}",
        f"at most, {apart['good_range_in_standard_errors']:.1f} standard errors of a difference of"
        f" two (the largest of {count * (count - 1) // 2}",
        f"pairs), and JS by {apart['js_range']:.4f} (independent samples of the ratio's law have a",
        f"standard deviation of {result['js_deviation']:.4f}).",
        "",
        *table(["sampler", *TITLES, "W1 over floor", "law"], shown),
    ]


def picture(result: dict[str, Any]) -> Figure:
    """Good and JS of every sampler, exact ones in colour, with twice the standard error."""
    rows, n = result["samplers"], result["n"]
    every = _order(rows)
    figure = Figure(figsize=(10.5, 6.6), layout="constrained")
    panels = figure.subplots(2, 2)
    for (above, below), key in zip(panels.T, ("good", "js"), strict=True):
        title = "good (higher)" if key == "good" else "JS, nats (lower)"
        for axes, names in ((above, every), (below, EXACT)):
            for place, name in enumerate(names):
                value = rows[name]["metrics"][key]
                error = 2 * math.sqrt(value * (1 - value) / n) if key == "good" else None
                colour = "#2f6fde" if name in EXACT else "#9aa2ab"
                axes.errorbar(place, value, yerr=error, fmt="o", color=colour, markersize=5)
            axes.axhline(number(result["floor"][key]), color="#2a9d8f", linewidth=1)
            axes.set_xticks(range(len(names)), names, rotation=40, ha="right", fontsize=8)
        above.set_title(title, fontsize=10)
        below.set_title(f"{title}, the exact ones alone", fontsize=10)
        if key == "js":
            below.set_ylim(bottom=0)
    figure.suptitle("exact samplers in blue, two standard errors; line: real data", fontsize=9)
    return figure


AGREEMENT = Study(
    "agreement",
    "Good and JS of every sampler on one trained GAN; the exact ones agree",
    run,
    page,
    picture,
    seeds=(),
)
