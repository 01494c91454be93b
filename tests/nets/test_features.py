"""Ratios of images through a frozen backbone: the user's own, by name, and of other libraries."""

from __future__ import annotations

import sys
import types

import pytest
import torch
from torch import nn

import gantandem as gt
from gantandem.data.real import Stored
from gantandem.discriminator import features
from gantandem.errors import ConfigError, InputError, WeightsError
from gantandem.nets import save_weights
from gantandem.nets.backbones import Seen
from gantandem.nets.features import FeatureRatio
from judged import Eyes, Picture
from picture_gans import QUICK, Three, eyes, picture_gan, pictures

SIZE = Eyes.num_features


def states(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def unchanged(before, module):
    return all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_the_backbone_stays_as_it_is_while_the_head_learns():
    own = eyes().train()
    before, real = states(own), pictures(400, 1, 0.7)
    fitted = gt.fit_ratio(picture_gan(), real, backbone=own, **QUICK)
    network = fitted.ratio(gt.Direct()).score.network
    assert isinstance(network, FeatureRatio) and not network.body.training
    assert unchanged(before, own) and own.training and own.see[0].weight.requires_grad
    assert unchanged(before, network.body)
    names = {name for name, _ in network.named_parameters()}
    assert names and all(name.startswith("head.") for name in names)
    fresh = FeatureRatio(own).head.state_dict()
    assert any(not torch.equal(fresh[n], v) for n, v in network.head.state_dict().items())


def test_training_mode_and_an_optimiser_change_no_backbone():
    network = FeatureRatio(eyes()).train()
    before = states(network.body)
    steps = torch.optim.AdamW(network.parameters(), lr=0.1, weight_decay=1.0)
    network(pictures(20, 1)).sum().backward()
    steps.step()
    assert unchanged(before, network.body) and not network.body.see[1].training


def test_images_go_through_the_backbone_once(monkeypatch):
    counted = []
    embed = FeatureRatio.embed

    def look(self, x, cond=None):
        counted.append(len(x))
        return embed(self, x, cond)

    monkeypatch.setattr(FeatureRatio, "embed", look)
    gt.fit_ratio(picture_gan(), pictures(400, 1, 0.7), network=FeatureRatio(eyes()), **QUICK)
    sets = 280 + 40 + 300  # to fit on, to select by, proposals
    judged = 40 + 30  # what is held out, by the whole network
    assert sets + judged <= sum(counted) < sets + judged + 100  # and a few to check it


@pytest.mark.parametrize("labels", [False, True])
def test_features_on_disk_give_the_same_fit(monkeypatch, tmp_path, labels):
    monkeypatch.setattr(features.tempfile, "tempdir", str(tmp_path))
    real, cond = pictures(400, 1, 0.7), torch.arange(400) % 2

    class Labelled(Picture):
        def forward(self, z, y):
            return super().forward(z + 0 * y[:, None])

    def fit():
        torch.manual_seed(0)
        gan = gt.GAN(Labelled(), None, 2, condition=cond) if labels else picture_gan()
        data = (real.clone(), cond) if labels else real.clone()
        return gt.fit_ratio(gan, data, backbone=eyes(), **QUICK).ratio(gt.Direct())

    held, stored = fit(), []
    monkeypatch.setattr(features, "IN_MEMORY", 100)
    monkeypatch.setattr(features, "Stored", lambda array: stored.append(array) or Stored(array))
    lying = fit()
    assert len(stored) == 2 and stored[0].shape[1] == SIZE + 2 * labels
    state = held.score.network.state_dict()
    assert unchanged(state, lying.score.network)
    assert list(tmp_path.iterdir()) == []  # the file has no name, and goes with the features


def test_too_many_features_are_refused_before_anything_is_written(monkeypatch):
    monkeypatch.setattr(features, "ON_DISK", 100)
    with pytest.raises(InputError, match="GiB of features, and at most"):
        gt.fit_ratio(picture_gan(), pictures(400, 1), backbone=eyes(), **QUICK)


def test_labels_stand_behind_the_features():
    network = FeatureRatio(eyes(), classes=3)
    x, y = pictures(4, 1), torch.tensor([0, 1, 2, 0])
    seen = network.embed(x, y)
    assert seen.shape == (4, SIZE + 3) and torch.equal(seen[:, SIZE:].argmax(1), y)
    assert network(x, y).shape == (4,)


def test_size_and_range_are_the_backbones_own_affair():
    inner = Three()
    seen = Seen(inner, 4, size=8, mean=(0.5, 0.25, 0.0), std=(0.5, 1.0, 2.0), low=-1.0, high=1.0)
    out = seen(torch.full((5, 1, 4, 4), 1.0))
    assert out.shape == (5, 4)
    shown = inner.shown[0]
    assert shown.shape == (5, 3, 8, 8)
    assert shown[0, :, 0, 0].tolist() == pytest.approx([1.0, 0.75, 0.5])
    bytes_ = Seen(Three(), 4, size=8, low=0.0, high=255.0, batch=2)
    bytes_(torch.zeros(5, 3, 8, 8))
    assert [len(one) for one in bytes_.network.shown] == [2, 2, 1]


def test_a_fitted_ratio_is_saved_with_its_backbone(tmp_path):
    gan = gt.fit_ratio(picture_gan(), pictures(400, 1, 0.7), backbone=eyes(), **QUICK)
    gan.save(tmp_path / "run", specs={"generator": {"net": "judged:Picture"}})
    x = pictures(20, 5)
    again = gt.GAN.load(tmp_path / "run", trust=True)
    assert torch.equal(again.ratio(gt.Direct()).log_ratio(x), gan.ratio(gt.Direct()).log_ratio(x))
    with pytest.raises(ConfigError, match="--trust"):
        gt.GAN.load(tmp_path / "run")


def test_a_class_by_its_name_takes_weights(tmp_path, monkeypatch):
    own = eyes()
    save_weights(own, tmp_path / "eyes.safetensors")
    real = pictures(400, 1, 0.7)
    fit = {"backbone": "eyes_of_mine:Eyes", "backbone_weights": tmp_path / "eyes.safetensors"}
    monkeypatch.setitem(sys.modules, "eyes_of_mine", types.SimpleNamespace(Eyes=Eyes))
    network = gt.fit_ratio(picture_gan(), real, **fit, **QUICK).ratio(gt.Direct()).score.network
    assert torch.equal(network.body.see[0].weight, own.see[0].weight)
    (tmp_path / "eyes.safetensors").write_bytes(b"nothing")
    with pytest.raises(WeightsError):
        gt.fit_ratio(picture_gan(), real, **fit, **QUICK)


class Rows(nn.Module):
    num_features = 5

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(7, 5)

    def forward(self, x):
        return self.fc(x)


def test_what_a_backbone_takes_and_what_the_data_are():
    points = gt.testing.toy_gan()
    real = torch.randn(400, 2)
    said = r"'mnist-backbone' takes images \(C, H, W\), but the data have shape \(2,\)"
    with pytest.raises(InputError, match=said):
        gt.fit_ratio(points, real, backbone="mnist-backbone", **QUICK)
    said = (
        r"Rows does not take points of shape \(2,\) \(its first layer takes rows of 7\).*not images"
    )
    with pytest.raises(InputError, match=said):
        gt.fit_ratio(points, real, backbone=Rows(), **QUICK)
    gan, real = picture_gan(), pictures(400, 1)
    said = r"'mnist-backbone' does not take images of shape .*takes images of 1 channels"
    with pytest.raises(InputError, match=said):
        gt.fit_ratio(gan, real, backbone="mnist-backbone", **QUICK)
