"""Samples without a generator: scored by ratios that were fitted on the others."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from gantandem.data.incoming import read
from gantandem.data.matching import check_finite, check_range
from gantandem.data.named import Named, Paths, are_paths, read_named
from gantandem.data.ranges import Range
from gantandem.data.real import PARTS, Real, RealData, Rows, Stored
from gantandem.discriminator.diagnostics import diagnose_log_ratios
from gantandem.discriminator.held_out import rows_hash
from gantandem.discriminator.parts import MIN_REAL, split_real
from gantandem.discriminator.ratio import fit_ratio
from gantandem.discriminator.sizes import seconds
from gantandem.errors import DataError, InputError, near
from gantandem.gan import GAN
from gantandem.latent import Latent
from gantandem.rng import Key
from gantandem.samplers.direct import Direct
from gantandem.scoring.scores import Scores
from gantandem.scoring.scoring import names_of, score_by
from gantandem.settings import at_least, check

logger = logging.getLogger(__name__)

FOLDS = 3
MADE = ("gan", "real", "proposal", "n")
"""Arguments of ``fit_ratio`` that are none of the user's here."""
FITTING = [name for name in inspect.signature(fit_ratio).parameters if name not in MADE]
_MIX = -4942790177534073029  # odd: another order than that of the split of real data


@dataclass(frozen=True)
class Places(Latent):
    """The latent of recorded samples: the place of each id, in turn."""

    count: int
    kind: ClassVar[str] = "places"

    def draw(self, key: Key, ids: Tensor, attempts: Tensor | int = 0) -> Tensor:
        """Give each id its place, (N, 1): the first ``count`` ids have one each."""
        return ((ids + attempts) % self.count).float()[:, None]

    def log_prob(self, z: Tensor) -> Tensor:
        """Each place is as likely as any other."""
        return torch.zeros(len(z), device=z.device)

    @property
    def discrete(self) -> bool:
        """No place can move."""
        return True

    def config(self) -> dict[str, Any]:
        """How many there are."""
        return {"kind": self.kind, "count": self.count}


class Recorded(nn.Module):
    """A generator that gives recorded samples (N, *x_shape) back by their places (N, 1)."""

    x: Tensor

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        self.register_buffer("x", x)

    def forward(self, z: Tensor) -> Tensor:
        """Look the samples up."""
        return self.x[z[:, 0].long() % len(self.x)]


def score_samples(
    x: RealData | Paths,
    real: RealData | Paths,
    *,
    folds: int = FOLDS,
    range: Range = (-1.0, 1.0),
    device: str | torch.device | None = None,
    seed: int = 0,
    progress: bool | None = None,
    **fit: Any,
) -> Scores:
    """Score samples by a ratio that is fitted on them and on real data, without a generator.

    The samples are divided by their content into ``folds`` folds. For each fold ``fit_ratio`` fits
    a ratio on the *other* folds and the real data, and this ratio scores the fold. So no sample is
    scored by a ratio that was fitted, chosen or calibrated on it or on an equal sample. The real
    data are split as usual. The diagnosis uses the real ``test`` part and all samples, each scored
    by the ratio that has not seen it. ``select`` can accept by these scores.

    Args:
        x: Samples of one law, (N, *x_shape), or files and folders, as for ``score``.
        real: Real samples, likewise.
        folds: Parts, and fits.
        range: The values that black and white of pictures get, in both.
        device: Where networks are fitted; None leaves the samples where they are.
        seed: Of the fits.
        progress: Show progress bars.
        fit: Settings of ``fit_ratio``: ``network``, ``backbone``, ``schedule``, ``batch``, ...;
            a ``budget`` is that of all fits together.

    Returns:
        Log ratios, probabilities and ranks, in the order of the samples, with a diagnosis.

    Raises:
        DataError: If there are too few of either, or they differ in shape.
        InputError: As ``fit_ratio``, or if it has no such argument.
    """
    return score_recorded(
        x, real, folds=folds, range=range, device=device, seed=seed, progress=progress, **fit
    )[0]


