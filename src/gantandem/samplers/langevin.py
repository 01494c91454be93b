"""Langevin moves on L(z) = log p0(z) + d(G(z)): where they lead, and what a test must know of them.

p0 is the prior of the latent, and d a log ratio (or, without a test, a guide's logit or critic).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from gantandem.samplers.optimisers import by_lane


class Point(NamedTuple):
    """A latent, evaluated; one a row.

    Args:
        z: (W, *z_shape).
        x: (W, *x_shape), G(z).
        log_ratio: (W,) float64 d(G(z)): the calibrated log ratio of p_G, or for ULA the guide's.
        log_prior: (W,) float64 log p0(z); -inf outside the prior's support.
        gradient: (W, *z_shape) of L(z), for the proposal.
    """

    z: Tensor
    x: Tensor
    log_ratio: Tensor
    log_prior: Tensor
    gradient: Tensor

    @property
    def log_density(self) -> Tensor:
        """L(z), (W,) float64."""
        return self.log_prior + self.log_ratio

    @property
    def finite(self) -> Tensor:
        """Where z, x, the log ratio and the gradient are finite, (W,) bool."""
        parts = (self.z, self.x, self.gradient)
        rows = [part.flatten(1).isfinite().all(1) for part in parts]
        return rows[0] & rows[1] & rows[2] & self.log_ratio.isfinite()


@dataclass(frozen=True)
class Langevin:
    """The proposal q(z' | z) = N(z'; m(z), eta^2 I) with m(z) = z + (tau/2) grad L(z).

    Args:
        tau: Step size, a variance.
        noise: eta, a standard deviation; None takes sqrt(tau).
        max_drift: The drift (tau/2) grad L(z) is no longer than this times sqrt(tau d), the usual
            length of noise of standard deviation sqrt(tau) in d dimensions (MALTA); None leaves it
            as it is.
    """

    tau: float
    noise: float | None = None
    max_drift: float | None = None

    def mean(self, here: Point) -> Tensor:
        """m(z), (W, *z_shape) float64."""
        drift = 0.5 * here.gradient.double() * self.tau
        if self.max_drift is not None:
            length = drift.square().flatten(1).sum(1).sqrt()
            longest = self.max_drift * (self.tau * here.z[0].numel()) ** 0.5
            # Not longest / length: where the length is 0 the factor must be 1.
            drift = drift * by_lane(longest / length.clamp(min=longest), drift)
        return here.z.double() + drift

    def draw(self, here: Point, xi: Tensor) -> Tensor:
        """Z' = m(z) + eta xi, for standard normals xi of z's shape."""
        eta = self.tau**0.5 if self.noise is None else self.noise
        return (self.mean(here) + eta * xi.double()).to(here.z.dtype)

    def log_hastings(self, here: Point, there: Point) -> Tensor:
        """Of moves from z to z', log q(z | z') - log q(z' | z): (W,) float64."""
        variance = self.tau if self.noise is None else self.noise**2
        forth = (there.z - self.mean(here)).square().flatten(1).sum(1)
        back = (here.z - self.mean(there)).square().flatten(1).sum(1)
        return 0.5 * (forth - back) / variance
