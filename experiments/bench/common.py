"""What the benchmarks share: the shipped 2D pair, and runs that take turns."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from gantandem.gan import GAN
from gantandem.latent import make_latent
from gantandem.tasks import get_task

RUNS = 5
STEPS = 50
STEP_SIZE = 0.1
WIDTHS = (1024, 10_240)
MANY = 50_000
"""What a Frechet distance is usually measured on."""


def pair(name: str = "imbalanced-8") -> GAN:
    """The shipped pair of a 2D task, its discriminator taken as it is for a guide."""
    task = get_task(name)
    generator, discriminator = task.pretrained()
    gan = GAN(generator, discriminator, make_latent(dict(task.latent)))
    return gan.replace(shaped=True)  # nothing here judges samples: no warning is due


def most(limit: float, value: float) -> dict[str, Any]:
    """What a row says of its aim: that its value is at most so much."""
    return _aim("at most", operator.le, limit, value)


def least(limit: float, value: float) -> dict[str, Any]:
    """What a row says of its aim: that its value is at least so much."""
    return _aim("at least", operator.ge, limit, value)


def _aim(
    words: str, holds: Callable[[float, float], bool], limit: float, value: float
) -> dict[str, Any]:
    return {"aim": f"{words} {limit:g}", "met": holds(value, limit)}


NO_AIM = {"aim": None, "met": None}


def interleaved(parts: dict[str, Callable[[], float]], runs: int) -> dict[str, list[float]]:
    """Seconds of each part, one after the other in every round, so that noise meets them all."""
    seconds: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(runs):
        for name, part in parts.items():
            seconds[name].append(part())
    return seconds