def score_recorded(
    x: RealData | Paths,
    real: RealData | Paths,
    *,
    folds: int = FOLDS,
    range: Range = (-1.0, 1.0),
    device: str | torch.device | None = None,
    seed: int = 0,
    progress: bool | None = None,
    **fit: Any,
) -> tuple[Scores, Tensor]:
    """As :func:`score_samples`, with the samples as they were read."""
    folds = check("score_samples folds", Annotated[int, at_least(2)], folds)
    allowed = ["folds", "range", "device", "seed", "progress", *FITTING]
    if wrong := next((name for name in fit if name not in allowed), None):
        raise InputError(f"score_samples: there is no argument {wrong!r}; {near(wrong, allowed)}")
    if "budget" in fit:  # which is that of all fits
        fit["budget"] = seconds(fit["budget"], "score_samples") / folds
    given, named = _read(x, "samples", range, None)
    parts = _real(real, range, tuple(given.shape[1:]))
    held = given[:].to(device or given.device, torch.float32)
    note = check_range(parts.fit[:2048], held[:2048], "real")
    if note is not None:
        logger.warning("%s", note.replace("the generator's samples", "the samples"))
    part = _folds(held, folds)
    options = {"seed": seed, "progress": progress, **fit}
    count, test = len(held), parts.test
    turn = torch.arange(len(test)) % folds
    logit, log_ratio = (torch.empty(count, dtype=torch.float64) for _ in "ab")
    on_test, strengths = torch.empty(len(test), dtype=torch.float64), list[float]()
    for fold, others in enumerate(_others(part, folds, seed)):
        gan = GAN(Recorded(held[others.to(held.device)]), None, Places(len(others)))
        gan = fit_ratio(gan, parts, proposal=Direct(), n=len(others), **options)
        (ratio,) = gan.ratios.values()
        own = (part == fold).nonzero().flatten()
        logit[own], log_ratio[own] = score_by(gan, ratio, Rows(held[own.to(held.device)]))
        known = (turn == fold).nonzero().flatten()
        _, on_test[known] = score_by(gan, ratio, Rows(test[known]))
        strengths.append(ratio.strength)
    label = np.repeat([1.0, 0.0], [len(test), count])
    both = torch.cat([on_test, log_ratio]).numpy()
    words: dict[str, Any] = {"proposal": "the samples", "strength": float(np.median(strengths))}
    diagnosis = replace(diagnose_log_ratios(both, label)[0], **words)
    scores = Scores(
        log_ratio.numpy(), logit.numpy(), diagnosis=diagnosis, **words, **names_of(named)
    )
    return scores, held


def _read(
    data: Any, where: str, range: Range, shape: tuple[int, ...] | None
) -> tuple[Tensor | Stored, Named | None]:
    named = None
    if are_paths(data):
        named = read_named(data, where, shape=shape, range=range)
        data = named.x
    x, _, meant = read(data, where, shape)
    if meant:
        raise DataError(
            f"{where}: there are conditions, but score_samples takes none; pass only samples"
        )
    if len(x) < MIN_REAL or len(x.shape) < 2:
        raise DataError(
            f"{where}: got shape {tuple(x.shape)}; at least {MIN_REAL} samples (N, *x_shape) are "
            "needed to fit on some of them and score the others"
        )
    check_finite(x, where)
    return x, named


def _real(real: Any, range: Range, shape: tuple[int, ...]) -> Real:
    """The real samples in four parts, which are of the shape of the others."""
    if not isinstance(real, Real):
        x, _ = _read(real, "real", range, shape)
        if tuple(x.shape[1:]) != shape:
            raise DataError(
                f"real: samples of shape {tuple(x.shape[1:])}, and those to be scored have "
                f"{shape}: give both the same shape"
            )
        real = x
    parts = split_real(real)
    return Real(*(getattr(parts, part)[:].float() for part in PARTS))


def _folds(x: Tensor, folds: int) -> Tensor:
    """The part of each sample, (N,): their content decides, and equal ones stay together."""
    groups, group = (rows_hash(x) * _MIX).unique(return_inverse=True)
    if len(groups) < MIN_REAL:
        raise DataError(
            f"samples: {len(x)} are {len(groups)} distinct ones; at least {MIN_REAL} are needed"
        )
    return group % folds


def _others(part: Tensor, folds: int, seed: int) -> Iterator[Tensor]:
    """For each part the places of all other samples, shuffled."""
    for fold in torch.arange(folds):
        places = (part != fold).nonzero().flatten()
        noise = Key(seed).fold("others").fold(int(fold)).generator()
        yield places[torch.randperm(len(places), generator=noise)]
