"""What is held out stays held out: one split by content, and what each ratio was fitted on."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from gantandem.data.matching import pieces
from gantandem.data.real import Stored
from gantandem.networks.score import Score
from gantandem.ratios.ratio import Ratio

T = TypeVar("T", Ratio, Score)

logger = logging.getLogger(__name__)

REMEMBERED = 65_536
"""Samples of a fit that are remembered at most: those of the lowest hashes, a fair tenth, say."""
CHANCE = 0.01
"""A larger share of held-out samples that were fitted on is told."""
_MIX = -7046029254386353131  # odd: another order than that in which hashes are remembered


def rows_hash(x: Tensor | Stored) -> Tensor:
    """A 64-bit hash of the content of each sample, (N,) int64: equal samples have equal hashes.

    Values count as float32, so that a sample read in another precision is still the same one.
    """
    return torch.from_numpy(np.concatenate([np.zeros(0, np.int64), *map(_hash, pieces(x))]))


def _hash(x: Tensor) -> np.ndarray:
    values = x.detach().cpu().float().flatten(1).add(0.0).contiguous().numpy()  # -0 becomes 0
    digests = [hashlib.blake2b(row, digest_size=8).digest() for row in values]
    return np.frombuffer(b"".join(digests), dtype="<i8").astype(np.int64)


def split_places(keys: Tensor, *, apart: bool = False) -> tuple[Tensor, ...]:
    """Places of the samples that fit (70%), select, calibrate and test (10% each).

    The content of a sample decides, and neither a seed nor its place: every call sees the same
    parts, in whatever order the samples come. Equal samples stay together, so that nothing that
    is held out was ever fitted on.

    Args:
        keys: (N,) ``rows_hash`` of the samples.
        apart: Let equal samples land in different parts: for a discrete law, whose samples repeat.
    """
    if apart:  # the first, the second, ... of equal samples
        keys = keys + _occurrence(keys) * 0x632BE5AB
    groups, group = (keys * _MIX).unique(return_inverse=True)
    order = group.argsort(stable=True)
    tenth = len(groups) // 10
    ends = torch.tensor([len(groups) - k * tenth for k in (3, 2, 1)])
    return order.tensor_split(torch.searchsorted(group[order], ends))


def _occurrence(keys: Tensor) -> Tensor:
    """How many equal keys came before each one."""
    order = keys.argsort(stable=True)
    _, counts = keys.unique(return_counts=True)
    starts = (counts.cumsum(0) - counts).repeat_interleave(counts)
    found = torch.empty_like(keys)
    found[order] = torch.arange(len(keys)) - starts
    return found


def repeats(x: Tensor) -> bool:
    """Whether samples of a law repeat, as those of a discrete law do."""
    return len(x) > 1 and len(rows_hash(x).unique()) < (1 - CHANCE) * len(x)


def remember(fitted: T, step: str, *parts: Tensor) -> T:
    """A ratio or guide that knows the samples which ``step`` fitted it on."""
    hashes = torch.cat([rows_hash(x) for x in parts]).unique()[:REMEMBERED]
    return replace(fitted, seen={**fitted.seen, step: hashes})


def check_unseen(
    ratio: Ratio,
    real: Tensor,
    step: str,
    made: Tensor | None = None,
    guide: Score | None = None,
) -> float:
    """Warn where a ratio is calibrated or tested on what it, or its law's guide, was fitted on.

    A warning and no error: a table may hold a sample twice. Nothing is said where samples of the
    law itself are among those fitted on, as of a discrete law.

    Args:
        ratio: What is calibrated or diagnosed.
        real: (N, *x_shape) held-out real samples.
        step: ``"calibrate"``, which may be done again on the same samples, or ``"diagnose"``.
        made: Samples of the law.
        guide: What leads samples to the real ones that it was shaped on, and what a fit may have
            started from.

    Returns:
        Share of the real samples that another step fitted this ratio on.
    """
    share = share_seen(ratio, real, guide, but=step)
    if share > CHANCE and (made is None or share_seen(ratio, made, guide, but=step) <= CHANCE):
        logger.warning(
            "%s: %.0f%% of the %d held-out real samples are among those that this ratio or its "
            "guide was fitted on, so the numbers are better than on new samples. Pass the same "
            "data to every call, or a Real whose parts have no sample in common",
            step,
            100 * share,
            len(real),
        )
    return share


def share_seen(
    ratio: Ratio, x: Tensor | Stored, guide: Score | None = None, *, but: str | None = None
) -> float:
    """Share of samples (N, *x_shape) that a ratio or its guide was fitted on.

    Args:
        ratio: Remembers its real samples.
        x: The samples.
        guide: What leads samples to the real ones that it was shaped on.
        but: A step that does not count.
    """
    seen = {**({} if guide is None else guide.seen), **ratio.seen}
    seen.pop(but or "", None)
    return _share(seen, x)


def _share(seen: Mapping[str, Tensor], x: Tensor | Stored) -> float:
    own, shares = rows_hash(x), [0.0]
    for hashes in seen.values():
        # Of a large fit the lowest hashes are known: only samples with such hashes can be told.
        known = own[own <= hashes[-1]] if len(hashes) == REMEMBERED else own
        shares.append(float(torch.isin(known, hashes).double().mean()) if len(known) else 0.0)
    return max(shares)
