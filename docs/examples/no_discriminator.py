"""A generator that was published without its discriminator: fit a ratio, then accept by it.

    python docs/examples/no_discriminator.py

The generator is the one that ships for ``imbalanced-8``; its discriminator is left aside. About
15 seconds on one core.
"""

from __future__ import annotations

from pathlib import Path

from gantandem import GAN, OBRS, Direct, Metropolis, Normal, compare, fit_ratio
from gantandem.tasks import get_task
from shown import IMAGES, Rows, picture, schedule, table

TASK = get_task("imbalanced-8")


def main(n: int = 4000, scale: float = 1.0, folder: Path = IMAGES) -> Rows:
    """Fit and compare; write ``no_discriminator.png`` and return rows and samples."""
    real = TASK.real(seed=0)
    generator, _ = TASK.pretrained()

    gan = GAN(generator, None, Normal(2))
    options = {"pool": 40_000, "batch": 500, "progress": False}
    options["schedule"] = schedule(scale, 1500)
    gan = fit_ratio(gan, real, **options)

    samplers = {
        "direct": Direct(),
        "obrs": OBRS(expected=8),
        "metropolis": Metropolis(proposals=50),
    }
    compared = compare(gan, samplers, TASK.metrics, n, progress=False)
    picture(folder / "no_discriminator.png", real.test, compared)
    return compared


if __name__ == "__main__":
    print(table(main(), TASK.floor(4000)))
