"""What the engine costs beside the networks it runs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from experiments.bench.common import NO_AIM, RUNS, STEP_SIZE, STEPS, WIDTHS, most, pair
from gantandem.engine.run import Run
from gantandem.engine.sampling import prepare
from gantandem.gan import GAN
from gantandem.latent import Normal
from gantandem.nets import build
from gantandem.ratios.lookup import networks_for
from gantandem.rng import Key
from gantandem.samplers import MALA, Mover, Refine

AIM_256 = 1.15
"""Of ``refine`` on networks that are 256 wide."""
AIM_DCGAN = 1.05
"""Of ``refine`` on a DCGAN-64."""
AIM_MALA = 1.08
"""Of ``mala`` on a DCGAN-64."""


def engine_overhead(runs: int = RUNS, widths: tuple[int, ...] = WIDTHS) -> dict[str, Any]:
    """Wall time of ``refine`` over (pool steps x the bare forward + gradient call), 2D networks.

    The bare call is the discriminator at the same width, eager, and ``torch.autograd.grad``, as
    anyone would write them: without pool, update or files. The networks of ``grid-25`` (six layers
    of 256) have an aim at the first width. Those of ``imbalanced-8`` (six layers of 64) have none:
    one of their calls takes less than a millisecond.
    """
    cases = {f"refine, networks of grid-25, width {widths[0]}": (pair("grid-25"), widths[0])}
    cases |= {
        f"refine, networks of imbalanced-8, width {width}": (pair(), width) for width in widths
    }
    found = {}
    for label, (gan, width) in cases.items():
        mover, _ = prepare(gan, Refine(layer="data", steps=STEPS, step_size=STEP_SIZE))
        row = _beside_bare(gan, mover, nn.Identity(), width, 20 * width, runs)
        found[label] = row | (most(AIM_256, row["ratio"]) if "grid-25" in label else NO_AIM)
    return found


def refine_dcgan_overhead(
    runs: int = RUNS, width: int = 128, steps: int = 10, filters: int = 64
) -> dict[str, Any]:
    """The same of ``refine`` at the latent of a DCGAN-64.

    The weights are random, which changes no timing. The bare call runs the generator, the
    discriminator and the gradient to the latent.
    """
    gan = _dcgan(filters)
    mover, _ = prepare(gan, Refine(layer="latent", steps=steps, step_size=0.01))
    row = _beside_bare(gan, mover, gan.generator, width, 2 * width, runs)
    return {f"refine at the latent, DCGAN-64, width {width}": row | most(AIM_DCGAN, row["ratio"])}


def mala_overhead(
    runs: int = RUNS, width: int = 128, moves: int = 10, filters: int = 64
) -> dict[str, Any]:
    """Wall time of a ``mala`` step over the bare forward + latent-gradient call, DCGAN-64.

    The weights are random, which changes no timing. On a CPU lanes come by 64: 128 stands for the
    batch of 100 that publications use, and both sides run at it. The look at the start of a
    chain, a forward and gradient like any other, counts as a step.
    """
    gan = _dcgan(filters)
    mover, _ = prepare(gan, MALA(steps=moves, step_size=0.01))
    row = _beside_bare(gan, mover, gan.generator, width, width, runs, looks=1)
    return {f"mala, DCGAN-64, width {width}": row | most(AIM_MALA, row["ratio"])}


def _dcgan(filters: int) -> GAN:
    """A DCGAN-64 pair of random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        generator, discriminator = (
            build({"net": f"dcgan-{role}", "filters": filters})
            for role in ("generator", "discriminator")
        )
    return GAN(generator, discriminator, Normal(100)).replace(shaped=True)


def _beside_bare(
    gan: GAN, mover: Mover, tail: nn.Module, width: int, n: int, runs: int, looks: int = 0
) -> dict[str, Any]:
    """Time a mover, bare calls and the library's own by turns, a block of samples at a time.

    Args:
        gan: The networks.
        mover: A prepared mover.
        tail: What the bare call runs between what the mover moves and the discriminator.
        width: Lanes; on a CPU a multiple of 64.
        n: Samples of a run.
        runs: How often.
        looks: Guidance calls before the first step.
    """
    z = gan.latent.draw(Key(0).fold("bare"), torch.arange(width))
    layer = mover.layer or "latent"
    with gan.networks.frozen():
        h, _ = gan.cut(layer).head(z, None)
    bare = _by_hand(gan, tail)
    own = partial(gan.networks.guidance, layer, carry=(), cond=None)

    def once() -> tuple[float, float, float]:
        moving = hand = library = 0.0
        done = 0
        begin = time.perf_counter()
        run = Run(networks_for(gan, mover), mover, n, Key(0), width=width)
        for _ in run.blocks():
            moving += time.perf_counter() - begin
            calls = run._pool.lane_steps // width + looks - done
            done += calls
            with gan.networks.frozen():
                hand += _seconds(bare, h, calls)
                library += _seconds(own, h, calls)
            begin = time.perf_counter()
        return moving / done, hand / done, library / done

    once()
    timed = [once() for _ in range(runs)]
    ratios = [moving / hand for moving, hand, _ in timed]
    step, hand, library = (statistics.median(part) for part in zip(*timed, strict=True))
    return {
        "n": n,
        "ratio": statistics.median(ratios),
        "ratio_to_own_call": statistics.median(moving / own for moving, _, own in timed),
        "seconds_per_step": step,
        "bare_seconds": hand,
        "own_call_seconds": library,
        "rounds": [
            {"seconds_per_step": moving, "bare_seconds": hand, "own_call_seconds": own}
            for moving, hand, own in timed
        ],
    }


def _by_hand(gan: GAN, tail: nn.Module) -> Callable[[Tensor], object]:
    """The forward and input gradient as a user writes them."""
    assert gan.guide is not None
    score = gan.guide.network

    def bare(h: Tensor) -> Tensor:
        leaf = h.detach().requires_grad_()
        with torch.enable_grad():
            total = score(tail(leaf)).sum()
        return torch.autograd.grad(total, leaf)[0]

    return bare


def _seconds(call: Callable[[Tensor], object], h: Tensor, times: int) -> float:
    begin = time.perf_counter()
    for _ in range(times):
        call(h)
    return time.perf_counter() - begin
