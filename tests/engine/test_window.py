"""What a run holds until its turn comes is bounded in bytes, and changes no sample."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gantandem import GAN, OBRS, Direct, sample, sample_iter
from gantandem.engine import window
from gantandem.engine.window import HELD, LEAST, LOOK_AHEAD, Window
from memory import live_bytes, new_only


class Image(nn.Module):
    """A generator of images of one colour a row."""

    def __init__(self, side):
        super().__init__()
        self.side = side

    def forward(self, z):
        return z[:, :, None, None].expand(-1, -1, self.side, self.side).contiguous()


def picture_gan(side):
    score = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 1))
    return GAN(Image(side), score, 3)


@pytest.mark.parametrize(
    ("side", "widths"), [(32, LOOK_AHEAD), (128, LOOK_AHEAD), (256, 5), (1024, LEAST)]
)
def test_how_far_a_run_looks_ahead_follows_the_size_of_a_sample(side, widths):
    ids = Window(0, 10_000, 64, None)
    assert ids.reach == LEAST * 64
    ids.fit(3 * side * side * 4)
    assert ids.reach == widths * 64
    assert ids.reach * 3 * side * side * 4 <= HELD or widths == LEAST


SAMPLERS = [Direct(), OBRS(expected=3, log_scale=-1.0)]


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda s: s.name)
@new_only()
def test_large_images_are_held_within_the_bytes_allowed(sampler, monkeypatch):
    """Between two blocks a run holds its table and what just left the pool, and no more."""
    gan, width = picture_gan(64), 64
    one_width = width * 3 * 64 * 64 * 4
    monkeypatch.setattr(window, "HELD", 4 * one_width)
    before, peak = live_bytes(), 0
    stream = sample_iter(gan, sampler, 10 * width, width=width, progress=False)
    for block in stream:
        peak = max(peak, live_bytes() - before - block.x.nbytes)
    assert 3 * one_width < peak < 8 * one_width


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda s: s.name)
def test_samples_do_not_depend_on_what_may_be_held(sampler, monkeypatch):
    gan = picture_gan(4)
    options = {"width": 64, "progress": False}
    plain = sample(gan, sampler, 900, **options)
    for held in (0, 6 * 64 * 3 * 16 * 4):
        monkeypatch.setattr(window, "HELD", held)
        out = sample(gan, sampler, 900, **options)
        assert torch.equal(out.x, plain.x) and torch.equal(out.attempts, plain.attempts)
        assert out.manifest["passes"] == plain.manifest["passes"]
