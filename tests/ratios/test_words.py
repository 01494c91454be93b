"""A GAN in words: what it has, and what is known of it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import gantandem as gt
from gantandem.errors import LawMismatchError
from gantandem.testing import toy_gan


def test_a_gan_says_what_it_has_and_what_was_diagnosed():
    gan = toy_gan()
    assert repr(gan).splitlines()[1:3] == [
        "  generator: Sequential of 82 weights, latent Normal(dim=2)",
        "  guide: Sequential of 65 weights, a logit, not shaped",
    ]
    assert "shipped, not diagnosed" in repr(gan)
    real = torch.randn(2000, 2, generator=torch.Generator().manual_seed(0))
    found = gan.with_diagnosis(gt.diagnose(gan, real))
    assert "ratio of direct: shipped, diagnosed: it ranks generated samples" in repr(found)
    fitted = gt.fit_ratio(gan, real, n=400, schedule=[(2, 1e-3)], batch=50, strength=0.5)
    name = fitted.ratio(gt.Direct()).chosen["name"]
    assert f"fitted ({name}), used as r^0.5, not diagnosed" in repr(fitted)


def test_a_ratio_remembers_whose_proposals_it_judges(tmp_path):
    gan, real = toy_gan(), torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
    mover = gt.Refine(layer="latent", steps=2, step_size=0.1)
    quick = {"n": 300, "schedule": [(2, 1e-3)], "batch": 50, "progress": False}
    gan = gt.fit_ratio(gan, real, proposal=mover, **quick)
    back = gt.GAN.load(gan.save(tmp_path))
    for known in (gan, back):
        assert "ratio of direct: shipped" in repr(known)
        assert "ratio of refine layer=latent steps=2 step_size=0.1" in repr(known)
        with pytest.raises(LawMismatchError, match="fitted: direct, refine layer=latent steps=2"):
            known.ratio(gt.Refine(layer="latent", steps=3, step_size=0.1))


def test_a_gan_without_a_discriminator_says_what_to_do():
    assert "gt.fit_ratio(gan, real)" in repr(gt.GAN(nn.Linear(2, 2), None, 2))


def test_conditions_are_named_by_their_kind():
    class Takes(nn.Module):
        def forward(self, z, label):
            return z + label[:, None]

    gan = gt.GAN(Takes(), None, 2, condition=torch.arange(3))
    assert "condition: 3 rows of torch.int64" in repr(gan)
    assert "a function of the ids" in repr(gan.with_condition(lambda ids: ids % 2))
