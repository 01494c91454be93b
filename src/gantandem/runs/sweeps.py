"""The sweep of a run: settings of samplers, measured and weighed against each other."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from torch import Tensor

from gantandem._version import __version__
from gantandem.discriminator import fit_ratio
from gantandem.errors import ConfigError
from gantandem.evaluate.knobs import Sweep, default_sweeps, parse_sweep, plan
from gantandem.evaluate.sweeping import Swept, sweep
from gantandem.gan import GAN
from gantandem.reporting import evidence as files
from gantandem.reporting.keep import write_json
from gantandem.reporting.pareto import write_pareto
from gantandem.reporting.stale import weights_of
from gantandem.runs.measuring import DEFAULT_SAMPLERS
from gantandem.runs.rows import PointsToKeep
from gantandem.runs.stepping import writes
from gantandem.runs.steps import fit_settings
from gantandem.runs.workspace import Workspace
from gantandem.samplers.base import Mover
from gantandem.settings import at_least, check

logger = logging.getLogger(__name__)

DEFAULT = "default"


@writes
def sweep_run(
    work: Workspace,
    sweeps: Sequence[str] = (DEFAULT,),
    samplers: Sequence[str] = (),
    n: int = 4_000,
    *,
    seed: int | None = None,
    fit: bool = False,
    again: bool = False,
) -> dict[str, Any]:
    """Sweep samplers of a run and write ``sweep.json`` and ``sweep.png``.

    Points that were measured before with the same settings, networks and data are taken as they
    are; those of settings that are not asked for now go.

    Args:
        work: The run.
        sweeps: ``"SAMPLER.KNOB=VALUE,..."`` each, in place of the sampler's entry in ``SWEEPS``;
            ``"default"`` takes that table for every sampler named.
        samplers: Names, see :meth:`Workspace.sampler`; none means those in ``sweeps``, with
            ``"default"`` those of ``compare`` as well. Those without a sweep are one point.
        n: Samples of each setting.
        seed: Of the samples; None for the recipe's.
        fit: Fit and keep the ratios that are missing; otherwise settings that need one are skipped.
        again: Measure all anew.

    Returns:
        The content of ``sweep.json``, see ``docs/report.md``.

    Raises:
        ConfigError: If a sampler, a knob or a value is not allowed.
        InputError: If ``n`` is 5 or less, or every setting was skipped.
        KeyboardInterrupt: On Ctrl-C; the settings that finished are kept.
    """
    n = check("n", Annotated[int, at_least(6)], n)
    names, lines = _lines(sweeps, samplers)
    built = {name: work.sampler(name) for name in names}
    if DEFAULT in sweeps:
        lines = {**default_sweeps(built), **lines}
    plan(built, lines)  # so that mistakes are told before anything is measured
    seed = work.recipe.seed if seed is None else seed
    known = PointsToKeep(work, n, seed, again)
    content = _head(work, n, seed)

    def metrics(x: Tensor) -> dict[str, Any]:
        return {**work.task.metrics(x), **work.task.manifold(x)}

    def fit_one(gan: GAN, mover: Mover) -> GAN:
        logger.info("fitting a ratio on the law of %s", mover)
        new = fit_ratio(gan, work.real, proposal=mover, **fit_settings(work))
        law = next(law for law, ratio in new.ratios.items() if ratio is not gan.ratios.get(law))
        passes = {**work.passes, f"ratio {law}": new.setup_passes - gan.setup_passes}
        work.save(new, passes)
        return new

    def keep(swept: Swept) -> None:
        for point in swept.points:
            point.update(known.now[point["label"]])
        content.update(points=swept.points, skipped=swept.skipped, weights=weights_of(work.gan))
        write_json(work.run / files.SWEEP_FILE, content)

    sweep(
        work.gan,
        built,
        metrics,
        n,
        sweeps=lines,
        pareto=work.task.pareto,
        fit=fit_one if fit else None,
        seed=seed,
        on_point=keep,
        known=known,
    )
    write_pareto(work.run)
    return content


def _lines(
    sweeps: Sequence[str], samplers: Sequence[str]
) -> tuple[list[str], dict[str, list[Sweep]]]:
    """The names of all samplers in order, and the sweeps that were spelled out."""
    lines: dict[str, list[Sweep]] = {}
    for text in sweeps:
        if text != DEFAULT:
            name, line = parse_sweep(text)
            lines.setdefault(name, []).append(line)
    if not sweeps:
        raise ConfigError(
            f"sweep: none was given; allowed are SAMPLER.KNOB=VALUE,... or {DEFAULT!r}"
        )
    chosen = list(samplers) or list(DEFAULT_SAMPLERS if DEFAULT in sweeps else ())
    return list(dict.fromkeys([*chosen, *lines])), lines


def _head(work: Workspace, n: int, seed: int) -> dict[str, Any]:
    logger.info("measuring real data against real data")
    axes: Mapping[str, Any] = work.task.pareto._asdict()
    return {
        "schema": 1,
        "version": __version__,
        "task": work.task.name,
        "seed": seed,
        "n": n,
        "floor": {**work.task.floor(n), **work.task.manifold_floor(n)},
        "pareto": {
            role: {"key": axis.key, "better": axis.better, "label": axis.title}
            for role, axis in axes.items()
        },
        "points": [],
        "skipped": [],
    }
