"""How little a good sample may cost: few, long refinement steps, then a budgeted acceptance.

The imbalanced 8 Gaussians at 1,000 iterations, as in figure 3, with at most 12 steps of .35 in
place of 50 of .1: the acceptance on the refitted law makes up for what refinement leaves.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.common import (
    NUMBERS,
    TITLES,
    command,
    line,
    median,
    number,
    over,
    read_kept,
    row_values,
)
from gantandem._version import __version__
from gantandem.runs import compare_run, fit_run, shape_run, train_run, write_json
from gantandem.runs.recipe import load_recipe

logger = logging.getLogger(__name__)

SEEDS = (0, 1, 2, 3, 4)
SHORT = (
    "shape.refine.steps=12",
    "shape.refine.step_size=0.35",
    "shape.refine.defensive=0.25",
)
SAMPLERS = ("direct", "refine", "collaborative")


def budget_result(
    out: Path, *, seeds: Sequence[int] = SEEDS, n: int = 10_000, overrides: Sequence[str] = ()
) -> dict[str, Any]:
    """Run the short recipe on every seed; rows that ``budget.json`` holds already are kept.

    Args:
        out: Folder of the runs and of ``budget.json``.
        seeds: Each trains its own generator.
        n: Samples of each sampler.
        overrides: ``key=value`` texts on the recipe of every seed, after ``SHORT``.

    Returns:
        What ``budget.json`` holds: every seed's rows, and the median over seeds.

    Raises:
        ConfigError: If ``budget.json`` was made with other settings.
    """
    path, texts = out / "budget.json", [*SHORT, *overrides]
    settings = {"task": "imbalanced-8", "n": n, "overrides": texts}
    rows: dict[str, dict[str, Any]] = read_kept(path, settings).get("seeds", {})
    for seed in seeds:
        if str(seed) in rows:
            logger.info("budget: seed %d is kept from %s", seed, path)
            continue
        recipe = load_recipe("imbalanced-8", [f"seed={seed}", *texts])
        work = train_run(recipe, out / "budget" / f"seed-{seed}")
        begin = time.perf_counter()
        shape_run(work)
        fit_run(work, ["collaborative"])
        setup = {"shape and fit": {"seconds": round(time.perf_counter() - begin, 1)}}
        rows[str(seed)] = compare_run(work, SAMPLERS, n, setup=setup)
        write_json(path, _result(settings, rows))
    return _result(settings, rows)


def _result(settings: Mapping[str, Any], rows: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "version": __version__,
        **settings,
        "command": command("budget", {"seeds": (rows, [str(s) for s in SEEDS])}),
        "floor": next(iter(rows.values()))["floor"],
        "median": median(rows.values()),
        "seeds": dict(rows),
    }


def budget_page(result: dict[str, Any]) -> str:
    """The result as a Markdown page, every seed shown."""
    head = "| sampler | " + " | ".join(TITLES) + " |"
    rule = "| --- |" + " ---: |" * len(TITLES)
    expected = {
        found["samplers"]["collaborative"]["sampler"]["expected"]
        for found in result["seeds"].values()
    }
    lines = [
        "# A sample for at most 200 passes: few refinement steps, then OBRS with K = "
        + " or ".join(f"{value:g}" for value in sorted(expected)),
        "",
        "Imbalanced 8 Gaussians, generator at 1,000 iterations. Made by",
        f"`{result['command']}`; every number is in `budget.json` beside this page. Refinement is",
        "at most 12 steps of .35 (figure 3: 50 of .1), a quarter of the starts widened (figure 3:",
        "a half); shaped, refitted and accepted with default settings otherwise. *spread*:",
        "standard deviation inside the two main modes over the true one.",
        "",
        f"{over(result['seeds']).capitalize()}, {result['n']:,} samples each:",
        "",
        head,
        rule,
        line("*real data*", [number(result["floor"][key]) for key in NUMBERS]),
    ]
    for name, values in result["median"].items():
        lines.append(line(name, [values[key] for key in (*NUMBERS, "passes_per_sample")]))
    by_seed = head.replace("| sampler", "| seed | sampler")
    lines += ["", "## Every seed", "", by_seed, "| ---: " + rule]
    for seed, found in result["seeds"].items():
        for name, row in found["samplers"].items():
            lines.append(f"| {seed} " + line(name, row_values(row)))
    return "\n".join(lines) + "\n"


def budget_picture(result: dict[str, Any]) -> Any:
    """JS against passes a sample, every seed a dot, the floor and the aim as lines."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.subplots()
    colours = {"direct": "#7d8590", "refine": "#d9822b", "collaborative": "#2f6fde"}
    for name, colour in colours.items():
        rows = [found["samplers"][name] for found in result["seeds"].values()]
        x = [row["passes_per_sample"] for row in rows]
        axes.plot(x, [row["metrics"]["js"] for row in rows], "o", color=colour, label=name)
    axes.axhline(result["floor"]["js"], color="#2a9d8f", linewidth=1, label="real data")
    axes.axhline(1e-3, color="#999999", linewidth=1, linestyle=":", label="JS .001")
    axes.axvline(200, color="#999999", linewidth=1, linestyle=":")
    axes.set(xscale="log", yscale="log", xlabel="passes a sample", ylabel="JS to the truth, nats")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    return figure
