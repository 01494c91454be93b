"""Samples in files: pictures, arrays and folders, each with its name."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from gantandem.data.named import read_named
from gantandem.errors import DataError
from gantandem.nets.weights import write_tensors


def picture(path, value, mode="L", size=(4, 3)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path)
    return path


def test_pictures_are_read_in_order_with_names_and_range(tmp_path):
    for name, value in (("b.png", 255), ("a.png", 0), ("inner/c.png", 51)):
        picture(tmp_path / name, value)
    (tmp_path / "notes.txt").write_text("no picture")
    found = read_named(tmp_path)
    assert [name.removeprefix(f"{tmp_path}/") for name in found.names] == [
        "a.png",
        "b.png",
        "inner/c.png",
    ]
    assert found.x.shape == (3, 1, 3, 4) and found.x.dtype == torch.float32
    assert found.x[:, 0, 0, 0].tolist() == pytest.approx([-1, 1, -0.6])
    assert str(found.inside[2]) == "inner/c.png" and found.files[2] == tmp_path / "inner/c.png"
    other = read_named([tmp_path / "b.png", tmp_path / "inner"], range=(0.0, 255.0))
    assert other.x[:, 0, 0, 0].tolist() == [255, 51]


def test_pictures_take_the_channels_that_are_wanted(tmp_path):
    grey, colour = picture(tmp_path / "g.png", 7), picture(tmp_path / "c.png", (1, 2, 3), "RGB")
    assert read_named([grey, colour], shape=(3, 3, 4)).x.shape == (2, 3, 3, 4)
    assert read_named([grey, colour], shape=(1, 3, 4)).x.shape == (2, 1, 3, 4)
    with pytest.raises(DataError, match=r"c\.png has shape \(3, 3, 4\) and .*g\.png \(1, 3, 4\)"):
        read_named([grey, colour])


def test_arrays_are_read_with_a_name_for_each_row(tmp_path):
    x = np.arange(6.0).reshape(3, 2)
    np.save(tmp_path / "a.npy", x)
    np.savez(tmp_path / "b.npz", x=x + 1, ids=np.arange(3))
    write_tensors(tmp_path / "c.safetensors", {"samples": torch.tensor(x)})
    assert np.array_equal(read_named(tmp_path / "a.npy").x, x)
    assert np.array_equal(read_named(tmp_path / "b.npz").x, x + 1)
    np.savez(tmp_path / "d.npz", x=x, label=np.array([2, 0, 1]))
    assert read_named(tmp_path / "d.npz").cond.tolist() == [2, 0, 1]
    assert read_named([tmp_path / "a.npy", tmp_path / "d.npz"]).cond is None
    assert np.array_equal(read_named(tmp_path / "c.safetensors").x, x)
    both = read_named([tmp_path / "a.npy", tmp_path / "b.npz"])
    assert np.array_equal(both.x, np.concatenate([x, x + 1]))
    assert both.names[4] == f"{tmp_path / 'b.npz'}[1]" and both.files[4] is None


def test_parquet_holds_pictures_rows_or_what_sample_writes(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    encoded = [picture(tmp_path / f"{i}.png", 60 * i).read_bytes() for i in range(2)]
    parquet.write_table(
        arrow.table({"image": [{"bytes": one, "path": None} for one in encoded]}),
        tmp_path / "images.parquet",
    )
    assert read_named(tmp_path / "images.parquet", range=(0.0, 255.0)).x[1, 0, 0, 0] == 60
    flat = arrow.FixedSizeListArray.from_arrays(np.arange(12.0), 6)
    table = arrow.table({"id": [0, 1], "x": flat})
    table = table.replace_schema_metadata({"x_shape": "(1, 2, 3)"})
    parquet.write_table(table, tmp_path / "written.parquet")
    assert read_named(tmp_path / "written.parquet").x.shape == (2, 1, 2, 3)
    parquet.write_table(arrow.table({"id": [5], "a": [1.0], "b": [2.0]}), tmp_path / "rows.parquet")
    assert read_named(tmp_path / "rows.parquet").x.tolist() == [[1.0, 2.0]]


def test_what_cannot_be_read_is_one_message(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    broken, text = tmp_path / "broken.png", tmp_path / "x.txt"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    text.write_text("1")
    wrong = tmp_path / "wrong.npy"
    wrong.write_bytes(b"nothing")
    several = tmp_path / "several.npz"
    np.savez(several, a=np.zeros((2, 2)), b=np.zeros((2, 2)))
    pickled = tmp_path / "pickled.npy"
    np.save(pickled, np.array([{}], dtype=object), allow_pickle=True)
    small = picture(tmp_path / "small.png", 1, size=(2, 2))
    large = picture(tmp_path / "large.png", 1, size=(3, 2))
    np.save(tmp_path / "numbers.npy", np.zeros((1, 1, 2, 2)))
    cases = {
        "holds no samples": empty,
        "no such file or folder": tmp_path / "missing.png",
        "is of another kind": text,
        "broken.png cannot be read as an image": broken,
        "wrong.npy cannot be read": wrong,
        r"holds 2 arrays \(a, b\)": several,
        "pickled.npy cannot be read": pickled,
        r"large.png has shape \(1, 2, 3\) and": [small, large],
        "pixels but .*numbers.npy holds numbers": [small, tmp_path / "numbers.npy"],
        "no file was given": [],
    }
    for message, paths in cases.items():
        with pytest.raises(DataError, match=message):
            read_named(paths)
