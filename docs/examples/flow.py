"""A normalising flow, whose density is known: the fitted ratio can be held against the true one.

    python docs/examples/flow.py

A flow is continuous and one-to-one, so that it cannot part eight modes, and a small one leaves much
between them. Acceptance on a fitted ratio takes that away. About 20 seconds on one core.
"""

from __future__ import annotations

import functools
from pathlib import Path

import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from gantandem import GAN, OBRS, Comparison, Direct, Normal, compare, fit_ratio
from gantandem.data.mixtures import draw_real
from gantandem.evaluate.metrics.mixture import mixture_metrics
from shown import IMAGES, schedule
from vae import RING


class Coupling(nn.Module):
    """Affine coupling layers in the plane (Dinh et al., Density estimation using Real NVP, 2017).

    Each layer moves one coordinate by a scale and shift that depend on the other.
    """

    def __init__(self, layers: int = 8, width: int = 64) -> None:
        super().__init__()
        self.nets = nn.ModuleList(
            nn.Sequential(
                nn.Linear(1, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(),
                nn.Linear(width, 2),
            )
            for _ in range(layers)
        )  # fmt: skip

    def forward(self, z: Tensor) -> Tensor:
        """Latents (N, 2) to points (N, 2)."""
        still, moved = z.unbind(1)
        for net in self.nets:
            scale, shift = net(still[:, None]).unbind(1)
            still, moved = moved * scale.tanh().mul(2).exp() + shift, still
        return torch.stack([still, moved], 1)

    def log_prob(self, x: Tensor) -> Tensor:
        """Log density (N,) of points (N, 2): the layers backwards, with the change of volume."""
        still, moved = x.unbind(1)
        volume = torch.zeros_like(still)
        for net in reversed(self.nets):
            scale, shift = net(moved[:, None]).unbind(1)
            still, moved = moved, (still - shift) * scale.tanh().mul(-2).exp()
            volume = volume - 2 * scale.tanh()
        return Normal(2).log_prob(torch.stack([still, moved], 1)) + volume


def train(x: Tensor, updates: int) -> Coupling:
    """Maximum likelihood by Adam."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        flow = Coupling()
        optimizer = torch.optim.Adam(flow.parameters(), lr=2e-3)
        for _ in range(updates):
            loss = -flow.log_prob(x[torch.randint(len(x), (256,))]).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return flow.eval()


def main(n: int = 4000, scale: float = 1.0, folder: Path = IMAGES) -> tuple[Comparison, float]:
    """Train, fit, compare; write ``flow.png``; return what was found and a rank correlation."""
    real = draw_real(RING, (20_000, 4_000, 4_000, 4_000), seed=0)
    flow = train(real.fit, int(1500 * scale))

    gan = GAN(flow, None, Normal(2))
    options = {"n": 20_000, "schedule": schedule(scale), "batch": 500, "progress": False}
    gan = fit_ratio(gan, real, **options)

    samplers = ["direct", OBRS(expected=6), "metropolis"]
    metrics = functools.partial(mixture_metrics, mixture=RING)
    found = compare(gan, samplers, real, n, metrics=metrics, progress=False)
    found.plot(folder / "flow.png")

    x = found["direct"].samples.x
    with torch.no_grad():
        true, fitted = RING.log_prob(x) - flow.log_prob(x), gan.ratio(Direct()).log_ratio(x)
    return found, float(spearmanr(true, fitted).statistic)


if __name__ == "__main__":
    found, correlation = main()
    print(found)
    print(f"fitted against true log ratio: rank correlation {correlation:.3f}")
