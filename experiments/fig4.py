"""Liu et al., AAAI 2020, Figure 4: samplers over the training of the generator.

Imbalanced 8 Gaussians, the generator stopped at 1k to 9k iterations. At every stage the
discriminator is shaped and the ratios are fitted anew, from the discriminator of that stage.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.paper import check_same_generator, published_note, published_rows
from experiments.published import IMBALANCED_8
from experiments.stages import shape_and_fit, train_stage
from experiments.study import Given, Study, by_number
from experiments.tables import (
    COLOURS,
    SAMPLERS,
    TITLES,
    cells,
    median,
    number,
    numbers,
    over_stages,
    spent_note,
    table,
)
from gantandem.discriminator import fit_ratio
from gantandem.evaluate.comparing import compare
from gantandem.reporting import write_report
from gantandem.runs import Workspace, compare_run
from gantandem.samplers import DRS, Direct, Metropolis

ALL_STAGES = tuple(range(1_000, 9_001, 1_000))
METRICS = {"good": "good (higher is better)", "kl": "KL (lower)", "js": "JS (lower)"}
HEADINGS = {"drs": "DRS", "metropolis": "MH"}
SHIFT = 110
"""Iterations between the rings of a stage; many of their values coincide."""


def run(given: Given) -> dict[str, Any]:
    """Train a generator through its stages; shape, fit and compare the samplers at each.

    Training goes on from the nearest earlier stage, which gives the weights that training in one
    go would. A stage takes about two minutes on one core, the published methods three; figure 3
    shares their rows.
    """
    settings = {"task": "imbalanced-8", "n": given.n, "overrides": list(given.overrides)}
    kept = given.kept(settings)
    rows, published = kept.get("seeds", {}), kept.get("as_published", {})
    whole = kept.get("whole", {})
    for seed in given.seeds:
        of_seed, folder = rows.setdefault(str(seed), {}), given.out / "fig4" / f"seed-{seed}"
        for stage in given.missing(of_seed, given.stages, f"seed {seed} at "):
            work = train_stage(folder, seed, stage, given.overrides)
            setup = shape_and_fit(work)
            of_seed[str(stage)] = compare_run(work, SAMPLERS, given.n, setup=setup)
            write_report(work.run)
            _save(given, settings, rows, published, whole)
        of_seed = whole.setdefault(str(seed), {})
        for stage in given.missing(of_seed, given.stages, f"all of r, seed {seed} at "):
            work = train_stage(folder, seed, stage, given.overrides)
            of_seed[str(stage)] = _whole(work, given.n)
            _save(given, settings, rows, published, whole)
    for seed in given.paper:
        of_seed = published.setdefault(str(seed), {})
        for stage in given.missing(of_seed, given.stages, f"published methods, seed {seed} at "):
            of_seed[str(stage)] = published_rows(given, seed, stage)
    return _save(given, settings, rows, published, whole)


def _whole(work: Workspace, n: int) -> dict[str, Any]:
    """Plain samples judged by all of the ratio, fitted from the discriminator as it was trained."""
    seed = work.recipe.seed
    gan = fit_ratio(work.trained(), work.real, proposal=Direct(), strength=1.0, seed=seed)
    samplers = {"direct": Direct(), "drs": DRS(), "metropolis": Metropolis()}
    found = compare(gan, samplers, work.task.metrics, n, seed=seed)
    chosen = gan.ratio(Direct()).chosen
    return {"ratio": chosen["name"], "samplers": {name: one.row for name, one in found.items()}}


def _save(
    given: Given,
    settings: Mapping[str, Any],
    rows: dict[str, Any],
    published: dict[str, Any],
    whole: dict[str, Any],
) -> dict[str, Any]:
    rows, published, whole = (
        {seed: by_number(of_seed) for seed, of_seed in by_number(some).items() if of_seed}
        for some in (rows, published, whole)
    )
    for others in (published, whole):
        for seed in set(rows) & set(others):
            for stage in set(rows[seed]) & set(others[seed]):
                ours, theirs = (some[seed][stage]["samplers"] for some in (rows, others))
                check_same_generator(f"{seed} at {stage}", ours, theirs)
    found = {
        "published": {str(stage): values for stage, values in IMBALANCED_8.items()},
        "floor": next(iter(next(iter(rows.values())).values()))["floor"],
        "seeds": rows,
        "median": _medians(rows),
        "whole": whole,
        "whole_median": _medians(whole),
        "as_published": published,
        "as_published_median": _medians(published),
    }
    return given.save(settings, found, seeds=rows, stages=_stages(rows), paper=published)


def _stages(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return sorted({stage for of_seed in rows.values() for stage in of_seed}, key=int)


def _medians(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """By stage, over the seeds that have it."""
    return {
        stage: median(of_seed[stage] for of_seed in rows.values() if stage in of_seed)
        for stage in _stages(rows)
    }


def page(result: dict[str, Any]) -> list[str]:
    """Ours with the published values, the published methods run here, then all numbers."""
    again = result["as_published"]
    heads = ["seed", "generator at", "sampler", *TITLES]
    floor = ["", "", "*real data*", *cells(result["floor"])]
    lines = [
        "# Figure 4: samplers over the training of the generator",
        "",
        "Liu et al., AAAI 2020, Figure 4, imbalanced 8 Gaussians. At each stage the discriminator",
        "is shaped and the ratios are fitted anew. *real data* is what as many real samples score.",
        spent_note(found for of_seed in result["seeds"].values() for found in of_seed.values()),
        "",
        f"{over_stages(result['seeds']).capitalize()},",
        f"{result['n']:,} samples each; in",
        "brackets the published value, read off the figure (about +-.01), where it is known:",
        "",
        *_medians_table(result, "median"),
        "",
        *_whole_note(result),
    ]
    if again:
        founds = [found for of_seed in again.values() for found in of_seed.values()]
        lines += [
            "",
            "## The published methods, run here",
            *published_note(again, founds),
            "",
            f"{over_stages(again).capitalize()},",
            f"{result['n']:,} samples each; in brackets the published value:",
            "",
            *_medians_table(result, "as_published_median"),
        ]
    lines += [
        "",
        "## Every seed and stage",
        "",
        "*spread*: standard deviation inside the two main modes over the true one.",
        "",
        *table(heads, [floor, *_every_row(result["seeds"])]),
    ]
    if result.get("whole"):
        lines += ["", "By all of r:", "", *table(heads, _every_row(result["whole"]))]
    if again:
        lines += ["", "The published methods:", "", *table(heads, _every_row(again))]
    return lines


def _whole_note(result: Mapping[str, Any]) -> list[str]:
    """What DRS and Metropolis-Hastings give where they use all of the ratio."""
    lines = [
        "Where the generator misses modes, `fit_ratio` lets acceptance on plain samples use a",
        "ratio, and so much of it, that accepted samples are not farther from the data by sliced",
        "W1. This holds the shares of the modes and gives up precision: from 3,000 on DRS and MH",
        "are near *direct* in *good* and JS.",
    ]
    if not result.get("whole"):
        return lines
    kinds = {"drs": "DRS", "metropolis": "MH"}
    sides = {"default": result["median"], "all of r": result["whole_median"]}
    heads = [f"{kind}, {side}" for kind in kinds.values() for side in sides]
    rows = []
    for stage in result["whole_median"]:
        for at, key in enumerate(["good", "js", "sliced_w1"]):
            known = result["published"].get(stage, {}).get(key, {})
            found = [
                f"{values[stage][name][key]:.4f}" for name in kinds for values in sides.values()
            ]
            told = [f"{known[name]:g}" if name in known else "" for name in kinds]
            title = {"good": "good", "js": "JS", "sliced_w1": "sliced W1"}[key]
            rows.append(["" if at else f"{int(stage):,}", title, *found, *told])
    lines += ["", "## All of the ratio"]
    return [
        *lines,
        "",
        "`fit_ratio(strength=1)` takes the candidate with the lowest held-out loss, and DRS and MH",
        "accept plain samples by all of it. Each sample is then likelier and the whole is farther",
        "from the data by sliced W1, for what is left of a generator without the rare modes is the",
        f"two main ones. {over_stages(result['whole']).capitalize()}:",
        "",
        *table(
            ["generator at", "metric", *heads, *(f"{k}, published" for k in kinds.values())], rows
        ),
    ]


def _medians_table(result: Mapping[str, Any], which: str) -> list[str]:
    rows = []
    for stage, values in result[which].items():
        for at, key in enumerate(METRICS):
            known = result["published"].get(stage, {}).get(key, {})
            found = [
                f"{values[name][key]:.4f}" + (f" ({known[name]:g})" if name in known else "")
                for name in SAMPLERS
            ]
            metric = key if key == "good" else key.upper()
            floor = f"{number(result['floor'][key]):.4f}"
            rows.append(["" if at else f"{int(stage):,}", metric, *found, floor])
    names = [HEADINGS.get(name, name) for name in SAMPLERS]
    return table(["generator at", "metric", *names, "*real data*"], rows)


def _every_row(seeds: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    return [
        [seed, f"{int(stage):,}", name, *cells(numbers(row))]
        for seed, of_seed in seeds.items()
        for stage, found in of_seed.items()
        for name, row in found["samplers"].items()
    ]


def picture(result: dict[str, Any]) -> Figure:
    """Good, KL and JS against the stage: lines (seeds thin), the published values as rings.

    Ours above, the published methods run here below. Rings of one stage stand side by side, since
    many of their values coincide.
    """
    kinds = [("ours", result["seeds"], result["median"])]
    if result["as_published"]:
        again = result["as_published"], result["as_published_median"]
        kinds.append(("published methods run here", *again))
    figure = Figure(figsize=(11, 0.8 + 3.2 * len(kinds)), layout="constrained")
    figure.suptitle("Samplers over the training of the generator, imbalanced 8 Gaussians")
    grid = figure.subplots(len(kinds), 3, sharey="col", squeeze=False)
    for row, (label, seeds, medians) in zip(grid, kinds, strict=True):
        for axes, (key, title) in zip(row, METRICS.items(), strict=True):
            _panel(axes, key, seeds, medians, result["published"])
            axes.axhline(number(result["floor"][key]), color="black", linewidth=1, linestyle=":")
            if key != "good":
                axes.set_yscale("log")
            axes.set_xticks(sorted({int(stage) for stage in [*medians, *result["published"]]}))
            axes.set_title(title, fontsize=11)
        most = max(len(of_seed) for of_seed in seeds.values())
        full = [seed for seed, of_seed in seeds.items() if len(of_seed) == most]
        some = "" if len(full) == len(seeds) else ", at some stages more"
        row[0].set_ylabel(f"{label}\nseeds {', '.join(full)}{some}")
    for axes in grid[-1]:
        axes.set_xlabel("iterations of the generator")
    grey = "#555555"
    figure.legend(
        handles=[
            *(Line2D([], [], color=COLOURS[name], lw=2, label=name) for name in SAMPLERS),
            Line2D(
                [], [], color=grey, lw=0, marker="o", markersize=9, fillstyle="none",
                label="published value",
            ),
            Line2D([], [], color="black", lw=1, ls=":", label="real data"),
        ],
        loc="outside lower center", ncols=7,
    )  # fmt: skip
    return figure


def _panel(axes: Any, key: str, seeds: Any, medians: Any, published: Any) -> None:
    for at, name in enumerate(SAMPLERS):
        style = {"color": COLOURS[name], "zorder": 3 if name == "collaborative" else 2}
        for of_seed in seeds.values() if len(seeds) > 1 else ():
            points = [(int(s), f["samplers"][name]["metrics"][key]) for s, f in of_seed.items()]
            axes.plot(*zip(*points, strict=True), linewidth=0.6, alpha=0.4, **style)
        points = [(int(stage), values[name][key]) for stage, values in medians.items()]
        axes.plot(*zip(*points, strict=True), marker="o", markersize=4, linewidth=1.8, **style)
        for stage, values in published.items():
            axes.plot(
                int(stage) + SHIFT * (at - 2), values[key][name], marker="o", markersize=8,
                fillstyle="none", markeredgewidth=1.4, **style,
            )  # fmt: skip


FIG4 = Study(
    "fig4",
    "Good, KL and JS against the stage of the generator, with the published values",
    run,
    page,
    picture,
    stages=(1_000, 3_000, 5_000, 7_000, 9_000),
)
