"""Small GANs as users train them: is any sampler farther from the data than plain draws?

Five kinds of data, a pair of MLPs trained for 6,000 iterations on 20,000 samples each, and every
sampler at its defaults. Both are made the plain way, outside the library, as a user's own.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.common import command, read_kept
from gantandem._version import __version__
from gantandem.discriminator import diagnose, fit_ratio, shape
from gantandem.discriminator.latent_weights import fit_latent_reweight
from gantandem.engine.sampling import sample
from gantandem.errors import GANtandemError
from gantandem.evaluate.metrics.distance import sliced_wasserstein
from gantandem.evaluate.metrics.two_sample import c2st
from gantandem.gan import GAN
from gantandem.runs import write_json
from gantandem.samplers import SAMPLERS, collaborative
from gantandem.samplers.direct import Direct

logger = logging.getLogger(__name__)

SEEDS = (0, 1, 2)
REAL, ITERATIONS, BATCH, RATE, WIDTH = 20_000, 6_000, 256, 5e-4, 128
DRAWS = 12
"""Plain draws of a row's size, by which its noise is known."""
NOISE = 3.0
ALIKE = 0.02
"""A sampler is farther if its distance is above the mean of plain draws by so many of their
standard deviations, and by more than this share of it."""
OF_P_G = ("rejection", "drs", "obrs", "metropolis", "sir", "isir", "mala", "ex2mcmc", "wlgan")
OF_D = ("ula", "dgflow", "dot", "latent_opt")
CHAINS = {"isir", "mala", "ex2mcmc", "wlgan", "ula"}
"""Drawn in a quarter of the number: they cost most."""


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


