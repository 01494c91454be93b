"""Images are measured by the features of a backbone, which should not guide or judge as well."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
import torch
from torch import nn

import gantandem as gt
from gantandem.errors import InputError
from gantandem.evaluate.against import COMPONENTS, Against
from gantandem.evaluate.eyes import features_of
from gantandem.evaluate.metrics.images import frechet
from gantandem.evaluate.metrics.kernel import kernel_distance
from gantandem.nets.features import FeatureRatio
from gantandem.networks.score import Score
from gantandem.ratios.ratio import Ratio

NOISE = torch.Generator().manual_seed(3)


class Eyes(nn.Module):
    num_features = 4

    def __init__(self, seed=0, features=4):
        super().__init__()
        self.conv = nn.Conv2d(3, features, 3, bias=False)
        with torch.no_grad():
            noise = torch.Generator().manual_seed(seed)
            self.conv.weight.copy_(torch.randn(self.conv.weight.shape, generator=noise))

    def forward(self, x):
        return self.conv(x).relu()


class Painter(nn.Module):
    def __init__(self):
        super().__init__()
        self.grow = nn.Linear(2, 48)

    def forward(self, z):
        return self.grow(z).tanh().view(-1, 3, 4, 4)


def images(n=600, scale=0.5):
    return scale * torch.randn(n, 3, 4, 4, generator=NOISE)


def test_the_kernel_distance_is_the_sum_over_pairs():
    x, y = (torch.randn(n, 5, generator=NOISE).double() for n in (7, 9))

    def k(a, b):
        return (float(a @ b) / 5 + 1) ** 3

    def within(z):
        return sum(k(a, b) for i, a in enumerate(z) for j, b in enumerate(z) if i != j) / (
            len(z) * (len(z) - 1)
        )

    across = sum(k(a, b) for a in x for b in y) / 63
    assert kernel_distance(x, y) == pytest.approx(within(x) + within(y) - 2 * across, rel=1e-12)
    assert kernel_distance(y, x) == pytest.approx(kernel_distance(x, y), rel=1e-12)
    far = kernel_distance(
        torch.randn(2000, 5, generator=NOISE), torch.randn(2000, 5, generator=NOISE)
    )
    assert abs(far) < 0.02 < kernel_distance(x + 3, y)
    with pytest.raises(InputError, match="kernel_distance: features of shape"):
        kernel_distance(x[:1], y)


@pytest.mark.parametrize("features", [4, 300])
def test_images_are_measured_in_features(features):
    eyes = Eyes(features=features).eval()
    measure = Against(images(), eyes)
    alike, other = measure(images()), measure(images(scale=0.8))
    assert set(alike) == {
        "frechet_distance", "kid", "vendi", "c2st", "precision", "recall", "density", "coverage",
    }  # fmt: skip
    for key in ("frechet_distance", "kid", "c2st"):
        assert alike[key] < other[key]
    assert alike["c2st"] < 0.6 and alike["precision"] > other["precision"]
    assert measure._few(measure._real).shape[1] == min(features, COMPONENTS)


def test_the_distance_within_a_class_sees_classes_exchanged():
    eyes, labels = Eyes().eval(), torch.arange(600) % 3
    real, made = (images() + labels[:, None, None, None] for _ in range(2))
    measure = Against(real, eyes, labels)
    right, wrong = measure(made, labels), measure(made, (labels + 1) % 3)
    assert right["frechet_distance"] == wrong["frechet_distance"]
    assert right["intra_class_distance"] < 0.2 * wrong["intra_class_distance"]
    parts = [frechet(features_of(eyes, made[labels == k]), features_of(eyes, real[labels == k]))
             for k in range(3)]  # fmt: skip
    assert right["intra_class_distance"] == pytest.approx(sum(parts) / 3)
    assert "intra_class_distance" not in measure(made)
    few = measure(made[:2], torch.tensor([7, 8]))  # classes that real samples do not have
    assert "intra_class_distance" not in few


def test_compare_measures_within_classes_where_there_are_labels():
    class Labelled(Painter):
        def forward(self, z, y):
            return super().forward(z) + 0.1 * y[:, None, None, None]

    labels = torch.arange(900) % 3
    gan = gt.GAN(Labelled(), None, 2, condition=torch.arange(3))
    found = gt.compare(gan, ["direct"], (images(900), labels), 60, backbone=Eyes(), progress=False)
    assert found["direct"].row["metrics"]["intra_class_distance"] > 0
    assert "intra_class_distance" in found.floor


@pytest.mark.slow
def test_compare_and_recommend_measure_through_a_backbone():
    gan, real = gt.GAN(Painter(), None, 2), images(4000)
    found = gt.compare(gan, ["direct"], real, n=200, backbone=Eyes(), progress=False)
    assert "frechet_distance" in found["direct"].row["metrics"] and "kid" in found.floor
    found = gt.recommend(gan, real, {"mine": gt.Direct()}, n=400, backbone=Eyes(), progress=False)
    assert found.by.key == "c2st" and "frechet_distance" in found.tried["direct"].blocks
    assert "pixels" not in found.verdict
    found = gt.recommend(gan, real, {"mine": gt.Direct()}, n=400, progress=False)
    assert "This was measured on pixels" in found.verdict
    calls = {
        "compare": gt.compare,
        "recommend": lambda gan, _, *more, **m: gt.recommend(gan, *more, **m),
    }
    for name, call in calls.items():
        with pytest.raises(InputError, match="metrics"):
            call(gan, ["direct"], real, n=400, backbone=Eyes(), metrics=lambda x: {"a": 1.0})
        with pytest.raises(InputError, match=rf"{name} backbone"):
            call(gan, ["direct"], real, n=400, backbone=nn.Linear(7, 2))
    with pytest.raises(InputError, match="against real samples"):
        gt.compare(gan, ["direct"], None, n=400, backbone=Eyes())


def test_whoever_measures_by_the_judges_eyes_is_warned(caplog):
    gan, real = gt.GAN(Painter(), None, 2), images(4000)
    judge = FeatureRatio(Eyes(seed=1)).eval()
    law = gan.law(gt.Direct())
    judged = gan.with_ratio(law, replace(Ratio(Score(judge)), origin="fitted", proposal="direct"))

    def recommend(gan, samplers, real, **more):
        gt.recommend(gan, real, samplers, **more)

    for call in (gt.compare, recommend):
        for seed, times in ((1, 1), (2, 0)):  # the judge's own eyes, and others
            caplog.clear()
            with caplog.at_level(logging.WARNING):
                call(judged, ["direct"], real, n=400, backbone=Eyes(seed=seed), progress=False)
            told = [m for m in caplog.messages if "uses the backbone that also measures" in m]
            assert len(told) == times
