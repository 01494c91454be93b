"""Liu et al., AAAI 2020, Figure 3: imbalanced 8 Gaussians, generator stopped at 1k iterations."""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from gantandem.comparing import compare
from gantandem.config import Recipe, load_recipe
from gantandem.discriminator import shape
from gantandem.errors import ConfigError
from gantandem.pipeline import compare_run, fit_run, shape_run, task_of, train_run, write_json
from gantandem.report import write_report
from gantandem.reproduce.common import (
    NUMBERS,
    SAMPLERS,
    TITLES,
    command,
    line,
    median,
    number,
    over,
    read_kept,
    row_values,
)
from gantandem.reproduce.published import IMBALANCED_8
from gantandem.samplers import Direct, Metropolis, Refine, collaborative
from gantandem.score import Ratio

logger = logging.getLogger(__name__)

PUBLISHED = IMBALANCED_8[1_000]
SEEDS = (0, 1, 2, 3, 4)
PAPER_UPDATES = 5_000
PAPER = ("refine, published recipe", "collaborative, published recipe")


def fig3_result(
    out: Path,
    *,
    seeds: Sequence[int] = SEEDS,
    n: int = 10_000,
    paper_seeds: Sequence[int] = (),
    overrides: Sequence[str] = (),
) -> dict[str, Any]:
    """Run the default recipe on every seed, and the published one where asked for.

    What ``fig3.json`` in ``out`` holds already is kept, so that a second call adds only what is
    missing, such as the published recipe on a seed; it is written after every seed.

    Args:
        out: Folder of the runs and of ``fig3.json``.
        seeds: Each trains its own generator.
        n: Samples of each sampler.
        paper_seeds: Seeds on which ``recipe="paper"`` (5,000 shaping updates, each on a fresh
            batch refined for all 50 steps) runs too: some ten minutes each on one core.
        overrides: ``key=value`` texts on the recipe of every seed.

    Returns:
        What ``fig3.json`` holds: every seed's rows, and the median over seeds.

    Raises:
        ConfigError: If ``fig3.json`` was made with other settings, or, when the published recipe
            is to be added to a seed, with another generator.
    """
    path = out / "fig3.json"
    iterations = task_of(load_recipe("imbalanced-8", overrides)).train.iterations
    settings = {
        "task": "imbalanced-8",
        "iterations": iterations,
        "n": n,
        "overrides": list(overrides),
    }
    rows: dict[str, dict[str, Any]] = read_kept(path, settings).get("seeds", {})
    for seed in dict.fromkeys([*seeds, *paper_seeds]):
        recipe = load_recipe("imbalanced-8", [f"seed={seed}", *overrides])
        if str(seed) in rows:
            logger.info("fig3: seed %d is kept from %s", seed, path)
        else:
            rows[str(seed)] = _default(recipe, out / f"seed-{seed}", n)
            write_json(path, _result(settings, rows))
        samplers = rows[str(seed)]["samplers"]
        if seed in paper_seeds and PAPER[0] not in samplers:
            samplers.update(_paper(recipe, out / f"paper-{seed}", n, samplers["direct"]))
            write_json(path, _result(settings, rows))
    return _result(settings, rows)


def _default(recipe: Recipe, run: Path, n: int) -> dict[str, Any]:
    """The default recipe, and its chain of the published length."""
    work = train_run(recipe, run)
    begin = time.perf_counter()
    shape_run(work)
    fit_run(work)
    setup = {"shape and fit": {"seconds": round(time.perf_counter() - begin, 1)}}
    found = compare_run(work, SAMPLERS, n, setup=setup)
    write_report(work.run)
    chain = {"collaborative, MH 20": collaborative(work.gan, accept="metropolis")}
    more = compare(work.gan, chain, work.task.metrics, n, seed=recipe.seed)
    found["samplers"].update({name: one.row for name, one in more.items()})
    return found


