"""Samples tell in a line what they are; parts of them, arrays and tables keep what is known."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from torch import nn

import gantandem as gt
from gantandem.errors import MissingExtraError


@pytest.fixture(scope="module")
def out():
    torch.manual_seed(0)
    gan = gt.GAN(nn.Linear(2, 3), nn.Linear(3, 1), 2, condition=None)
    return gt.sample(gan, gt.OBRS(expected=2), 40, progress=False)


def test_a_line_says_what_they_are(out):
    cost = out.manifest["passes"] / 40
    accepted = 40 / out.manifest["proposals"]
    assert repr(out) == (
        f"Samples(n=40, shape=(3,), sampler=obrs(direct), acceptance={accepted:.3g}, "
        f"passes_per_sample={cost:.4g})"
    )
    assert "n=10, " in repr(out[:10]) and f"passes_per_sample={cost:.4g}" in repr(out[:10])
    bare = gt.Samples(**{name: getattr(out, name) for name in out.fields}, manifest={})
    assert repr(bare) == "Samples(n=40, shape=(3,))"


PARTS = [
    (slice(0, 7), list(range(7))),
    (slice(None, None, -13), [39, 26, 13, 0]),
    ([1, 5, 5], [1, 5, 5]),
    ([], []),
    (np.array([2, -1]), [2, 39]),
    (torch.tensor([4, 0]), [4, 0]),
    (torch.arange(40) % 20 == 1, [1, 21]),
    (np.arange(40) < 2, [0, 1]),
    ([True] * 3 + [False] * 37, [0, 1, 2]),
]


@pytest.mark.parametrize("index, places", PARTS)
def test_parts_keep_their_rows_together(out, index, places):
    part = out[index]
    assert part.ids.tolist() == places and part.manifest is out.manifest
    for name in out.fields:
        assert torch.equal(getattr(part, name), getattr(out, name)[torch.tensor(places).long()])


def test_one_place_is_a_row_and_none_is_beyond_the_last(out):
    assert out[3].x.shape == (1, 3) and torch.equal(out[-1].x[0], out.x[-1])
    assert [int(one.ids) for one in out] == list(range(40))
    for wrong in (40, -41, [50], torch.ones(3, dtype=torch.bool), "x", 1.5):
        with pytest.raises(IndexError):
            out[wrong]


def test_arrays_and_tables(out, monkeypatch):
    assert np.array_equal(out.to_numpy(), out.x.numpy())
    table = out[5:].to_pandas()
    assert list(table.columns) == ["x0", "x1", "x2", "log_ratio", "steps", "attempts", "accepted"]
    assert list(table.index) == list(range(5, 40)) and table.index.name == "id"
    assert np.array_equal(table["x1"], out.x[5:, 1]) and table["accepted"].dtype == bool
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'gantandem\[tables\]'"):
        out.to_pandas()


def test_images_have_no_columns_and_labels_have_one(out):
    fields = {name: getattr(out, name) for name in out.fields}
    fields["x"] = torch.zeros(40, 1, 2, 2, dtype=torch.bfloat16)
    images = gt.Samples(**fields, manifest={}, condition=torch.arange(40) % 4)
    assert images.to_numpy().dtype == np.float32
    columns = ["log_ratio", "steps", "attempts", "accepted", "condition"]
    assert list(images.to_pandas().columns) == columns
