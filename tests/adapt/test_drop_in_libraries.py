"""A sampler in the place of G, with conditions and in the libraries that measure generators."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from drop_in_models import latents, model
from gantandem import (
    GAN,
    OBRS,
    Direct,
    Metropolis,
    Normal,
    Refine,
    SampledGenerator,
    Uniform,
)
from gantandem.errors import InputError

# -- with conditions ----------------------------------------------------------------------------


class Shift(nn.Module):
    """Adds 10 times its label to the latent."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(10.0))

    def forward(self, z, label):
        return z + self.scale * label[:, None]


class Near(nn.Module):
    def forward(self, x, label):
        return -((x[:, 0] - 10 * label) ** 2)


@pytest.fixture
def conditional():
    return GAN(Shift(), Near(), Normal(1), condition=torch.arange(3))


def test_every_row_keeps_its_condition(conditional):
    ours = SampledGenerator(conditional, Metropolis(proposals=5), num_classes=3)
    z, labels = torch.randn(60, 1), torch.randint(0, 3, (60,))
    x = ours(z, labels)
    assert torch.equal((x[:, 0] / 10).round().long(), labels)
    spread = float((x[:, 0] - 10 * labels).std())
    assert spread < 0.8 < float(z.std()), "every row is accepted by the ratio of its own label"
    with pytest.raises(InputError, match=r"model\(z, condition\)"):
        ours(z)
    with pytest.raises(InputError, match="2 conditions for 60"):
        ours(z, labels[:2])


# -- the libraries ------------------------------------------------------------------------------


class Wrapped(nn.Module):
    """How torch-fidelity's GenerativeModelModuleWrapper calls a module.

    Written from its documentation, since the package needs torchvision: the module is put in eval
    mode, may be copied and moved, and its ``forward`` is called with latents, and with int64 labels
    if there are classes, under ``no_grad``.
    """

    def __init__(self, module, z_size, z_type, num_classes, make_copy=False, make_eval=True):
        super().__init__()
        assert isinstance(module, nn.Module)
        self.module = copy.deepcopy(module) if make_copy else module
        if make_eval:
            self.module.eval()
        self.module.cpu()
        self.z_size, self.z_type, self.num_classes = z_size, z_type, num_classes

    def forward(self, *args, **kwargs):
        return self.module.forward(*args, **kwargs)


@pytest.mark.parametrize("make_copy", [False, True])
def test_the_call_of_torch_fidelity(make_copy, conditional):
    ours = model(OBRS(pilot=100, expected=2))
    wrapped = Wrapped(ours, 2, "normal", 0, make_copy=make_copy)
    with torch.no_grad():
        assert torch.equal(wrapped(latents()), ours(latents()))
    labelled = Wrapped(model(Direct(), conditional), 1, "normal", 3, make_copy=make_copy)
    with torch.no_grad():
        x = labelled(torch.randn(9, 1), torch.arange(9) % 3)
    assert x.shape == (9, 1)


class Images(nn.Module):
    def __init__(self):
        super().__init__()
        self.main = nn.Linear(2, 3 * 4 * 4)

    def forward(self, z):
        return torch.tanh(self.main(z)).view(-1, 3, 4, 4)


def image_gan():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        return GAN(Images(), nn.Sequential(nn.Flatten(), nn.Linear(48, 1)), Uniform(2))


def test_path_lengths_of_torchmetrics(monkeypatch):
    """Its own loop; a stand-in for the pretrained distance, and no check for torchvision."""
    ppl = pytest.importorskip("torchmetrics.functional.image.perceptual_path_length")
    monkeypatch.setattr(ppl, "_TORCHVISION_AVAILABLE", True)

    class Distance(nn.Module):
        def forward(self, a, b):
            return (a - b).square().flatten(1).mean(1)

    def length(sampler, **options):
        ours = SampledGenerator(
            image_gan(), sampler, transform=lambda x: 127.5 * (x + 1), **options
        )
        ppl._validate_generator_model(ours)
        mean, *_ = ppl.perceptual_path_length(
            ours, num_samples=200, batch_size=50, epsilon=1e-3, resize=None, sim_net=Distance()
        )
        return float(mean)

    plain = length(Direct())
    shared = length(Refine(steps=4, step_size=0.05, layer="latent"), common_noise=True)
    apart = length(Refine(steps=4, step_size=0.05, layer="latent"))
    assert 0.2 * plain < shared < 5 * plain
    assert apart > 100 * plain, "without common noise a path length means nothing"


def test_num_classes_for_torchmetrics(conditional):
    ppl = pytest.importorskip("torchmetrics.functional.image.perceptual_path_length")
    ours = SampledGenerator(conditional, Direct(), num_classes=3)
    ppl._validate_generator_model(ours, conditional=True)
    assert model(Direct()).num_classes == 0
