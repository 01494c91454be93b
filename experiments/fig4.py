"""Liu et al., AAAI 2020, Figure 4: samplers over the training of the generator.

Imbalanced 8 Gaussians, the generator stopped at 1k to 9k iterations. At every stage the
discriminator is shaped and the ratios are fitted anew, from the discriminator of that stage.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.common import (
    NUMBERS,
    SAMPLERS,
    TITLES,
    command,
    line,
    median,
    number,
    over_stages,
    read_kept,
    row_values,
    shape_and_fit,
    spent_note,
)
from experiments.paper import check_same_generator, published_note, published_rows
from experiments.published import IMBALANCED_8
from experiments.stages import train_stage
from gantandem.reporting import write_report
from gantandem.runs import compare_run, write_json

logger = logging.getLogger(__name__)

SEEDS = (0,)
STAGES = (1_000, 3_000, 5_000, 7_000, 9_000)
ALL_STAGES = tuple(range(1_000, 9_001, 1_000))
METRICS = {"good": "good (higher is better)", "kl": "KL (lower)", "js": "JS (lower)"}
HEADINGS = {"drs": "DRS", "metropolis": "MH"}
COLOURS = {
    "direct": "#7d8590",
    "drs": "#8a5fb8",
    "metropolis": "#2a9d8f",
    "refine": "#d9822b",
    "collaborative": "#2f6fde",
}
SHIFT = 110


def fig4_result(
    out: Path,
    *,
    seeds: Sequence[int] = SEEDS,
    stages: Sequence[int] = STAGES,
    n: int = 10_000,
    paper_seeds: Sequence[int] = (),
    overrides: Sequence[str] = (),
) -> dict[str, Any]:
    """Train a generator through its stages; shape, fit and compare the samplers at each.

    What ``fig4.json`` in ``out`` holds already is kept, so that a second call adds only the seeds
    and stages that are missing; it is written after every stage. Training goes on from the
    nearest earlier stage, which gives the weights that training in one go would.

    Args:
        out: Folder of the runs and of ``fig4.json``.
        seeds: Each trains its own generator.
        stages: Iterations at which the generator is stopped; about two minutes each on one core.
        n: Samples of each sampler.
        paper_seeds: Seeds of the published methods, see ``experiments.paper``: some three minutes a
            stage on one core. Figure 3 shares their rows.
        overrides: ``key=value`` texts on the recipe of every stage.

    Returns:
        What ``fig4.json`` holds: the rows of every seed and stage, those of the published methods,
        and the medians over seeds.

    Raises:
        ConfigError: If ``fig4.json`` was made with other settings, or the published methods ran on
            other generators.
    """
    path = out / "fig4.json"
    settings = {"task": "imbalanced-8", "n": n, "overrides": list(overrides)}
    kept = read_kept(path, settings)
    rows: dict[str, dict[str, Any]] = kept.get("seeds", {})
    published: dict[str, dict[str, Any]] = kept.get("as_published", {})
    for seed in seeds:
        of_seed = rows.setdefault(str(seed), {})
        for stage in sorted(set(stages)):
            if str(stage) in of_seed:
                logger.info("fig4: seed %d at %d iterations is kept from %s", seed, stage, path)
                continue
            work = train_stage(out / "fig4" / f"seed-{seed}", seed, stage, overrides)
            of_seed[str(stage)] = compare_run(work, SAMPLERS, n, setup=shape_and_fit(work))
            write_report(work.run)
            write_json(path, _result(settings, rows, published))
    for seed in paper_seeds:
        of_seed = published.setdefault(str(seed), {})
        for stage in sorted(set(stages)):
            if str(stage) not in of_seed:
                of_seed[str(stage)] = published_rows(out, seed, stage, n=n, overrides=overrides)
    result = _result(settings, rows, published)
    write_json(path, result)
    return result


def _result(
    settings: Mapping[str, Any],
    rows: Mapping[str, Mapping[str, Any]],
    published: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    rows, published = _sorted(rows), _sorted(published)
    for seed in set(rows) & set(published):
        for stage in set(rows[seed]) & set(published[seed]):
            ours, theirs = (given[seed][stage]["samplers"] for given in (rows, published))
            check_same_generator(f"{seed} at {stage}", ours, theirs)
    stages = sorted({int(stage) for of_seed in rows.values() for stage in of_seed})
    first = next(iter(next(iter(rows.values())).values()))
    options = {"seeds": (rows, SEEDS), "stages": (stages, STAGES), "paper": (published, ())}
    return {
        **settings,
        "version": first["version"],
        "command": command("fig4", options),
        "published": {str(stage): values for stage, values in IMBALANCED_8.items()},
        "floor": first["floor"],
        "seeds": rows,
        "median": _medians(rows),
        "as_published": published,
        "as_published_median": _medians(published),
    }


def _sorted(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Seeds and stages in ascending order, those that have rows."""
    return {
        seed: dict(sorted(of_seed.items(), key=lambda item: int(item[0])))
        for seed, of_seed in sorted(rows.items(), key=lambda item: int(item[0]))
        if of_seed
    }


