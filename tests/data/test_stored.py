"""What stays in its file is read by parts and never copied as a whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_incoming import LABELS, QUICK, REFINE, SHAPE, X, gan, mapped, same
from torch import nn

import gantandem as gt
from gantandem import GAN, Direct, Normal, split_real
from gantandem.data.incoming import read
from gantandem.data.matching import spread_of
from gantandem.data.real import PARTS, Stored
from gantandem.discriminator.held_out import rows_hash
from gantandem.discriminator.parts import parts_for
from gantandem.errors import DataError
from gantandem.nets.hashing import weights_hash


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
    with pytest.raises(DataError, match="DataFrame is not an array of numbers.*could not convert"):
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
