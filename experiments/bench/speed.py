"""Refinement in the lane pool against a loop as published code writes it."""

from __future__ import annotations

import statistics
import time
from typing import Any

import torch
from torch import Tensor

from experiments.bench.common import (
    MANY,
    NO_AIM,
    RUNS,
    STEP_SIZE,
    STEPS,
    WIDTHS,
    interleaved,
    least,
    pair,
)
from gantandem.engine.run import Run
from gantandem.engine.sampling import prepare
from gantandem.gan import GAN
from gantandem.rng import Key
from gantandem.samplers import Refine

BATCHES = 5
AIMS = {"refine": 2.0, "refine, compiled": 3.0}
"""At least so many times the samples a second of the published-style loop."""


def published_loop(gan: GAN, n: int) -> Tensor:
    """Refine as published code does: a fresh batch, all steps for everyone, ``loss.backward()``.

    Adam on the samples; the discriminator's weights require gradients, which ``backward`` then
    computes and nobody reads.
    """
    network = gan.networks.need_guide("bench").network
    for parameter in network.parameters():
        parameter.requires_grad_(True)
    with torch.no_grad():
        z = gan.latent.draw(Key(0), torch.arange(n))
        x = gan.decode(z)
    x = x.detach().requires_grad_()
    optimizer = torch.optim.Adam([x], lr=STEP_SIZE)
    for _ in range(STEPS):
        optimizer.zero_grad()
        network.zero_grad()
        loss = torch.nn.functional.softplus(-network(x)).sum()
        loss.backward()
        optimizer.step()
    return x.detach()


def refine_speed(runs: int = RUNS, widths: tuple[int, ...] = WIDTHS) -> dict[str, Any]:
    """Samples per second of ``refine`` (random stop, 0..50 steps) over the published-style loop.

    A run is ``MANY`` samples at least, and at least 20 batches; of the loop, whose batches are all
    alike, it is ``BATCHES``.
    """
    gan, result = pair(), {}
    compiled = gan.replace(compile=True)
    mover, _ = prepare(gan, Refine(layer="data", steps=STEPS, step_size=STEP_SIZE))
    gan.generator.eval()
    for width in widths:
        n = max(MANY, 20 * width)

        def pooled(which: GAN, width: int = width, n: int = n) -> float:
            begin = time.perf_counter()
            for _ in Run(which.networks, mover, n, Key(0), width=width).blocks():
                pass
            return (time.perf_counter() - begin) / n

        def loop(width: int = width) -> float:
            begin = time.perf_counter()
            for _ in range(BATCHES):
                published_loop(gan, width)
            return (time.perf_counter() - begin) / (BATCHES * width)

        parts = {
            "published-style loop": loop,
            "refine": lambda pooled=pooled: pooled(gan),
            "refine, compiled": lambda pooled=pooled: pooled(compiled),
        }
        for part in parts.values():  # the first call compiles
            part()
        seconds = interleaved(parts, runs)
        base, rows = seconds["published-style loop"], {}
        for name, values in seconds.items():
            times = statistics.median(b / v for b, v in zip(base, values, strict=True))
            rows[name] = {
                "n": BATCHES * width if name == "published-style loop" else n,
                "samples_per_second": 1 / statistics.median(values),
                "times_the_loop": times,
                **(least(AIMS[name], times) if name in AIMS else NO_AIM),
                "rounds": [{"seconds_per_sample": value} for value in values],
            }
        result[f"width {width}"] = rows
    return result
