"""Data come in at one place, whatever holds them, and the same way for every call."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import (
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
)

import gantandem as gt
from gantandem import GAN, Direct, Normal, Real, Refine, sample, split_real
from gantandem.data.incoming import read
from gantandem.data.matching import spread_of
from gantandem.data.real import PARTS, Stored
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


class Stream(IterableDataset):
    def __init__(self, size):
        self.size = size

    def __iter__(self):
        return iter(zip(X.split(self.size), LABELS.split(self.size), strict=True))


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


@pytest.mark.parametrize("door", LABELLED)
def test_conditions_come_in_with_their_samples(door, tmp_path):
    conditional = gan(torch.arange(3))
    same(parts_for(conditional, LABELLED[door](tmp_path), "real"), split_real((X, LABELS)))


@pytest.mark.parametrize("door", [d for d in LABELLED if not d.startswith(("pair", "small"))])
def test_labels_of_a_dataset_are_left_aside_where_there_is_no_condition(door, tmp_path):
    same(parts_for(gan(), LABELLED[door](tmp_path), "real"), split_real(X))


def test_conditions_that_were_meant_are_refused_where_there_is_none():
    with pytest.raises(InputError, match="this GAN has none"):
        parts_for(gan(), (X, LABELS), "real")


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


def test_conditions_of_parts_are_parts_too():
    with pytest.raises(DataError, match=r"got tuple as conditions; allowed is Real\(fit"):
        Real(*[X] * 4, conditions=(LABELS,) * 4)
    few = Real(*[DataLoader(Items())] * 4, conditions=Real(*[LABELS[:9].tolist()] * 4))
    with pytest.raises(DataError, match="part 'fit': 300 samples came with 9 conditions"):
        parts_for(gan([0]), few, "real")
    enough = Real(*[DataLoader(Items(), batch_size=64)] * 4, conditions=Real(*[LABELS] * 4))
    assert torch.equal(parts_for(gan([0]), enough, "real").conditions.test, LABELS)


# -- what stays in its file ---------------------------------------------------------------------


class Counted(np.memmap):
    """Notes how many rows are read at a time."""

    most = 0

    def __getitem__(self, index):
        found = super().__getitem__(index)
        if isinstance(found, np.ndarray) and found.ndim == 4:
            Counted.most = max(Counted.most, len(found))
        return found


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
def test_a_memory_map_is_never_read_as_a_whole(tmp_path, dtype, monkeypatch):
    monkeypatch.setattr("gantandem.data.matching.AT_ONCE", 36 * 1000)
    size, n = (1, 6, 6), 6000
    pixels = np.random.default_rng(0).integers(0, 256, (n, *size)).astype(dtype)
    file = np.memmap(tmp_path / "x.bin", dtype=dtype, mode="w+", shape=pixels.shape)
    file[:] = pixels
    file.flush()
    on_disk = np.memmap(tmp_path / "x.bin", dtype=dtype, mode="r", shape=pixels.shape)
    on_disk = on_disk.view(Counted)
    generator = nn.Sequential(nn.Linear(2, 36), Bytes())
    g = GAN(generator, nn.Sequential(nn.Flatten(), nn.Linear(36, 1)), Normal(2))
    Counted.most = 0
    parts = parts_for(g, on_disk, "real")
    assert isinstance(parts.fit, Stored) and len(parts.fit) == 4200
    fitted = gt.fit_ratio(g, on_disk, network=g.guide.network, **QUICK)
    fitted = gt.calibrate(fitted, on_disk, method="platt", n=300)
    gt.diagnose(fitted, on_disk, n=300)
    gt.shape(g, on_disk, refine=REFINE, **SHAPE)
    assert 0 < Counted.most <= 2048
    x = torch.from_numpy(pixels).float()
    same(parts, split_real(x))
    seen = fitted.ratio(Direct()).seen
    assert torch.equal(seen["calibrate"], rows_hash(split_real(x).calibrate).unique())


def test_a_large_tensor_is_not_copied(monkeypatch):
    monkeypatch.setattr("gantandem.data.incoming.LARGE", 1000)
    half = X.bfloat16()
    same(parts_for(gan(), half, "real"), split_real(half.float()))
    parts = parts_for(gan(torch.arange(3)), (X, LABELS), "real")
    assert all(isinstance(getattr(parts, part), Stored) for part in PARTS)
    same(parts, split_real((X, LABELS)))
    fitted = gt.fit_ratio(gan(), X, **QUICK)
    monkeypatch.setattr("gantandem.data.incoming.LARGE", 10**9)
    wanted = gt.fit_ratio(gan(), X, **QUICK)
    hashes = {weights_hash(g.ratio(Direct()).score.network) for g in (fitted, wanted)}
    assert len(hashes) == 1


def test_tables_of_other_libraries():
    pandas = pytest.importorskip("pandas")
    columns = {"a": X[:, 0].numpy(), "b": X[:, 1].numpy()}
    same(parts_for(gan(), pandas.DataFrame(columns), "real"), split_real(X))
    pair = pandas.DataFrame(columns), pandas.Series(LABELS.numpy())
    same(parts_for(gan([0]), pair, "real"), split_real((X, LABELS)))
    flags = pandas.DataFrame({**columns, "b": LABELS.numpy() > 0})
    assert torch.equal(read(flags).x[:, 1], (LABELS > 0).double())
    with pytest.raises(DataError, match="DataFrame is no array of numbers.*could not convert"):
        split_real(pandas.DataFrame({**columns, "b": ["a"] * 300}))


@pytest.mark.parametrize("kind", [None, "torch", "numpy"])
def test_datasets_of_the_datasets_library(kind):
    datasets = pytest.importorskip("datasets")
    table = datasets.Dataset.from_dict({"x": X.tolist(), "label": LABELS.tolist()})
    for given in (table.with_format(kind), table.with_format(kind).to_iterable_dataset()):
        same(parts_for(gan([0]), given, "real"), split_real((X, LABELS)))
    with pytest.raises(DataError, match=r"got the columns \['train'\]"):
        split_real(datasets.DatasetDict({"train": table}))


class Bytes(nn.Module):
    def forward(self, x):
        return 255 * torch.sigmoid(x).reshape(-1, 1, 6, 6)


def test_what_is_stored_reads_as_a_tensor_does(tmp_path):
    x = torch.randn(500, 3, generator=torch.Generator().manual_seed(1)).double()
    stored = Stored(mapped(tmp_path, x))
    index = torch.randperm(500)[:40]
    assert stored.shape == x.shape and len(stored) == 500 and stored.dtype == torch.float64
    assert torch.equal(stored[index], x[index]) and torch.equal(stored[3:9], x[3:9])
    part = stored.part(index).to(torch.float32)
    assert torch.equal(part[5:7], x[index][5:7].float()) and part.shape == (40, 3)
    assert torch.equal(torch.cat(list(part.split(7))), x[index].float())
    assert spread_of(stored) == pytest.approx(spread_of(x), rel=1e-9)


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
        (iter(()), "an iterator that was read already is empty"),
        ([[1.0, 2.0], [3.0]], "no array of numbers with one shape"),
        ([["a", "b"]] * 50, "no array of numbers|no table of numbers"),
        (np.array([["a", "b"]] * 50), "no array of numbers"),
        (np.array([[None, 1.0]] * 50), "50 samples hold values that are NaN"),
        (torch.zeros(50, 2, dtype=torch.complex64), "got a tensor of torch.complex64"),
        (torch.zeros(50, 2, device="meta"), "allowed are dense real numbers"),
        (np.ma.masked_array(np.zeros((50, 2)), mask=np.eye(50, 2)), "some values are masked"),
        (np.zeros((50, 2), dtype="datetime64[s]"), "no array of numbers"),
        (np.zeros(50, dtype=[("a", "f4")]), "no array of numbers"),
        (TensorDataset, "got type; allowed are"),
        (nn.Linear(2, 2), "got Linear; allowed are"),
        ([X, LABELS], "a pair of samples and conditions is a tuple"),
        (torch.eye(50).to_sparse(), "allowed are dense real numbers"),
        (iter([X[:9], torch.zeros(9, 3)]), r"item 1 holds samples of shape \(3,\)"),
        ({"a": X, "b": X}, r"got the columns \['a', 'b'\]; give the samples as one of x, image"),
        ((X, LABELS, X), r"got items of 3 parts|holds samples of shape|one shape"),
        ((X, LABELS[:9]), "300 samples came with 9 conditions"),
        ((X, lambda ids: ids), "got a function as conditions"),
        ((X, ["a"] * 300), "conditions: got list, which is no table of numbers"),
        (Items(lambda x, label: (x, label, 0)), "got items of 3 parts"),
        (Items(lambda x, label: {"caption": "a dog"}), r"got the columns \['caption'\]"),
        (Items(lambda x, label: "a dog"), "no array of numbers|one number"),
        (iter([(X[:9], LABELS[:9]), X[:9]]), "some items bring a condition and some do not"),
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
    assert "another sample 0 each time (a random transform?)" in caplog.text
    caplog.clear()
    parts_for(gan(), DataLoader(moving, batch_size=50), "fit_ratio real")
    assert "read it once for all calls: real = split_real(dataset)" in caplog.text
    caplog.clear()
    real = split_real(X)
    assert isinstance(real, Real)
    parts_for(gan(), real, "fit_ratio real")
    assert not caplog.text


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
    with pytest.raises(InputError, match="the kind this GAN was made with"):
        g.observe(X, LABELS.float())
    assert read((X, np.int64(3) * np.ones(300, np.int64))).cond.dtype == torch.int64


def test_an_unreadable_item_names_its_place():
    with pytest.raises(DataError, match="item 2 holds samples"):
        split_real([X[:50], X[50:100], torch.zeros(5, 7)])
