"""Score samples that exist already by the ratio of a law."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import Tensor

from gantandem.condition import as_condition
from gantandem.data.incoming import read
from gantandem.data.matching import probe, take_in
from gantandem.data.named import Named, Paths, are_paths, read_named
from gantandem.data.ranges import Range, find_range
from gantandem.data.real import RealData, Rows
from gantandem.discriminator.held_out import CHANCE, repeats, share_seen
from gantandem.display.table import show_percent
from gantandem.engine.sampling import prepare
from gantandem.gan import GAN
from gantandem.nets.hashing import hashed_once
from gantandem.ratios.ratio import Ratio
from gantandem.samplers.direct import Direct
from gantandem.samplers.named import SamplerLike, as_proposal
from gantandem.scoring.scores import Scores
from gantandem.settings import Count, check

logger = logging.getLogger(__name__)

BATCH = 256


@hashed_once()
def score(
    gan: GAN,
    x: RealData | Paths,
    *,
    proposal: SamplerLike | None = None,
    condition: Any = None,
    range: Range | None = None,
    batch: int = BATCH,
    strict: bool = True,
) -> Scores:
    """Score samples that exist already by a fitted ratio, and rank them.

    Any samples may be scored, also real ones. The score is log p_data / p_law, where p_law is by
    default the law of the generator's plain samples. The result holds the diagnosis of the ratio
    and prints it. A warning says if the ratio was fitted on some of the samples, or if their range
    is not that of the generator.

    Args:
        gan: With a ratio of the law: see ``fit_ratio``.
        x: (N, *x_shape) samples in any form that real data have; or files and folders of pictures
            (their range becomes the generator's) or arrays, whose names are kept.
        proposal: The sampler whose law is meant (of a selector its proposal), or its name; None is
            ``Direct()``.
        condition: For a conditional GAN: one label for all, or a row for each sample. The pair
            ``(x, condition)`` does as well, and so do labels beside the samples in files.
        range: The values of black and white, where ``x`` are pictures; None finds what the
            generator makes.
        batch: Samples scored at a time.
        strict: False judges by another law's ratio, with a warning.

    Returns:
        Log ratios, probabilities and ranks, in the order of the samples.

    Raises:
        DataError: If the samples cannot be read, are not all alike, are not finite, or have
            another shape than the generator's.
        InputError: If conditions are missing, superfluous or of another kind.
        LawMismatchError: If no ratio was fitted on that law.
        NotARatioError: If only a critic is at hand.
    """
    return score_rows(
        gan, x, proposal=proposal, condition=condition, range=range, batch=batch, strict=strict
    )[0]


def score_rows(
    gan: GAN,
    x: RealData | Paths,
    *,
    proposal: SamplerLike | None,
    condition: Any,
    range: Range | None,
    batch: int,
    strict: bool,
    where: str = "score",
) -> tuple[Scores, Rows]:
    """As :func:`score`, with the samples as they were read."""
    check("score gan", GAN, gan)
    batch = check("score batch", Count, batch)
    mover = prepare(gan, as_proposal(gan, proposal or Direct())).sampler
    gan.ratio(mover, strict=strict, quiet=True)  # where there is none, nothing is read
    made, named = probe(gan.networks), None
    if are_paths(x):
        shape = tuple(made.shape[1:])
        bounds = find_range(made.cpu().numpy()) if range is None and len(shape) == 3 else range
        named = read_named(x, where, shape=shape, range=bounds)  # type: ignore[arg-type]
        if len(set(named.inside)) == 1:  # the one file that all are of
            where = f"{where} {named.inside[0]}"
        x = named.x
        if condition is None and gan.condition is not None:
            condition = named.cond
    if condition is not None:
        x = _with_condition(x, condition, tuple(made.shape[1:]), where)
    rows = take_in(gan.networks, x, where, made=made)
    ratio = gan.ratio(mover, strict=strict)
    logit, log_ratio = score_by(gan, ratio, rows, batch)
    broken = int((log_ratio.isnan() | (log_ratio == torch.inf)).sum())
    if broken:
        logger.warning(
            "%s: the network of the ratio gives NaN or infinity for %d of %d samples; they rank "
            "last and are never accepted",
            where,
            broken,
            len(log_ratio),
        )
    seen = 0.0 if repeats(made) else share_seen(ratio, rows.x, gan.guide)
    if seen > CHANCE:
        logger.warning(
            "%s: %s of the %d samples are among the real ones that this ratio or its guide was "
            "fitted on, so their scores are too high. Score samples that were not used to fit",
            where,
            show_percent(seen),
            len(log_ratio),
        )
    scores = Scores(
        log_ratio.numpy(),
        logit.numpy(),
        condition=None if rows.cond is None else rows.cond.cpu().numpy(),
        proposal=ratio.proposal or mover.name,
        law=str(gan.law(mover)),
        strength=ratio.strength,
        diagnosis=ratio.diagnosis,
        seen=seen if seen > CHANCE else 0.0,
        **names_of(named),
    )
    return scores, rows


def names_of(named: Named | None) -> dict[str, Any]:
    """What scores keep of the files that samples came in."""
    if named is None:
        return {}
    return {"names": named.names, "files": named.files, "inside": named.inside}


def score_by(gan: GAN, ratio: Ratio, rows: Rows, batch: int = BATCH) -> tuple[Tensor, Tensor]:
    """Logits and calibrated log ratios of a set, (N,) float64 each, on the CPU.

    The last batch is padded: a sample's score does not hang on how many there are.
    """
    found: list[tuple[Tensor, Tensor]] = []
    with gan.networks.frozen():
        for part in rows.split(batch):
            count = len(part.x)
            x, cond = part.map(lambda v: _padded(v, batch)).to(gan.device)
            logit = ratio.logit(x, cond)
            pair = logit.double(), ratio.calibrated(logit, cond)
            found.append(tuple(v[:count].cpu() for v in pair))  # type: ignore[arg-type]
    logit, log_ratio = (torch.cat(column) for column in zip(*found, strict=True))
    return logit, log_ratio


def _padded(value: Tensor, batch: int) -> Tensor:
    missing = batch - len(value)
    return torch.cat([value, value[:1].expand(missing, *value.shape[1:])]) if missing else value


def _with_condition(x: Any, condition: Any, shape: tuple[int, ...], where: str) -> tuple[Any, Any]:
    """Samples with their conditions; one label becomes that of all."""
    x = read(x, where, shape).x
    rows = as_condition(condition, f"{where} condition")
    if isinstance(rows, Tensor) and len(rows) == 1 < len(x):
        rows = rows.expand(len(x), *rows.shape[1:])
    return x, rows
