"""The whole job in one go: what ``gantandem demo`` runs."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from gantandem.errors import ConfigError, IncompleteError, WeightsError
from gantandem.evaluate.recommending import BLOCKS, LEAST
from gantandem.files.locking import locked
from gantandem.nets import build, load_weights
from gantandem.reporting import write_report
from gantandem.reporting.evidence import METRICS_FILE, read_metrics
from gantandem.reporting.page import REPORT_FILE
from gantandem.runs.contents import present
from gantandem.runs.making import as_gan, begin, losses, new_origin, train_run
from gantandem.runs.measuring import DEFAULT_SAMPLERS, compare_run
from gantandem.runs.reading import load_recipe
from gantandem.runs.recipe import Recipe
from gantandem.runs.recommending import recommend_run
from gantandem.runs.steps import diagnose_run, fit_run, shape_run
from gantandem.runs.workspace import Workspace, task_of
from gantandem.training.gan import Pair

logger = logging.getLogger(__name__)


def demo(
    out: str | Path,
    *,
    seed: int = 0,
    n: int = 10_000,
    pretrained: bool = False,
    samplers: Sequence[str] = DEFAULT_SAMPLERS,
    overrides: Sequence[str] = (),
    overwrite: bool = False,
    device: str | None = None,
) -> dict[str, Any]:
    """Run the main job on the 2D task, from nothing to a report.

    A demo that was done in that folder is not done again; one that was broken off is.

    Args:
        out: Run folder.
        seed: Of everything.
        n: Samples of each sampler.
        pretrained: Load the shipped weights instead of training.
        samplers: What to compare.
        overrides: ``key=value`` texts on the recipe.
        overwrite: Give up what the folder holds of another run.
        device: Where the networks run, such as ``"cuda"``; None for the CPU.

    Returns:
        The content of ``metrics.json``.

    Raises:
        ConfigError: If the folder holds another run, or more than this demo made, and
            ``overwrite`` is not set.
        LockedError: If another command writes to the folder.
        IncompleteError: At the end, if a sampler failed; the report holds the others.
    """
    recipe = load_recipe("imbalanced-8", [f"seed={seed}", *overrides])
    asked = {"n": n, "samplers": list(samplers), "recipe": recipe.given(), "done": True}
    asked = json.loads(json.dumps({**asked, "pretrained": pretrained}))
    with locked(out, "demo"):
        before = (present(Path(out)).get("record") or {}).get("demo")
        if before == asked and not overwrite and (Path(out) / REPORT_FILE).is_file():
            logger.info("%s holds this demo already: nothing to do", out)
            return read_metrics(Path(out) / METRICS_FILE)
        broken_off = before == {**asked, "done": False}
        if not broken_off and not overwrite and present(Path(out)) and (lost := losses(Path(out))):
            raise ConfigError(
                f"{out} holds a run, and these parts of it would be lost: {', '.join(lost)}. "
                "Choose another folder, or pass overwrite=True (--overwrite)"
            )
        start = pretrained_run if pretrained else train_run
        setup: dict[str, Any] = {}
        with _step("train", setup):
            work = start(recipe, out, overwrite=overwrite or broken_off, device=device)
        work.save(work.gan, demo={**asked, "done": False})
        return _rest(work, samplers, n, setup, asked)


def _rest(
    work: Workspace, samplers: Sequence[str], n: int, setup: dict[str, Any], asked: dict[str, Any]
) -> dict[str, Any]:
    """What comes after the training."""
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
    if n >= BLOCKS * LEAST:
        with _step("recommend", {}):
            recommend_run(work, samplers, n)
    with _step("report", {}):
        write_report(work.run)
    if incomplete is not None:
        raise incomplete
    work.save(work.gan, demo=asked)
    return metrics


def pretrained_run(
    recipe: Recipe, out: str | Path, *, overwrite: bool = False, device: str | None = None
) -> Workspace:
    """Make a run folder of the weights that ship with the package.

    Args:
        recipe: Of the run.
        out: The run folder; one that was made so already is opened as it is.
        overwrite: Give up what the folder holds of another run, or found and measured since.
        device: Where the networks run.

    Raises:
        ConfigError: If anything would be lost, and ``overwrite`` is not set.
        WeightsError: If no weights ship for the task.
        LockedError: If another command writes to the folder.
    """
    task = task_of(recipe)
    networks = {}
    for role, spec in task.networks.items():
        networks[role] = build(spec)
        asset = resources.files("gantandem") / "assets" / task.name / f"{role}.safetensors"
        with resources.as_file(asset) as path:
            if not path.is_file():
                raise WeightsError(f"no weights of {task.name} ship with this version: train them")
            load_weights(networks[role], path)
    pair = Pair(networks["generator"], networks["discriminator"])
    origin, options = new_origin(pair, recipe, task), {"overwrite": overwrite, "device": device}
    with locked(out, "pretrained"):
        return begin(recipe, Path(out), origin, lambda: as_gan(pair, recipe, task), **options)


@contextmanager
def _step(name: str, setup: dict[str, Any], work: Workspace | None = None) -> Iterator[None]:
    logger.info("%s ...", name)
    begin, passes = time.perf_counter(), work.gan.setup_passes if work else 0
    yield
    setup[name] = {"seconds": round(time.perf_counter() - begin, 2)}
    if work is not None:
        setup[name]["passes"] = work.gan.setup_passes - passes
    logger.info("%s: %.1f s", name, setup[name]["seconds"])
