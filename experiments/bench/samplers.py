"""What every built-in sampler costs on the 2D task."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from experiments.bench.common import RUNS, interleaved, pair
from gantandem.discriminator.latent_weights import fit_latent_reweight
from gantandem.engine.sampling import prepare, sample
from gantandem.gan import GAN
from gantandem.samplers import SAMPLERS, from_config


def sampler_costs(
    runs: int = RUNS,
    n: int = 4096,
    width: int = 1024,
    names: Sequence[str] = (),
    gan: GAN | None = None,
) -> dict[str, Any]:
    """Passes per sample and samples per second of every sampler, at its own defaults.

    Selectors judge plain samples of the generator. The shipped discriminator is guide and ratio,
    as it came: this is what samples cost, and says nothing of their quality.

    Args:
        runs: Interleaved runs, all of the same samples.
        n: Samples of a run.
        width: Lanes.
        names: Of samplers; all by default.
        gan: Whose samples; None takes the shipped pair and fits w(z) for ``latent_reweight``.
    """
    gan = fit_latent_reweight(pair(), progress=False) if gan is None else gan
    prepared = {name: prepare(gan, from_config(name), width=width) for name in names or SAMPLERS}
    manifests: dict[str, dict[str, Any]] = {}

    def draw(name: str) -> float:
        sampler, _ = prepared[name]
        manifests[name] = sample(gan, sampler, n, width=width, progress=False).manifest
        return manifests[name]["seconds"]

    seconds = interleaved({name: lambda name=name: draw(name) for name in prepared}, runs)
    return {
        name: {
            "n": n,
            "passes_per_sample": manifests[name]["passes"] / n,
            "proposals_per_sample": manifests[name]["proposals"] / n,
            "samples_per_second": n / statistics.median(seconds[name]),
            "rounds": [{"seconds": value} for value in seconds[name]],
            "setup_passes": prepared[name][1],
            "sampler": manifests[name]["sampler"],
        }
        for name in prepared
    }