def _medians(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """By stage, over the seeds that have it."""
    stages = sorted({int(stage) for of_seed in rows.values() for stage in of_seed})
    return {
        str(stage): median(
            of_seed[str(stage)] for of_seed in rows.values() if str(stage) in of_seed
        )
        for stage in stages
    }


def fig4_page(result: dict[str, Any]) -> str:
    """The result as a Markdown page: ours with the published values, then all numbers."""
    again = result["as_published"]
    lines = [
        "# Figure 4: samplers over the training of the generator",
        "",
        f"Liu et al., AAAI 2020, Figure 4, imbalanced 8 Gaussians. Made by `{result['command']}`;",
        "every number is in `fig4.json` beside this page. At each stage the discriminator is",
        "shaped and the ratios are fitted anew. *real data* is what as many real samples score.",
        spent_note(found for of_seed in result["seeds"].values() for found in of_seed.values()),
        "",
        f"{over_stages(result['seeds']).capitalize()},",
        f"{result['n']:,} samples each; in",
        "brackets the published value, read off the figure (about +-.01), where it is known:",
        "",
        *_medians_table(result, "median"),
    ]
    if again:
        lines += [
            "",
            "## The published methods, run here",
            *published_note(
                again, [found for of_seed in again.values() for found in of_seed.values()]
            ),
            "",
            f"{over_stages(again).capitalize()},",
            f"{result['n']:,} samples each; in brackets the published value:",
            "",
            *_medians_table(result, "as_published_median"),
        ]
    heads = "| seed | generator at | sampler | " + " | ".join(TITLES) + " |"
    rule = "| ---: | ---: | --- |" + " ---: |" * len(TITLES)
    lines += [
        "",
        "## Every seed and stage",
        "",
        "*spread*: standard deviation inside the two main modes over the true one.",
        "",
        heads,
        rule,
        "| | " + line("*real data*", [number(result["floor"][key]) for key in NUMBERS]),
        *_every_row(result["seeds"]),
    ]
    if again:
        lines += ["", "The published methods:", "", heads, rule, *_every_row(again)]
    return "\n".join(lines) + "\n"


def _medians_table(result: Mapping[str, Any], which: str) -> list[str]:
    names = [HEADINGS.get(name, name) for name in SAMPLERS]
    lines = [
        "| generator at | metric | " + " | ".join(names) + " | *real data* |",
        "| ---: | --- |" + " ---: |" * (len(names) + 1),
    ]
    for stage, values in result[which].items():
        for at, key in enumerate(METRICS):
            label = f"{int(stage):,}" if at == 0 else ""
            known = result["published"].get(stage, {}).get(key, {})
            cells = [_cell(values[name][key], known.get(name)) for name in SAMPLERS]
            cells.append(f"{number(result['floor'][key]):.4f}")
            metric = key if key == "good" else key.upper()
            lines.append(f"| {label} | {metric} | " + " | ".join(cells) + " |")
    return lines


def _cell(ours: float, known: float | None) -> str:
    return f"{ours:.4f}" + ("" if known is None else f" ({known:g})")


def _every_row(seeds: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return [
        f"| {seed} | {int(stage):,} " + line(name, row_values(row))
        for seed, of_seed in seeds.items()
        for stage, found in of_seed.items()
        for name, row in found["samplers"].items()
    ]


def fig4_picture(result: dict[str, Any]) -> Any:
    """Good, KL and JS against the stage: lines (seeds thin), the published values as rings.

    Ours above, the published methods run here below. Rings of one stage stand side by side, since
    many of their values coincide.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

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
            axes.spines[["top", "right"]].set_visible(False)
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
        loc="outside lower center", ncols=7, frameon=False,
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
