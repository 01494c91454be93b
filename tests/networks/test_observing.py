"""What real data tell of the guide, where it is costly to ask."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gantandem import GAN
from gantandem.networks import observing

REAL = torch.randn(3000, 2, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("looked", "count"), [(1e12, 3000), (1e3, 1000), (4 * 1500, 1500)])
def test_a_costly_guide_scores_some_of_the_real_samples(monkeypatch, looked, count):
    torch.manual_seed(0)
    gan = GAN(nn.Linear(2, 2), nn.Linear(2, 1), 2)
    whole, seen = gan.observe(REAL).real_logits, list[int]()
    gan.guide.network.register_forward_hook(lambda _, given, __: seen.append(len(given[0])))
    monkeypatch.setattr(observing, "LOOKED", looked)
    found = gan.observe(REAL).real_logits
    assert sum(seen) == count + 2  # two tell what one costs
    assert (found == whole) == (count == 3000)
    assert all(abs(found[name] - whole[name]) < 0.1 for name in whole)
