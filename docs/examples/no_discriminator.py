"""A generator that was published without its discriminator: fit a ratio, then accept by it.

    python docs/examples/no_discriminator.py

The generator is the one that ships for ``imbalanced-8``; its discriminator is left aside. About
15 seconds on one core.
"""

from __future__ import annotations

from pathlib import Path

from gantandem import GAN, OBRS, Comparison, Metropolis, Normal, compare, fit_ratio
from gantandem.tasks import get_task
from shown import IMAGES, schedule

TASK = get_task("imbalanced-8")


def main(n: int = 4000, scale: float = 1.0, folder: Path = IMAGES) -> Comparison:
    """Fit and compare; write ``no_discriminator.png`` and return what was found."""
    real = TASK.real(seed=0)
    generator = TASK.pretrained().generator

    gan = GAN(generator, None, Normal(2))
    options = {"n": 40_000, "batch": 500, "progress": False}
    options["schedule"] = schedule(scale, 1500)
    gan = fit_ratio(gan, real, **options)

    samplers = ["direct", OBRS(expected=8), Metropolis(proposals=50)]
    found = compare(gan, samplers, real, n, metrics=TASK.metrics, progress=False)
    found.plot(folder / "no_discriminator.png")
    return found


if __name__ == "__main__":
    print(main())
