"""Samplers that break the contract are caught, each by name."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch

from gantandem import Direct, Metropolis, Mover, Refine, sample
from gantandem.errors import GANtandemError, InputError
from gantandem.testing import ContractError, check_sampler, toy_gan


@dataclass(frozen=True, kw_only=True)
class Broken(Direct):
    """Breaks one promise."""

    fault: str = ""

    def prepare(self, gan, key):
        return replace(self, fault=self.fault + "!") if self.fault[:7] == "prepare" else self

    def init(self, gan, key, ids, attempts):
        state = super().init(gan, key, ids, attempts)
        match self.fault:
            case "global random state":
                return state._replace(z=torch.randn_like(state.z))
            case "hidden random state":
                with torch.random.fork_rng():
                    return state._replace(z=torch.randn_like(state.z))
            case "numpy":
                np.random.rand()
            case "position":
                return state._replace(z=state.z + torch.arange(len(ids))[:, None])
            case "companions":
                return state._replace(z=state.z - state.z.mean(0))
            case "lanes":
                return state._replace(z=state.z * len(ids))
            case "weights":
                with torch.no_grad():
                    next(gan.generator.parameters()).add_(1e-3)
            case "requires_grad":
                next(gan.generator.parameters()).requires_grad_(False)
                gan.generator.register_parameter("extra", None)
            case "seed":
                return state._replace(z=torch.ones_like(state.z) * ids[:, None])
        return state

    def step(self, gan, key, state):
        state, moved = super().step(gan, key, state)
        match self.fault:
            case "steps":
                moved = moved._replace(steps=moved.steps - 1)
            case "gradients":
                with torch.enable_grad():
                    weight = next(gan.generator.parameters()).requires_grad_()
                    gan.decode(state.z).sum().backward()
                    weight.requires_grad_(False)
            case "training flags":
                gan.generator.train()
        return state, moved


CAUGHT = {
    "prepare": "prepare: preparing what is prepared",
    "global random state": "random state|determinism",
    "hidden random state": "determinism",
    "position": "several calls",
    "companions": "several calls",
    "lanes": "width",
    "weights": "weight|determinism",
    "steps": "steps",
    "gradients": "gradient of a weight",
    "seed": "two seeds",
}


@pytest.mark.parametrize("fault", CAUGHT)
def test_broken_movers_are_caught(fault):
    with pytest.raises(ContractError, match=CAUGHT[fault]):
        check_sampler(Broken(fault=fault))


@pytest.mark.parametrize("fault", ["numpy", "training flags"])
def test_what_is_put_back_is_no_fault(fault):
    check_sampler(Broken(fault=fault))


@dataclass(frozen=True, kw_only=True)
class Endless(Metropolis):
    """Makes more attempts than its budget says."""

    budget: ClassVar[int] = 2  # type: ignore


@dataclass(frozen=True, kw_only=True)
class ReadsTheOrder(Metropolis):
    """Judges by the place of a row among those judged with it."""

    def judge(self, key, chain, new):
        accept = chain.empty | (torch.arange(len(new.id)) % 2 == 0)
        return chain.where(accept, new).done_if(new.attempt + 1 >= self.proposals)


@dataclass
class Thawed(Mover):
    """Not frozen."""

    name: ClassVar[str] = "thawed"
    uses_guide: ClassVar[bool] = False
    scale: float = 1.0
    cost, init, step = Direct.cost, Direct.init, Direct.step


class LooksLikeOne:
    """Has all that a mover has, and is none."""

    name, uses_guide = "looks", False
    prepare, cost, init, step = Direct.prepare, Direct.cost, Direct.init, Direct.step


@dataclass(frozen=True, kw_only=True)
class HoldsATensor(Direct):
    """Its settings are not JSON."""

    shift: object = dataclasses.field(default_factory=lambda: torch.zeros(2))


@dataclass(frozen=True, kw_only=True)
class Forgets(Direct):
    """A setting is changed by its own check."""

    scale: float = 2.0

    def __post_init__(self):
        object.__setattr__(self, "scale", self.scale / 2)


@dataclass(frozen=True, kw_only=True)
class Cheap(Direct):
    """Says that it costs nothing."""

    def cost(self):
        return super().cost()._replace(step=0)


@dataclass(frozen=True, kw_only=True)
class LivesLonger(Refine):
    """Stops later than the mover that it was made of, and does not say so."""

    def step(self, gan, key, state):
        state, moved = super().step(gan, key, state)
        return state, moved._replace(done=state.step >= 3)


@dataclass(frozen=True, kw_only=True)
class SaysTooMuch(Direct):
    """Says of half of its lanes that they live on."""

    def lifetime(self, key, ids, attempts):
        return 1 + (ids >= 32).long()


@pytest.mark.parametrize(
    "sampler, words",
    [
        (LivesLonger(stop="last", steps=2), "lifetime.* and step.* disagree"),
        (SaysTooMuch(), "lifetime.* and step.* disagree"),
        (Endless(proposals=3), "attempts"),
        (ReadsTheOrder(proposals=4), "several calls|number of samples"),
        (Thawed(), "settings.*frozen"),
        (HoldsATensor(), "settings.*not JSON"),
        (Forgets(), "settings.*from_config gives"),
        (Cheap(), "passes"),
        (Metropolis, "protocol"),
        (lambda z: z, "protocol"),
        (LooksLikeOne(), "not an instance of a subclass of Mover or Selector"),
    ],
    ids=[
        "lives on",
        "lifetime",
        "budget",
        "row order",
        "thawed",
        "tensor",
        "forgets",
        "cost",
        "class",
        "function",
        "look-alike",
    ],
)
def test_broken_samplers_are_caught(sampler, words):
    with pytest.raises(ContractError, match=words) as caught:
        check_sampler(sampler)
    assert isinstance(caught.value, (AssertionError, GANtandemError))


def test_a_sampler_that_is_no_subclass_is_refused_in_one_message():
    with pytest.raises(
        InputError, match="must be a subclass of gantandem.Mover or gantandem.Selector"
    ):
        sample(toy_gan(), LooksLikeOne(), 4)


def test_classes_must_be_importable():
    @dataclass(frozen=True, kw_only=True)
    class Local(Direct):
        pass

    with pytest.raises(ContractError, match="importable at the top level"):
        check_sampler(Local())


def test_a_failed_check_leaves_the_networks_as_they_were():
    gan = toy_gan()
    gan.generator.train()
    with pytest.raises(ContractError):
        check_sampler(Broken(fault="weights"), gan)
    assert all(m.training for m in gan.generator.modules())
