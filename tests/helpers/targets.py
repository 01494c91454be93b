"""GANs whose proposal, data and log ratio are known in closed form, with tests of their samples.

Every target turns samples into p-values that are uniform when the samples follow the data's law
exactly. None depends on an estimate: what fails here is the sampler.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy import special, stats
from torch import Tensor, nn

from gantandem import GAN, Normal, Rejection, Uniform, sample
from gantandem.latent import Latent


class Formula(nn.Module):
    """A network without weights: any function of a batch, computed in float64."""

    def __init__(self, function: Callable[[Tensor], Tensor], dtype: torch.dtype = torch.float64):
        super().__init__()
        self.function, self.dtype = function, dtype

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x.double()).to(self.dtype)


@dataclass(frozen=True)
class Target:
    """A GAN with an exact log ratio; ``p_values`` judges (N, *x_shape) samples as a numpy array."""

    name: str
    gan: GAN
    max_ratio: float
    p_values: Callable[[np.ndarray], dict[str, float]]

    def worst(self, x: Tensor) -> float:
        """The smallest p-value: around 1 / (number of tests) when the samples are exact."""
        return min(self.p_values(x.double().numpy()).values())


def make(name, generator, log_ratio, latent: Latent, max_ratio: float, p_values) -> Target:
    gan = GAN(Formula(generator, torch.float32), Formula(log_ratio), latent)
    return Target(name, gan, max_ratio, p_values)


def z_test(values: np.ndarray, mean: float, std: float) -> float:
    """Two-sided p-value of a mean, by the central limit theorem."""
    score = (values.mean() - mean) / std * math.sqrt(len(values))
    return float(2 * stats.norm.sf(abs(score)))


def gaussian() -> Target:
    """Two correlated dimensions, narrower than the generator's law and beside it."""
    scale = 1.5
    mean = torch.tensor([0.4, -0.3], dtype=torch.float64)
    cov = torch.tensor([[0.8, 0.35], [0.35, 0.6]], dtype=torch.float64)
    data = torch.distributions.MultivariateNormal(mean, cov)

    def log_ratio(x: Tensor) -> Tensor:
        wide = -(x.square().sum(1)) / (2 * scale**2) - math.log(2 * math.pi * scale**2)
        return data.log_prob(x) - wide

    # r is itself a Gaussian in x, with this precision; its peak is at the mode below.
    precision = torch.linalg.inv(cov) - torch.eye(2, dtype=torch.float64) / scale**2
    mode = torch.linalg.solve(precision, torch.linalg.solve(cov, mean))
    peak = float(log_ratio(mode[None]).exp())
    lower = torch.linalg.inv(torch.linalg.cholesky(cov)).numpy()

    def p_values(x: np.ndarray) -> dict[str, float]:
        white = (x - mean.numpy()) @ lower.T
        return {
            "first": stats.kstest(white[:, 0], "norm").pvalue,
            "second": stats.kstest(white[:, 1], "norm").pvalue,
            "radius": stats.kstest((white**2).sum(1), stats.chi2(2).cdf).pvalue,
            "mean": min(z_test(w, 0, 1) for w in white.T),
            "variance": min(z_test(w**2, 1, math.sqrt(2)) for w in white.T),
            "correlation": z_test(white[:, 0] * white[:, 1], 0, 1),
        }

    return make("gaussian", lambda z: scale * z, log_ratio, Normal(2), peak, p_values)


SKEW = 4.0


def skewed() -> Target:
    """Skew-normal data from a standard normal: r = 2 Phi(a x), whose mirror image is wrong."""

    def log_ratio(x: Tensor) -> Tensor:
        return math.log(2) + torch.special.log_ndtr(SKEW * x[:, 0])

    mean, variance = stats.skewnorm.stats(SKEW, moments="mv")

    def cdf(x: np.ndarray) -> np.ndarray:
        return special.ndtr(x) - 2 * special.owens_t(x, SKEW)

    def p_values(x: np.ndarray) -> dict[str, float]:
        x = x[:, 0]
        return {
            "law": stats.kstest(x, cdf).pvalue,
            "mean": z_test(x, float(mean), math.sqrt(variance)),
        }

    return make("skewed", lambda z: z, log_ratio, Normal(1), 2.0, p_values)


WAVE, SWING = 3 * math.pi, 0.9


def waves() -> Target:
    """Three modes on [-1, 1] with valleys between, from a uniform law: r = 1 + a cos(b x)."""

    def log_ratio(x: Tensor) -> Tensor:
        return torch.log1p(SWING * torch.cos(WAVE * x[:, 0]))

    def cdf(x: np.ndarray) -> np.ndarray:
        return 0.5 * (x + 1) + 0.5 * SWING / WAVE * np.sin(WAVE * x)

    def p_values(x: np.ndarray) -> dict[str, float]:
        assert np.abs(x).max() <= 1
        return {
            "law": stats.kstest(x[:, 0], cdf).pvalue,
            # By symmetry cos(WAVE x) has mean SWING / 2 and second moment 1/2.
            "contrast": z_test(np.cos(WAVE * x[:, 0]), SWING / 2, math.sqrt(0.5 - SWING**2 / 4)),
        }

    return make("waves", lambda z: z, log_ratio, Uniform(1), 1 + SWING, p_values)


PROPOSAL = np.array([0.4, 0.3, 0.1, 0.15, 0.05])
DATA = np.array([0.1, 0.3, 0.25, 0.25, 0.1])


def discrete() -> Target:
    """Five states 0..4: every law of a sampler on it can be enumerated."""
    edges = torch.tensor(np.cumsum(PROPOSAL)[:-1])
    table = torch.tensor(np.log(DATA / PROPOSAL))

    def generator(z: Tensor) -> Tensor:
        return (z >= edges).sum(1, keepdim=True).double()

    def p_values(x: np.ndarray) -> dict[str, float]:
        return {"law": chi_square(x, DATA)}

    peak = float((DATA / PROPOSAL).max())
    return make(
        "discrete", generator, lambda x: table[x[:, 0].long()], Uniform(1, 0, 1), peak, p_values
    )


def chi_square(x: Tensor | np.ndarray, law: np.ndarray) -> float:
    """P-value of (N, 1) states against the probabilities of 0, 1, ..."""
    counts = np.bincount(np.asarray(x).astype(int).ravel(), minlength=len(law))
    return float(stats.chisquare(counts, law * counts.sum()).pvalue)


def data_of(target: Target, n: int) -> Tensor:
    """(n, *x_shape) exact data, by rejection with the known ratio."""
    return sample(target.gan, Rejection(log_max=math.log(target.max_ratio)), n, seed=77).x


TARGETS = {"gaussian": gaussian, "skewed": skewed, "waves": waves, "discrete": discrete}
