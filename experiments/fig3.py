"""Liu et al., AAAI 2020, Figure 3: imbalanced 8 Gaussians, generator stopped at 1k iterations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from experiments.paper import check_same_generator, published_note, published_rows
from experiments.published import IMBALANCED_8
from experiments.stages import shape_and_fit
from experiments.study import Given, Study, by_number
from experiments.tables import (
    COLUMNS,
    SAMPLERS,
    TWO_SAMPLE,
    cells,
    median,
    numbers,
    over,
    spent_note,
    table,
)
from gantandem.evaluate.comparing import compare
from gantandem.reporting import write_report
from gantandem.runs import compare_run, task_of, train_run
from gantandem.runs.reading import load_recipe
from gantandem.samplers import collaborative

PUBLISHED = IMBALANCED_8[1_000]
C2ST = "*C2ST*: AUC of boosted trees that tell samples from real points (.5: they cannot)."
AS_PUBLISHED = "{}, as published"
"""What a row of the published methods is called."""


def run(given: Given) -> dict[str, Any]:
    """The default recipe on every seed, and the published methods where asked for.

    Those take some three minutes a seed on one core; figure 4 shares their rows.
    """
    iterations = task_of(load_recipe("imbalanced-8", given.overrides)).train.iterations
    overrides = list(given.overrides)
    settings = {
        "task": "imbalanced-8", "iterations": iterations, "n": given.n, "overrides": overrides
    }  # fmt: skip
    kept = given.kept(settings)
    rows, published = kept.get("seeds", {}), kept.get("as_published", {})
    for seed in given.missing(rows, given.seeds, "seed "):
        rows[str(seed)] = _default(given, seed)
        _save(given, settings, rows, published)
    for seed in given.missing(published, given.paper, "published methods, seed "):
        published[str(seed)] = published_rows(given, seed, iterations)
    return _save(given, settings, rows, published)


def _default(given: Given, seed: int) -> dict[str, Any]:
    """The default recipe, and its chain of the published length."""
    recipe = load_recipe("imbalanced-8", [f"seed={seed}", *given.overrides])
    work = train_run(recipe, given.out / f"seed-{seed}", overwrite=True)
    found = compare_run(work, SAMPLERS, given.n, setup=shape_and_fit(work))
    write_report(work.run)
    chain = {"collaborative, MH 20": collaborative(work.gan, accept="metropolis")}
    more = compare(work.gan, chain, work.task.metrics, given.n, seed=seed)
    found["samplers"].update({name: one.row for name, one in more.items()})
    return found


def _save(
    given: Given, settings: Mapping[str, Any], rows: dict[str, Any], published: dict[str, Any]
) -> dict[str, Any]:
    rows, published = by_number(rows), by_number(published)
    for seed in set(rows) & set(published):
        check_same_generator(seed, rows[seed]["samplers"], published[seed]["samplers"])
    found = {
        "published": PUBLISHED,
        "floor": next(iter(rows.values()))["floor"],
        "seeds": rows,
        "median": median(rows.values()),
        "as_published": published,
        "as_published_median": median(published.values()),
    }
    return given.save(settings, found, seeds=rows, paper=published)


def page(result: dict[str, Any]) -> list[str]:
    """Ours beside the published values, every seed shown."""
    tested = "c2st" in result["floor"]
    columns = {**COLUMNS, **(TWO_SAMPLE if tested else {})}
    titles = [title for title, _ in columns.values()]
    medians = [["*real data*", *cells(result["floor"], columns), ""]]
    again = {
        AS_PUBLISHED.format(name): values
        for name, values in result["as_published_median"].items()
        if name != "direct"
    }
    for label, values in {**result["median"], **again}.items():
        name = label.removesuffix(AS_PUBLISHED.format(""))
        known = " / ".join(f"{by[name]:g}" for by in PUBLISHED.values() if name in by)
        medians.append([label, *cells(values, columns), known])
    every = []
    for seed, found in result["seeds"].items():
        rows = dict(found["samplers"])
        others = result["as_published"].get(seed, {"samplers": {}})["samplers"]
        rows |= {AS_PUBLISHED.format(name): row for name, row in others.items() if name != "direct"}
        every += [[seed, name, *cells(numbers(row), columns)] for name, row in rows.items()]
    return [
        "# Figure 3: imbalanced 8 Gaussians, generator at 1,000 iterations",
        "",
        "Liu et al., AAAI 2020, Figure 3. *spread*: standard deviation inside the two main modes",
        "over the true one. Published values are read off the figure (about +-.01); blank is",
        "unknown.",
        *([C2ST] if tested else []),
        "",
        f"{over(result['seeds']).capitalize()}, {result['n']:,} samples each:",
        "",
        *table(["sampler", *titles, "published good / KL / JS"], medians),
        "",
        spent_note(result["seeds"].values()),
        *published_note(result["as_published"], list(result["as_published"].values())),
        "",
        "## Every seed",
        "",
        *table(["seed", "sampler", *titles], every),
    ]


def picture(result: dict[str, Any]) -> Figure:
    """Ours, the published methods run here, published values: seeds are dots, medians bars."""
    figure = Figure(figsize=(12, 4), layout="constrained")
    groups = [("ours", "#3b6fb6", result["median"], result["seeds"])]
    if result["as_published"]:
        again = result["as_published_median"], result["as_published"]
        groups.append(("published methods run here", "#d9822b", *again))
    width = 0.8 / (len(groups) + 1)
    for axes, key in zip(figure.subplots(1, 3), ("good", "kl", "js"), strict=True):
        for at, (label, colour, medians, seeds) in enumerate(groups):
            where = [i + (at - len(groups) / 2) * width for i in range(len(SAMPLERS))]
            axes.bar(
                where, [medians[name][key] for name in SAMPLERS], width=0.92 * width,
                color=colour, label=f"{label}, {over(seeds)}",
            )  # fmt: skip
            for found in seeds.values():
                heights = [found["samplers"][name]["metrics"][key] for name in SAMPLERS]
                axes.plot(where, heights, "k.", markersize=3)
        axes.bar(
            [i + len(groups) / 2 * width for i in range(len(SAMPLERS))],
            [PUBLISHED[key][name] for name in SAMPLERS],
            width=0.92 * width, color="#c9c9c9", label="published values",
        )  # fmt: skip
        axes.set_xticks(range(len(SAMPLERS)), SAMPLERS, rotation=25, ha="right")
        axes.set_title({"good": "good (higher is better)"}.get(key, f"{key.upper()} (lower)"))
    handles = figure.axes[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=3)
    return figure


FIG3 = Study(
    "fig3",
    "Good, KL and JS of five samplers, ours beside the published values",
    run,
    page,
    picture,
    seeds=(0, 1, 2, 3, 4),
)
