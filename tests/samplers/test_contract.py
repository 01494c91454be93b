"""Every built-in sampler, and a user's own, keeps the contract."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch
from torch import nn

from gantandem import (
    DOT,
    DRS,
    GAN,
    ISIR,
    MALA,
    OBRS,
    SAMPLERS,
    SIR,
    ULA,
    DGFlow,
    Direct,
    Ex2MCMC,
    LatentOpt,
    LatentReweight,
    Metropolis,
    Mover,
    Normal,
    Refine,
    Rejection,
    ReweightedLatent,
    WangLandau,
    collaborative,
    from_config,
    sample,
    to_config,
)
from gantandem.errors import ConfigError
from gantandem.testing import check_sampler, toy_gan
from targets import waves

MOVERS = {
    "direct": Direct(),
    "random": Refine(steps=6),
    "coin": Refine(steps=6, stop_probability=0.3, update="momentum"),
    "last": Refine(steps=3, stop="last", update="sgd", step_size=0.3, clamp=(-1, 1)),
    "best": Refine(steps=4, stop="best", layer="0", update="scaled-adam"),
    "threshold": Refine(steps=5, stop="threshold", layer="latent"),
    "defensive": Refine(steps=4, defensive=0.5, layer="1"),
    "unrefined": Refine(steps=4, stop="last", defensive=0.3, unrefined=0.25),
    "reweighted": LatentReweight(),
    "truncated": Direct(truncation=0.7),
    "shrunk": Direct(truncation=0.7, how="shrink"),
    "dgflow": DGFlow(steps=4),
    "dgflow of a layer": DGFlow(steps=3, divergence="js", layer="1"),
    "dot": DOT(),
    "dot of data": DOT(steps=6, layer="data"),
    "latent_opt": LatentOpt(),
    "ula": ULA(steps=4),
    "mala": MALA(steps=4),
    "mala with its own noise": MALA(steps=4, step_size=0.3, noise=0.4, max_drift=None),
    "ex2mcmc": Ex2MCMC(rounds=2, points=4, moves=2, step_size=0.1),
    "wlgan": WangLandau(steps=4, bins=6, pilots=16, warm_up=20),
    "wlgan, flat": WangLandau(
        steps=4, bins=6, pilots=16, warm_up=20, reweight=False, step_size=0.1
    ),
}


SELECTORS = {
    "metropolis": Metropolis(proposals=4),
    "rejection": Rejection(pilot=100),
    "drs": DRS(pilot=100, percentile=70),
    "obrs": OBRS(pilot=100, expected=2),
    "sir": SIR(proposals=3),
    "isir": ISIR(points=3, rounds=2),
}


NESTED = {
    f"{selector} of {mover}": replace(SELECTORS[selector], proposal=MOVERS[mover])
    for selector, mover in [
        ("metropolis", "defensive"),
        ("obrs", "random"),
        ("obrs", "best"),
        ("metropolis", "dgflow"),
        ("metropolis", "mala with its own noise"),
    ]
}


EVERY = {
    **MOVERS,
    **SELECTORS,
    **NESTED,
    "collaborative": collaborative(proposal=MOVERS["random"], accept="metropolis", proposals=3),
}


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.slow
def test_built_in_samplers_keep_the_contract(name):
    check_sampler(EVERY[name], toy_reweighted() if name == "reweighted" else None)


def toy_reweighted() -> GAN:
    """The toy GAN with a w(z), untrained as the rest of it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        network = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
    return toy_gan().replace(reweighted=ReweightedLatent(base=Normal(2), network=network))


def test_every_built_in_sampler_is_checked():
    assert {type(s) for s in EVERY.values()} == set(SAMPLERS.values())
    assert {s.update for s in MOVERS.values() if isinstance(s, Refine)} == {
        "sgd",
        "momentum",
        "adam",
        "scaled-adam",
    }


@pytest.mark.parametrize("name", ["metropolis", "obrs", "mala", "ex2mcmc"])
def test_contract_on_a_closed_form_gan(name):
    check_sampler(EVERY[name], waves().gan)


class Images(nn.Module):
    """Latents to 1 x 8 x 8 images through BatchNorm, with an input of conditions."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Linear(5, 32), nn.BatchNorm1d(32), nn.ReLU())
        self.rise = nn.ConvTranspose2d(2, 1, 4, 2, 1)

    def forward(self, z, cond):
        return torch.tanh(self.rise(self.first(torch.cat([z, cond], 1)).view(-1, 2, 4, 4)))


class Judge(nn.Module):
    def __init__(self):
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(1, 4, 4, 2, 1), nn.BatchNorm2d(4), nn.LeakyReLU(0.2), nn.Conv2d(4, 1, 1)
        )

    def forward(self, x, cond):
        return self.main(x) + cond.mean(1)[:, None, None, None]


@pytest.mark.parametrize(
    "sampler",
    [OBRS(pilot=100, expected=2), Refine(layer="first", steps=3)],
    ids=["obrs", "refine"],
)
def test_contract_on_conditional_images(sampler):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        gan = GAN(Images(), Judge(), Normal(3), condition=torch.eye(2))
    check_sampler(sampler, gan)


# -- samplers that break it ---------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Own(Direct):
    """A user's mover: truncation by a factor."""

    name: ClassVar[str] = "own"
    psi: float = 0.5

    def step(self, gan, key, state):
        return super().step(gan, key, state._replace(z=self.psi * state.z))


def test_a_users_mover_and_selector():
    check_sampler(Own())
    check_sampler(Metropolis(proposal=Own(psi=0.7), proposals=3))
    config = to_config(Own(psi=0.7))
    assert config["name"].endswith("test_contract:Own")
    assert from_config(config) == Own(psi=0.7)


def test_a_mover_needs_three_methods_and_a_decorator():
    class Undecorated(Mover):
        cost, init, step, _draw = Direct.cost, Direct.init, Direct.step, Direct._draw

    @dataclass(frozen=True, kw_only=True)
    class Least(Undecorated):
        truncation: float | None = None

    assert Least().name == "Undecorated" and Least().uses_guide  # its law counts the guide
    assert len(sample(toy_gan(), Least(), 5)) == 5
    with pytest.raises(ConfigError, match="Undecorated: .*@dataclass"):
        Undecorated()

    @dataclass(frozen=True, kw_only=True)
    class Unfinished(Mover):
        cost, init = Direct.cost, Direct.init

    with pytest.raises(TypeError, match="abstract method.*step"):
        Unfinished()


@dataclass(frozen=True, kw_only=True)
class Tells(OBRS):
    """A user's selector with a counter of its own."""

    def count(self, chain, new):
        return {"even": new.id % 2 == 0}


def test_a_selectors_own_counters_are_events():
    out = sample(toy_gan(), Tells(expected=2), 50, strict=False, progress=False)
    assert set(out.manifest["events"]) == {"nonfinite", "exhausted", "even"}
    assert out.manifest["events"]["even"] == int(out.attempts[::2].sum())
