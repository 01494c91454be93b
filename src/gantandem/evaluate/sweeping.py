"""Vary the knobs of samplers and see what each setting buys: quality, diversity and passes."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from gantandem.data.real import RealData
from gantandem.engine.sampling import prepare
from gantandem.errors import BudgetError, InputError, LawMismatchError, NonFiniteError
from gantandem.evaluate.comparing import Metrics, compare, measured_by
from gantandem.evaluate.comparison import Compared
from gantandem.evaluate.knobs import Sweep, default_sweeps, plan
from gantandem.evaluate.metrics.pareto import PASSES, Axis, Pareto, pareto_front
from gantandem.gan import GAN
from gantandem.nets.hashing import hashed_once
from gantandem.progress import keeping
from gantandem.samplers.base import Mover, Selector
from gantandem.samplers.direct import Direct
from gantandem.samplers.named import SamplersLike, as_samplers
from gantandem.settings import Count, check

logger = logging.getLogger(__name__)

Row = dict[str, Any]
Fit = Callable[[GAN, Mover], GAN]
Known = Callable[[str, Any, GAN], Row | None]


class Swept(NamedTuple):
    """What a sweep found.

    Args:
        points: One row for each setting that was measured, see :func:`sweep`.
        skipped: ``label``, ``sampler``, ``knob``, ``value`` and ``reason`` of those that were not.
        gan: The GAN with the ratios that were fitted on the way.
    """

    points: list[Row]
    skipped: list[Row]
    gan: GAN


@hashed_once()
def sweep(
    gan: GAN,
    samplers: SamplersLike,
    real: RealData | Metrics | None = None,
    n: int = 4_000,
    *,
    metrics: Metrics | None = None,
    sweeps: Mapping[str, Sequence[Sweep]] | None = None,
    pareto: Pareto | None = None,
    fit: Fit | None = None,
    seed: int = 0,
    width: int | None = None,
    progress: bool | None = None,
    on_point: Callable[[Swept], None] | None = None,
    known: Known | None = None,
) -> Swept:
    """Draw n samples with each setting of each sampler, measure them, and mark the Pareto fronts.

    A knob is a setting that is varied. A knob of a mover (``steps``) changes the law of its
    proposals, and acceptance needs a ratio of that law. If none was fitted, ``fit`` fits one, or
    the setting is skipped; a ratio of another law is never used. A setting is also skipped if it
    cannot run on this GAN, or if its attempts run out. Skipped settings are listed with the reason.

    Each row has ``label``, ``sampler``, ``knob``, ``value``, ``settings`` (prepared, JSON-ready),
    ``law``, ``fitted`` (a ratio it needs was fitted in the sweep that measured it), ``metrics``,
    the columns of :func:`~gantandem.compare` (``n``, ``passes_per_sample``, ``setup_passes``,
    ``seconds``, ``samples_per_second``, ``acceptance``, ``events``) and, with ``pareto``,
    ``on_front``: see :func:`mark_fronts`. ``setup_passes`` counts the pilots and the
    proposals that its ratios were fitted on in this sweep, also when another setting shares them.

    Args:
        gan: Networks, latent and ratios.
        samplers: Samplers or their names, in a list or a mapping, as for
            :func:`~gantandem.compare`.
        real: What samples are measured against, as for :func:`~gantandem.compare`.
        n: Samples of each setting.
        metrics: From (n, *x_shape) samples to named numbers.
        sweeps: Knobs and values by the name of a sampler; None takes ``SWEEPS``.
        pareto: The axes of the fronts, for example ``task.pareto``.
        fit: From a GAN and a mover to a GAN that has a ratio of its law, for example
            ``lambda gan, mover: fit_ratio(gan, real, proposal=mover)``.
        seed: The seed of all samples.
        width: Lanes.
        progress: Show progress bars.
        on_point: Called with what there is after each setting.
        known: From a label, its prepared sampler and the GAN to the row that was measured before
            and is taken instead; None measures.

    Raises:
        ConfigError: As :func:`plan`, before anything is drawn.
        InputError: If ``n`` is not allowed, or every setting was skipped.
        KeyboardInterrupt: On Ctrl-C; ``on_point`` has seen all that was finished.
    """
    check("sweep gan", GAN, gan)
    n = check("n", Count, n)
    metrics, _ = measured_by(gan, real, metrics, n, "sweep")
    named = as_samplers(gan, samplers)
    planned = plan(named, default_sweeps(named) if sweeps is None else sweeps)
    swept = Swept([], [], gan)
    points = swept.points
    spent: dict[str, int] = {}
    options: dict[str, Any] = {"seed": seed, "width": width, "progress": progress}
    for one in planned:
        logger.info("sweep: %s", one.label)
        names = {"label": one.label, "sampler": one.name, "knob": one.knob, "value": one.value}
        try:
            with keeping(lambda: f"measured: {len(points)} settings"):
                ready, gan, setup, laws = _provide(swept.gan, one.sampler, fit, spent)
                swept = swept._replace(gan=gan)
                row = None if known is None else known(one.label, ready, gan)
                result = row or compare(gan, {one.label: ready}, metrics, n, **options)[one.label]
        except (InputError, BudgetError, NonFiniteError) as error:
            told = {row["reason"] for row in swept.skipped}
            swept.skipped.append({**names, "reason": str(error)})
            # The values of a knob mostly share their reason: say it once.
            level = logging.INFO if str(error) in told else logging.WARNING
            logger.log(level, "sweep: %s is skipped: %s", one.label, error)
        else:
            if isinstance(result, Compared):
                law, settings = result.samples.manifest["law"], result.row["sampler"]
                row = {**names, **result.row, "sampler": one.name, "settings": settings, "law": law}
                row["fitted"] = any(law in spent for law in laws)
                row["setup_passes"] += setup
                result = row
            swept.points.append(result)
        if pareto is not None:
            mark_fronts(swept.points, pareto)
        if on_point is not None:
            on_point(swept)
    if not swept.points:
        reasons = "\n".join(f"{row['label']}: {row['reason']}" for row in swept.skipped)
        raise InputError(f"sweep: no setting could be measured\n{reasons}")
    return swept


def fronts(pareto: Pareto) -> dict[str, tuple[Axis, Axis]]:
    """Name the fronts of a sweep: the two axes of each."""
    return {
        "quality_diversity": (pareto.quality, pareto.diversity),
        "quality_passes": (PASSES, pareto.quality),
        "diversity_passes": (PASSES, pareto.diversity),
        "distance_passes": (PASSES, pareto.distance),
    }


def mark_fronts(points: Sequence[Row], pareto: Pareto) -> None:
    """Set each row's ``on_front``: by the name of a front, whether the point is on it."""
    on = {name: pareto_front(points, *axes) for name, axes in fronts(pareto).items()}
    for index, point in enumerate(points):
        point["on_front"] = {name: marks[index] for name, marks in on.items()}


