"""The whole job in one go: what ``gantandem demo`` runs."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from gantandem.errors import IncompleteError, WeightsError
from gantandem.nets import build, load_weights
from gantandem.reporting import write_report
from gantandem.runs.reading import load_recipe
from gantandem.runs.recipe import Recipe
from gantandem.runs.steps import (
    DEFAULT_SAMPLERS,
    compare_run,
    diagnose_run,
    fit_run,
    new_run,
    shape_run,
    train_run,
)
from gantandem.runs.workspace import Workspace, task_of

logger = logging.getLogger(__name__)


def demo(
    out: str | Path,
    *,
    seed: int = 0,
    n: int = 10_000,
    pretrained: bool = False,
    samplers: Sequence[str] = DEFAULT_SAMPLERS,
    overrides: Sequence[str] = (),
    device: str | None = None,
) -> dict[str, Any]:
    """Run the main job on the 2D task, from nothing to a report.

    Args:
        out: Run folder.
        seed: Of everything.
        n: Samples of each sampler.
        pretrained: Load the shipped weights instead of training.
        samplers: What to compare.
        overrides: ``key=value`` texts on the recipe.
        device: Where the networks run, such as ``"cuda"``; None for the CPU.

    Returns:
        The content of ``metrics.json``.

    Raises:
        IncompleteError: At the end, if a sampler failed; the report holds the others.
    """
    recipe = load_recipe("imbalanced-8", [f"seed={seed}", *overrides])
    setup: dict[str, Any] = {}
    with _step("train", setup):
        begin = pretrained_run if pretrained else train_run
        work = begin(recipe, out, device=device)
    with _step("diagnose", setup):
        diagnose_run(work, "direct", "direct, as trained")
    with _step("shape", setup, work):
        shape_run(work)
    with _step("fit ratios", setup, work):
        fit_run(work)
    incomplete = None
    with _step("compare", {}):
        try:
            metrics = compare_run(work, samplers, n, setup=setup)
        except IncompleteError as error:
            metrics, incomplete = error.metrics, error
    with _step("report", {}):
        write_report(work.run)
    if incomplete is not None:
        raise incomplete
    return metrics


def pretrained_run(recipe: Recipe, out: str | Path, *, device: str | None = None) -> Workspace:
    """Make a run folder of the weights that ship with the package."""
    task = task_of(recipe)
    networks = {}
    for role, spec in task.networks.items():
        networks[role] = build(spec)
        asset = resources.files("gantandem") / "assets" / task.name / f"{role}.safetensors"
        with resources.as_file(asset) as path:
            if not path.is_file():
                raise WeightsError(f"no weights of {task.name} ship with this version: train them")
            load_weights(networks[role], path)
    pair = networks["generator"], networks["discriminator"]
    return new_run(recipe, task, *pair, Path(out), device)


@contextmanager
def _step(name: str, setup: dict[str, Any], work: Workspace | None = None) -> Iterator[None]:
    logger.info("%s ...", name)
    begin, passes = time.perf_counter(), work.gan.setup_passes if work else 0
    yield
    setup[name] = {"seconds": round(time.perf_counter() - begin, 2)}
    if work is not None:
        setup[name]["passes"] = work.gan.setup_passes - passes
    logger.info("%s: %.1f s", name, setup[name]["seconds"])
