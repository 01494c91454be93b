"""No metric is taken of what is not finite, whoever wrote it."""

from __future__ import annotations

import itertools
import math
import re

import numpy as np
import pytest
import torch
from torch import nn

from gantandem import GAN, Direct, Normal, Refine, compare, shape
from gantandem.data.mixtures import imbalanced_8
from gantandem.errors import InputError, NonFiniteError
from gantandem.evaluate import comparing
from gantandem.evaluate.metrics.distance import sliced_wasserstein
from gantandem.evaluate.metrics.images import frechet_distance, image_manifold, image_metrics
from gantandem.evaluate.metrics.manifold import manifold_metrics
from gantandem.evaluate.metrics.mixture import mixture_metrics
from gantandem.evaluate.metrics.two_sample import c2st

BAD = (math.nan, math.inf, -math.inf)
PAIRED = (sliced_wasserstein, manifold_metrics, c2st)
OF_IMAGES = (image_metrics, frechet_distance, image_manifold)


def rows(n: int, *shape: int) -> torch.Tensor:
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(n)) * 2 - 1


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("metric", PAIRED)
def test_points_that_are_not_finite_are_refused_on_either_side(metric, value):
    good, bad = rows(120, 3), rows(120, 3)
    bad[7, 1] = bad[100] = value
    for sets in ((bad, good), (good, bad)):
        with pytest.raises(NonFiniteError, match=re.escape("2 of 120") + r".*rows 7, 100\)"):
            metric(*sets)


@pytest.mark.parametrize("value", BAD)
def test_points_beside_a_mixture_are_refused_too(value):
    x = imbalanced_8().draw(200, torch.Generator().manual_seed(0))
    x[3, 0] = value
    with pytest.raises(NonFiniteError, match=r"1 of 200 .*rows 3\)"):
        mixture_metrics(x, imbalanced_8())


@pytest.mark.parametrize("value", [*BAD, 3e38])
@pytest.mark.parametrize("metric", OF_IMAGES)
def test_one_broken_image_is_an_error_and_no_crash(metric, value):
    """3e38 is finite; what the classifier makes of it is not."""
    good, bad = rows(30, 1, 28, 28), rows(30, 1, 28, 28)
    bad[4, 0, :9, :9] = value
    for sets in ((bad, good), (good, bad.clone())):
        with pytest.raises(NonFiniteError, match=r"1 of 30 images.*rows 4\)"):
            metric(*sets)


@pytest.mark.parametrize(
    ("value", "error"),
    [(math.nan, NonFiniteError), (torch.tensor(math.nan), NonFiniteError), ("near", InputError),
     (None, InputError), (torch.ones(2), InputError)],
)  # fmt: skip
def test_a_distance_of_the_users_own_is_a_number_or_an_error(value, error):
    """NaN is not below anything: every guide lost against it, and the unshaped one came back."""
    gan = GAN(nn.Identity(), nn.Linear(2, 1), Normal(2))
    options = {"updates": 2, "batch": 16, "check_every": 1, "check_samples": 16, "progress": False}
    step, real = Refine(layer="data", steps=2, step_size=0.1), torch.randn(200, 2)
    with pytest.raises(error, match="shape distance, update 0: returned"):
        shape(gan, real, refine=step, distance=lambda x, y: value, **options)
    told = (torch.tensor(2.0), np.float32(1), math.inf)  # of the guides; then of the step size
    far = itertools.chain(told, itertools.repeat(1.0))
    shaped = shape(
        gan, torch.randn(200, 2), refine=step, distance=lambda x, y: next(far), **options
    )
    assert [entry["distance"] for entry in shaped.history] == [2, 1, math.inf]


def test_a_metric_of_the_users_own_is_not_called_on_them(monkeypatch):
    called = []

    def metric(x):
        called.append(x)
        return {"mean": float(x.mean())}

    whole = comparing.sample

    def with_nan(*args, **options):
        out = whole(*args, **options)
        out.x[5] = math.nan
        return out

    gan = GAN(nn.Identity(), None, Normal(2))
    assert math.isfinite(compare(gan, {"a": Direct()}, metric, 64)["a"].row["metrics"]["mean"])
    monkeypatch.setattr(comparing, "sample", with_nan)
    with pytest.raises(NonFiniteError, match=r"1 of 64 samples of a are not finite \(rows 5\)"):
        compare(gan, {"a": Direct()}, metric, 64)
    assert len(called) == 1
