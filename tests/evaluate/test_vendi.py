"""The Vendi score, against cases that can be counted."""

from __future__ import annotations

import math

import pytest
import torch

from gantandem.errors import InputError, NonFiniteError
from gantandem.evaluate.metrics.vendi import vendi_score


@pytest.mark.parametrize("kinds", [1, 2, 5])
@pytest.mark.parametrize("width", [5, 50])
def test_it_counts_orthogonal_kinds(kinds, width):
    rows = torch.eye(width)[:kinds].repeat(4, 1) * torch.rand(4 * kinds, 1).add(0.1)
    assert vendi_score(rows) == pytest.approx(kinds)


def test_unequal_shares_count_by_their_entropy():
    rows = torch.eye(3)[[0, 0, 0, 1]]
    assert vendi_score(rows) == pytest.approx(
        math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))
    )


def test_both_kernels_agree():
    rows = torch.randn(30, 7, generator=torch.Generator().manual_seed(0))
    unit = (rows / rows.norm(dim=1, keepdim=True)).double()
    values = torch.linalg.eigvalsh(unit @ unit.T / 30).clamp(min=1e-300)
    assert vendi_score(rows) == pytest.approx(float((-values * values.log()).sum().exp()))


@pytest.mark.parametrize(
    "rows", [torch.zeros(3, 2), torch.ones(0, 2), torch.tensor([[0.0], [1.0]])]
)
def test_rows_without_a_direction_are_refused(rows):
    with pytest.raises(InputError, match="none of zeros"):
        vendi_score(rows)


def test_what_is_not_finite_is_refused():
    with pytest.raises(NonFiniteError):
        vendi_score(torch.tensor([[1.0, math.nan]]))
