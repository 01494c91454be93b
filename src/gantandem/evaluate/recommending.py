"""A recipe that chooses: candidates on a small budget, measured on held-out data."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from gantandem.data.real import Real, RealData
from gantandem.discriminator.features import backbone_body
from gantandem.discriminator.parts import parts_for
from gantandem.discriminator.sizes import Budget
from gantandem.engine.sampling import sample
from gantandem.errors import DataError, InputError, near
from gantandem.evaluate.against import Against
from gantandem.evaluate.comparing import Metrics, named_numbers, reason
from gantandem.evaluate.eyes import shared_eyes
from gantandem.evaluate.metrics.finite import need_finite, need_number
from gantandem.evaluate.recommendation import (
    DIRECTED,
    PLAIN,
    RANKED,
    Recommendation,
    Tried,
)
from gantandem.evaluate.ways import Candidate, Ways, sizes_of
from gantandem.gan import GAN
from gantandem.nets.hashing import hashed_once
from gantandem.progress import in_words
from gantandem.samplers.direct import Direct
from gantandem.samplers.named import SamplersLike, as_samplers
from gantandem.settings import Count, check

logger = logging.getLogger(__name__)
log_of_work = logging.getLogger("gantandem.progress")

BLOCKS, FEWEST = 8, 3
"""Samples and real data are compared in so many blocks, or fewer where data are few, ..."""
LEAST = 100
"""... each of so many at least."""
TOLD = 0.98
"""Where C2ST is above this for all candidates, another metric ranks."""
IN_PIXELS = (
    "This was measured on pixels, which say little of what an image shows: measure by the "
    "features of a network (backbone=...)."
)


@hashed_once()
def recommend(
    gan: GAN,
    real: RealData,
    samplers: SamplersLike | None = None,
    *,
    n: int = 8_000,
    by: str | None = None,
    layers: Sequence[str] | None = None,
    budget: Budget | None = None,
    metrics: Callable[[int], Metrics] | None = None,
    backbone: str | nn.Module | None = None,
    backbone_weights: str | Path | None = None,
    fit_options: Mapping[str, Any] | None = None,
    shape_options: Mapping[str, Any] | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> Recommendation:
    """Try samplers on this GAN and say which one to use.

    The candidates are plain samples; OBRS with K = 2, 4 and 8 and the ratio that
    :func:`gantandem.fit_ratio` chooses, and OBRS with ``strength=1`` if that ratio has less;
    refinement along a guide that is shaped at up to three layers (or the refinement that the GAN
    was shaped for); and ``collaborative``, each refinement with acceptance. Each candidate draws
    ``n`` samples, which are compared with held-out real data in 8 blocks. All candidates are
    compared with the same blocks, so each difference has a 95% interval, by Student's t.

    The recommended candidate is the cheapest one, in passes a sample, that is no worse than the
    best one by the metric that ranks. A candidate is excluded if it is worse than plain samples by
    another distance, *good*, *precision*, *density* or *coverage*, beyond chance and beyond 2%.

    Args:
        gan: Networks and latent; a guide or ratios, if there are any.
        real: (N, *x_shape) real samples in any form that ``RealData`` names. Its test part is what
            samples are compared with.
        samplers: Candidates of your own, on the GAN as it is, in place of all these.
        n: Samples of each candidate.
        by: The metric that ranks: of those that are measured, ``"c2st"`` if None, else
            ``"frechet_distance"``, else ``"sliced_w1"``; and so where C2ST is above .98 for all.
        layers: Where to refine; None takes the latent, the layer in the middle of the generator's
            cost (of images) and the data.
        budget: How long shaping and fits may take, about: seconds, or a text such as "10m".
        metrics: From the number of a block to a function from (n, *x_shape) samples to named
            numbers; None measures against the test part, see
            :class:`~gantandem.evaluate.against.Against`.
        backbone: Measure images by the features of this network, as :func:`gantandem.compare`.
        backbone_weights: A weight file for it.
        fit_options: Of :func:`gantandem.fit_ratio`.
        shape_options: Of :func:`gantandem.shape_discriminator`.
        seed: The seed of all fits and samples.
        progress: Show progress bars.

    Returns:
        ``print`` shows table and verdict; ``gt.sample(found.gan, found.sampler, n)`` uses it.

    Raises:
        InputError: If a setting is not allowed, or ``by`` is not measured.
        DataError: If the real data are too few for three blocks of 100.

    Example:
        >>> from gantandem.testing import toy_gan
        >>> real = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0))
        >>> recommend(toy_gan(), real, ["direct", "obrs"], n=300, progress=False)
        Recommendation('direct' of direct, obrs)
    """
    check("recommend gan", GAN, gan)
    n = check("recommend n", Count, n)
    parts = parts_for(gan, real, "recommend real")
    if backbone is not None and metrics is not None:
        raise InputError("recommend: got metrics and backbone; give one of them")
    body = None
    if backbone is not None:
        body = backbone_body(gan, backbone, backbone_weights, "recommend")
    measures = _measures(parts, metrics, n, body)
    options = {"seed": seed, "progress": progress}
    for layer in layers or ():
        gan.networks.cut(layer)  # before anything is fitted
    tried: dict[str, Tried] = {}
    failed: dict[str, str] = {}

    def measure(offered: Iterable[Candidate]) -> list[Candidate]:
        """Those that could be drawn."""
        found = []
        for one in offered:
            measured = _try(one, measures, n, options, failed)
            if measured is None:
                continue
            known = tried[PLAIN].blocks if tried else {}
            gone = [key for key in known if key not in measured.blocks]
            if gone:
                failed[one.name] = f"{', '.join(gone)} was measured on plain samples only"
                continue
            tried[one.name] = measured
            found.append(one)
        return found

    begin = time.perf_counter()
    if not measure([Candidate(PLAIN, gan, Direct())]):
        raise InputError(f"recommend: plain samples cannot be measured: {failed[PLAIN]}")
    _ranked(by, tried)  # raises before anything is fitted
    if samplers is not None:
        named = as_samplers(gan, samplers).items()
        measure(Candidate(name, gan, one) for name, one in named if name != PLAIN)
    else:
        ways = Ways(gan, parts, options, budget, fit_options or {}, shape_options or {}, failed)
        passes, drawing = ways.passes(layers), tried[PLAIN].seconds
        measuring = time.perf_counter() - begin - drawing
        taken = in_words(len(passes) * measuring + sum(passes) * drawing)
        fits = "each fit says how long it takes" if budget is None else f"fits keep to {budget}"
        log_of_work.info(
            "recommend: up to %d candidates of %s samples, drawn and measured in about %s; %s",
            *(1 + len(passes), f"{n:,}", taken, fits),
        )
        measure(ways.accepted())
        for refined in measure(ways.refined(layers)):
            measure(ways.collaborative(refined))
    if body is not None:
        every = [warning for one in tried.values() for warning in shared_eyes(one.gan, body)]
        for warning in dict.fromkeys(every):
            logger.warning("recommend: %s", warning)
    plain = body is None and metrics is None and parts.test[:1].dim() == 4
    notes = (IN_PIXELS,) if plain else ()
    eyes = backbone if backbone is None or isinstance(backbone, str) else type(backbone).__name__
    settings = {"n": n, "seed": seed, "budget": budget, "backbone": eyes}
    return Recommendation(tried, DIRECTED[_ranked(by, tried)], failed, notes, settings)


def _measures(
    parts: Real, metrics: Callable[[int], Metrics] | None, n: int, body: nn.Module | None
) -> list[Metrics]:
    """What each block of samples is measured by."""
    test = parts.test[: max(n, FEWEST * LEAST)].cpu()  # which may lie on a disk
    most = n // LEAST if metrics is not None else min(n, len(test)) // LEAST
    count = min(BLOCKS, most)
    if count < FEWEST:
        raise DataError(
            f"recommend: n = {n:,} samples, and {len(test):,} held-out real ones, the test part "
            f"of the real data (a tenth of a tensor); at least {FEWEST * LEAST} of each are "
            "needed to tell a difference from chance"
        )
    if metrics is not None:
        return [metrics(block) for block in range(count)]
    return [Against(part, body) for part in test.chunk(count)]


def _try(
    candidate: Candidate,
    measures: Sequence[Metrics],
    n: int,
    options: Mapping[str, Any],
    failed: dict[str, str],
) -> Tried | None:
    """Draw and measure a candidate; None if that failed."""
    try:
        out = sample(candidate.gan, candidate.sampler, n, **options)
        x = need_finite(out.x.cpu(), f"samples of {candidate.name}")
        parts = zip(measures, x.chunk(len(measures)), strict=True)
        rows = [named_numbers(measure(part)) for measure, part in parts]
        blocks = {
            key: tuple(need_number(row[key], f"{key} of {candidate.name}") for row in rows)
            for key, column in DIRECTED.items()
            if (column.better or key == "density")
            and all(isinstance(row.get(key), int | float) for row in rows)
        }
    except Exception as error:  # of a network, a sampler or a metric of the user's own, too
        failed[candidate.name] = reason(error)
        logger.warning("%s failed: %s", candidate.name, failed[candidate.name])
        return None
    m = out.manifest
    cost = m["passes"] / len(out), m["setup_passes"]
    sizes = sizes_of(candidate.gan, m["law"])
    tried = Tried(candidate.gan, candidate.sampler, *cost, blocks, m["seconds"], sizes)
    logger.info("%s: %s", candidate.name, {key: round(tried.mean(key), 4) for key in tried.blocks})
    return tried


def _ranked(by: str | None, tried: Mapping[str, Tried]) -> str:
    """The metric that ranks; a test by which all are told from real data ranks nothing."""
    plain = tried[PLAIN]
    known = [key for key in plain.blocks if key in DIRECTED]
    if by is not None:
        if by not in known:
            raise InputError(f"recommend by: got {by!r}; {near(by, known)}")
        return by
    all_told = "c2st" in known and min(one.mean("c2st") for one in tried.values()) > TOLD
    for key in (*RANKED, *known):
        if key in plain.blocks and not (key == "c2st" and all_told and len(known) > 1):
            return key
    raise InputError(
        "recommend metrics: for none of these metrics it is known whether high or low is better; "
        f"return at least one of {', '.join(key for key, one in DIRECTED.items() if one.better)}"
    )
