"""Does the generator copy what it was trained on? Nearest training samples tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gantandem.data.real import RealData
from gantandem.discriminator.checks import auc, auc_noise
from gantandem.discriminator.features import backbone_body
from gantandem.discriminator.parts import parts_for
from gantandem.display.style import png
from gantandem.errors import InputError
from gantandem.evaluate.eyes import features_of
from gantandem.evaluate.metrics.finite import need_finite
from gantandem.evaluate.metrics.manifold import distances
from gantandem.files import write_bytes
from gantandem.gan import GAN
from gantandem.progress import track
from gantandem.samples import Samples
from gantandem.settings import check

CHUNK = 256
CLEAR = 2.0
"""Standard errors beyond which the words speak."""
SHOWN = 8
MOST_HELD = 2000
"""Held-out samples that are looked at, where samples are no more."""
FEW = 20
"""Fewest samples, and held-out real ones."""


@dataclass(frozen=True, eq=False)
class Memorisation:
    """How near samples are to training samples, beside held-out real samples.

    Attributes:
        nearer: Chance that a sample is nearer to the training samples than a held-out real sample
            is: .5 where nothing is copied, above where samples are copies, or lie where the data
            are dense, below where they lie farther from all data.
        error: Standard error of ``nearer`` where nothing is copied.
        authentic: Share of the samples that are farther from their nearest training sample than
            that one is from its own nearest one.
        real_authentic: The same share of held-out real samples: what to compare with.
        nearest: (N,) the row, of the training samples, that each sample is nearest to.
        distance: (N,) how far that is.
        samples: (N, *x_shape).
        neighbours: (N, *x_shape) the nearest training samples.
    """

    nearer: float
    error: float
    authentic: float
    real_authentic: float
    nearest: Tensor
    distance: Tensor
    samples: Tensor
    neighbours: Tensor

    def __str__(self) -> str:
        """The answer in words, and the numbers."""
        excess = (self.nearer - 0.5) / self.error
        if excess > CLEAR:
            verdict = "Samples lie nearer to training samples than held-out real samples do."
            verdict += " They are copies, or lie where the data are dense: look at them, plot()."
        elif excess < -CLEAR:
            verdict = "No copies are seen: samples lie farther from training samples than held-out"
            verdict += " real samples do."
        else:
            verdict = "No copies are seen: samples are as near to training samples as held-out"
            verdict += " real samples are."
        return (
            f"{verdict}\n"
            f"  nearer than held-out samples  {self.nearer:.3f} ± {self.error:.3f} (.5 is chance)\n"
            f"  authentic                     {self.authentic:.3f} (held-out real samples "
            f"{self.real_authentic:.3f})"
        )

    def plot(self, path: str | Path | None = None) -> Any:
        """Draw the samples that lie nearest to training samples, and beside them these.

        Each training sample has the place of its sample, the nearest first.

        Args:
            path: PNG to write as well.

        Returns:
            The matplotlib figure.

        Raises:
            InputError: If the samples are neither points in a plane nor images.
            OutputError: If the picture cannot be written.
        """
        from gantandem.display.panels import panels_figure  # matplotlib is slow to import

        order = self.distance.argsort()[: SHOWN * SHOWN]
        named = [("nearest samples", self.samples), ("their training samples", self.neighbours)]
        drawn = panels_figure([(name, x[order].numpy(), {}) for name, x in named])
        if path is not None:
            write_bytes(Path(path), png(drawn, dpi=72))
        return drawn


def memorisation(
    gan: GAN,
    samples: Samples | Tensor,
    real: RealData,
    *,
    backbone: str | nn.Module | None = None,
    backbone_weights: str | Path | None = None,
    progress: bool | None = None,
) -> Memorisation:
    """Compare how near samples and held-out real samples are to training samples.

    The generator must have been trained on no more than the ``fit`` part of ``real``: give
    ``Real(fit=what it was trained on, test=what it never saw, ...)`` if you have them apart.
    Acceptance can copy, too, by what it was fitted on.

    Args:
        gan: Whose samples they are.
        samples: (N, *x_shape).
        real: Real samples in any form that ``RealData`` names; ``fit`` are the training samples,
            ``test`` the held-out ones, of which 2,000 are used, or as many as samples if these are
            more.
        backbone: Distances are of this network's features, as for :func:`~gantandem.compare`; None
            takes them in the numbers that samples are made of, which for images finds copies and
            says little of what is alike.
        backbone_weights: A weight file of a backbone of your own.
        progress: Show a progress bar.

    Raises:
        InputError: If there are fewer than 20 samples, or held-out ones.
        DataError: If the real samples do not suit the GAN.
        NonFiniteError: If a sample or a feature is not finite.

    Source: Meehan, Chaudhuri and Dasgupta, AISTATS 2020 (samples against held-out ones, here as
    the area under a curve); Alaa et al., ICML 2022 (authenticity).
    """
    check("memorisation gan", GAN, gan)
    x = (samples.x if isinstance(samples, Samples) else samples).detach().cpu()
    parts = parts_for(gan, real, "memorisation real")
    train, held = parts.rows("fit").x.cpu(), parts.test[: max(len(x), MOST_HELD)].cpu()
    if min(len(x), len(held)) < FEW:
        raise InputError(
            f"memorisation: {len(x)} samples and {len(held)} held-out real ones; at least {FEW} of "
            "each are needed"
        )
    sets = [need_finite(one, "samples (memorisation)") for one in (x, train, held)]
    if backbone is not None:
        body = backbone_body(gan, backbone, backbone_weights, "memorisation")
        sets = [features_of(body, one) for one in sets]
    made, seen, fresh = (one.double().flatten(1) for one in sets)
    with track(2 * (len(made) + len(fresh)), "memorisation", progress) as done:
        distance, nearest = _nearest(made, seen, done)
        to_fresh, near_fresh = _nearest(fresh, seen, done)
        hit, back = torch.cat([nearest, near_fresh]).unique(return_inverse=True)
        own = _nearest(seen[hit], seen, done, own=hit)[0][back]
    return Memorisation(
        auc(to_fresh, distance),
        auc_noise(len(fresh), len(made)),
        float((distance > own[: len(made)]).double().mean()),
        float((to_fresh > own[len(made) :]).double().mean()),
        nearest, distance, x, train[nearest],
    )  # fmt: skip


def _nearest(
    x: Tensor, among: Tensor, done: Callable[[int], None], own: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """How far the nearest of some rows is, and which; not the row itself, of number ``own``."""
    found = []
    for start in range(0, len(x), CHUNK):
        apart = distances(x[start : start + CHUNK], among)
        if own is not None:
            apart[torch.arange(len(apart)), own[start : start + CHUNK]] = torch.inf
        found.append(apart.min(1))
        done(len(apart))
    return torch.cat([one.values for one in found]), torch.cat([one.indices for one in found])
