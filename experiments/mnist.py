"""MNIST: what sampling makes of a generator stopped early and of one trained for five epochs.

Not a figure of the paper: no values are published for this pair. What each row isolates: the
ratio on pixels against the one on features (``obrs, pixels`` and ``obrs``), shaping (``refine``
and ``collaborative`` with the guide as it was and as it became), and the two together.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from experiments.study import Given, Study
from experiments.tables import table
from gantandem.discriminator import fit_ratio
from gantandem.discriminator.parts import seeded
from gantandem.display.pictures import pair_grids
from gantandem.evaluate.comparing import compare
from gantandem.gan import GAN
from gantandem.nets import build
from gantandem.nets.ratio import ratio_spec
from gantandem.reporting import write_report
from gantandem.reporting.keep import keep_result
from gantandem.rng import Key
from gantandem.runs import Workspace, fit_run, fit_settings, shape_run, train_run
from gantandem.runs.measuring import begin_metrics
from gantandem.runs.reading import load_recipe
from gantandem.runs.workspace import proposal_of
from gantandem.samplers import OBRS, Direct, Refine, collaborative

EPOCH = 781
"""Iterations of 64 of the 50,000 images to fit on."""
PIXEL_SCHEDULE = ((300, 1e-3),)
"""Updates of the ratio on pixels: it fits in fewer than the one on features; more made it worse."""
NOTES = {
    "direct": "plain samples",
    "obrs, pixels": "accepted by a convolutional ratio on pixels",
    "obrs": "accepted by a ratio on features",
    "refine, shipped guide": "follows the discriminator that came with the generator",
    "refine, unshaped": "follows the feature guide before shaping",
    "refine": "follows the shaped guide",
    "collaborative, unshaped": "refit and OBRS on the unshaped refinement",
    "collaborative": "the default: refit and OBRS on the shaped refinement",
}


def run(given: Given) -> dict[str, Any]:
    """Train, shape, fit and compare on MNIST; the pictures are of the first seed."""
    settings = {"task": "mnist", "n": given.n, "overrides": list(given.overrides)}
    kept = given.kept(settings)
    rows, floor = kept.get("seeds", {}), kept.get("floor", {})

    def save() -> dict[str, Any]:
        stages = dict.fromkeys(stage for found in rows.values() for stage in found)
        return given.save(settings, {"floor": floor, "seeds": rows}, seeds=rows, stages=stages)

    for seed in given.seeds:
        for stage in given.stages:
            found = rows.setdefault(str(seed), {}).setdefault(str(stage), {"samplers": {}})
            if not list(given.missing(found["samplers"], NOTES, f"seed {seed} at {stage}, ")):
                continue
            texts = [f"seed={seed}", *given.overrides, f"train.iterations={stage}"]
            folder = given.out / "mnist" / f"seed-{seed}" / str(stage)
            work = train_run(load_recipe("mnist", texts), folder, overwrite=True)
            floor = floor or work.task.floor(given.n)
            begin = time.perf_counter()
            plain = work.gan
            shape_run(work)
            fit_run(work)
            found["shape_and_fit_seconds"] = round(time.perf_counter() - begin, 1)
            found["history"] = list(work.gan.history)
            metrics = begin_metrics(work, given.n, seed, {}, found["samplers"])
            for name, make in _makers(work, plain).items():
                if name in found["samplers"]:
                    continue
                gan, sampler = make()
                one = compare(gan, {name: sampler}, work.task.metrics, given.n, seed=seed)[name]
                keep_result(work.run, gan, metrics, name, one)
                found["samplers"][name] = one.row
                if name == "refine" and seed == given.seeds[0]:
                    _write_pictures(given.out / f"mnist-{stage}", gan, one.samples)
                save()
            write_report(work.run)
    return save()


def _makers(work: Workspace, plain: GAN) -> dict[str, Callable[[], tuple[GAN, Any]]]:
    """A GAN and a sampler for each row; what must be fitted for a row alone is fitted then."""
    shaped, options = work.gan, fit_settings(work)
    refine = proposal_of(work.sampler("refine"))
    assert isinstance(refine, Refine)

    def pixels() -> tuple[GAN, Any]:
        spec = ratio_spec(work.task.x_shape)
        with seeded(Key(work.recipe.seed).fold("ratio network"), plain.device):
            own: dict[str, Any] = {"network": build(spec).to(plain.device), "spec": spec}
        own |= {"batch": 128, "schedule": PIXEL_SCHEDULE}
        return fit_ratio(plain, work.real, proposal=Direct(), **{**options, **own}), OBRS()

    def unshaped() -> GAN:
        return fit_ratio(plain, work.real, proposal=Direct(), as_guide=True, **options)

    def unshaped_collaborative() -> tuple[GAN, Any]:
        gan = fit_ratio(unshaped(), work.real, proposal=refine, **options)
        return gan, collaborative(gan, proposal=refine)

    return {
        "direct": lambda: (shaped, Direct()),
        "obrs, pixels": pixels,
        "obrs": lambda: (shaped, OBRS()),
        "refine, shipped guide": lambda: (plain, refine),
        "refine, unshaped": lambda: (unshaped(), refine),
        "refine": lambda: (shaped, refine),
        "collaborative": lambda: (shaped, work.sampler("collaborative")),
        "collaborative, unshaped": unshaped_collaborative,
    }


def _write_pictures(stem: Path, gan: GAN, samples: Any) -> None:
    """The same latents before and after refinement, and what changed."""
    with gan.networks.frozen():
        before = gan.decode(samples.z[:64]).cpu().numpy()
    for name, png in pair_grids(before, samples.x[:64].cpu().numpy(), (-1, 1)).items():
        stem.with_name(f"{stem.name}-{name}.png").write_bytes(png)


def page(result: dict[str, Any]) -> list[str]:
    """Every row, and the pictures before and after."""
    lines = [
        "# MNIST: a generator stopped early, and one at five epochs",
        "",
        "The paper's NS-GAN on MNIST (InfoGAN's networks), refined at the 7x7x128 activation. The",
        "Frechet distance is that of the 64 features of our digit classifier to the test set, on",
        f"{result['n']:,} samples (*real*: one half of the test set against the other).",
        "",
        "The guide and the ratios see images through a frozen backbone: a digit classifier of",
        "another architecture and seed, trained on the labels of the same 50,000 images. A metric",
        "on a classifier's features flatters what was selected through a classifier's features",
        "(Kynkaanniemi et al., ICLR 2023): look at the pictures too.",
    ]
    stages = dict.fromkeys(stage for found in result["seeds"].values() for stage in found)
    missing = [
        f"seed {seed} at {int(stage):,} iterations"
        for seed, found in result["seeds"].items()
        for stage in stages
        if set(found.get(stage, {"samplers": ()})["samplers"]) != set(NOTES)
    ]
    if missing:
        lines += ["", f"Not finished in this run: {', '.join(missing)}."]
    for seed, found in result["seeds"].items():
        for stage, row in found.items():
            first = seed == next(iter(result["seeds"]))
            lines += _stage(seed, int(stage), row, result["floor"], pictures=first)
    return lines


def _stage(
    seed: str, stage: int, found: dict[str, Any], floor: dict[str, Any], *, pictures: bool
) -> list[str]:
    base = found["samplers"]["direct"]["metrics"]["frechet_distance"]
    epochs = round(stage / EPOCH)
    rows = [
        ["*real*", f"{floor['frechet_distance']:.3f}", "", f"{floor['classifier_score']:.2f}"]
        + ["", ""]
    ]
    for name, row in found["samplers"].items():
        distance, score = (row["metrics"][key] for key in ("frechet_distance", "classifier_score"))
        cells = f"{distance:.3f}", f"{distance / base:.0%}", f"{score:.2f}"
        rows.append([name, *cells, f"{row['passes_per_sample']:.0f}", NOTES[name]])
    heads = ["sampler", "Frechet distance", "of direct", "classifier score", "passes a sample", ""]
    lines = [
        "",
        f"## Seed {seed}, {stage:,} iterations ({epochs} epoch{'s' * (epochs > 1)})",
        "",
        *table(heads, rows),
    ]
    took = f"Shaping and fitting took {found['shape_and_fit_seconds']:.0f} s."
    if not pictures:
        return [*lines, "", took]
    lines += [
        "",
        f"{took} The same latents before",
        "refinement, after, and what changed (red where ink went, blue where it came):",
        "",
    ]
    return lines + [
        f"![{what} refinement](mnist-{stage}-{what}.png)"
        for what in ("before", "after", "difference")
    ]


def picture(result: dict[str, Any]) -> Figure:
    """Frechet distance against passes a sample, a panel a stage."""
    seeds = result["seeds"]
    columns = max(len(found) for found in seeds.values())
    figure = Figure(figsize=(5.4 * columns, 4.2 * len(seeds)), layout="constrained")
    grid = figure.subplots(len(seeds), columns, squeeze=False)
    panels = [
        (axes, seed, stage, row)
        for line, (seed, found) in zip(grid, seeds.items(), strict=True)
        for axes, (stage, row) in zip(line, found.items(), strict=False)
    ]
    for axes in set(grid.flat) - {axes for axes, *_ in panels}:
        axes.set_visible(False)
    for axes, seed, stage, found in panels:
        for name, row in found["samplers"].items():
            x, y = row["passes_per_sample"], row["metrics"]["frechet_distance"]
            ours = name == "collaborative"
            colour = "#2f6fde" if ours else "#7d8590"
            axes.plot(x, y, "o", color=colour, markersize=7, zorder=3 if ours else 2)
            lift = 7 if "unshaped" in name else -9  # the two may coincide
            axes.annotate(name, (x, y), (7, lift), textcoords="offset points", fontsize=8)
        axes.axhline(result["floor"]["frechet_distance"], color="#2a9d8f", linewidth=1)
        axes.set_xscale("log")
        axes.set_xlim(0.7, 3_000)
        axes.set_ylim(bottom=0)
        axes.set_title(f"seed {seed}, {int(stage):,} iterations", fontsize=10)
        axes.set_xlabel("passes a sample (real data: the line)")
    figure.axes[0].set_ylabel("Frechet distance to the test set (lower)")
    return figure


MNIST = Study(
    "mnist",
    "Frechet distance against passes a sample, at one and at five epochs",
    run,
    page,
    picture,
    stages=(EPOCH, 5 * EPOCH),
)
