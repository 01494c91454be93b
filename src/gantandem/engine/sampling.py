"""Sampling in one call: prepare a sampler on pilots, run it, and keep the account."""

from __future__ import annotations

import dataclasses
import logging
import platform
import time
from collections.abc import Iterator
from typing import Any

import torch

from gantandem._version import __version__
from gantandem.engine.pool import width_for
from gantandem.engine.preparing import make_ready
from gantandem.engine.preparing import prepare as prepare
from gantandem.engine.run import Run
from gantandem.errors import InputError, StoppedError
from gantandem.files.limits import memory
from gantandem.gan import GAN
from gantandem.latent.inputs import Inputs
from gantandem.networks.devices import device_name
from gantandem.progress import Interrupted, track
from gantandem.ratios.lookup import networks_for
from gantandem.rng import RNG_VERSION, Key
from gantandem.samplers.base import Selector
from gantandem.samplers.named import SamplerLike, as_sampler
from gantandem.samples import Samples
from gantandem.settings import Count, NotNegativeInt, check, to_config

logger = logging.getLogger(__name__)

MANY = 1 << 20
"""From so many samples on it is looked at whether the memory holds them."""


def start_run(
    gan: GAN,
    sampler: Any,
    n: int,
    seed: int,
    width: int | None,
    start: int,
    strict: bool,
    progress: bool | None = None,
) -> tuple[Run, dict[str, Any]]:
    """Check and prepare everything: a run that has drawn nothing yet, and its manifest."""
    n, start = check("n", Count, n), check("start", NotNegativeInt, start)
    if start + n > 2**32:
        raise InputError(f"start: got {start!r}, allowed is 0 or more, start + n below 2^32")
    key = Key(seed)
    sampler = as_sampler(gan, sampler)
    width = width_for(gan.networks, sampler, width)
    ready = make_ready(gan, sampler, width=width, strict=strict, progress=progress)
    frozen = ready.sampler
    mover = frozen.proposal if isinstance(frozen, Selector) else frozen
    if mover is frozen and mover.alone:
        gan.networks.say("alone", mover.alone)
    ratio = gan.ratio(mover, strict=strict) if isinstance(frozen, Selector) else None
    rows = gan.latent
    if isinstance(rows, Inputs) and rows.order == "each" and start + n > len(rows):
        gan.networks.say(
            f"again {len(rows)}",
            f"latent: there are {len(rows):,} inputs, and ids from {len(rows)} on use them again "
            f"(id i has row i mod {len(rows)}), so a sampler without random numbers repeats its "
            "samples",
        )
    run = Run(networks_for(gan, mover), frozen, n, key, start=start, width=width, ratio=ratio)
    manifest = {
        "n": n,
        "seed": key.seed,
        "start": start,
        "width": width,
        "rng_version": RNG_VERSION,
        "versions": {
            "gantandem": __version__,
            "torch": str(torch.__version__),
            "python": platform.python_version(),
        },
        "device": device_name(gan.device),
        "sampler": to_config(frozen),
        "law": gan.law(mover),
        "weights": {
            "generator": gan.networks.weights_hash(gan.generator),
            "guide": None if gan.guide is None else gan.networks.weights_hash(gan.guide.network),
            "ratio": None if ratio is None else gan.networks.weights_hash(ratio.score.network),
        },
        "setup_passes": ready.passes,
        "setup_cached": ready.cached,
        "expected": ready.expected,
    }
    return run, manifest


def sample_iter(
    gan: GAN,
    sampler: SamplerLike,
    n: int,
    *,
    seed: int = 0,
    width: int | None = None,
    start: int = 0,
    progress: bool | None = None,
    strict: bool = True,
) -> Iterator[Samples]:
    """Stream samples in id order; memory does not depend on n.

    Arguments and errors as :func:`sample`. Each block's manifest holds the totals so far.

    Yields:
        Blocks of at least a width of samples (the last may be shorter). Before an error that stops
        sampling, or Ctrl-C, what is finished is yielded.
    """
    check("gan", GAN, gan)
    with gan.networks.frozen():  # their weights are hashed once
        run, manifest = start_run(gan, sampler, n, seed, width, start, strict, progress)
    begin, count = time.perf_counter(), 0
    with track(n, run.name.lower(), progress) as advance:
        try:
            for block in run.blocks():
                count += len(block)
                yield dataclasses.replace(block, manifest=_totals(manifest, run, count, begin))
                advance(len(block))
        except (Interrupted, StoppedError) as stop:
            if count:
                why = "stopped" if isinstance(stop, StoppedError) else "interrupted"
                logger.warning("%s: the first %d of %d samples are kept", why, count, n)
            raise
    run.conclude(n)


