"""Liu et al., AAAI 2020, Figure 4: samplers over the training of the generator.

Imbalanced 8 Gaussians, the generator stopped at 1k to 9k iterations. At every stage the
discriminator is shaped and the ratios are fitted anew, from the discriminator of that stage.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gantandem.config import load_recipe
from gantandem.pipeline import Workspace, compare_run, fit_run, shape_run, train_run, write_json
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
from gantandem.training.gan import CHECKPOINT

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
        overrides: ``key=value`` texts on the recipe of every stage.

    Returns:
        What ``fig4.json`` holds: the rows of every seed and stage, and the median over seeds.

    Raises:
        ConfigError: If ``fig4.json`` was made with other settings.
    """
    path = out / "fig4.json"
    settings = {"task": "imbalanced-8", "n": n, "overrides": list(overrides)}
    rows: dict[str, dict[str, Any]] = read_kept(path, settings).get("seeds", {})
    for seed in seeds:
        of_seed = rows.setdefault(str(seed), {})
        for stage in sorted(set(stages)):
            if str(stage) in of_seed:
                logger.info("fig4: seed %d at %d iterations is kept from %s", seed, stage, path)
                continue
            work = _train(out / "fig4" / f"seed-{seed}", seed, stage, overrides)
            begin = time.perf_counter()
            shape_run(work)
            fit_run(work)
            setup = {"shape and fit": {"seconds": round(time.perf_counter() - begin, 1)}}
            of_seed[str(stage)] = compare_run(work, SAMPLERS, n, setup=setup)
            write_report(work.run)
            write_json(path, _result(settings, rows))
    return _result(settings, rows)


def _train(folder: Path, seed: int, stage: int, overrides: Sequence[str]) -> Workspace:
    """Train to a stage, from the checkpoint of the nearest earlier one."""
    run = folder / str(stage)
    earlier = [int(path.parent.name) for path in folder.glob(f"*/{CHECKPOINT}")]
    earlier = [done for done in earlier if done < stage]
    if earlier and not (run / CHECKPOINT).is_file():
        run.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / str(max(earlier)) / CHECKPOINT, run / CHECKPOINT)
    settings = [f"seed={seed}", *overrides, f"train.iterations={stage}"]
    return train_run(load_recipe("imbalanced-8", settings), run)


def _result(settings: Mapping[str, Any], rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    rows = {
        seed: dict(sorted(of_seed.items(), key=lambda item: int(item[0])))
        for seed, of_seed in sorted(rows.items(), key=lambda item: int(item[0]))
        if of_seed
    }
    stages = sorted({int(stage) for of_seed in rows.values() for stage in of_seed})
    first = next(iter(next(iter(rows.values())).values()))
    return {
        **settings,
        "version": first["version"],
        "command": command("fig4", {"seeds": (rows, SEEDS), "stages": (stages, STAGES)}),
        "published": {str(stage): values for stage, values in IMBALANCED_8.items()},
        "floor": first["floor"],
        "seeds": rows,
        "median": {
            str(stage): median(
                of_seed[str(stage)] for of_seed in rows.values() if str(stage) in of_seed
            )
            for stage in stages
        },
    }


def fig4_page(result: dict[str, Any]) -> str:
    """The result as a Markdown page: ours with the published values, then all numbers."""
    names = [HEADINGS.get(name, name) for name in SAMPLERS]
    lines = [
        "# Figure 4: samplers over the training of the generator",
        "",
        f"Liu et al., AAAI 2020, Figure 4, imbalanced 8 Gaussians. Made by `{result['command']}`;",
        "every number is in `fig4.json` beside this page. At each stage the discriminator is",
        "shaped and the ratios are fitted anew. *real data* is what as many real samples score.",
        "",
        f"{over(result['seeds']).capitalize()}, {result['n']:,} samples each; in",
        "brackets the published value, read off the figure (about +-.01), where it is known:",
        "",
        "| generator at | metric | " + " | ".join(names) + " | *real data* |",
        "| ---: | --- |" + " ---: |" * (len(names) + 1),
    ]
    for stage, values in result["median"].items():
        for at, key in enumerate(METRICS):
            label = f"{int(stage):,}" if at == 0 else ""
            known = result["published"].get(stage, {}).get(key, {})
            cells = [_cell(values[name][key], known.get(name)) for name in SAMPLERS]
            cells.append(f"{number(result['floor'][key]):.4f}")
            metric = key if key == "good" else key.upper()
            lines.append(f"| {label} | {metric} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "## Every seed and stage",
        "",
        "*spread*: standard deviation inside the two main modes over the true one.",
        "",
        "| seed | generator at | sampler | " + " | ".join(TITLES) + " |",
        "| ---: | ---: | --- |" + " ---: |" * len(TITLES),
        "| | " + line("*real data*", [number(result["floor"][key]) for key in NUMBERS]),
    ]
    for seed, of_seed in result["seeds"].items():
        for stage, found in of_seed.items():
            for name, row in found["samplers"].items():
                lines.append(f"| {seed} | {int(stage):,} " + line(name, row_values(row)))
    return "\n".join(lines) + "\n"


def _cell(ours: float, known: float | None) -> str:
    return f"{ours:.4f}" + ("" if known is None else f" ({known:g})")


def fig4_picture(result: dict[str, Any]) -> Any:
    """Good, KL and JS against the stage: ours as lines (seeds thin), published as rings.

    Rings of one stage stand side by side, since many of their values coincide.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    figure = Figure(figsize=(12, 4.6), layout="constrained")
    figure.suptitle("Samplers over the training of the generator, imbalanced 8 Gaussians")
    for axes, (key, title) in zip(figure.subplots(1, 3), METRICS.items(), strict=True):
        for at, name in enumerate(SAMPLERS):
            style = {"color": COLOURS[name], "zorder": 3 if name == "collaborative" else 2}
            for of_seed in result["seeds"].values() if len(result["seeds"]) > 1 else ():
                points = [(int(s), f["samplers"][name]["metrics"][key]) for s, f in of_seed.items()]
                axes.plot(*zip(*points, strict=True), linewidth=0.6, alpha=0.4, **style)
            points = [(int(stage), values[name][key]) for stage, values in result["median"].items()]
            axes.plot(*zip(*points, strict=True), marker="o", markersize=4, linewidth=1.8, **style)
            for stage, values in result["published"].items():
                axes.plot(
                    int(stage) + SHIFT * (at - 2), values[key][name], marker="o", markersize=9,
                    fillstyle="none", markeredgewidth=1.6, **style,
                )  # fmt: skip
        axes.axhline(number(result["floor"][key]), color="black", linewidth=1, linestyle=":")
        if key != "good":
            axes.set_yscale("log")
        axes.set_xticks([int(stage) for stage in result["median"]])
        axes.set_title(title, fontsize=11)
        axes.set_xlabel("iterations of the generator")
        axes.spines[["top", "right"]].set_visible(False)
    grey, ours = "#555555", f"ours, {over(result['seeds'])}"
    figure.legend(
        handles=[
            *(Line2D([], [], color=COLOURS[name], lw=2, label=name) for name in SAMPLERS),
            Line2D([], [], color=grey, marker="o", markersize=4, label=ours),
            Line2D(
                [], [], color=grey, lw=0, marker="o", markersize=9, fillstyle="none",
                label="published",
            ),
            Line2D([], [], color="black", lw=1, ls=":", label="real data"),
        ],
        loc="outside lower center", ncols=8, frameon=False,
    )  # fmt: skip
    return figure