def _paper(recipe: Recipe, run: Path, n: int, direct: Mapping[str, Any]) -> dict[str, Any]:
    """The published recipe, from the discriminator as it was trained.

    Args:
        recipe: Of the seed.
        run: Folder of the training.
        n: Samples.
        direct: The seed's row of the plain generator: what is trained here must be that one.
    """
    logger.info("published recipe, seed %d", recipe.seed)
    work = train_run(recipe, run)
    metrics, seed = work.task.metrics, recipe.seed
    again = compare(work.gan, {"direct": Direct()}, metrics, n, seed=seed)["direct"].row
    for key in ("good", "js"):
        if again["metrics"][key] != direct["metrics"][key]:
            raise ConfigError(
                f"seed {seed} gives another generator than the one whose rows are kept ({key} "
                f"{again['metrics'][key]:g}, kept {direct['metrics'][key]:g}): the number of "
                "threads or the build of torch differs. Run all of it anew with another --out"
            )
    refine = Refine(layer="data", steps=50, step_size=0.1, stop="last")
    begin = time.perf_counter()
    shaped = shape(
        work.gan, work.real, refine=refine, updates=PAPER_UPDATES, learning_rate=8e-3, batch=1_000,
        check_every=PAPER_UPDATES, recipe="paper", seed=seed,
    )  # fmt: skip
    spent = {
        "shaping_updates": PAPER_UPDATES,
        "shaping_seconds": round(time.perf_counter() - begin, 1),
        "shaping_threads": torch.get_num_threads(),
    }
    # Published: the shaped network itself judges.
    assert shaped.proposal is not None and shaped.guide is not None
    judged = shaped.with_ratio(shaped.law(shaped.proposal), Ratio(shaped.guide))
    samplers = (shaped.proposal, Metropolis(proposal=shaped.proposal, proposals=20))
    found = compare(judged, dict(zip(PAPER, samplers, strict=True)), metrics, n, seed=seed)
    return {name: {**one.row, **spent} for name, one in found.items()}


def _result(settings: Mapping[str, Any], rows: Mapping[str, Any]) -> dict[str, Any]:
    rows = dict(sorted(rows.items(), key=lambda item: int(item[0])))
    first = next(iter(rows.values()))
    with_paper = [seed for seed, found in rows.items() if PAPER[0] in found["samplers"]]
    return {
        **settings,
        "version": first["version"],
        "command": command("fig3", {"seeds": (rows, SEEDS), "paper": (with_paper, ())}),
        "published": PUBLISHED,
        "floor": first["floor"],
        "seeds": rows,
        "median": median(rows.values()),
    }


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
        f"{over(result['seeds']).capitalize()}, {result['n']:,} samples each:",
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
    spent = [found["setup"]["shape and fit"]["seconds"] for found in result["seeds"].values()]
    lines += [
        "",
        f"Shaping and both ratio fits took {statistics.median(spent):.0f} s (median of the seeds).",
        *_paper_note(result),
        "",
        "## Every seed",
        "",
    ]
    lines += ["| seed | sampler | " + " | ".join(TITLES) + " |", "| ---: | --- |" + " ---: |" * 7]
    for seed, found in result["seeds"].items():
        for name, row in found["samplers"].items():
            lines.append(f"| {seed} " + line(name, row_values(row)))
    return "\n".join(lines) + "\n"


def _paper_note(result: dict[str, Any]) -> list[str]:
    """What the published recipe is and where it ran, if it did."""
    ran = {
        seed: found["samplers"][PAPER[0]]
        for seed, found in result["seeds"].items()
        if PAPER[0] in found["samplers"]
    }
    if not ran:
        return []
    row = max(ran.values(), key=lambda one: one["shaping_seconds"])
    return [
        "",
        f'*Published recipe* (`recipe="paper"`) is {over(ran)} only: {row["shaping_updates"]:,}',
        "shaping updates by SGD (8e-3), each on a fresh batch of 1,000 refined for all 50 steps of",
        ".1; the last step is the sample, and the shaped discriminator itself, not refitted,",
        "judges 20 proposals of Metropolis-Hastings. Shaping took "
        f"{row['shaping_seconds'] / 60:.0f} minutes ({row['shaping_threads']} thread).",
    ]


def fig3_picture(result: dict[str, Any]) -> Any:
    """Good, KL and JS of every sampler: ours (each seed a dot, the median a bar), and published."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.6), layout="constrained")
    names = [n for n in result["median"] if "," not in n]
    for axes, key in zip(figure.subplots(1, 3), ("good", "kl", "js"), strict=True):
        axes.bar(
            [i - 0.2 for i in range(len(names))],
            [result["median"][n][key] for n in names],
            width=0.36, color="#3b6fb6", label=f"ours, {over(result['seeds'])}",
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
