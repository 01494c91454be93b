"""Liu et al., AAAI 2020, Figure 3: imbalanced 8 Gaussians, generator stopped at 1k iterations."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gantandem.comparing import compare
from gantandem.config import load_recipe
from gantandem.discriminator import shape
from gantandem.pipeline import compare_run, fit_run, shape_run, train_run
from gantandem.report import write_report
from gantandem.reproduce.common import NUMBERS, SAMPLERS, TITLES, line, median, number, row_values
from gantandem.reproduce.published import IMBALANCED_8
from gantandem.samplers import Metropolis, Refine, collaborative
from gantandem.score import Ratio

logger = logging.getLogger(__name__)

PUBLISHED = IMBALANCED_8[1_000]
PAPER_UPDATES = 5_000


def fig3(
    out: Path, *, seeds: Sequence[int] = range(5), n: int = 10_000, paper_seeds: Sequence[int] = ()
) -> dict[str, Any]:
    """Run the default recipe on every seed, and the published one where asked for.

    Args:
        out: Folder of the runs.
        seeds: Each trains its own generator.
        n: Samples of each sampler.
        paper_seeds: Seeds on which ``recipe="paper"`` (5,000 shaping updates, each on a fresh
            batch refined for all 50 steps) runs too: some ten minutes each on two cores.

    Returns:
        What ``fig3.json`` holds: every seed's rows, and the median over seeds.
    """
    rows: dict[str, dict[str, Any]] = {}
    for seed in seeds:
        recipe = load_recipe("imbalanced-8", [f"seed={seed}"])
        work = train_run(recipe, out / f"seed-{seed}")
        begin = time.perf_counter()
        if not work.gan.shaped:
            shape_run(work)
            fit_run(work)
        setup = {"shape and fit": {"seconds": round(time.perf_counter() - begin, 1)}}
        found = compare_run(work, SAMPLERS, n, setup=setup)
        write_report(work.run)
        mh = collaborative(work.gan, accept="metropolis")
        found["samplers"]["collaborative, MH 20"] = compare(
            work.gan, {"mh": mh}, work.task.metrics, n, seed=seed
        )["mh"].row
        if seed in paper_seeds:
            found["samplers"].update(_paper(work.gan, work, n, seed))
        rows[str(seed)] = found
    result = {
        "task": "imbalanced-8",
        "iterations": 1_000,
        "n": n,
        "command": "gantandem reproduce fig3",
        "published": PUBLISHED,
        "floor": rows[str(seeds[0])]["floor"],
        "seeds": rows,
        "median": median(rows.values()),
    }
    return result


def _paper(gan: Any, work: Any, n: int, seed: int) -> dict[str, Any]:
    """The published recipe, from the discriminator as it was trained."""
    logger.info("published recipe, seed %d", seed)
    fresh = train_run(work.recipe, work.run.parent / f"paper-{seed}").gan
    refine = Refine(layer="data", steps=50, step_size=0.1, stop="last")
    begin = time.perf_counter()
    shaped = shape(
        fresh, work.real, refine=refine, updates=PAPER_UPDATES, learning_rate=8e-3, batch=1_000,
        check_every=PAPER_UPDATES, recipe="paper", seed=seed,
    )  # fmt: skip
    seconds = round(time.perf_counter() - begin, 1)
    # Published: the shaped network itself judges.
    assert shaped.proposal is not None and shaped.guide is not None
    judged = shaped.with_ratio(shaped.law(shaped.proposal), Ratio(shaped.guide))
    samplers = {
        "refine, published recipe": shaped.proposal,
        "collaborative, published recipe": Metropolis(proposal=shaped.proposal, proposals=20),
    }
    found = compare(judged, samplers, work.task.metrics, n, seed=seed)
    return {name: {**one.row, "shaping_seconds": seconds} for name, one in found.items()}


def _median(rows: dict[str, dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Median over seeds."""
    return median(rows.values())


def fig3_page(result: dict[str, Any]) -> str:
    """The result as a Markdown page: ours beside the published values, every seed shown."""
    keys = (*NUMBERS, "passes_per_sample")
    lines = [
        "# Figure 3: imbalanced 8 Gaussians, generator at 1,000 iterations",
        "",
        "Liu et al., AAAI 2020, Figure 3. Made by `" + result["command"] + "`; every number is in",
        "`fig3.json` beside this page. *spread*: standard deviation inside the two main modes over",
        "the true one. Published values are read off the figure (about +-.01); blank is unknown.",
        "",
        f"Median over seeds {', '.join(result['seeds'])}, {result['n']:,} samples each",
        "(a published recipe: over the seeds it ran on):",
        "",
        "| sampler | " + " | ".join(TITLES) + " | published good / KL / JS |",
        "| --- |" + " ---: |" * (len(TITLES) + 1),
        line("*real data*", [number(result["floor"][k]) for k in NUMBERS], ""),
    ]
    for name, values in result["median"].items():
        given = [PUBLISHED[k].get(name.split(",")[0]) for k in ("good", "kl", "js")]
        known = " / ".join(f"{v:g}" for v in given if v is not None)
        shown = known if "," not in name or "published" in name else ""
        lines.append(line(name, [values[k] for k in keys], shown))
    lines += ["", "## Every seed", ""]
    lines += ["| seed | sampler | " + " | ".join(TITLES) + " |", "| ---: | --- |" + " ---: |" * 7]
    for seed, found in result["seeds"].items():
        for name, row in found["samplers"].items():
            lines.append(f"| {seed} " + line(name, row_values(row)))
    return "\n".join(lines) + "\n"


def fig3_picture(result: dict[str, Any]) -> Any:
    """Good, KL and JS of every sampler: ours (each seed a dot, the median a bar), and published."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.6), layout="constrained")
    names = [n for n in result["median"] if "," not in n]
    for axes, key in zip(figure.subplots(1, 3), ("good", "kl", "js"), strict=True):
        axes.bar(
            [i - 0.2 for i in range(len(names))],
            [result["median"][n][key] for n in names],
            width=0.36, color="#3b6fb6", label="ours, median of seeds",
        )  # fmt: skip
        axes.bar(
            [i + 0.2 for i in range(len(names))],
            [PUBLISHED[key][n] for n in names],
            width=0.36, color="#c9c9c9", label="published",
        )  # fmt: skip
        for found in result["seeds"].values():
            heights = [found["samplers"][n]["metrics"][key] for n in names]
            axes.plot([i - 0.2 for i in range(len(names))], heights, "k.", markersize=4)
        axes.set_xticks(range(len(names)), names, rotation=25, ha="right")
        axes.set_title({"good": "good (higher is better)"}.get(key, f"{key.upper()} (lower)"))
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[1].legend(frameon=False)
    return figure
