"""Ctrl-C between a block's end and its arrival: the ids that are kept have no gap and no twins."""

from __future__ import annotations

import contextlib

import pytest
import torch

from gantandem import GAN, OBRS, Direct, sample
from gantandem.engine import sampling
from gantandem.engine.run import Run
from gantandem.testing import toy_gan

SAMPLERS = [Direct(), OBRS(expected=3, log_scale=-1.0)]


class Once:
    """Raises KeyboardInterrupt at one of its calls, and never again."""

    def __init__(self, call=3):
        self.left, self.finished = call, 0

    def __call__(self, size=0):
        if self.left > 0:
            self.finished += size
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def before_release(patch, once):
    whole = Run._release
    patch.setattr(Run, "_release", lambda self, block: (once(len(block)), whole(self, block)))


def after_release(patch, once):
    whole = Run._release
    patch.setattr(Run, "_release", lambda self, block: (whole(self, block), once(len(block))))


def in_the_progress_bar(patch, once):
    patch.setattr(sampling, "track", lambda *_: contextlib.nullcontext(once))


def as_networks_thaw(patch, once):
    whole, turn, begun = GAN.frozen, Run._turn, []

    @contextlib.contextmanager
    def frozen(self):
        with whole(self):
            yield
        if begun:  # not while the sampler is prepared: then there is nothing to keep
            once()

    patch.setattr(GAN, "frozen", frozen)
    patch.setattr(Run, "_turn", lambda self: (begun.append(1), turn(self)))


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda s: s.name)
@pytest.mark.parametrize(
    "place", [before_release, after_release, in_the_progress_bar, as_networks_thaw]
)
def test_what_is_kept_is_a_prefix(place, sampler, monkeypatch):
    gan = toy_gan()
    options = {"width": 64, "strict": False, "progress": False}
    whole = sample(gan, sampler, 900, **options)
    once = Once()
    with monkeypatch.context() as patch:
        place(patch, once)
        out = sample(gan, sampler, 900, **options)
    assert once.left <= 0 and out.manifest["interrupted"]
    assert out.ids.tolist() == list(range(len(out)))
    assert max(64, once.finished) <= len(out) < 900
    assert out.manifest["returned"] == len(out)
    assert torch.equal(out.x, whole.x[: len(out)])