def _totals(manifest: dict[str, Any], run: Run, count: int, begin: float) -> dict[str, Any]:
    return {
        **manifest,
        "returned": count,
        "proposals": run.account.proposals,
        "passes": run.passes,
        "waste": round(run.waste, 4),
        "events": dict(run.account.events),
        "seconds": time.perf_counter() - begin,
        "interrupted": run.interrupted,
    }


def sample(
    gan: GAN,
    sampler: SamplerLike,
    n: int,
    *,
    seed: int = 0,
    width: int | None = None,
    start: int = 0,
    progress: bool | None = None,
    strict: bool = True,
) -> Samples:
    """Draw n samples.

    At one width the same seed gives the same bits on one machine for any n, in one call or in
    ten (``start``), in one process or in two.

    Args:
        gan: Networks, latent and ratios.
        sampler: A mover (``Refine(...)``), a selector over one (``OBRS(proposal=...)``), or the
            name of a sampler: ``"obrs"``, ``"collaborative"``, ``"module:Name"``.
        n: Number of samples.
        seed: From 0 to 2^64 - 1.
        width: Lanes, a multiple of 16 (on a CPU there are as many as the next multiple of 64), or
            1, 2, 4 or 8 (on a CPU: 1). None for 1024 (points), 256 (small images) or 64, and for
            fewer where that takes more than 2 GiB.
        start: First id.
        progress: True or False to force the progress bar; None shows it on a terminal.
        strict: False turns a law mismatch into a warning.

    Returns:
        The samples in id order, with their manifest.

    Raises:
        InputError: If an argument is not allowed.
        LawMismatchError: If no ratio was fitted on the law of the sampler's proposals.
        NotARatioError: If a selector would judge by a critic.
        NonFiniteError: If a fresh sample of the generator has no finite score, or over 10% of the
            proposals are not finite.
        BudgetError: If over 0.1% of the ids use up their attempts, by more than chance. It is
            raised before the first sample if the pilot shows it, else as soon as it is clear.
        KeyboardInterrupt: On Ctrl-C.
            These last three hold what was finished, the contiguous prefix, in their attribute
            ``samples``, where ``manifest["interrupted"]`` is set; None if there is nothing.
    """
    _check_memory(gan, n)
    blocks: list[Samples] = []
    options = {"width": width, "start": start, "progress": progress, "strict": strict}
    try:
        for block in sample_iter(gan, sampler, n, seed=seed, **options):
            blocks.append(block)
    except (KeyboardInterrupt, StoppedError) as stop:
        prefix = None
        if blocks:
            prefix = Samples.join(blocks, {**blocks[-1].manifest, "interrupted": True})
        if isinstance(stop, KeyboardInterrupt):
            finished = 0 if prefix is None else len(prefix)
            stop.args = (f"{finished:,} of {n:,} samples were finished",)
        stop.samples = prefix  # pyright: ignore[reportAttributeAccessIssue]
        raise
    return Samples.join(blocks, blocks[-1].manifest)


def _check_memory(gan: GAN, n: Any) -> None:
    """Refuse samples that the memory cannot hold, before the first is drawn."""
    if not isinstance(gan, GAN) or not isinstance(n, int) or n < MANY:
        return
    with gan.networks.frozen():
        ids = torch.arange(16, device=gan.device)
        z = gan.latent.draw(Key(0).fold("memory"), ids)
        x = gan.decode(z, gan.conditions(ids))
    size = n * sum(one[0].numel() * one.element_size() for one in (z, x))
    if size > memory():
        raise InputError(
            f"n: {n:,} samples take {size / 1e9:,.0f} GB, and this machine has "
            f"{memory() / 1e9:,.0f}. Draw them in parts (start=), stream them with sample_iter, "
            "or write them to files with 'gantandem sample'"
        )