def _provide(
    gan: GAN, sampler: Mover | Selector, fit: Fit | None, spent: dict[str, int]
) -> tuple[Any, GAN, int, list[str]]:
    """Prepare the mover and see that every ratio is there that the sampler needs.

    Returns:
        The sampler over its prepared mover, the GAN with the ratios, the passes that this took or
        would have taken by itself, and the laws of the ratios.
    """
    selects = isinstance(sampler, Selector)
    mover = sampler.proposal if selects else sampler
    laws: list[str] = []
    if mover.uses_ratio:  # a chain in latent space walks on the ratio of p_G
        _, gan, law, _ = _fitted(gan, Direct(), fit, spent)
        laws.append(law)
    if selects:
        ready, gan, law, pilots = _fitted(gan, mover, fit, spent)
        laws.append(law)
        ready = dataclasses.replace(sampler, proposal=ready)  # type: ignore
    else:
        ready, pilots = prepare(gan, mover)
    return ready, gan, pilots + sum(spent.get(law, 0) for law in laws), laws


def _fitted(
    gan: GAN, mover: Mover, fit: Fit | None, spent: dict[str, int]
) -> tuple[Mover, GAN, str, int]:
    """Return the prepared mover, the GAN with its ratio, its law, and the passes of preparing."""
    ready, pilots = prepare(gan, mover)
    law = gan.law(ready)
    if law not in gan.ratios:
        if fit is None:
            raise LawMismatchError(
                f"no ratio was fitted on the law of its {mover.name} proposals (law {law}); fit "
                "it during the sweep with --fit (in Python: fit=), or leave this setting out"
            )
        before, gan = gan.setup_passes, fit(gan, mover)
        ready, pilots = prepare(gan, mover)
        law = gan.law(ready)  # fitting may first have looked at the data
        if law not in gan.ratios:
            raise InputError(f"sweep fit: returned no ratio of law {law} ({mover})")
        spent[law] = gan.setup_passes - before
    return ready, gan, law, pilots
