"""``GAN.save`` and ``GAN.load``: any pair of modules, and nothing that a file names is imported."""

from __future__ import annotations

import sys
import types

import pytest
import torch
from torch import nn

import gantandem as gt
from gantandem import adapt
from gantandem.errors import ConfigError, InputError, WeightsError
from gantandem.testing import toy_gan


class Kept(nn.Module):
    """Keeps its arguments; its own class is found as ``module:Class``."""

    def __init__(self, width: int, slope: float = 0.2, *, norm: bool = False) -> None:
        super().__init__()
        self.width, self.slope = width, slope
        self.first, self.last = nn.Linear(2, width), nn.Linear(width, 1)
        self.norm = nn.LayerNorm(width) if norm else None

    def forward(self, x):
        h = nn.functional.leaky_relu(self.first(x), self.slope)
        return self.last(h if self.norm is None else self.norm(h))


class Secret(nn.Module):
    """Keeps nothing of its argument."""

    def __init__(self, power) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.exponent = power

    def forward(self, z):
        return self.layer(z) ** self.exponent


def pair(generator: nn.Module | None = None, discriminator: nn.Module | None = None) -> gt.GAN:
    return gt.GAN(generator or nn.Linear(2, 2), discriminator or nn.Linear(2, 1), 2)


def test_modules_of_torch_come_back_with_all_that_is_known(tmp_path):
    torch.manual_seed(0)
    generator = nn.Sequential(
        nn.Linear(2, 16, bias=False), nn.Unflatten(1, (1, 4, 4)),
        nn.ConvTranspose2d(1, 3, 4, 2, 1), nn.Tanh(),
    )  # fmt: skip
    critic = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.LeakyReLU(0.3), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 1)
    )
    gan = gt.GAN(generator, critic, gt.Uniform(2), output="hinge").replace(spread=0.5)
    back = gt.GAN.load(gan.save(tmp_path / "gan"))
    assert back.latent == gan.latent and back.guide.output == "critic" and back.spread == 0.5
    assert torch.equal(gt.sample(back, "direct", 8).x, gt.sample(gan, "direct", 8).x)
    assert back.guide.network[1].negative_slope == 0.3


def test_a_class_is_imported_where_the_user_trusts_the_file(tmp_path):
    gan = pair(discriminator=Kept(5, norm=True))
    gan.save(tmp_path)
    with pytest.raises(ConfigError, match=r"Kept' is not built in.*trust=True"):
        gt.GAN.load(tmp_path)
    back = gt.GAN.load(tmp_path, trust=True)
    assert (back.guide.network.width, type(back.guide.network.norm)) == (5, nn.LayerNorm)
    assert torch.equal(gt.sample(back, "obrs", 8).x, gt.sample(gan, "obrs", 8).x)
    mine = Kept(5, norm=True)
    before = mine.first.weight.clone()
    assert gt.GAN.load(tmp_path, discriminator=mine).guide.network is not mine
    assert torch.equal(mine.first.weight, before)


def test_no_file_has_a_module_imported_or_a_sampler_made(tmp_path, monkeypatch):
    module = types.ModuleType("spy")
    made = []
    module.Net = lambda: made.append("network")
    module.Mover = lambda: made.append("sampler")
    monkeypatch.setitem(sys.modules, "spy", module)
    pair().save(tmp_path)
    run = (tmp_path / "run.yaml").read_text()
    for change in (
        run.replace("proposal: null", "proposal: {name: obrs, proposal: {name: 'spy:Mover'}}"),
        run.replace("net: torch.nn:Linear", "net: before-sigmoid\n  network: {net: 'spy:Net'}", 1),
        run.replace("torch.nn:Linear", "torch.nn:functional"),
    ):
        assert change != run
        (tmp_path / "run.yaml").write_text(change)
        with pytest.raises(ConfigError, match="is not built in"):
            gt.GAN.load(tmp_path)
    assert not made


