"""A user's own data by the name that stands in a run."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gantandem.data.real import Stored
from gantandem.data.sources import Pixels, in_range, open_source
from gantandem.errors import DataError
from own_gans import pictures


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_a_folder_of_pictures_with_classes(tmp_path):
    found = open_source(str(pictures(tmp_path / "own", 12)))
    assert found.x.shape == (12, 3, 8, 8) and found.x.dtype == torch.uint8
    assert found.labels is not None and found.labels.bincount().tolist() == [6, 6]
    assert found.test is None


def test_what_a_folder_sets_apart_for_tests(tmp_path):
    pictures(tmp_path / "own/train", 12)
    pictures(tmp_path / "own/test", 6)
    found = open_source(str(tmp_path / "own"))
    assert found.x.shape[0] == 12 and found.test is not None and found.test.shape[0] == 6


def test_arrays_in_files(tmp_path):
    x = np.arange(60, dtype=np.float32).reshape(20, 3)
    np.save(tmp_path / "x.npy", x)
    assert torch.equal(torch.as_tensor(open_source(str(tmp_path / "x.npy")).x[:]), torch.tensor(x))
    np.savez(tmp_path / "x.npz", x=x, label=np.arange(20) % 2, beside=x[:2])
    found = open_source(str(tmp_path / "x.npz"))
    assert found.x.shape == (20, 3) and found.labels is not None and found.labels.sum() == 10
    np.savez(tmp_path / "odd.npz", a=x, b=x)
    with pytest.raises(DataError, match="got the columns"):
        open_source(str(tmp_path / "odd.npz"))


def test_a_large_array_stays_in_its_file(tmp_path):
    np.save(tmp_path / "large.npy", np.zeros((20, 2**18 + 1), np.float32))
    assert isinstance(open_source(str(tmp_path / "large.npy")).x, Stored)


def test_a_table_of_numbers(tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = pa.table({"a": [1.0, 2.0], "b": [3, 4], "label": [0, 1]})
    parquet.write_table(table, tmp_path / "t.parquet")
    found = open_source(str(tmp_path / "t.parquet"))
    assert found.x[:].tolist() == [[1, 3], [2, 4]] and found.labels is not None
    assert found.labels.tolist() == [0, 1]
    parquet.write_table(pa.table({"a": ["x"]}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match="not hold numbers"):
        open_source(str(tmp_path / "t.parquet"))


@pytest.mark.parametrize("name", ["none.npy", "none.npz", "none.parquet", "no/such/folder"])
def test_what_is_not_there(tmp_path, name):
    with pytest.raises(DataError, match="no such"):
        open_source(str(tmp_path / name))


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "x.parquet"])
def test_what_is_damaged(tmp_path, name):
    (tmp_path / name).write_bytes(b"damaged")
    with pytest.raises(DataError, match="cannot be read as|damaged or not|cannot be loaded"):
        open_source(str(tmp_path / name))


def test_bytes_become_numbers_of_a_range_where_they_are_read():
    x = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1)
    read = in_range(x, (-1.0, 1.0))
    assert isinstance(read, Pixels) and read[:].flatten().tolist() == [-1, 1]
    part = read.part(torch.tensor([1])).to(torch.float64)
    assert part[:].dtype == torch.float64 and part[:].flatten().tolist() == [1]
    assert torch.equal(in_range(x.float(), (-1.0, 1.0))[:], x.float())
    with pytest.raises(DataError, match="--range=-1,1"):
        in_range(x, None)


def test_channels_of_bytes_come_first(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((5, 8, 8, 3), np.uint8))
    assert open_source(str(tmp_path / "x.npy")).x.shape == (5, 3, 8, 8)
