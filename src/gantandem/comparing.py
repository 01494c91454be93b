"""Run several samplers on one GAN and put their quality and cost side by side."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from torch import Tensor

from gantandem.gan import GAN
from gantandem.metrics.finite import need_finite
from gantandem.samplers.base import Mover, Selector
from gantandem.samples import Samples
from gantandem.sampling import sample

logger = logging.getLogger(__name__)

Metrics = Callable[[Tensor], dict[str, Any]]


class Compared(NamedTuple):
    """One sampler's row of ``metrics.json``, and its samples."""

    row: dict[str, Any]
    samples: Samples


def compare(
    gan: GAN,
    samplers: Mapping[str, Mover | Selector],
    metrics: Metrics,
    n: int = 10_000,
    *,
    seed: int = 0,
    width: int | None = None,
    strict: bool = True,
    progress: bool | None = None,
) -> dict[str, Compared]:
    """Draw n samples with each sampler from the same seed and measure them.

    Args:
        gan: Networks, latent and ratios.
        samplers: By the name of their row.
        metrics: From (n, *x_shape) samples to named numbers, for example ``task.metrics``.
        n: Samples of each.
        seed: Of all.
        width: Lanes.
        strict: False turns a law mismatch into a warning.
        progress: Show progress bars.

    Raises:
        InputError: As :func:`~gantandem.sample`.
        NonFiniteError: If samples are not finite: no metric, built in or not, is called on them.
        KeyboardInterrupt: On Ctrl-C; a row of fewer than n samples would stand beside whole ones.
    """
    results: dict[str, Compared] = {}
    for name, sampler in samplers.items():
        out = sample(gan, sampler, n, seed=seed, width=width, strict=strict, progress=progress)
        m = out.manifest
        if m["interrupted"]:
            raise KeyboardInterrupt(f"{name} had {len(out):,} of {n:,} samples, not measured")
        results[name] = Compared(
            {
                "n": len(out),
                "passes_per_sample": m["passes"] / len(out),
                "setup_passes": m["setup_passes"],
                "seconds": m["seconds"],
                "samples_per_second": len(out) / m["seconds"],
                "acceptance": len(out) / m["proposals"],
                "events": m["events"],
                "sampler": m["sampler"],
                "metrics": metrics(need_finite(out.x.cpu(), f"samples of {name}")),
            },
            out,
        )
        logger.info("%s: %s", name, results[name].row)
    return results
