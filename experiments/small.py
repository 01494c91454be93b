"""Small GANs as users train them: is any sampler farther from the data than plain draws?

Five kinds of data, a pair of MLPs trained for 6,000 iterations on 20,000 samples each, and every
sampler at its defaults.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

from experiments.small_gans import DATA, ITERATIONS, REAL, trained
from experiments.study import Given, Study
from experiments.tables import table
from gantandem.discriminator import diagnose, fit_ratio, shape_discriminator
from gantandem.discriminator.latent_weights import fit_latent_reweight
from gantandem.engine.sampling import sample
from gantandem.errors import GANtandemError
from gantandem.evaluate.metrics.distance import sliced_wasserstein
from gantandem.evaluate.metrics.two_sample import c2st
from gantandem.gan import GAN
from gantandem.samplers import SAMPLERS, collaborative
from gantandem.samplers.direct import Direct
from gantandem.samplers.named import as_sampler

logger = logging.getLogger(__name__)

DRAWS = 12
"""Plain draws of a row's size, by which its noise is known."""
NOISE = 3.0
ALIKE = 0.02
"""A sampler is farther if its distance is above the mean of plain draws by so many of their
standard deviations, and by more than this share of it."""
OF_P_G = ("rejection", "drs", "obrs", "metropolis", "sir", "isir", "mala", "ex2mcmc", "wlgan")
OF_D = ("ula", "dgflow", "dot", "latent_opt")
CHAINS = {"isir", "mala", "ex2mcmc", "wlgan", "ula"}
"""Drawn in a quarter of the number: they cost most."""
_FARTHER, _ALIKE, _NEARER = "#c0392b", "#9aa4ae", "#2f6fde"


def run(given: Given) -> dict[str, Any]:
    """Train the GANs, and measure every sampler at its defaults beside plain draws."""
    settings = {"n": given.n, "iterations": ITERATIONS}
    gans: dict[str, Any] = given.kept(settings).get("gans", {})
    for seed in given.seeds:
        for key in given.missing(gans, [f"{name}-{seed}" for name in DATA]):
            name = key.removesuffix(f"-{seed}")
            gan, real = trained(name, seed, given.out / "small")
            gans[key] = _measured(gan, real, DATA[name], given.n)
            _save(given, settings, gans)
    return _save(given, settings, gans)


def _save(given: Given, settings: Mapping[str, Any], gans: dict[str, Any]) -> dict[str, Any]:
    for found in gans.values():
        for row in found["samplers"].values():
            if "sliced_w1" in row:
                mean, spread = found["plain"][str(row["n"])]
                limit = mean + max(NOISE * spread, ALIKE * mean)
                row["farther"] = row["sliced_w1"] > limit
        found["farther"] = [name for name, row in found["samplers"].items() if row.get("farther")]
    farther = {key: found["farther"] for key, found in gans.items() if found["farther"]}
    seeds = dict.fromkeys(key.rpartition("-")[2] for key in gans)
    return given.save(settings, {"farther": farther, "gans": gans}, seeds=seeds)


