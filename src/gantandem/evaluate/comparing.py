"""Run several samplers on one GAN and put their quality and cost side by side."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from gantandem.condition import is_labels
from gantandem.data.real import Real, RealData
from gantandem.discriminator.features import backbone_body
from gantandem.discriminator.parts import parts_for
from gantandem.engine.sampling import sample, start_run
from gantandem.errors import GANtandemError, IncompleteError, InputError
from gantandem.evaluate.against import Against
from gantandem.evaluate.comparison import Compared, Comparison
from gantandem.evaluate.eyes import eyes_of_row, shared_eyes
from gantandem.evaluate.metrics.finite import need_finite
from gantandem.gan import GAN
from gantandem.nets.hashing import hashed_once
from gantandem.progress import keeping
from gantandem.rng import Key
from gantandem.samplers.base import Mover, Selector
from gantandem.samplers.named import SamplersLike, as_samplers
from gantandem.samplers.obrs import OBRS
from gantandem.samples import Samples
from gantandem.settings import Count, check, check_function, show

logger = logging.getLogger(__name__)

Metrics = Callable[[Tensor], Mapping[str, Any]]
FEWEST = 2
"""Passes of which OBRS can make something."""
_FORM = "a function from samples to named numbers"


@hashed_once()
def compare(
    gan: GAN,
    samplers: SamplersLike,
    real: RealData | Metrics | None = None,
    n: int = 10_000,
    *,
    metrics: Metrics | None = None,
    backbone: str | nn.Module | None = None,
    backbone_weights: str | Path | None = None,
    equal_budget: bool = False,
    seed: int = 0,
    width: int | None = None,
    strict: bool = True,
    progress: bool | None = None,
) -> Comparison:
    """Draw n samples with each sampler from the same seed and measure them.

    Mistakes in the call are raised before the first sample is drawn, because every sampler is
    checked first. A sampler that fails in its pilot or while it draws does not stop the others;
    its error is raised at the end.

    Args:
        gan: Networks, latent and ratios.
        samplers: Samplers or their names, in a list, or in a mapping by the name of their row:
            ``["direct", "obrs", OBRS(expected=4)]``. ``"refine"`` and ``"collaborative"`` are
            what the GAN was shaped for.
        real: (N, *x_shape) real samples in any form that ``RealData`` names. Its test part is what
            samples are measured against, and its select part what they could reach. A function
            here is taken for ``metrics``.
        n: Samples of each.
        metrics: From (n, *x_shape) samples to named numbers, for example ``task.metrics``; None
            measures against ``real`` as :class:`~gantandem.evaluate.against.Against` says.
        backbone: Measure images by the features of this network: a module that gives features of
            images as the generator makes them, ``"module:Class"`` of one, or the name of a shipped
            one, ``"efficientnet-lite0"``, ``"timm:resnet18"``, ...; see
            :class:`~gantandem.evaluate.against.Against`. A warning says where a guide or a ratio
            looks through the same one.
        backbone_weights: A weight file of a backbone of your own, ``.safetensors`` or ``.pth``.
        equal_budget: Add, for each sampler that takes 2 passes a sample or more, a row of plain
            samples accepted by OBRS with K as large, such as ``"obrs, K = 34"``. It takes K passes
            at most, and fewer where it is exact with fewer. What costs more should give more than
            this row. It needs a ratio of the plain generator.
        seed: The seed of all samplers.
        width: Lanes.
        strict: False turns a law mismatch into a warning.
        progress: Show progress bars.

    Returns:
        Rows and samples by name. ``print`` shows the table; ``to_pandas()``, ``plot()``.

    Raises:
        InputError: As :func:`~gantandem.sample`, with the name of the sampler; or if there are
            neither ``real`` nor ``metrics``.
        DataError: If the real samples do not suit the GAN.
        IncompleteError: If some samplers failed and some did not: its ``finished`` holds what would
            have been returned of those that did not. If all failed, the first one's own error.
        NonFiniteError: If samples are not finite: no metric, built in or not, is called on them.
        KeyboardInterrupt: On Ctrl-C. Its attribute ``finished`` holds the rows that were measured:
            one of fewer than n samples would stand beside whole ones.

    Example:
        >>> from gantandem.testing import toy_gan
        >>> found = compare(toy_gan(), ["direct", "obrs"], torch.randn(400, 2), n=100)
        >>> list(found)
        ['direct', 'obrs']
    """
    check("compare gan", GAN, gan)
    if isinstance(real, list | tuple) and any(
        isinstance(one, str | Mover | Selector) for one in real
    ):
        raise InputError("compare: samplers come before real data: compare(gan, samplers, real)")
    metrics, parts = measured_by(gan, real, metrics, n, "compare", backbone, backbone_weights)
    named = as_samplers(gan, samplers)
    failed = check_all(gan, named, n, seed, width=width, strict=strict)
    if equal_budget:
        start_run(gan, OBRS(), n, seed, width, 0, strict)  # a ratio of plain samples is there
    results = Comparison(gan, n=n, seed=seed)
    if parts is not None:
        results.real = parts.test[:n].cpu()
        results.floor = floor_of(metrics, parts, n)
    options: dict[str, Any] = {"seed": seed, "width": width, "strict": strict, "progress": progress}
    queue = list(named.items())
    for name, sampler in queue:  # it grows, where budgets are made equal
        if name in failed:
            continue
        try:
            measured = ", ".join(results) or "nothing"
            with keeping(lambda m=measured, one=name: f"{one} not measured; {m} was", results):
                out = sample(gan, sampler, n, **options)
                results[name] = _measure(name, gan, sampler, out, metrics)
            logger.info("%s: %s", name, results[name].row)
        except Exception as error:  # of a network, a sampler or a metric of the user's own, too
            failed[name] = error
            if len(named) > 1:
                logger.warning("%s failed: %s", name, reason(error))
        else:
            if equal_budget and name in named:
                queue += _alike(results[name].row, dict(queue))
    if failed and results:
        results.failed = {name: reason(error) for name, error in failed.items()}
        said = "; ".join(f"{name}: {why}" for name, why in results.failed.items())
        raise IncompleteError(
            f"not measured: {said}. {', '.join(results)} are in the error's attribute finished",
            results.metrics,
            results,
        ) from next(iter(failed.values()))
    for error in failed.values():
        raise error
    return results


def _alike(row: Mapping[str, Any], asked: Mapping[str, Any]) -> list[tuple[str, OBRS]]:
    """OBRS of plain samples for as many passes as a row took, unless it is asked for already."""
    budget = round(row["passes_per_sample"])
    name, sampler = f"obrs, K = {budget}", OBRS(expected=budget)
    known = budget < FEWEST or name in asked or sampler in asked.values()
    return [] if known else [(name, sampler)]


def measured_by(
    gan: GAN,
    real: RealData | Metrics | None,
    metrics: Metrics | None,
    n: int,
    where: str,
    backbone: str | nn.Module | None = None,
    backbone_weights: str | Path | None = None,
) -> tuple[Metrics, Real | None]:
    """What n samples are measured by, and the real data that were given.

    Raises:
        InputError: If there are neither real data nor metrics, or they are of another form; or if
            there are metrics and a backbone.
        DataError: If the real samples do not suit the GAN.
    """
    if callable(real):
        real, metrics = None, real
    if metrics is not None:
        check_function("metrics", metrics, 1, _FORM)
    if backbone is not None and (metrics is not None or real is None):
        raise InputError(
            f"{where}: a backbone measures against real samples and replaces metrics: give real= "
            "and leave metrics out"
        )
    if real is None:
        if metrics is None:
            raise InputError(f"{where}: give real samples to measure against, or metrics=, {_FORM}")
        return metrics, None
    n = check("n", Count, n)
    parts = parts_for(gan, real, f"{where} real")
    if backbone is None:
        return metrics or Against(parts.test[:n].cpu()), parts
    body = backbone_body(gan, backbone, backbone_weights, where)
    for warning in shared_eyes(gan, body):
        logger.warning("%s: %s", where, warning)
    rows = parts.rows("test").map(lambda value: value[:n].cpu())
    labels = rows.cond if rows.cond is not None and is_labels(rows.cond) else None
    name = backbone if isinstance(backbone, str) else type(backbone).__name__
    return Against(rows.x, body, labels, name), parts


def check_all(
    gan: GAN,
    samplers: Mapping[str, Mover | Selector],
    n: int,
    seed: int,
    *,
    width: int | None = None,
    strict: bool = True,
) -> dict[str, Exception]:
    """Check and prepare every sampler.

    Returns:
        Those that failed, for example by their pilot, with the error.

    Raises:
        InputError: If one cannot be drawn as it is asked for; it is named.
    """
    check("n", Count, n)
    Key(seed)
    failed: dict[str, Exception] = {}
    for name, sampler in samplers.items():
        try:
            start_run(gan, sampler, n, seed, width, 0, strict)
        except InputError as error:
            if len(samplers) == 1:
                raise
            raise type(error)(f"{name}: {error}") from error
        except Exception as error:  # of a network, or of a pilot
            failed[name] = error
            if len(samplers) > 1:
                logger.warning("%s failed: %s", name, reason(error))
    return failed


def _measure(
    name: str, gan: GAN, sampler: Mover | Selector, out: Samples, metrics: Metrics
) -> Compared:
    m = out.manifest
    against = isinstance(metrics, Against)
    eyes = eyes_of_row(gan, sampler, m["law"], metrics.backbone if against else None)
    row = {
        "n": len(out),
        "passes_per_sample": m["passes"] / len(out),
        "setup_passes": m["setup_passes"],
        "seconds": m["seconds"],
        "samples_per_second": len(out) / m["seconds"],
        "acceptance": len(out) / m["proposals"],
        "events": m["events"],
        "sampler": m["sampler"],
        "eyes": {**eyes, **({"measure": metrics.name} if against else {})},
        "metrics": named_numbers(
            asked(metrics, need_finite(out.x.cpu(), f"samples of {name}"), out.condition)
        ),
    }
    return Compared(row, out)


def floor_of(metrics: Metrics, parts: Real, n: int) -> dict[str, Any]:
    """What up to n other held-out real samples score, and how many these are."""
    spare = parts.rows("select").map(lambda value: value[:n].cpu())
    return {"n": len(spare.x), **named_numbers(asked(metrics, *spare))}


def asked(metrics: Metrics, x: Tensor, condition: Tensor | None) -> Mapping[str, Any]:
    """Metrics of samples, by their labels where the metric takes them."""
    if isinstance(metrics, Against) and metrics.labels is not None and condition is not None:
        return metrics(x, condition.cpu())
    return metrics(x)


def named_numbers(measured: Any) -> dict[str, Any]:
    """What a metric gave.

    Raises:
        InputError: If it is something else.
    """
    if not isinstance(measured, Mapping) or not all(isinstance(name, str) for name in measured):
        raise InputError(
            f'metrics: returned {show(measured)}, allowed are named numbers such as {{"distance": '
            "0.1}"
        )
    return dict(measured)


def reason(error: Exception) -> str:
    """What failed, in one line: our own errors say it, others by their kind."""
    return str(error) if isinstance(error, GANtandemError) else f"{type(error).__name__}: {error}"
