"""Small GANs made the plain way, outside the library, as a user's own: five kinds of data."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from gantandem.gan import GAN

logger = logging.getLogger(__name__)

REAL, ITERATIONS, BATCH, RATE, WIDTH = 20_000, 6_000, 256, 5e-4, 128


def moons(n: int, noise: torch.Generator) -> Tensor:
    """Two half circles that interlock, standard deviation .1 around them."""
    angle = math.pi * torch.rand(n, generator=noise)
    upper = torch.rand(n, 1, generator=noise) < 0.5
    up, down = (angle.cos(), angle.sin()), (1 - angle.cos(), 0.5 - angle.sin())
    x = torch.where(upper, torch.stack(up, 1), torch.stack(down, 1))
    return x + 0.1 * torch.randn(n, 2, generator=noise)


def spirals(n: int, noise: torch.Generator) -> Tensor:
    """Two spirals of one and a half turns."""
    angle = 3 * math.pi * torch.rand(n, 1, generator=noise).sqrt()
    side = torch.where(torch.rand(n, 1, generator=noise) < 0.5, 1.0, -1.0)
    x = torch.cat([angle.cos(), angle.sin()], 1) * angle * side / 3
    return x + 0.1 * torch.randn(n, 2, generator=noise)


def checkerboard(n: int, noise: torch.Generator) -> Tensor:
    """Eight squares of a four by four board."""
    column = 4 * torch.rand(n, generator=noise) - 2
    row = torch.rand(n, generator=noise) - 2 * torch.randint(0, 2, (n,), generator=noise)
    return 2 * torch.stack([column, row + column.floor() % 2], 1)


def mixture(n: int, noise: torch.Generator) -> Tensor:
    """Six Gaussians in five dimensions, the smallest of 3%."""
    centres = 2 * torch.randn(6, 5, generator=torch.Generator().manual_seed(77))
    weights = torch.tensor([0.3, 0.25, 0.2, 0.15, 0.07, 0.03])
    which = torch.multinomial(weights, n, True, generator=noise)
    return centres[which] + 0.3 * torch.randn(n, 5, generator=noise)


def table(n: int, noise: torch.Generator) -> Tensor:
    """Age, income, ownership, children and debt of made-up households, about unit scale."""
    age = 20 + 60 * torch.rand(n, generator=noise) ** 1.5
    income = torch.exp(0.6 * torch.randn(n, generator=noise) + 0.02 * (age - 20) + 2.5)
    owns = (torch.rand(n, generator=noise) < torch.sigmoid((income - 30) / 10)).float()
    rate = 0.03 * (age - 20).clamp(max=25) + 0.3 * owns
    children = torch.poisson(rate, generator=noise).clamp(max=5)
    debt = owns * income * 3 * torch.rand(n, generator=noise)
    columns = (
        age / 40 - 1.2,
        income.log() / 1.5 - 2,
        2 * owns - 1,
        children / 2.5 - 1,
        (1 + debt).log() / 3 - 0.5,
    )
    return torch.stack(columns, 1)


DATA: dict[str, Callable[[int, torch.Generator], Tensor]] = {
    "moons": moons,
    "spirals": spirals,
    "checkerboard": checkerboard,
    "mixture": mixture,
    "table": table,
}


def networks(dim: int, seed: int) -> tuple[nn.Module, nn.Module]:
    """An MLP generator and discriminator with torch's own initial weights."""

    def stack(inputs: int, outputs: int, between: type[nn.Module], *options: Any) -> nn.Module:
        sizes = [inputs, WIDTH, WIDTH, WIDTH]
        layers: list[nn.Module] = []
        for before, after in zip(sizes, sizes[1:], strict=False):
            layers += [nn.Linear(before, after), between(*options)]
        return nn.Sequential(*layers, nn.Linear(WIDTH, outputs))

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return stack(dim, dim, nn.ReLU), stack(dim, 1, nn.LeakyReLU, 0.2)


def trained(name: str, seed: int, folder: Path) -> tuple[GAN, Tensor]:
    """The GAN of a kind of data, trained or read from the folder, and its real samples."""
    real = DATA[name](REAL, torch.Generator().manual_seed(1000 + seed))
    generator, discriminator = networks(real.shape[1], seed)
    path = folder / f"{name}-{seed}-{ITERATIONS}.safetensors"
    both = nn.ModuleList([generator, discriminator])
    if path.is_file():
        both.load_state_dict(load_file(path))
    else:
        logger.info("small: training %s", path.stem)
        _train(generator, discriminator, real, seed)
        folder.mkdir(parents=True, exist_ok=True)
        save_file(both.state_dict(), path)
    return GAN(generator.eval(), discriminator.eval(), latent=real.shape[1]), real


def _train(generator: nn.Module, discriminator: nn.Module, real: Tensor, seed: int) -> None:
    """The non-saturating loss, Adam, one update of each in turn."""
    noise = torch.Generator().manual_seed(50 + seed)
    of_g, of_d = (
        torch.optim.Adam(network.parameters(), RATE, betas=(0.5, 0.999))
        for network in (generator, discriminator)
    )
    for _ in range(ITERATIONS):
        x = real[torch.randint(len(real), (BATCH,), generator=noise)]
        made = generator(torch.randn(BATCH, real.shape[1], generator=noise))
        loss = F.softplus(-discriminator(x)).mean()
        loss = loss + F.softplus(discriminator(made.detach())).mean()
        of_d.zero_grad()
        loss.backward()
        of_d.step()
        loss = F.softplus(-discriminator(made)).mean()
        of_g.zero_grad()
        loss.backward()
        of_g.step()