def _measured(
    gan: GAN, real: Tensor, draw: Callable[[int, torch.Generator], Tensor], n: int
) -> dict[str, Any]:
    """The rows of one GAN: every sampler beside plain draws of as many samples."""
    fresh = draw(2 * n, torch.Generator().manual_seed(5))

    def measure(x: Tensor) -> dict[str, float]:
        return {
            "sliced_w1": sliced_wasserstein(x, fresh[:n]),
            "c2st": c2st(x, fresh[n : n + len(x)]),
        }

    floor = measure(draw(n, torch.Generator().manual_seed(6)))
    plain = {count: _plain(gan, count, fresh[:n]) for count in (n, n // 4)}
    begin = time.perf_counter()
    fitted = fit_ratio(gan, real, proposal=Direct())
    shaped = fit_ratio(shape_discriminator(gan, real), real)
    seconds = time.perf_counter() - begin
    reweighted = fit_latent_reweight(fitted)
    chosen: dict[str, tuple[GAN, Any]] = {"direct": (gan, Direct())}
    chosen |= {name: (fitted, SAMPLERS[name]()) for name in OF_P_G}
    chosen["latent_reweight"] = (reweighted, SAMPLERS["latent_reweight"]())
    chosen |= {name: (gan, SAMPLERS[name]()) for name in (*OF_D, "refine")}
    chosen["refine, shaped"] = (shaped, as_sampler(shaped, "refine"))
    chosen["collaborative"] = (shaped, collaborative(shaped))
    rows: dict[str, Any] = {}
    for name, (own, sampler) in chosen.items():
        count = n // 4 if name in CHAINS else n
        try:
            found = sample(own, sampler, count, progress=False)
        except GANtandemError as error:
            rows[name] = {"error": str(error)}
            continue
        row = {"n": count, "passes_per_sample": found.manifest["passes"] / count}
        rows[name] = row | measure(found.x)
        logger.info("small: %s: %s", name, rows[name])
    return {
        "floor": floor,
        "plain": {str(count): list(values) for count, values in plain.items()},
        "ratios": {
            "plain": _said(fitted, real, Direct()),
            "collaborative": _said(shaped, real, shaped.proposal),
        },
        "seconds": round(seconds, 1),
        "samplers": rows,
    }


def _plain(gan: GAN, count: int, real: Tensor) -> tuple[float, float]:
    """Mean and standard deviation of the distance of plain draws."""
    found = [
        sliced_wasserstein(sample(gan, Direct(), count, seed=1 + k, progress=False).x, real)
        for k in range(DRAWS)
    ]
    values = torch.tensor(found, dtype=torch.float64)
    return float(values.mean()), float(values.std())


def _said(gan: GAN, real: Tensor, proposal: Any) -> dict[str, Any]:
    """How a ratio was chosen, and what its diagnosis says."""
    found = diagnose(gan, real, proposal=proposal)
    kept = gan.ratios[found.law].chosen
    numbers = ("log_loss", "auc", "z", "ece", "mean_ratio", "effective_share", "strength")
    return {
        **kept,
        **{name: getattr(found, name) for name in numbers},
        "warnings": found.warnings,
    }


def page(result: dict[str, Any]) -> list[str]:
    """What was farther, then every row."""
    gans, n = result["gans"], result["n"]
    rows = [row for found in gans.values() for row in found["samplers"].values()]
    measured = [row for row in rows if "farther" in row]
    farther = sum(row["farther"] for row in measured)
    names = list(next(iter(gans.values()))["samplers"])
    lines = [
        "# Small GANs of one's own, every sampler at its defaults",
        "",
        f"Five kinds of data, {REAL:,} real samples each, and a pair of MLPs trained on them for",
        f"{result['iterations']:,} iterations in the plain way. Every sampler runs at its",
        "defaults: `fit_ratio(gan, real)` for selectors and chains on plain samples,",
        "`shape_discriminator` and `fit_ratio` for the shaped ones, the discriminator as it was",
        "trained for the rest. What `fit_ratio` does was chosen on other GANs; the steps of `ula`,",
        "`dgflow`, `dot`, `latent_opt` and of `refine` along an unshaped guide, the default of",
        "`drs` and the rules for the strength were corrected where GANs of seeds 0 and 1 showed a",
        'fault, so that seed 2 is the test of them. *refine, shaped* is `"refine"` by name:',
        "the proposals of the shaped GAN have widened starts, which an acceptance is meant",
        "to choose from, and of those three of fifteen were farther, one at seed 1, two at seed 2.",
        "",
        "One question: is any sampler farther from the data than plain draws? *Farther* means that",
        "its sliced Wasserstein-1 distance to fresh real samples is above the mean of",
        f"{DRAWS} sets of plain draws by more than {NOISE:g} of their standard deviations, and by",
        f"more than {ALIKE:.0%} of it. Each row has {n:,} samples",
        f"({', '.join(sorted(CHAINS))}: {n // 4:,}).",
        "",
        f"**{farther} of {len(measured)} rows are farther than plain draws.**",
        "",
        *table(
            "GAN, plain W1, floor, ratio, strength, mean r, ESS, warned, farther".split(", "),
            [_overview(key, found, n) for key, found in gans.items()],
        ),
        "",
        "## Sliced W1 of a sampler over that of plain draws",
        "",
        "Below 1 is nearer to the data. Bold: farther, beyond noise.",
        "",
        *table(
            ["sampler", *gans],
            [[name, *(_share(found, name) for found in gans.values())] for name in names],
        ),
        "",
        "## C2ST",
        "",
        "AUC of boosted trees that tell samples from as many real ones; .5 is indistinguishable.",
        "",
        *table(["sampler", *gans], [[name, *_c2st(gans, name)] for name in names]),
    ]
    failed = [
        f"* {key}, {name}: {row['error']}"
        for key, found in gans.items()
        for name, row in found["samplers"].items()
        if "error" in row
    ]
    if failed:
        lines += ["", "## Refused", "", "No samples came of these, and a message said why:", ""]
        lines += failed
    return lines


def _overview(key: str, found: Mapping[str, Any], n: int) -> list[str]:
    ratio = found["ratios"]["plain"]
    mean, spread = found["plain"][str(n)]
    return [
        key,
        f"{mean:.3f} ± {spread:.3f}",
        f"{found['floor']['sliced_w1']:.3f}",
        ratio["name"],
        f"{ratio['strength']:g}",
        f"{ratio['mean_ratio']:.2f}",
        f"{100 * ratio['effective_share']:.0f}%",
        "yes" if ratio["warnings"] else "no",
        ", ".join(found["farther"]) or "none",
    ]


def _c2st(gans: Mapping[str, Any], name: str) -> list[str]:
    values = [found["samplers"][name].get("c2st") for found in gans.values()]
    return ["" if value is None else f"{value:.3f}" for value in values]


def _ratio(found: Mapping[str, Any], name: str) -> float | None:
    row = found["samplers"][name]
    if "sliced_w1" not in row:
        return None
    return row["sliced_w1"] / found["plain"][str(row["n"])][0]


def _share(found: Mapping[str, Any], name: str) -> str:
    value = _ratio(found, name)
    if value is None:
        return "refused"
    text = f"{value:.2f}"
    return f"**{text}**" if found["samplers"][name]["farther"] else text


def picture(result: dict[str, Any]) -> Figure:
    """Each sampler's distance over that of plain draws, one dot a GAN."""
    gans = result["gans"]
    names = list(next(iter(gans.values()))["samplers"])
    figure = Figure(figsize=(8, 0.32 * len(names) + 1.4), layout="constrained")
    axes = figure.subplots()
    for at, name in enumerate(names):
        for found in gans.values():
            value = _ratio(found, name)
            if value is None:
                continue
            row = found["samplers"][name]
            mean, spread = found["plain"][str(row["n"])]
            nearer = row["sliced_w1"] < mean - max(NOISE * spread, ALIKE * mean)
            colour = _FARTHER if row["farther"] else _NEARER if nearer else _ALIKE
            axes.plot(value, at, "o", color=colour, alpha=0.7, markersize=6, markeredgewidth=0)
    axes.axvline(1, color="#24292f", linewidth=1)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xscale("log")
    shown = (0.1, 0.2, 0.5, 1, 2, 5)
    axes.set_xticks(shown, [f"{value:g}" for value in shown])
    axes.set_xticks([], minor=True)
    low, high = axes.dataLim.intervalx
    axes.set_xlim(0.9 * low, 1.1 * max(high, 1.0))
    axes.set_xlabel("sliced Wasserstein-1 to the data, over that of plain draws (left is nearer)")
    kinds = {"nearer": _NEARER, "alike, within noise": _ALIKE, "farther": _FARTHER}
    axes.legend(
        handles=[
            Line2D([], [], color=colour, marker="o", linewidth=0, label=label)
            for label, colour in kinds.items()
        ],
        fontsize=8,
    )
    return figure


SMALL = Study(
    "small",
    "Distance to the data of every sampler at its defaults, over that of plain draws",
    run,
    page,
    picture,
    seeds=(0, 1, 2),
)
