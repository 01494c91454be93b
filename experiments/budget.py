"""How little a good sample may cost: few, long refinement steps, then a budgeted acceptance.

The imbalanced 8 Gaussians at 1,000 iterations, as in figure 3, with at most 12 steps of .35 in
place of 50 of .1: the acceptance on the refitted law makes up for what refinement leaves.
"""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from experiments.stages import shape_and_fit
from experiments.study import Given, Study
from experiments.tables import COLOURS, TITLES, budgets, cells, median, numbers, over, table
from gantandem.runs import compare_run, train_run
from gantandem.runs.reading import load_recipe

SHORT = (
    "shape.refine.steps=12",
    "shape.refine.step_size=0.35",
    "shape.refine.defensive=0.25",
)
SAMPLERS = ("direct", "refine", "collaborative")


def run(given: Given) -> dict[str, Any]:
    """The short recipe on every seed."""
    texts = [*SHORT, *given.overrides]
    settings = {"task": "imbalanced-8", "n": given.n, "overrides": texts}
    rows: dict[str, dict[str, Any]] = given.kept(settings).get("seeds", {})
    for seed in given.missing(rows, given.seeds, "seed "):
        recipe = load_recipe("imbalanced-8", [f"seed={seed}", *texts])
        work = train_run(recipe, given.out / "budget" / f"seed-{seed}", overwrite=True)
        setup = shape_and_fit(work, ["collaborative"])
        rows[str(seed)] = compare_run(work, SAMPLERS, given.n, setup=setup)
        _save(given, settings, rows)
    return _save(given, settings, rows)


def _save(given: Given, settings: dict[str, Any], rows: dict[str, Any]) -> dict[str, Any]:
    floor = next(iter(rows.values()))["floor"]
    found = {"floor": floor, "median": median(rows.values()), "seeds": rows}
    return given.save(settings, found, seeds=rows)


def page(result: dict[str, Any]) -> list[str]:
    """The medians, then every seed."""
    medians = [["*real data*", *cells(result["floor"])]]
    medians += [[name, *cells(values)] for name, values in result["median"].items()]
    every = [
        [seed, name, *cells(numbers(row))]
        for seed, found in result["seeds"].items()
        for name, row in found["samplers"].items()
    ]
    return [
        "# A sample for at most 200 passes: few refinement steps, then OBRS with K = "
        + budgets(result["seeds"].values()),
        "",
        "Imbalanced 8 Gaussians, generator at 1,000 iterations. Refinement is at most",
        "12 steps of .35 (figure 3: 50 of .1), a quarter of the starts widened (figure 3: a half);",
        "shaped, refitted and accepted with default settings otherwise. *spread*: standard",
        "deviation inside the two main modes over the true one.",
        "",
        f"{over(result['seeds']).capitalize()}, {result['n']:,} samples each:",
        "",
        *table(["sampler", *TITLES], medians),
        "",
        "## Every seed",
        "",
        *table(["seed", "sampler", *TITLES], every),
    ]


def picture(result: dict[str, Any]) -> Figure:
    """JS against passes a sample, every seed a dot, the floor and the aim as lines."""
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.subplots()
    for name in SAMPLERS:
        rows = [found["samplers"][name] for found in result["seeds"].values()]
        x = [row["passes_per_sample"] for row in rows]
        axes.plot(x, [row["metrics"]["js"] for row in rows], "o", color=COLOURS[name], label=name)
    axes.axhline(result["floor"]["js"], color="#2a9d8f", linewidth=1, label="real data")
    axes.axhline(1e-3, color="#999999", linewidth=1, linestyle=":", label="JS .001")
    axes.axvline(200, color="#999999", linewidth=1, linestyle=":")
    axes.set(xscale="log", yscale="log", xlabel="passes a sample", ylabel="JS to the truth, nats")
    axes.legend(fontsize=8)
    return figure


BUDGET = Study(
    "budget",
    "JS against passes a sample with few refinement steps, every seed a dot",
    run,
    page,
    picture,
    seeds=(0, 1, 2, 3, 4),
)
