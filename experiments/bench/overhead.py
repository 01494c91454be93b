"""What the engine costs beside the networks it runs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from experiments.bench.common import RUNS, STEP_SIZE, STEPS, WIDTHS, pair
from gantandem.engine.run import Run
from gantandem.engine.sampling import prepare
from gantandem.gan import GAN
from gantandem.latent import Normal
from gantandem.nets import build
from gantandem.ratios.lookup import networks_for
from gantandem.rng import Key
from gantandem.samplers import MALA, Mover, Refine


def engine_overhead(runs: int = RUNS, widths: tuple[int, ...] = WIDTHS) -> dict[str, Any]:
    """Wall time of ``refine`` over (pool steps x the bare forward + input-gradient call).

    The bare call is the discriminator at the same width, eager, and ``torch.autograd.grad``, as
    anyone would write them: without pool, update or files. The networks are those of ``grid-25``
    (six layers of 256) at the first width, for which the aim is at most 1.15. Those of
    ``imbalanced-8`` (six of 64) are timed beside them, without an aim: a call of theirs is over in
    less than a millisecond.
    """
    cases = {f"width {widths[0]}, networks of grid-25": (pair("grid-25"), widths[0])}
    cases |= {f"width {width}, networks of imbalanced-8": (pair(), width) for width in widths}
    found = {}
    for label, (gan, width) in cases.items():
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
    """Time a mover, bare calls and the library's own by turns, a block of samples at a time.

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
    with gan.networks.frozen():
        h, _ = gan.split(layer).head(z, None)
    bare = _by_hand(gan, layer)
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
        "ratios": ratios,
        "ratio_to_own_call": statistics.median(moving / own for moving, _, own in timed),
        "seconds_per_step": step,
        "bare_seconds": hand,
        "own_call_seconds": library,
    }


def _by_hand(gan: GAN, layer: str) -> Callable[[Tensor], object]:
    """The forward and input gradient as a user writes them."""
    assert gan.guide is not None
    score = gan.guide.network
    tail = gan.generator if layer == "latent" else nn.Identity()

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
