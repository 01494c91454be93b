"""Comparing the samplers of a run: rows of ``metrics.json``, kept or measured."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gantandem._version import __version__
from gantandem.data.matching import check_shape, probe
from gantandem.engine.sampling import prepare
from gantandem.errors import GANtandemError, IncompleteError, OutputError
from gantandem.evaluate.against import Against
from gantandem.evaluate.comparing import Metrics, check_all, compare, floor_of, measured_by
from gantandem.progress import uninterrupted
from gantandem.reporting import evidence as files
from gantandem.reporting.keep import keep_result, now, write_json, write_real
from gantandem.runs.naming import translates
from gantandem.runs.rows import data_hash, drawn_with, rows_to_keep
from gantandem.runs.stepping import writes
from gantandem.runs.workspace import RECOMMENDED, Workspace
from gantandem.samplers import Direct
from gantandem.settings import Count, check
from gantandem.tasks import OwnTask

logger = logging.getLogger(__name__)

DEFAULT_SAMPLERS = ("direct", "drs", "metropolis", "refine", "collaborative")
UNSHAPED_SAMPLERS = ("direct", "drs", "metropolis")
"""Those of a user's GAN whose guide was not shaped, along which refinement mostly leads astray."""


def default_samplers(work: Workspace) -> tuple[str, ...]:
    """What is compared where nothing else is asked for."""
    own = isinstance(work.task, OwnTask) and work.gan.proposal is None
    return UNSHAPED_SAMPLERS if own else DEFAULT_SAMPLERS


def default_sampler(work: Workspace) -> str:
    """What draws where nothing else is asked for; a translator's images are refined."""
    if RECOMMENDED in work.recipe.samplers:
        return RECOMMENDED
    if translates(work.gan.latent):
        return "direct" if work.gan.guide is None else "refine"
    return "collaborative" if "collaborative" in default_samplers(work) else "drs"


@writes
def compare_run(
    work: Workspace,
    samplers: Sequence[str] = DEFAULT_SAMPLERS,
    n: int = 10_000,
    *,
    seed: int | None = None,
    setup: Mapping[str, Any] | None = None,
    again: bool = False,
    backbone: str | None = None,
    backbone_weights: str | Path | None = None,
) -> dict[str, Any]:
    """Draw n samples with each sampler, measure them, and write samples and ``metrics.json``.

    Rows that were measured before with the same settings, networks and data stay, those of other
    samplers too. What is wrong in the call is raised first. Each row is written when it is there. A
    sampler that fails while it runs does not stop the others; why it failed is kept under
    ``failed``.

    Args:
        work: The run.
        samplers: Names, see :meth:`Workspace.sampler`.
        n: Samples of each.
        seed: Of the samples; None for the recipe's.
        setup: What was spent before, by step: ``{"seconds": .., "passes": ..}``.
        again: Measure these samplers anew.
        backbone: Measure images by the features of this network in place of the task's metrics, see
            :func:`gantandem.compare`.
        backbone_weights: A weight file for it.

    Returns:
        The content of ``metrics.json``.

    Raises:
        ConfigError: If there is no such sampler, before anything is drawn.
        InputError: If ``n`` is not positive, or a sampler cannot run on this GAN.
        IncompleteError: At the end, if a sampler failed; it holds the content of ``metrics.json``.
        KeyboardInterrupt: On Ctrl-C; the samplers that finished are kept.
    """
    built = {name: work.sampler(name) for name in samplers}
    seed = work.recipe.seed if seed is None else seed
    measured: Metrics = work.task.metrics
    against: Against | None = None
    if backbone is not None:
        found = measured_by(work.gan, work.real, None, n, "compare", backbone, backbone_weights)
        assert isinstance(found[0], Against)
        measured = against = found[0]
    failed = check_all(work.gan, built, n, seed)
    data = data_hash(work, against)
    able = {k: v for k, v in built.items() if k not in failed}
    kept = rows_to_keep(work, able, n, seed, again, data)
    metrics = begin_metrics(work, n, seed, setup or {}, kept, against)
    errors: list[Exception] = []

    work.adds = bool(kept)

    def note() -> None:
        if rows := ", ".join(metrics["samplers"]):
            work.kept = f"measured and kept in {work.run}: {rows}; the same command goes on"

    for name, sampler in built.items():
        if name in kept:
            continue
        logger.info("sampling %s", name)
        try:
            if name in failed:
                raise failed[name]
            note()
            result = compare(work.gan, {name: sampler}, measured, n, seed=seed)[name]
            result.row["eyes"].setdefault("measure", work.task.eyes)
            drawn = drawn_with(result.samples.manifest, data)
            with uninterrupted():
                keep_result(work.run, work.gan, metrics, name, result, drawn)
        except OutputError:  # the next row could not be kept either
            raise
        except Exception as error:  # a network's, sampler's or metric's of the user's own, too
            ours = isinstance(error, GANtandemError)
            reason = str(error) if ours else f"{type(error).__name__}: {error}"
            logger.warning("%s failed: %s", name, reason, exc_info=None if ours else error)
            metrics.setdefault("failed", {})[name] = reason
            errors.append(error)
    rows = metrics["samplers"]
    metrics["samplers"] = {
        k: rows[k] for k in (*(k for k in rows if k not in built), *built) if k in rows
    }
    if rows:
        write_json(work.run / files.METRICS_FILE, metrics)
    if errors and rows:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in metrics["failed"].items())
        done = f"{', '.join(metrics['samplers'])} are kept in {work.run}"
        raise IncompleteError(f"not measured: {reasons}. {done}", metrics) from errors[0]
    if errors:
        raise errors[0]
    return metrics


def begin_metrics(
    work: Workspace,
    n: int,
    seed: int,
    setup: Mapping[str, Any],
    kept: Mapping[str, Any],
    against: Against | None = None,
) -> dict[str, Any]:
    """What a ``metrics.json`` holds at first, with rows that are kept; real data beside it.

    Raises:
        InputError: If ``n`` is not positive, or the generator makes samples of another shape than
            the task's.
    """
    n = check("n", Count, n)
    made = tuple(probe(work.gan.networks).shape[1:])
    check_shape(work.task.x_shape, made, f"task {work.task.name}")
    logger.info("measuring real data against real data")
    write_real(work.run, work.real.test, kept)
    bounds = work.range()
    return {
        "schema": 1,
        "version": __version__,
        "task": work.task.name,
        **({"title": work.run.resolve().name} if isinstance(work.task, OwnTask) else {}),
        "date": now(),
        "seed": seed,
        "floor": work.task.floor(n) if against is None else floor_of(against, work.real, n),
        "discriminator": _discriminator(work),
        "samplers": dict(kept),
        "setup": dict(setup),
        **({} if bounds is None else {"range": list(bounds)}),
    }


def _discriminator(work: Workspace) -> dict[str, float]:
    """The diagnosis of the ratio that judges the default sampler, else of the plain generator."""
    for mover in (work.gan.proposal, Direct()):
        if mover is None:
            continue
        ratio = work.gan.ratios.get(work.gan.law(prepare(work.gan, mover)[0]))
        if ratio is not None and ratio.diagnosis is not None:
            return {k: getattr(ratio.diagnosis, k) for k in ("brier", "z", "ece", "mce", "auc")}
    return {}
