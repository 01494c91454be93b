"""Liu et al., AAAI 2020, Figure 3: imbalanced 8 Gaussians, generator stopped at 1k iterations."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.common import (
    NUMBERS,
    SAMPLERS,
    TITLES,
    TWO_SAMPLE,
    command,
    line,
    median,
    number,
    over,
    read_kept,
    row_values,
    shape_and_fit,
    spent_note,
)
from experiments.paper import check_same_generator, published_note, published_rows
from experiments.published import IMBALANCED_8
from gantandem.evaluate.comparing import compare
from gantandem.reporting import write_report
from gantandem.runs import compare_run, task_of, train_run, write_json
from gantandem.runs.recipe import Recipe, load_recipe
from gantandem.samplers import collaborative

logger = logging.getLogger(__name__)

PUBLISHED = IMBALANCED_8[1_000]
SEEDS = (0, 1, 2, 3, 4)
C2ST = "*C2ST*: AUC of boosted trees that tell samples from real points (.5: they cannot)."
AS_PUBLISHED = "{}, as published"
"""What a row of the published methods is called."""


def fig3_result(
    out: Path,
    *,
    seeds: Sequence[int] = SEEDS,
    n: int = 10_000,
    paper_seeds: Sequence[int] = (),
    overrides: Sequence[str] = (),
) -> dict[str, Any]:
    """Run the default recipe on every seed, and the published methods where asked for.

    What ``fig3.json`` in ``out`` holds already is kept, so that a second call adds only what is
    missing, such as the published methods on a seed; it is written after every seed.

    Args:
        out: Folder of the runs and of ``fig3.json``.
        seeds: Each trains its own generator.
        n: Samples of each sampler.
        paper_seeds: Seeds of the published methods, see ``experiments.paper``: some three minutes
            each on one core. Figure 4 shares their rows.
        overrides: ``key=value`` texts on the recipe of every seed.

    Returns:
        What ``fig3.json`` holds: every seed's rows, those of the published methods, and the
        medians over seeds.

    Raises:
        ConfigError: If ``fig3.json`` was made with other settings, or the published methods ran
            on another generator.
    """
    path = out / "fig3.json"
    iterations = task_of(load_recipe("imbalanced-8", overrides)).train.iterations
    settings = {
        "task": "imbalanced-8",
        "iterations": iterations,
        "n": n,
        "overrides": list(overrides),
    }
    kept = read_kept(path, settings)
    rows: dict[str, dict[str, Any]] = kept.get("seeds", {})
    published: dict[str, dict[str, Any]] = kept.get("as_published", {})
    for seed in seeds:
        recipe = load_recipe("imbalanced-8", [f"seed={seed}", *overrides])
        if str(seed) in rows:
            logger.info("fig3: seed %d is kept from %s", seed, path)
        else:
            rows[str(seed)] = _default(recipe, out / f"seed-{seed}", n)
            write_json(path, _result(settings, rows, published))
    for seed in paper_seeds:
        if str(seed) not in published:
            published[str(seed)] = published_rows(out, seed, iterations, n=n, overrides=overrides)
    result = _result(settings, rows, published)
    write_json(path, result)
    return result


def _default(recipe: Recipe, run: Path, n: int) -> dict[str, Any]:
    """The default recipe, and its chain of the published length."""
    work = train_run(recipe, run)
    found = compare_run(work, SAMPLERS, n, setup=shape_and_fit(work))
    write_report(work.run)
    chain = {"collaborative, MH 20": collaborative(work.gan, accept="metropolis")}
    more = compare(work.gan, chain, work.task.metrics, n, seed=recipe.seed)
    found["samplers"].update({name: one.row for name, one in more.items()})
    return found


def _result(
    settings: Mapping[str, Any], rows: Mapping[str, Any], published: Mapping[str, Any]
) -> dict[str, Any]:
    rows, published = (
        dict(sorted(given.items(), key=lambda item: int(item[0]))) for given in (rows, published)
    )
    for seed in set(rows) & set(published):
        check_same_generator(seed, rows[seed]["samplers"], published[seed]["samplers"])
    first = next(iter(rows.values()))
    return {
        **settings,
        "version": first["version"],
        "command": command("fig3", {"seeds": (rows, SEEDS), "paper": (published, ())}),
        "published": PUBLISHED,
        "floor": first["floor"],
        "seeds": rows,
        "median": median(rows.values()),
        "as_published": published,
        "as_published_median": median(published.values()),
    }


def fig3_page(result: dict[str, Any]) -> str:
    """The result as a Markdown page: ours beside the published values, every seed shown."""
    keys = (*NUMBERS, "passes_per_sample")
    tested = TWO_SAMPLE in result["floor"]
    titles = [*TITLES, *(["C2ST"] if tested else [])]

    def extra(values: Mapping[str, Any]) -> list[str]:
        found = number(values.get(TWO_SAMPLE))
        return ["" if math.isnan(found) else f"{found:.3f}"] if tested else []

    lines = [
        "# Figure 3: imbalanced 8 Gaussians, generator at 1,000 iterations",
        "",
        "Liu et al., AAAI 2020, Figure 3. Made by `" + result["command"] + "`; every number is in",
        "`fig3.json` beside this page. *spread*: standard deviation inside the two main modes over",
        "the true one. Published values are read off the figure (about +-.01); blank is unknown.",
        *([C2ST] if tested else []),
        "",
        f"{over(result['seeds']).capitalize()}, {result['n']:,} samples each:",
        "",
        "| sampler | " + " | ".join(titles) + " | published good / KL / JS |",
        "| --- |" + " ---: |" * (len(titles) + 1),
        line(
            "*real data*",
            [number(result["floor"][k]) for k in NUMBERS],
            *extra(result["floor"]),
            "",
        ),
    ]
    for name, values in result["median"].items():
        given = [PUBLISHED[k].get(name) for k in ("good", "kl", "js")]
        known = " / ".join(f"{v:g}" for v in given if v is not None)
        lines.append(line(name, [values[k] for k in keys], *extra(values), known))
    for name, values in result["as_published_median"].items():
        if name != "direct":
            known = " / ".join(f"{PUBLISHED[k][name]:g}" for k in ("good", "kl", "js"))
            cells = [*extra(values), known]
            lines.append(line(AS_PUBLISHED.format(name), [values[k] for k in keys], *cells))
    lines += [
        "",
        spent_note(result["seeds"].values()),
        *published_note(result["as_published"], list(result["as_published"].values())),
        "",
        "## Every seed",
        "",
        "| seed | sampler | " + " | ".join(titles) + " |",
        "| ---: | --- |" + " ---: |" * len(titles),
    ]
    for seed, found in result["seeds"].items():
        rows = dict(found["samplers"])
        others = result["as_published"].get(seed, {"samplers": {}})["samplers"]
        rows |= {AS_PUBLISHED.format(name): row for name, row in others.items() if name != "direct"}
        for name, row in rows.items():
            lines.append(f"| {seed} " + line(name, row_values(row), *extra(row["metrics"])))
    return "\n".join(lines) + "\n"


def fig3_picture(result: dict[str, Any]) -> Any:
    """Good, KL and JS of every sampler: ours, the published methods run here, published values.

    Each seed a dot, the median a bar.
    """
    from matplotlib.figure import Figure

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
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(
        *figure.axes[0].get_legend_handles_labels(),
        loc="outside lower center", ncols=3, frameon=False,
    )  # fmt: skip
    return figure
