"""MALA and Ex2MCMC written from their formulas, one sample at a time, in float64.

They share the keyed noise with the library and nothing else: densities are spelled out, the
gradient is of their sum, the proposal's density is a normal's.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy import stats
from torch.autograd.functional import jacobian


class SlowChain:
    """pi(z) = p0(z) r(G(z)) of one sample; a calibration of r enters acceptance only."""

    def __init__(self, gan, key, sample_id, *, log_prior, calibrate=lambda d: d):
        self.gan, self.key, self.id = gan, key, torch.tensor([sample_id])
        self.log_prior, self.calibrate = log_prior, calibrate
        self.z = gan.latent.draw(key.fold("latent"), self.id)[0].numpy()
        self.moves = self.accepted = 0

    def logit(self, z: torch.Tensor) -> torch.Tensor:
        return self.gan.guide.network(self.gan.generator(z[None])).reshape(())

    def log_ratio(self, z: np.ndarray) -> float:
        return self.calibrate(float(self.logit(torch.tensor(z)).detach()))

    def log_pi(self, z: np.ndarray) -> float:
        return float(self.log_prior(torch.tensor(z).double())) + self.log_ratio(z)

    def mean(self, z: np.ndarray, tau: float, longest: float) -> np.ndarray:
        """z + (tau/2) grad L(z), the second term cut to a length."""
        at = torch.tensor(z).double()
        gradient = jacobian(lambda v: self.log_prior(v) + self.logit(v), at).numpy()
        move = tau / 2 * gradient
        length = np.linalg.norm(move)
        return z.astype(np.float64) + (move * longest / length if length > longest else move)

    def mala(self, tau: float, eta: float, longest: float = math.inf) -> None:
        z, shape = self.z, (len(self.z),)
        xi = self.key.fold("noise").normal(self.id, 0, self.moves, shape)[0].numpy()
        there = (self.mean(z, tau, longest) + eta * xi.astype(np.float64)).astype(np.float32)
        u = math.exp(float(self.key.fold("accept").log_uniform(self.id, 0, self.moves)))
        self.moves += 1
        if self.log_pi(there) == -math.inf:
            return
        forth = stats.norm.logpdf(there, self.mean(z, tau, longest), eta).sum()
        back = stats.norm.logpdf(z, self.mean(there, tau, longest), eta).sum()
        if u < math.exp(min(0.0, self.log_pi(there) + back - self.log_pi(z) - forth)):
            self.z, self.accepted = there, self.accepted + 1

    def isir(self, points: int) -> None:
        """Choose one of N points with weights r: the k-th so far with r_k / (r_1 + ... + r_k)."""
        total, chosen = math.exp(self.log_ratio(self.z)), self.z
        for j in range(points - 1):
            draw = self.moves * (points - 1) + j
            fresh = self.gan.latent.draw(self.key.fold("fresh"), self.id, draw)[0].numpy()
            weight = math.exp(self.log_ratio(fresh))
            total += weight
            u = math.exp(float(self.key.fold("keep").log_uniform(self.id, draw)))
            if u < weight / total:
                chosen = fresh
        self.accepted += chosen is not self.z
        self.z, self.moves = chosen, self.moves + 1


def normal_log_prior(z: torch.Tensor) -> torch.Tensor:
    return -0.5 * (z.square() + math.log(2 * math.pi)).sum()


def box_log_prior(z: torch.Tensor) -> torch.Tensor:
    """Uniform on [-1, 1]^d."""
    inside = bool((z.abs() <= 1).all())
    return 0 * z.sum() - (len(z) * math.log(2) if inside else math.inf)