def test_what_a_network_does_not_tell_is_asked_for_in_one_message(tmp_path):
    gan = pair(Secret(2))
    with pytest.raises(
        InputError, match=r"Secret .*no attribute for its argument 'power'.*specs=.*'generator'"
    ):
        gan.save(tmp_path)
    wrong = {"net": f"{__name__}:Secret", "power": 3}
    with pytest.raises(InputError, match="computes something else"):
        gan.save(tmp_path, specs={"generator": wrong})
    assert not list(tmp_path.iterdir())
    gan.save(tmp_path, specs={"generator": {**wrong, "power": 2}})
    assert gt.GAN.load(tmp_path, trust=True).generator.exponent == 2


def test_an_attribute_that_says_something_else_is_noticed(tmp_path):
    network = Kept(5)
    network.slope = 0.7  # the weights have the same shapes at any slope
    network.width = 5
    pair(discriminator=network).save(tmp_path)
    assert gt.GAN.load(tmp_path, trust=True).guide.network.slope == 0.7
    network = Secret(2)
    network.power = 1
    with pytest.raises(InputError, match="computes something else"):
        pair(network).save(tmp_path)


@pytest.mark.parametrize("inside", [False, True], ids=["alone", "in an adapter"])
def test_a_class_of_a_script_is_given_when_it_is_loaded(tmp_path, caplog, inside):
    class Local(nn.Module):
        def __init__(self, size):
            super().__init__()
            self.layer = nn.Linear(2, size)

        def forward(self, z):
            return self.layer(z)

    def made(size):
        return adapt.Then(Local(size), nn.Tanh()) if inside else Local(size)

    gan = pair(made(2))
    gan.save(tmp_path)
    assert "Give the network when you load" in caplog.text
    for trust in (False, True):
        with pytest.raises(ConfigError, match=r"Local was defined in a script.*generator=\.\.\."):
            gt.GAN.load(tmp_path, trust=trust)
    back = gt.GAN.load(tmp_path, generator=made(2))
    assert torch.equal(gt.sample(back, "direct", 8).x, gt.sample(gan, "direct", 8).x)
    with pytest.raises(WeightsError, match="does not fit (Local|Then)"):
        gt.GAN.load(tmp_path, generator=made(3))


def test_ratios_of_a_discriminator_that_is_given_are_copies_of_it(tmp_path):
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 1)

        def forward(self, x):
            return self.layer(x)

    real = torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
    gan = gt.calibrate(pair(discriminator=Own()), real)
    gan = gan.with_diagnosis(gt.diagnose(gan, real))
    gan.save(tmp_path)
    back = gt.GAN.load(tmp_path, discriminator=Own())
    (old,), (new,) = gan.ratios.values(), back.ratios.values()
    assert new.calibrator == old.calibrator
    assert repr(new.diagnosis.to_dict()) == repr(old.diagnosis.to_dict())  # it may hold NaN
    assert torch.equal(gt.sample(back, "obrs", 8).x, gt.sample(gan, "obrs", 8).x)


def test_nobody_writes_to_what_is_known_of_a_gan():
    gan = toy_gan()
    for known in (gan.ratios, gan.specs):
        with pytest.raises(TypeError, match="does not support item assignment"):
            known["generator"] = {}


def test_what_moves_is_copied_once_and_stays_stale(monkeypatch):
    gan = toy_gan()
    real = torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
    gan = gt.calibrate(gan, real)
    (ratio,) = gan.ratios.values()
    assert gan.to("cpu").generator is gan.generator
    with pytest.raises(InputError, match="device: got 'nowhere'"):
        gan.to("nowhere")
    with torch.no_grad():
        ratio.score.network[0].weight.add_(1)
    monkeypatch.setattr(gt.GAN, "device", torch.device("meta"))  # so that the CPU is elsewhere
    there = gan.to("cpu")
    (moved,) = there.ratios.values()
    assert there.generator is not gan.generator and ratio.stale and moved.stale
    assert moved.score.network is there.guide.network