def small_result(
    out: Path,
    *,
    seeds: Sequence[int] = SEEDS,
    n: int = 10_000,
    data: Sequence[str] = tuple(DATA),
    iterations: int = ITERATIONS,
    fit: Mapping[str, Any] | None = None,
    shaping: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Train the GANs, and measure every sampler at its defaults beside plain draws.

    Args:
        out: Folder of the weights and of ``small.json``; GANs that it holds already are kept.
        seeds: Each trains its own GAN on each kind of data.
        n: Samples of each sampler; chains draw a quarter.
        data: Names out of ``DATA``.
        iterations: Of training.
        fit: Settings of ``fit_ratio`` other than the defaults: for tests.
        shaping: Of ``shape``, likewise.

    Returns:
        What ``small.json`` holds.

    Raises:
        ConfigError: If ``small.json`` was made with other settings.
    """
    path = out / "small.json"
    settings = {"n": n, "iterations": iterations}
    gans: dict[str, Any] = read_kept(path, settings).get("gans", {})
    for seed in seeds:
        for name in data:
            key = f"{name}-{seed}"
            if key in gans:
                logger.info("small: %s is kept from %s", key, path)
                continue
            gan, real = trained(name, seed, iterations, out / "small")
            gans[key] = _measured(gan, real, DATA[name], n, fit or {}, shaping or {})
            write_json(path, _result(settings, gans, seeds))
            logger.info("small: %s, farther than plain draws: %s", key, gans[key]["farther"])
    return _result(settings, gans, seeds)


def _result(
    settings: Mapping[str, Any], gans: Mapping[str, Any], seeds: Sequence[int]
) -> dict[str, Any]:
    for found in gans.values():
        for row in found["samplers"].values():
            if "sliced_w1" in row:
                mean, spread = found["plain"][str(row["n"])]
                limit = mean + max(NOISE * spread, ALIKE * mean)
                row["farther"] = row["sliced_w1"] > limit
        found["farther"] = [name for name, row in found["samplers"].items() if row.get("farther")]
    return {
        **settings,
        "version": __version__,
        "command": command("small", {"seeds": (seeds, SEEDS)}),
        "farther": {key: found["farther"] for key, found in gans.items() if found["farther"]},
        "gans": dict(gans),
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


def trained(name: str, seed: int, iterations: int, folder: Path) -> tuple[GAN, Tensor]:
    """The GAN of a kind of data, trained or read from the folder, and its real samples."""
    real = DATA[name](REAL, torch.Generator().manual_seed(1000 + seed))
    generator, discriminator = networks(real.shape[1], seed)
    path = folder / f"{name}-{seed}-{iterations}.safetensors"
    both = nn.ModuleList([generator, discriminator])
    if path.is_file():
        both.load_state_dict(load_file(path))
    else:
        logger.info("small: training %s", path.stem)
        _train(generator, discriminator, real, iterations, seed)
        folder.mkdir(parents=True, exist_ok=True)
        save_file(both.state_dict(), path)
    return GAN(generator.eval(), discriminator.eval(), latent=real.shape[1]), real


def _train(
    generator: nn.Module, discriminator: nn.Module, real: Tensor, iterations: int, seed: int
) -> None:
    """The non-saturating loss, Adam, one update of each in turn."""
    noise = torch.Generator().manual_seed(50 + seed)
    of_g, of_d = (
        torch.optim.Adam(network.parameters(), RATE, betas=(0.5, 0.999))
        for network in (generator, discriminator)
    )
    for _ in range(iterations):
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


def _measured(
    gan: GAN,
    real: Tensor,
    draw: Callable[[int, torch.Generator], Tensor],
    n: int,
    fit: Mapping[str, Any],
    shaping: Mapping[str, Any],
) -> dict[str, Any]:
    """The rows of one GAN: every sampler beside plain draws of as many samples."""
    fresh = draw(2 * n, torch.Generator().manual_seed(5))

    def measure(x: Tensor) -> dict[str, float]:
        return {
            "sliced_w1": sliced_wasserstein(x, fresh[:n]),
            "c2st": c2st(x, fresh[n : n + len(x)]),
        }

    floor = measure(draw(n, torch.Generator().manual_seed(6)))
    plain = {count: _plain(gan, count, fresh[:n]) for count in (n, n // 4)}
    begin = time.perf_counter()
    fitted = fit_ratio(gan, real, proposal=Direct(), **fit)
    shaped = fit_ratio(shape(gan, real, **shaping), real, **fit)
    seconds = time.perf_counter() - begin
    reweighted = fit_latent_reweight(fitted, **fit)
    chosen: dict[str, tuple[GAN, Any]] = {"direct": (gan, Direct())}
    chosen |= {name: (fitted, SAMPLERS[name]()) for name in OF_P_G}
    chosen["latent_reweight"] = (reweighted, SAMPLERS["latent_reweight"]())
    chosen |= {name: (gan, SAMPLERS[name]()) for name in (*OF_D, "refine")}
    chosen["refine, shaped"] = (shaped, shaped.proposal)
    chosen["collaborative"] = (shaped, collaborative(shaped))
    rows: dict[str, Any] = {}
    for name, (own, sampler) in chosen.items():
        count = n // 4 if name in CHAINS else n
        try:
            found = sample(own, sampler, count, progress=False)
        except GANtandemError as error:
            rows[name] = {"error": str(error)}
            continue
        row = {"n": count, "passes_per_sample": found.manifest["passes"] / count}
        rows[name] = row | measure(found.x)
        logger.info("small: %s: %s", name, rows[name])
    return {
        "floor": floor,
        "plain": {str(count): list(values) for count, values in plain.items()},
        "ratios": {
            "plain": _said(fitted, real, Direct()),
            "collaborative": _said(shaped, real, shaped.proposal),
        },
        "seconds": round(seconds, 1),
        "samplers": rows,
    }


def _plain(gan: GAN, count: int, real: Tensor) -> tuple[float, float]:
    """Mean and standard deviation of the distance of plain draws."""
    found = [
        sliced_wasserstein(sample(gan, Direct(), count, seed=1 + k, progress=False).x, real)
        for k in range(DRAWS)
    ]
    values = torch.tensor(found, dtype=torch.float64)
    return float(values.mean()), float(values.std())


def _said(gan: GAN, real: Tensor, proposal: Any) -> dict[str, Any]:
    """How a ratio was chosen, and what its diagnosis says."""
    found = diagnose(gan, real, proposal=proposal)
    kept = gan.ratios[found.law].chosen
    numbers = ("log_loss", "auc", "z", "ece", "mean_ratio", "effective_share", "strength")
    return {
        **kept,
        **{name: getattr(found, name) for name in numbers},
        "warnings": found.warnings,
    }
