"""Does a flat energy histogram help a chain to cover the modes? WL-GAN against MALA.

Not a figure of a paper: chains of equal length on the shipped pair of a 2D task, walking on a
ratio of p_G that is fitted first.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure

from experiments.modes import ratio_shares
from experiments.study import Given, Study
from experiments.tables import TITLES, cells, numbers, table
from gantandem.discriminator import fit_ratio
from gantandem.engine.sampling import prepare
from gantandem.evaluate.comparing import compare
from gantandem.evaluate.metrics.mixture import mode_counts
from gantandem.gan import GAN
from gantandem.runs import pretrained_run
from gantandem.runs.reading import load_recipe
from gantandem.samplers import MALA, Direct, WangLandau
from gantandem.samples import Samples
from gantandem.tasks import MixtureTask

TASKS = ("imbalanced-8", "grid-25")
SEED = 0
TILTED, PLAIN, TWIN = "wlgan, reweight=False", "mala", "mala, step size of wlgan"


def run(given: Given) -> dict[str, Any]:
    """Chains on every task; nothing is kept of an earlier call."""
    tasks = {name: _chains(name, given.n) for name in TASKS}
    return given.save({"n": given.n, "seed": SEED}, {"tasks": tasks})


def _chains(name: str, n: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        work = pretrained_run(load_recipe(name, [f"seed={SEED}"]), Path(folder) / name)
        task, real = work.task, work.real
    assert isinstance(task, MixtureTask)  # as TASKS are
    gan = fit_ratio(work.gan, real, proposal=Direct(), seed=SEED)
    tilted, setup = prepare(gan, WangLandau())
    chains = {
        PLAIN: MALA(steps=tilted.steps),
        TWIN: MALA(steps=tilted.steps, step_size=tilted.step_size),
        "wlgan": tilted,
        TILTED: replace(tilted, reweight=False),
    }
    found = compare(gan, {"direct": Direct(), **chains}, task.metrics, n, seed=SEED)
    return {
        "modes": task.mixture.weights.tolist(),
        "law": ratio_shares(gan, task.mixture, SEED + 1),
        "floor": task.floor(n),
        "wlgan_setup_passes": setup,
        "energy_range": tilted.energy_range,
        "log_weights": tilted.log_weights,
        "samplers": {
            label: {
                **one.row,
                "mode_shares": (mode_counts(one.samples.x, task.mixture) / n).tolist(),
                "energies": _histogram(gan, tilted, one.samples) if label in chains else None,
            }
            for label, one in found.items()
        },
    }


def _histogram(gan: GAN, mover: WangLandau, samples: Samples) -> list[float]:
    """Share of the samples in each energy bin, the outer ones open-ended."""
    assert mover.energy_range is not None  # prepared
    energy = -(gan.latent.log_prob(samples.z.double()) + samples.log_ratio)
    edges = torch.linspace(*mover.energy_range, mover.bins + 1, dtype=torch.float64)
    index = torch.bucketize(energy.cpu(), edges[1:-1])
    return (torch.bincount(index, minlength=mover.bins) / len(samples)).tolist()


def page(result: Mapping[str, Any]) -> list[str]:
    """Every task: its samplers, and the shares of its modes."""
    lines = [
        "# WL-GAN: chains over a flat energy histogram",
        "",
        "Chains of equal length on the shipped",
        f"pair, {result['n']:,} samples each, on a ratio of p_G fitted first. Distances are total",
        "variations. *from law*: of the shares of the modes from those of the ratio's own law, to",
        "which exact chains tend (p_G weighted by the ratio); *uneven*: of the energy histogram",
        "from a flat one over the bins of `wlgan`. *accepted*: share of moves.",
    ]
    for name, found in result["tasks"].items():
        low, high = found["energy_range"]
        law = [*found["law"], 1 - sum(found["law"])]
        rows = [["*real data*", *cells(found["floor"]), "", "", "", ""]]
        for label, row in found["samplers"].items():
            apart = _apart([*row["mode_shares"], 1 - sum(row["mode_shares"])], law)
            rows.append([label, *cells(numbers(row)), f"{apart:.3f}", *_chain_cells(row)])
        shares = {"*truth*": found["modes"], "*the ratio's law*": found["law"]}
        shares |= {label: row["mode_shares"] for label, row in found["samplers"].items()}
        lines += [
            "",
            f"## {name}",
            "",
            f"Energies {low:g} to {high:g} nats in {len(found['log_weights'])} bins; preparing",
            f"`wlgan` took {found['wlgan_setup_passes']:,} passes. Independent draws of the",
            f"ratio's law would be {_noise(law, result['n']):.3f} *from law* by chance: chains",
            "well above that have not forgotten in which mode they began.",
            "",
            *table(["sampler", *TITLES, "from law", "step", "accepted", "uneven"], rows),
            "",
            "Share of all samples that is good, by mode:",
            "",
            *table(
                ["sampler", *map(str, range(len(found["modes"])))],
                ([label, *(f"{v:.4f}" for v in values)] for label, values in shares.items()),
            ),
        ]
    return lines


def _apart(p: Sequence[float], q: Sequence[float]) -> float:
    return sum(abs(a - b) for a, b in zip(p, q, strict=True)) / 2


def _noise(law: Sequence[float], n: int) -> float:
    """Mean total variation between a law and the shares of n draws of it (normal approximation)."""
    return sum(math.sqrt(2 * p * (1 - p) / (math.pi * n)) for p in law) / 2


def _chain_cells(row: Mapping[str, Any]) -> list[str]:
    """Step size, share of moves accepted, and how uneven the energies are."""
    if row["energies"] is None:
        return ["", "", ""]
    events, flat = row["events"], 1 / len(row["energies"])
    uneven = _apart(row["energies"], [flat] * len(row["energies"]))
    accepted = events["moves_accepted"] / events["moves"]
    return [f"{row['sampler']['step_size']:g}", f"{accepted:.2f}", f"{uneven:.2f}"]


def picture(result: Mapping[str, Any]) -> Figure:
    """For each task the share of every mode over its true one, and the energies of the samples."""
    tasks = result["tasks"]
    figure = Figure(figsize=(12, 4.2 * len(tasks)), layout="constrained")
    colours = {PLAIN: "#7d8590", TWIN: "#1a1d21", "wlgan": "#2f6fde", TILTED: "#d9822b"}
    marks = dict(zip(colours, "sD^o", strict=True))
    for (name, found), (left, right) in zip(
        tasks.items(), figure.subplots(len(tasks), 2, squeeze=False), strict=True
    ):
        count, rows = len(found["modes"]), found["samplers"]
        left.axhline(1, color="#999999", linewidth=0.8)
        target = [s / w for s, w in zip(found["law"], found["modes"], strict=True)]
        left.plot(
            range(count), target, "_", color="#c4473a", markersize=240 / count,
            label="the ratio's law",
        )  # fmt: skip
        for place, (label, colour) in enumerate(colours.items()):
            if label == TILTED:
                continue
            heights = [
                s / w for s, w in zip(rows[label]["mode_shares"], found["modes"], strict=True)
            ]
            where = [i + 0.2 * (place - 1) for i in range(count)]
            left.plot(where, heights, marks[label], color=colour, markersize=6, label=label)
        few = count <= 10
        shares = [f"{i}\n{w:.3f}" if few else str(i) for i, w in enumerate(found["modes"])]
        left.set_xticks(range(count), shares, fontsize=9 if few else 7)
        left.set_xlabel("mode, and its true share" if few else "mode")
        left.set_ylabel("share of good samples / true share")
        left.set_title(f"{name}: coverage of the modes (1 is right)")
        left.set_ylim(bottom=0)
        low, high = found["energy_range"]
        bins = len(found["log_weights"])
        edges = [low + (high - low) * i / bins for i in range(bins + 1)]
        for label, colour in colours.items():
            if label != PLAIN:
                right.stairs(
                    rows[label]["energies"], edges, color=colour, linewidth=1.6, label=label
                )
        right.axhline(1 / bins, color="#999999", linewidth=0.8, linestyle="--", label="flat")
        right.set_yscale("log")
        right.set_xlabel("energy -log p0(z) - log ratio, nats (the outer bins are open-ended)")
        right.set_ylabel("share of samples")
        right.set_title("energies with and without the tilt, undone and not")
        for axes in (left, right):
            axes.legend()
    return figure


WLGAN = Study(
    "wlgan",
    "Share of every mode, and energy histograms, of MALA and WL-GAN chains",
    run,
    page,
    picture,
    seeds=(),
)
