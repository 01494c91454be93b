"""Which candidate becomes the ratio, and how strongly it is used: held-out samples decide."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gantandem.data.real import Rows
from gantandem.discriminator.candidates import Candidate
from gantandem.discriminator.fitting import Evidence
from gantandem.evaluate.metrics.finite import need_number
from gantandem.ratios.calibrators import fit_platt
from gantandem.ratios.ratio import Ratio
from gantandem.rng import Key

logger = logging.getLogger(__name__)

Distance = Callable[[Tensor, Tensor], float]
DISTANCE = "a function of (N, *x_shape) samples and real ones that returns a number"

STRENGTHS = (1.0, 0.75, 0.5, 0.35, 0.25, 0.15, 0.0)
EXPECTED = 8.0
"""Accepted samples are those of OBRS with this K, the default acceptance, ..."""
ENOUGH = 50
"""... and those that all selectors tend to, proposals weighed by r^t, where these weigh as much as
so many samples: fewer say more of chance than of r. The farther ones count."""
ACCEPTED = 4000
"""At most so many of them are compared."""
TIE = 0.1
"""Distances this share apart are alike: the stronger ratio, the lower loss is kept."""
LEAST = 20
"""A bound of the ratio rests on at least so many held-out real samples."""


class Judged(NamedTuple):
    """A candidate, calibrated and weighed on held-out samples.

    Args:
        candidate: A score.
        ratio: It, calibrated.
        loss: Logistic, in nats.
        error: Standard error of the loss.
        distances: Of what it accepts to real data, by strength.
        noise: Distance that chance alone makes; it adds to a distance as squares do.
    """

    candidate: Candidate
    ratio: Ratio
    loss: float
    error: float
    distances: dict[float, float]
    noise: float = 0.0

    @property
    def distance(self) -> float:
        """At the strength that is used."""
        return self.distances[self.strength]

    @property
    def strength(self) -> float:
        """1 where r brings samples nearer; else the largest that is as good as the best one.

        None that leads farther away than proposals without acceptance, by more than chance.
        """
        if self.distances[1.0] < self.distances[0.0] - TIE * abs(self.distances[0.0]):
            return 1.0
        nearest = min(self.distances.values())
        limit = min(nearest + TIE * abs(nearest), self.distances[0.0] + self.slack)
        return max(s for s, distance in self.distances.items() if distance <= limit)

    @property
    def slack(self) -> float:
        """What chance may add to the distance of proposals without acceptance."""
        plain = abs(self.distances[0.0])
        return math.hypot(plain, self.noise) - plain if math.isfinite(plain) else 0.0

    @property
    def gain(self) -> float:
        """How much nearer it brings samples; 0 within what chance may do."""
        gain = self.distances[0.0] - self.distance
        return gain if gain > self.slack else 0.0

    @property
    def tells(self) -> bool:
        """Whether it tells real from generated better than r = 1, beyond noise."""
        return self.loss < math.log(2) - 2 * self.error

    def row(self) -> dict[str, Any]:
        """What is noted of it."""
        return {
            "name": self.candidate.name,
            "log_loss": round(self.loss, 5),
            "standard_error": round(self.error, 5),
            "strength": self.strength,
            "distance": round(self.distance, 5),
            "distance_full": round(self.distances[1.0], 5),
        }


def judge(
    candidate: Candidate,
    shown: Evidence,
    distance: Distance,
    strengths: Sequence[float],
    noise: float = 0.0,
) -> Judged | None:
    """Calibrate a candidate and compare what it accepts with held-out real data.

    Args:
        candidate: Any score.
        shown: Its held-out samples are used.
        distance: From (N, *x_shape) samples and real ones to a number.
        strengths: Powers t: acceptance by r^t. 0 is always among them.
        noise: Distance that chance makes, see :func:`chance`.

    Returns:
        None if a score is not finite.
    """
    ratio = Ratio(candidate.score, origin="fitted", spec=candidate.spec)
    on_real, on_made = (_values(ratio.logit, rows) for rows in (shown.out_real, shown.out_made))
    both = np.concatenate([on_real, on_made])
    if not np.isfinite(both).all():
        logger.warning("fit_ratio: %s gives scores that are not finite", candidate.name)
        return None
    label = np.repeat([1.0, 0.0], [len(on_real), len(on_made)])
    calibrator = fit_platt(both, label, least=LEAST)
    ratio = Ratio(candidate.score, calibrator=calibrator, origin="fitted", spec=candidate.spec)
    log_real, log_made = (calibrator(torch.from_numpy(v)).numpy() for v in (on_real, on_made))
    on_real, on_made = np.logaddexp(0, -log_real), np.logaddexp(0, log_made)
    error = 0.5 * math.sqrt(on_real.var() / len(on_real) + on_made.var() / len(on_made))

    def farther(log_ratio: np.ndarray) -> float:
        ways = [_accepted(log_ratio, EXPECTED)]
        weight = np.exp(log_ratio - log_ratio.max())
        if weight.std() and weight.sum() ** 2 > ENOUGH * (weight**2).sum():
            ways.append(_accepted(log_ratio, math.inf))
        found = [distance(shown.out_made.x[places], shown.out_real.x) for places in ways]
        return max(need_number(one, "fit_ratio distance") for one in found)

    found = {strength: farther(strength * log_made) for strength in {*strengths, 0.0}}
    return Judged(candidate, ratio, float(on_real.mean() + on_made.mean()) / 2, error, found, noise)


def chance(real: Tensor, distance: Distance) -> float:
    """Distance of two halves of held-out real samples (N, *x_shape): what chance alone makes."""
    half = len(real) // 2
    return need_number(distance(real[:half], real[half:]), "fit_ratio distance") if half else 0.0


def best(judged: Sequence[Judged], noise: float = 0.0) -> Judged:
    """The lowest loss among those whose accepted samples are as near as the nearest ones.

    Those that bring samples nearer by less than half of what another one does are left out.

    Args:
        judged: One or more.
        noise: Distances that differ by less are alike, see :func:`chance`.
    """
    nearest = min(one.distance for one in judged)
    limit = nearest + max(TIE * abs(nearest), noise)
    alike = [one for one in judged if one.distance <= limit]
    most = max(one.gain for one in alike)
    return min((one for one in alike if one.gain >= most / 2), key=lambda one: one.loss)


def say(chosen: Judged, others: Sequence[Judged], strength: float, given: bool = False) -> None:
    """Say what was chosen, and warn where the ratio should be used with less trust, or not.

    Args:
        chosen: The candidate.
        others: All of them.
        strength: At which it is used.
        given: Whether the user said the strength.
    """
    names = ", ".join(f"{one.candidate.name} {one.loss:.4f}" for one in others)
    logger.info(
        "fit_ratio: %s (held-out loss: %s; r = 1 has .6931); strength %g",
        chosen.candidate.name,
        names,
        strength,
    )
    clear = min(others, key=lambda one: one.loss)
    if not chosen.tells:
        logger.warning(
            "fit_ratio: no candidate tells held-out real from generated samples (loss %.4f +- "
            "%.4f; a ratio of 1 has .6931). The ratio is 1 everywhere, so acceptance by it "
            "changes nothing. More real samples, or a network that suits the data (network=...), "
            "may help",
            chosen.loss,
            chosen.error,
        )
        return
    if given or clear.distances[1.0] <= chosen.distances[strength]:
        return
    if strength < 1 or clear.loss < chosen.loss - 2 * (clear.error + chosen.error):
        logger.warning(
            "fit_ratio: the ratio r with the lowest loss (%s, loss %.3f) accepts samples that "
            "are farther from held-out real data than those that %s accepts (distance %.3g "
            "against %.3g; without acceptance %.3g), so acceptance uses the latter. The "
            "generator may miss some of the data. strength=1 uses r itself: each sample is then "
            "more likely under the data, but the samples as a whole are farther from the data",
            clear.candidate.name,
            clear.loss,
            f"r^{strength:g} of {chosen.candidate.name}",
            clear.distances[1.0],
            chosen.distances[strength],
            chosen.distances[0.0],
        )


def _values(score: Callable[..., Tensor], rows: Rows, batch: int = 1000) -> np.ndarray:
    with torch.no_grad():
        return torch.cat([score(*part).double() for part in rows.split(batch)]).cpu().numpy()


def _accepted(log_ratio: np.ndarray, expected: float) -> Tensor:
    """Places of proposals that OBRS would accept, one as often as its probability says."""
    level = log_ratio - log_ratio.max()  # log c + log r, with c = 1 / max r at least
    low, high = 0.0, -float(level.min())
    if np.exp(level).mean() < 1 / expected:
        for _ in range(60):
            middle = (low + high) / 2
            mean = np.exp(np.minimum(level + middle, 0)).mean()
            low, high = (middle, high) if mean < 1 / expected else (low, middle)
    order = torch.randperm(len(level), generator=Key(0).fold("accepted").generator()).numpy()
    weight = np.exp(np.minimum(level[order] + low, 0)).cumsum()
    count = min(ACCEPTED, len(weight))
    places = np.searchsorted(weight, (np.arange(count) + 0.5) / count * weight[-1])
    return torch.from_numpy(order[places.clip(max=len(order) - 1)])
