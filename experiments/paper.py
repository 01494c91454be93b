"""Liu et al., AAAI 2020, as published: their baselines and their recipe on one generator.

In rows of their own beside ours; figures 3 and 4 share them. The baselines judge plain samples by
the GAN's discriminator, trained further while the generator is held. The recipe shapes the
discriminator on samples refined for a uniformly random number of steps, samples the best step,
and lets the shaped discriminator itself judge. Settings as in the paper: SGD 8e-3, batch 1,000, 50
steps of .1 on the data, gamma 1.0 (DRS), 20 proposals (Metropolis-Hastings).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from experiments.stages import stages, train_stage
from experiments.study import Given
from gantandem._version import __version__
from gantandem.discriminator import shape_discriminator
from gantandem.errors import ConfigError
from gantandem.evaluate.comparing import compare
from gantandem.networks.score import Score
from gantandem.ratios.ratio import Ratio
from gantandem.runs import Workspace, write_json
from gantandem.samplers import DRS, Direct, Metropolis, Refine

UPDATES = 1_200
"""Of shaping; published are 5,000."""
JUDGED = 5_000
"""Further updates of the discriminator that the baselines judge by, as published."""
RATE = 8e-3
BATCH = 1_000
REFINE = Refine(layer="data", steps=50, step_size=0.1, stop="random")


def published_rows(given: Given, seed: int, stage: int) -> dict[str, Any]:
    """The published methods on the imbalanced 8 Gaussians at a stage of the generator.

    What ``published.json`` in the folder holds already is kept; it is written after every stage.

    Args:
        given: What the figure is to make.
        seed: Of the generator.
        stage: Its iterations.

    Returns:
        ``samplers`` (rows of ``direct``, ``drs``, ``metropolis``, ``refine``,
        ``collaborative``), ``updates``, ``judged`` and ``threads``.

    Raises:
        ConfigError: If ``published.json`` was made with other settings.
    """
    given = replace(given, study=replace(given.study, name="published"))
    spent = {"updates": UPDATES, "judged": JUDGED}
    overrides = list(given.overrides)
    settings = {"task": "imbalanced-8", "n": given.n, **spent, "overrides": overrides}
    rows: dict[str, dict[str, Any]] = given.kept(settings).get("seeds", {})
    of_seed = rows.setdefault(str(seed), {})
    if str(stage) not in of_seed:
        folder = given.out / "published" / f"seed-{seed}"
        work = train_stage(folder, seed, stage, given.overrides)
        samplers = _baselines(work, given.n) | _recipe(work, given.n)
        threads = torch.get_num_threads()
        of_seed[str(stage)] = {**spent, "threads": threads, "samplers": samplers}
        write_json(given.path, {**settings, "version": __version__, "seeds": rows})
    return of_seed[str(stage)]


def _baselines(work: Workspace, n: int) -> dict[str, Any]:
    ((_, network),) = stages(work, "trained", [JUDGED], rate=RATE)
    judged = work.gan.with_ratio(work.gan.law(Direct()), Ratio(Score(network)))
    samplers = {
        "direct": Direct(),
        "drs": DRS(gamma=1.0, percentile=None),
        "metropolis": Metropolis(proposals=20),
    }
    return _rows(judged, samplers, work, n)


def _recipe(work: Workspace, n: int) -> dict[str, Any]:
    shaped = shape_discriminator(
        work.gan, work.real, refine=REFINE, updates=UPDATES, learning_rate=RATE, batch=BATCH,
        check_every=UPDATES, recipe="paper", seed=work.recipe.seed,
    )  # fmt: skip
    assert isinstance(shaped.proposal, Refine) and shaped.guide is not None
    best = replace(shaped.proposal, stop="best")
    judged = shaped.with_ratio(shaped.law(best), Ratio(shaped.guide))
    samplers = {"refine": best, "collaborative": Metropolis(proposal=best, proposals=20)}
    return _rows(judged, samplers, work, n)


def _rows(gan: Any, samplers: Mapping[str, Any], work: Workspace, n: int) -> dict[str, Any]:
    found = compare(gan, samplers, work.task.metrics, n, seed=work.recipe.seed)
    return {name: one.row for name, one in found.items()}


def check_same_generator(seed: str, ours: Mapping[str, Any], published: Mapping[str, Any]) -> None:
    """Refuse rows of two generators beside each other.

    Args:
        seed: Of both.
        ours: Rows by sampler.
        published: Those of :func:`published_rows`.

    Raises:
        ConfigError: If plain samples differ.
    """
    for key in ("good", "js"):
        here, there = (rows["direct"]["metrics"][key] for rows in (ours, published))
        if here != there:
            raise ConfigError(
                f"seed {seed}: the rows beside them are of another generator than "
                f"the default rows ({key} {there:g}, {here:g}): the number of threads or the build "
                "of torch differs. Run all of it anew with another --out"
            )


def published_note(seeds: Iterable[str], founds: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the published methods are and where they ran, if they did.

    Args:
        seeds: Whose generators.
        founds: Of :func:`published_rows`, one a seed or stage.
    """
    if not founds:
        return []
    found = founds[0]
    return [
        "",
        f"*As published* (seeds {', '.join(seeds)}): DRS (gamma 1.0) and Metropolis-Hastings (20",
        "proposals) judge plain samples by the GAN's discriminator after",
        f"{found['judged']:,} further updates (SGD 8e-3, batch 1,000) against the fixed generator.",
        "Refinement follows a discriminator that was shaped from the GAN's by",
        f'`recipe="paper"`: {found["updates"]:,} updates (published: 5,000) of the same kind,',
        "each on a fresh batch refined on the data for a uniformly random number of the 50 Adam",
        "steps of .1; samples take the best step, and the shaped discriminator itself, not",
        "refitted, judges 20 proposals of Metropolis-Hastings (*collaborative*).",
        f"{found['threads']} thread(s). The authors' 2D code scales Adam's steps and leaves out",
        "the correction for its start; here it is Adam as it is defined.",
    ]
