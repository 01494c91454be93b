"""What stays as it is: flags, weights, the GAN itself."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref

import pytest
import torch
from torch import nn

from gantandem import (
    GAN,
    Refine,
    sample,
)
from gantandem.errors import (
    InputError,
    NonFiniteError,
)
from gantandem.networks.score import Score
from gantandem.ratios.ratio import Ratio
from gantandem.testing import toy_gan
from plain_gans import identity, nan_at, net

# -- what stays as it is ------------------------------------------------------------------------


def test_flags_are_restored_even_after_an_error():
    gan = identity(nan_at(0.0))
    gan = gan.replace(generator=net(2, 8, 2))
    gan.generator.train()
    modules = list(gan.generator.modules())
    for index, parameter in enumerate(gan.generator.parameters()):
        parameter.requires_grad_(index % 2 == 0)
    modules[1].eval()
    flags = [m.training for m in modules]
    wanted = [p.requires_grad for p in gan.generator.parameters()]
    with pytest.raises(NonFiniteError):
        sample(gan, Refine(steps=3, step_size=0.1), 64, width=16)
    assert [m.training for m in modules] == flags
    assert [p.requires_grad for p in gan.generator.parameters()] == wanted
    assert all(p.grad is None for p in gan.generator.parameters())


def test_networks_run_in_eval_mode_and_compute_no_weight_gradient():
    seen = []

    class Spy(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, x):
            seen.append((self.training, self.weight.requires_grad))
            return x * self.weight

    score = nn.Sequential(Spy(), net(2, 1)).train()
    gan = GAN(nn.Sequential(Spy(), net(2, 2)).train(), score, 2)
    seen.clear()
    sample(gan, Refine(layer="0", steps=2, step_size=0.1), 16, width=16)
    assert seen and set(seen) == {(False, False)}


def test_improving_calls_give_new_gans():
    gan = toy_gan()
    before = dict(vars(gan))
    gan.with_guide(net(2, 8, 1)).with_ratio("law", Ratio(Score(net(2, 1))))
    gan.observe(torch.randn(200, 2, generator=torch.Generator().manual_seed(0)))
    assert vars(gan) == before
    assert "law" not in gan.ratios


@pytest.mark.parametrize("name", ["guide", "ratios", "setup_passes", "specs", "networks"])
def test_nothing_writes_to_a_gan(name):
    gan = toy_gan()
    for write in (lambda: setattr(gan, name, None), lambda: delattr(gan, name)):
        with pytest.raises(InputError, match=rf"GAN.{name}: a GAN cannot be changed; replace"):
            write()


def test_a_write_is_told_what_to_call_instead():
    with pytest.raises(InputError, match=r"gan = gan.replace\(spread=...\)"):
        toy_gan().spread = 1.0
    with pytest.raises(InputError, match="did you mean 'spread'"):
        toy_gan().spreads = 1.0


def test_a_deep_copy_runs_networks_of_its_own():
    gan = GAN(net(2, 8, 2), net(2, 8, 1), 2)
    sampler = Refine(layer="0", steps=2, step_size=0.1)
    out = sample(gan, sampler, 16, width=16)
    other = pickle.loads(pickle.dumps(copy.deepcopy(gan)))
    other.generator[0].weight.data.zero_()
    assert not torch.equal(sample(other, sampler, 16, width=16).x, out.x)
    assert torch.equal(sample(gan, sampler, 16, width=16).x, out.x)


def test_what_is_kept_for_a_gan_goes_with_it():
    gan = GAN(net(2, 8, 2), net(2, 8, 1), 2)
    sample(gan, Refine(layer="0", steps=2, step_size=0.1), 16, width=16)
    generator = weakref.ref(gan.generator)
    del gan
    gc.collect()
    assert generator() is None
