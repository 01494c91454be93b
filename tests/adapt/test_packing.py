"""A row's score depends on no other row, whatever the discriminator looks at."""

from __future__ import annotations

import pytest
import torch

from foreign_models import CTGANLike, JoinedChannels, StdDev, seeded
from gantandem import adapt
from gantandem.errors import InputError

FIXED = torch.randn(3, 1, 4, 4, generator=torch.Generator().manual_seed(0))
X = torch.randn(6, 1, 4, 4, generator=torch.Generator().manual_seed(1))
KINDS = {
    "deviation": lambda: adapt.AgainstBatch(seeded(StdDev), FIXED),
    "rows": lambda: adapt.Packed(seeded(CTGANLike), FIXED),
    "channels": lambda: adapt.Packed(seeded(JoinedChannels), FIXED[:1], joined=True),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_row_is_scored_alone(name):
    d = KINDS[name]().eval()
    scores = d(X)
    assert scores.shape[0] == 6
    companions = torch.cat([X[2:3], torch.randn(4, 1, 4, 4)])
    assert torch.allclose(d(companions)[0], scores[2], atol=1e-6)
    assert torch.allclose(d(X.flip(0)).flip(0), scores, atol=1e-6)


def test_it_is_the_score_in_that_very_batch():
    d = seeded(StdDev)
    batch = torch.cat([X[4:5], FIXED])
    assert torch.equal(adapt.AgainstBatch(d, FIXED)(X)[4], d(batch)[0])
    pac = seeded(CTGANLike)
    assert torch.allclose(adapt.Packed(pac, FIXED)(X)[4], pac(batch)[0], atol=1e-6)


def test_the_fixed_batch_counts():
    d = seeded(StdDev)
    one, other = (adapt.AgainstBatch(d, rows)(X) for rows in (FIXED, 9 * FIXED))
    assert not torch.allclose(one, other, atol=1e-3)


@pytest.mark.parametrize("name", KINDS)
def test_a_gradient_reaches_its_own_row_alone(name):
    x = X.clone().requires_grad_()
    KINDS[name]()(x)[2].sum().backward()
    assert x.grad[2].abs().sum() > 0 and x.grad[[0, 1, 3, 4, 5]].abs().sum() == 0


def test_a_reference_of_another_kind_is_refused():
    with pytest.raises(InputError, match="reference holds samples of shape"):
        adapt.Packed(seeded(CTGANLike), torch.zeros(3, 5))(X)
    with pytest.raises(InputError, match="allowed are \\(M, \\*x_shape\\)"):
        adapt.AgainstBatch(seeded(StdDev), torch.zeros(3, dtype=torch.int64))
