"""Conditions come in as their samples do, in any form, and odd ones are refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_incoming import LABELS, Items, X, gan, mapped, same
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from gantandem import GAN, Direct, Normal, Real, sample, split_real
from gantandem.data.incoming import read
from gantandem.discriminator.parts import parts_for
from gantandem.errors import DataError, InputError


class Stream(IterableDataset):
    def __init__(self, size):
        self.size = size

    def __iter__(self):
        return iter(zip(X.split(self.size), LABELS.split(self.size), strict=True))


LABELLED = {
    "pair": lambda path: (X, LABELS),
    "pair of arrays": lambda path: (X.numpy(), LABELS.numpy()),
    "pair of lists": lambda path: (X.tolist(), LABELS.tolist()),
    "small integers": lambda path: (X, LABELS.to(torch.uint8)),
    "pair with a memory map": lambda path: (mapped(path, X), LABELS),
    "pair with a dataset": lambda path: (Items(), LABELS),
    "labelled dict": lambda path: {"image": X, "label": LABELS.tolist()},
    "labelled tensor dataset": lambda path: TensorDataset(X, LABELS),
    "labelled dataset": lambda path: Items(lambda x, label: (x, label)),
    "NumPy labels": lambda path: Items(lambda x, label: (x, np.int64(label))),
    "dataset of dicts": lambda path: Items(lambda x, label: {"image": x, "label": label}),
    "labelled loader": lambda path: DataLoader(TensorDataset(X, LABELS), batch_size=64),
    "loader of dicts": lambda path: DataLoader(
        Items(lambda x, label: {"pixel_values": x, "labels": label}), batch_size=50, shuffle=True
    ),
    "list of pairs": lambda path: list(zip(X, LABELS.tolist(), strict=True)),
    "iterable of pairs": lambda path: zip(X, LABELS, strict=True),
    "stream": lambda path: Stream(64),
    "stream loader": lambda path: DataLoader(Stream(64), batch_size=None),
}


@pytest.mark.parametrize("door", LABELLED)
def test_conditions_come_in_with_their_samples(door, tmp_path):
    conditional = gan(torch.arange(3))
    same(parts_for(conditional, LABELLED[door](tmp_path), "real"), split_real((X, LABELS)))


@pytest.mark.parametrize("door", [d for d in LABELLED if not d.startswith(("pair", "small"))])
def test_labels_of_a_dataset_are_left_aside_where_there_is_no_condition(door, tmp_path):
    same(parts_for(gan(), LABELLED[door](tmp_path), "real"), split_real(X))


def test_conditions_that_were_meant_are_refused_where_there_is_none():
    with pytest.raises(InputError, match="this GAN has no condition"):
        parts_for(gan(), (X, LABELS), "real")


def test_conditions_of_parts_are_parts_too():
    with pytest.raises(DataError, match=r"got tuple as conditions; allowed is Real\(fit"):
        Real(*[X] * 4, conditions=(LABELS,) * 4)
    few = Real(*[DataLoader(Items())] * 4, conditions=Real(*[LABELS[:9].tolist()] * 4))
    with pytest.raises(DataError, match="part 'fit': 300 samples came with 9 conditions"):
        parts_for(gan([0]), few, "real")
    enough = Real(*[DataLoader(Items(), batch_size=64)] * 4, conditions=Real(*[LABELS] * 4))
    assert torch.equal(parts_for(gan([0]), enough, "real").conditions.test, LABELS)


# -- conditions of a GAN ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "condition",
    [
        [0, 1, 2],
        (0, 1, 2),
        range(3),
        np.arange(3),
        np.arange(3, dtype=np.int32),
        [np.int64(0), np.int64(1), np.int64(2)],
        [torch.tensor(0), torch.tensor(1), torch.tensor(2)],
        torch.arange(3, dtype=torch.int32),
        torch.arange(3, dtype=torch.uint8),
        lambda ids: (ids % 3).tolist(),
        lambda ids: (ids % 3).numpy(),
    ],
    ids=range(11),
)
def test_labels_in_any_form_are_the_same_condition(condition):
    wanted = sample(gan(torch.arange(3)), Direct(), 20)
    for given in (
        gan(condition),
        gan([2]).with_condition(condition),
        gan([1]).replace(condition=condition),
    ):
        out = sample(given, Direct(), 20)
        assert torch.equal(out.x, wanted.x) and torch.equal(out.condition, wanted.condition)
        assert out.condition.dtype == torch.int64


@pytest.mark.parametrize("one", [2, np.int64(2), np.array(2), torch.tensor(2), [2], True + 1])
def test_one_label_is_that_of_every_id(one):
    assert torch.equal(gan(one).conditions(torch.arange(5)), torch.full((5,), 2))


def test_numbers_are_of_the_default_type():
    rows = [[0.5, 1.0], [0.0, 2.0]]
    for given in (rows, np.array(rows), torch.tensor(rows)):
        assert GAN(Plus(), None, Normal(2), condition=given).condition.dtype == torch.float32
    double = GAN(Plus(), None, Normal(2), condition=torch.tensor(rows).double())
    assert double.condition.dtype == torch.float64


class Plus(nn.Module):
    def forward(self, z, cond):
        return z + cond.float()


@pytest.mark.parametrize(
    "condition", ["cat", ["cat"], [[1, 2], [3]], [None], {"a": 1}, [], np.zeros(0), [float("nan")]]
)
def test_a_condition_that_is_none_is_said_in_one_line(condition):
    with pytest.raises(InputError, match="condition: ") as error:
        gan(condition)
    assert "\n" not in str(error.value)


def test_labels_of_another_width_suit_the_same_gan():
    g = gan(torch.arange(3))
    for labels in (LABELS.int(), LABELS.numpy().astype(np.uint8), LABELS.tolist()):
        assert g.observe(X, labels).spread == g.observe(X, LABELS).spread
    with pytest.raises(InputError, match="as in this GAN's own condition"):
        g.observe(X, LABELS.float())
    assert read((X, np.int64(3) * np.ones(300, np.int64))).cond.dtype == torch.int64
