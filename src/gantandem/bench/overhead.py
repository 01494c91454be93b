"""What the engine costs beside the networks it runs."""

from __future__ import annotations

import statistics
import time
from typing import Any

import torch

from gantandem.bench.common import RUNS, STEP_SIZE, STEPS, WIDTHS, pair
from gantandem.engine import Run
from gantandem.gan import GAN
from gantandem.latent import Normal
from gantandem.nets import build
from gantandem.rng import Key
from gantandem.samplers import MALA, Mover, Refine
from gantandem.sampling import prepare


def engine_overhead(runs: int = RUNS, widths: tuple[int, ...] = WIDTHS) -> dict[str, Any]:
    """Wall time of ``refine`` over (pool steps x the bare forward + input-gradient call).

    The bare call is the same guide at the same width, eager, without pool, update or files. The
    networks are those of ``imbalanced-8`` (six layers of 64), and at the first width also those
    of ``grid-25`` (of 256).
    """
    cases = [(f"width {width}", "imbalanced-8", width) for width in widths]
    cases.append((f"width {widths[0]}, networks of grid-25", "grid-25", widths[0]))
    found = {}
    for label, task, width in cases:
        gan = pair(task)
        mover, _ = prepare(gan, Refine(layer="data", steps=STEPS, step_size=STEP_SIZE))
        found[label] = _beside_bare(gan, mover, "data", width, 20 * width, runs)
    return found


def mala_overhead(
    runs: int = RUNS, width: int = 128, moves: int = 10, filters: int = 64
) -> dict[str, Any]:
    """Wall time of a ``mala`` step over the bare forward + latent-gradient call, DCGAN-64.

    The weights are random, which changes no timing. On a CPU lanes come by 64: 128 stands for the
    batch of 100 that publications use, and both sides run at it. The look at the start of a
    chain, a forward and gradient like any other, counts as a step.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        generator, discriminator = (
            build({"net": f"dcgan-{role}", "filters": filters})
            for role in ("generator", "discriminator")
        )
    gan = GAN(generator, discriminator, Normal(100))
    mover, _ = prepare(gan, MALA(steps=moves, step_size=0.01))
    return {f"width {width}": _beside_bare(gan, mover, "latent", width, width, runs, looks=1)}


def _beside_bare(
    gan: GAN, mover: Mover, layer: str, width: int, n: int, runs: int, looks: int = 0
) -> dict[str, Any]:
    """Time a mover and bare guidance by turns, a block of samples and as many calls each.

    Args:
        gan: The networks.
        mover: A prepared mover.
        layer: What it moves.
        width: Lanes; on a CPU a multiple of 64.
        n: Samples of a run.
        runs: How often.
        looks: Guidance calls before the first step.
    """
    z = gan.latent.draw(Key(0).fold("bare"), torch.arange(width))
    with gan.frozen():
        h, carry = gan.split(layer).head(z, None)

    def once() -> tuple[float, float]:
        moving = bare = 0.0
        done = 0
        begin = time.perf_counter()
        run = Run(gan, mover, n, Key(0), width=width)
        for _ in run.blocks():
            now = time.perf_counter()
            moving += now - begin
            calls = run._pool.lane_steps // width + looks - done
            done += calls
            with gan.frozen():
                begin = time.perf_counter()
                for _ in range(calls):
                    gan.guidance(layer, h, carry, None)
                now = time.perf_counter()
            bare += now - begin
            begin = time.perf_counter()
        return moving / done, bare / done

    once()
    timed = [once() for _ in range(runs)]
    ratios = [moving / bare for moving, bare in timed]
    return {
        "n": n,
        "ratio": statistics.median(ratios),
        "ratios": ratios,
        "seconds_per_step": statistics.median(moving for moving, _ in timed),
        "bare_seconds": statistics.median(bare for _, bare in timed),
    }
