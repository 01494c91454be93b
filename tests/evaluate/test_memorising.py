"""Copies of training samples are seen, and nothing is said of samples that are none."""

from __future__ import annotations

import pytest
import torch

import gantandem as gt
from gantandem.errors import InputError, NonFiniteError
from gantandem.testing import toy_gan


def draw(count: int, seed: int, width: int = 2) -> torch.Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def real():
    return gt.Real(draw(400, 0), draw(50, 1), draw(50, 2), draw(200, 3))


def test_samples_of_the_same_law_are_no_copies(real):
    found = gt.memorisation(toy_gan(), draw(300, 4), real)
    assert abs(found.nearer - 0.5) < 3 * found.error
    assert abs(found.authentic - found.real_authentic) < 0.15
    assert "as near to training samples" in str(found)


def test_copies_are_seen_and_named(real):
    rows = torch.arange(100, 200)
    found = gt.memorisation(toy_gan(), real.fit[rows] + 1e-6, real)
    assert found.nearer > 0.95 and found.authentic < 0.05
    assert torch.equal(found.nearest, rows) and torch.equal(found.neighbours, real.fit[rows])
    assert "nearer to training samples than held-out" in str(found)


def test_samples_far_from_everything_are_no_copies(real):
    found = gt.memorisation(toy_gan(), draw(300, 4) + 8, real)
    assert found.nearer < 0.1 and found.authentic == 1.0
    assert "farther from training samples" in str(found)


def test_numbers_equal_those_counted_by_hand(real):
    x = draw(60, 9)
    found = gt.memorisation(toy_gan(), x, real)
    near = torch.cdist(x.double(), real.fit.double()).min(1)
    held = torch.cdist(real.test.double(), real.fit.double()).min(1)
    apart = (
        torch.cdist(real.fit.double(), real.fit.double()).fill_diagonal_(torch.inf).min(1).values
    )
    pairs = (near.values[:, None] < held.values[None]).double().mean()
    assert found.nearer == pytest.approx(float(pairs))
    assert found.authentic == pytest.approx(
        float((near.values > apart[near.indices]).double().mean())
    )
    assert found.real_authentic == pytest.approx(
        float((held.values > apart[held.indices]).double().mean())
    )


def test_a_picture_of_the_nearest(real, tmp_path):
    found = gt.memorisation(toy_gan(), gt.sample(toy_gan(), "direct", 100), real)
    found.plot(tmp_path / "nearest.png")
    assert (tmp_path / "nearest.png").read_bytes().startswith(b"\x89PNG")


def test_few_samples_and_broken_ones_are_refused(real):
    with pytest.raises(InputError, match="5 samples and 200 held-out real ones; at least 20"):
        gt.memorisation(toy_gan(), draw(5, 4), real)
    with pytest.raises(NonFiniteError, match="samples"):
        gt.memorisation(toy_gan(), torch.full((30, 2), torch.nan), real)


def test_distances_through_a_backbone(real):
    class Turned(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[:, :1]

    found = gt.memorisation(toy_gan(), draw(60, 9), real, backbone=Turned())
    near = (draw(60, 9)[:, None, 0] - real.fit[None, :, 0]).abs().min(1).values
    assert torch.allclose(found.distance, near.double(), atol=1e-6)
