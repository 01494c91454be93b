"""Data come in at one place, whatever holds them, and the same way for every call."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import ConcatDataset, DataLoader, Dataset, Subset, TensorDataset

import gantandem as gt
from gantandem import GAN, Direct, Normal, Real, Refine, split_real
from gantandem.data.real import PARTS
from gantandem.discriminator.held_out import rows_hash
from gantandem.discriminator.parts import parts_for
from gantandem.errors import DataError, InputError
from gantandem.nets.hashing import weights_hash

X = 1 + torch.randn(300, 2, generator=torch.Generator().manual_seed(0))


LABELS = torch.arange(300) % 3


class Shift(nn.Module):
    """Generator and discriminator alike, with class labels or without."""

    def __init__(self, out: int):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(out)
            self.main = nn.Linear(2, out)

    def forward(self, x, label=None):
        return self.main(x) if label is None else self.main(x) + 0.1 * label[:, None].float()


def gan(condition=None) -> GAN:
    return GAN(Shift(2), Shift(1), Normal(2), condition=condition)


class Items(Dataset):
    """Samples one by one, each as ``wrap`` gives it."""

    def __init__(self, wrap=lambda x, label: x):
        self.wrap = wrap

    def __len__(self):
        return len(X)

    def __getitem__(self, place):
        return self.wrap(X[place], int(LABELS[place]))


def mapped(tmp_path, x) -> np.memmap:
    np.save(tmp_path / "x.npy", np.asarray(x))
    return np.load(tmp_path / "x.npy", mmap_mode="r")


class Table:
    """What becomes an array, as tables of other libraries do."""

    def __array__(self, dtype=None, copy=None):
        return X.numpy()


PLAIN = {
    "tensor": lambda path: X,
    "needs a gradient": lambda path: X.clone().requires_grad_(),
    "strided": lambda path: X.t().contiguous().t(),
    "array": lambda path: X.numpy(),
    "array of doubles": lambda path: X.numpy().astype(np.float64),
    "table": lambda path: Table(),
    "memory map": lambda path: mapped(path, X),
    "list of lists": lambda path: X.tolist(),
    "list of tuples": lambda path: [tuple(row) for row in X.tolist()],
    "list of tensors": lambda path: list(X),
    "list of arrays": lambda path: list(X.numpy()),
    "list of batches": lambda path: list(X.split(70)),
    "one-tuple": lambda path: (X,),
    "pair without conditions": lambda path: (X, None),
    "dict": lambda path: {"x": X},
    "dataset": lambda path: Items(),
    "tensor dataset": lambda path: TensorDataset(X),
    "dataset of arrays": lambda path: Items(lambda x, label: x.numpy()),
    "loader": lambda path: DataLoader(Items(), batch_size=64),
    "shuffled loader": lambda path: DataLoader(TensorDataset(X), batch_size=64, shuffle=True),
    "unbatched loader": lambda path: DataLoader(Items(), batch_size=None),
    "generator": lambda path: iter(X.split(64)),
    "read-only array": lambda path: np.broadcast_to(X.numpy(), (1, *X.shape))[0],
    "reversed array": lambda path: X.numpy()[::-1],
    "array of another byte order": lambda path: X.numpy().astype(">f4"),
    "memory map of another byte order": lambda path: mapped(path, X.numpy().astype(">f4")),
    "array of objects": lambda path: X.numpy().astype(object),
    "subset": lambda path: Subset(ConcatDataset([Items(), Items()]), range(300)),
}


def same(parts: Real, wanted: Real) -> None:
    """The same samples in the same parts, conditions too, in whatever order."""
    for part in PARTS:
        got, want = parts.rows(part), wanted.rows(part)
        mine, other = (rows_hash(rows.x).sort() for rows in (got, want))
        assert torch.equal(mine.values, other.values)
        assert got.x[:5].dtype == torch.float32
        if want.cond is not None:
            assert torch.equal(got.cond[mine.indices], want.cond[other.indices])
            assert got.cond.dtype == torch.int64


@pytest.mark.parametrize("door", PLAIN)
def test_every_door_leads_to_the_same_parts(door, tmp_path):
    same(parts_for(gan(), PLAIN[door](tmp_path), "real"), split_real(X))


QUICK = {"n": 200, "schedule": [(5, 1e-3)], "batch": 64, "progress": False}


SHAPE = {"updates": 4, "check_every": 2, "check_samples": 64, "batch": 32, "progress": False}


REFINE = Refine(steps=2, step_size=0.1, layer="latent")


@pytest.mark.parametrize("door", ["list of lists", "memory map", "dataset", "shuffled loader"])
@pytest.mark.slow
def test_every_call_takes_every_door(door, tmp_path):
    plain, given = gan(), PLAIN[door](tmp_path)
    wanted, got = plain.observe(X), plain.observe(given)
    assert got.spread == wanted.spread
    assert got.real_logits["mean"] == pytest.approx(wanted.real_logits["mean"], abs=1e-5)
    fitted = gt.fit_ratio(plain, given, **QUICK)
    exact = gt.diagnose(gt.calibrate(fitted, X, method="platt"), X)
    found = gt.diagnose(gt.calibrate(fitted, given, method="platt"), given)
    assert found.brier == pytest.approx(exact.brier, abs=1e-6)
    if door != "shuffled loader":  # where the order is the same, so is every bit
        same = gt.fit_ratio(plain, X, **QUICK)
        hashes = {weights_hash(g.ratio(Direct()).score.network) for g in (fitted, same)}
        assert len(hashes) == 1
    assert len(gt.shape(plain, given, refine=REFINE, **SHAPE).history) == 3


def test_parts_may_be_anything_too(tmp_path):
    loaders = Real(*[DataLoader(TensorDataset(X, LABELS), batch_size=64)] * 4)
    parts = parts_for(gan(torch.arange(3)), loaders, "real")
    assert torch.equal(parts.fit, X) and torch.equal(parts.conditions.test, LABELS)
    mixed = Real(X.numpy(), X.tolist(), mapped(tmp_path, X), Items())
    parts = parts_for(gan(), mixed, "real")
    assert all(torch.equal(getattr(parts, part)[:], X) for part in PARTS)
    lists = Real(*[X] * 4, conditions=Real(*[LABELS.tolist()] * 4))
    assert torch.equal(parts_for(gan(torch.arange(3)), lists, "real").conditions.fit, LABELS)


# -- what cannot be used ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data, words",
    [
        (None, "got NoneType; allowed are a tensor or array"),
        (3.0, "got one number; allowed are"),
        (object(), "got object; allowed are"),
        (np.float32(3), "got one number"),
        (torch.tensor(3.0), "got one number"),
        ("data.npy", "got the path 'data.npy'; open it first"),
        ([], "there are no samples"),
        (iter(()), "An iterator is empty after it was read once"),
        ([[1.0, 2.0], [3.0]], "not an array of numbers of one shape"),
        ([["a", "b"]] * 50, "not an array of numbers"),
        (np.array([["a", "b"]] * 50), "not an array of numbers"),
        (np.array([[None, 1.0]] * 50), "50 samples hold values that are NaN"),
        (torch.zeros(50, 2, dtype=torch.complex64), "got a tensor of torch.complex64"),
        (torch.zeros(50, 2, device="meta"), "allowed are dense tensors"),
        (np.ma.masked_array(np.zeros((50, 2)), mask=np.eye(50, 2)), "some values are masked"),
        (np.zeros((50, 2), dtype="datetime64[s]"), "not an array of numbers"),
        (np.zeros(50, dtype=[("a", "f4")]), "not an array of numbers"),
        (TensorDataset, "got type; allowed are"),
        (nn.Linear(2, 2), "got Linear; allowed are"),
        ([X, LABELS], "Pass a pair of samples and conditions as a tuple"),
        (torch.eye(50).to_sparse(), "allowed are dense tensors"),
        (iter([X[:9], torch.zeros(9, 3)]), r"item 1 holds samples of shape \(3,\)"),
        ({"a": X, "b": X}, r"got the columns \['a', 'b'\]; give the samples as one of x, image"),
        ((X, LABELS, X), r"got items of 3 parts|holds samples of shape|one shape"),
        ((X, LABELS[:9]), "300 samples came with 9 conditions"),
        ((X, lambda ids: ids), "the conditions are a function"),
        ((X, ["a"] * 300), "conditions: got list, which is not an array of numbers"),
        (Items(lambda x, label: (x, label, 0)), "got items of 3 parts"),
        (Items(lambda x, label: {"caption": "a dog"}), r"got the columns \['caption'\]"),
        (Items(lambda x, label: "a dog"), "not an array of numbers|one number"),
        (iter([(X[:9], LABELS[:9]), X[:9]]), "some items have a condition and some have none"),
        (iter([(X[:9], LABELS[:8])]), "item 0 holds 9 samples and 8 conditions"),
    ],
    ids=range(32),
)
def test_what_cannot_be_read_is_said_in_one_line(data, words):
    for call in (gt.fit_ratio, gt.diagnose, GAN.observe, None):
        own = copy.copy(data) if hasattr(data, "__next__") else data  # it is read but once
        condition = torch.arange(3) if isinstance(data, tuple) else None
        with pytest.raises(InputError, match=words) as error:
            split_real(own) if call is None else call(gan(condition), own)
        assert "\n" not in str(error.value)


def test_samples_that_change_are_told(caplog):
    noise = torch.Generator().manual_seed(0)
    moving = Items(lambda x, label: x + torch.randn(2, generator=noise))
    parts_for(gan(), moving, "fit_ratio real")
    assert "another sample 0 each time (is there a random transform?)" in caplog.text
    caplog.clear()
    parts_for(gan(), DataLoader(moving, batch_size=50), "fit_ratio real")
    assert "read the dataset once for all calls: real = split_real(dataset)" in caplog.text
    caplog.clear()
    real = split_real(X)
    assert isinstance(real, Real)
    parts_for(gan(), real, "fit_ratio real")
    assert not caplog.text


# -- conditions of a GAN ------------------------------------------------------------------------


def test_an_unreadable_item_names_its_place():
    with pytest.raises(DataError, match="item 2 holds samples"):
        split_real([X[:50], X[50:100], torch.zeros(5, 7)])
