"""Sample files: what is written block by block is what was drawn, whatever the blocks."""

from __future__ import annotations

import dataclasses
import io
import json
import signal
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image
from pyarrow import parquet

from gantandem import Samples
from gantandem.errors import BudgetError, ConfigError, InputError, OutputError
from gantandem.runs import drawing, pretrained_run, sample_run
from gantandem.runs.formats import make_writer
from gantandem.runs.reading import load_recipe
from gantandem.runs.writers import SHARD, Writer


def samples(start: int, stop: int, shape: tuple[int, ...] = (2,)) -> Samples:
    ids = torch.arange(start, stop)
    x = (ids.view(-1, *[1] * len(shape)) % 256).expand(-1, *shape) / 127.5 - 1
    z, zero = ids.float().view(-1, 1), torch.zeros_like(ids)
    return Samples(x, z, ids.double(), zero, zero + 1, ids >= 0, ids, {"seed": 0})


@pytest.mark.parametrize("sizes", [[25_000], [9_999, 1, 1, 14_999], [4_000] * 6 + [1_000]])
def test_shards_do_not_depend_on_the_blocks(tmp_path, sizes):
    writer = make_writer("npz", tmp_path)
    at = 0
    for size in sizes:
        writer.add(samples(at, at + size))
        at += size
        assert writer.kept == at // SHARD * SHARD
    writer.close()
    assert writer.kept == 25_000
    parts = [Samples.load(path) for path in sorted(tmp_path.glob("*.npz"))]
    assert [len(part) for part in parts] == [SHARD, SHARD, 5_000]
    assert torch.equal(torch.cat([part.ids for part in parts]), torch.arange(25_000))
    assert torch.equal(torch.cat([part.x for part in parts]), samples(0, 25_000).x)


@pytest.mark.parametrize(("shape", "mode"), [((1, 4, 5), "L"), ((3, 4, 5), "RGB")])
def test_images_are_named_by_their_id_and_keep_every_level(tmp_path, shape, mode):
    writer = make_writer("png", tmp_path)
    writer.add(samples(100, 356, shape))
    writer.close()
    assert writer.kept == len(list(tmp_path.glob("*.png"))) == 256
    for index in range(100, 356):
        with Image.open(tmp_path / f"{index:012d}.png") as image:
            assert (image.mode, image.size) == (mode, (5, 4))
            assert np.unique(np.asarray(image)).tolist() == [index % 256]


def members(path):
    with tarfile.open(path) as tar:
        return {m.name: tar.extractfile(m).read() for m in tar.getmembers()}


@pytest.mark.parametrize(("shape", "ending"), [((3, 4, 5), "png"), ((2,), "npy")])
def test_a_shard_holds_each_sample_with_what_is_known_of_it(tmp_path, shape, ending):
    writer = make_writer("webdataset", tmp_path)
    drawn = dataclasses.replace(samples(7, 27, shape), condition=torch.arange(20) % 3)
    writer.add(drawn)
    writer.close()
    assert writer.kept == 20
    found = members(tmp_path / "000000000007.tar")
    assert [name.split(".")[0] for name in found] == [
        f"{i:012d}" for i in range(7, 27) for _ in "abc"
    ]
    for row, index in enumerate(range(7, 27)):
        content, known, label = (found[f"{index:012d}.{e}"] for e in (ending, "json", "cls"))
        if ending == "npy":
            assert (
                np.load(io.BytesIO(content), allow_pickle=False).tolist() == drawn.x[row].tolist()
            )
        else:
            with Image.open(io.BytesIO(content)) as image:
                assert np.unique(np.asarray(image)).tolist() == [index]
        assert json.loads(known) == {
            "ids": index, "log_ratio": float(index), "steps": 0, "attempts": 1, "accepted": True,
        }  # fmt: skip
        assert int(label) == row % 3


def test_shards_are_read_by_webdataset(tmp_path):
    """The library itself, where it is installed: pip install webdataset."""
    wds = pytest.importorskip("webdataset")
    writer = make_writer("webdataset", tmp_path)
    writer.add(samples(0, SHARD + 5))
    writer.close()
    shards = [str(path) for path in sorted(tmp_path.glob("*.tar"))]
    rows = list(wds.WebDataset(shards, shardshuffle=False).decode())
    assert [int(row["__key__"]) for row in rows] == list(range(SHARD + 5))
    assert all(row["json"]["ids"] == int(row["__key__"]) for row in rows)
    x = torch.stack([torch.from_numpy(row["npy"]) for row in rows])
    assert torch.equal(x, samples(0, SHARD + 5).x)


def test_points_are_no_images(tmp_path):
    with pytest.raises(InputError, match=r"\(2,\).*npz"):
        make_writer("png", tmp_path).add(samples(0, 3))


def test_a_format_that_is_unknown_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"'gif'.*npz, png, parquet, webdataset"):
        make_writer("gif", tmp_path)


def test_only_sample_files_are_replaced(tmp_path):
    for name in ("000000000000.npz", "notes.npz", "samples.parquet", "samples-mine.parquet"):
        (tmp_path / name).write_text("kept?")
    with pytest.raises(InputError, match="overwrite"):
        make_writer("npz", tmp_path)
    writer = make_writer("npz", tmp_path, overwrite=True)
    assert (tmp_path / "samples.parquet").exists()  # until there is something to replace it
    writer.add(samples(0, 3))
    writer.close()
    names = {path.name for path in tmp_path.iterdir()}
    own = {"000000000000.npz", "000000000000.json"}
    assert names == own | {"notes.npz", "samples-mine.parquet"}
    assert len(Samples.load(tmp_path / "000000000000.npz")) == 3


@pytest.mark.parametrize("kind", ["npz", "png", "parquet", "webdataset"])
def test_a_folder_that_cannot_be_made_is_named(tmp_path, kind):
    (tmp_path / "file").write_text("")
    writer = make_writer(kind, tmp_path / "file" / "inside")
    writer_of_rows = samples(0, 3, (1, 2, 2))
    with pytest.raises(OutputError, match="inside"):
        writer.add(writer_of_rows)
        writer.close()
    assert writer.kept == 0


@pytest.mark.parametrize("kind", ["npz", "parquet"])
def test_ctrl_c_waits_until_a_file_is_whole(tmp_path, monkeypatch, kind):
    whole, calls = Writer._write_counted, []

    def stopped(self, samples):
        calls.append(1)
        if len(calls) == 2:
            signal.raise_signal(signal.SIGINT)
        whole(self, samples)

    monkeypatch.setattr(Writer, "_write_counted", stopped)
    before = signal.getsignal(signal.SIGINT)
    work = pretrained_run(load_recipe("imbalanced-8"), tmp_path / "run")
    with pytest.raises(KeyboardInterrupt) as stop:
        sample_run(work, "direct", 60_000, tmp_path / "s", kind=kind)
    assert signal.getsignal(signal.SIGINT) is before
    if kind == "npz":
        files = sorted((tmp_path / "s").glob("*.npz"))
        ids = np.concatenate([Samples.load(file).ids for file in files])
    else:
        files = sorted((tmp_path / "s").glob("*.parquet"))
        ids = np.concatenate([parquet.read_table(file)["id"].to_numpy() for file in files])
    assert ids.tolist() == list(range(len(ids))) and 2 * SHARD <= len(ids) < 60_000
    assert f"the first {len(ids):,} of 60,000" in str(stop.value)
    assert json.loads((tmp_path / "s/manifest.json").read_text())["returned"] == len(ids)


@pytest.mark.parametrize("error", [BudgetError, InputError])
def test_what_was_drawn_before_an_error_is_kept_and_said(tmp_path, monkeypatch, error):
    def stopped(*arguments, **options):
        yield samples(0, 7)
        raise error("all attempts are used up")

    monkeypatch.setattr(drawing, "sample_iter", stopped)
    work = pretrained_run(load_recipe("imbalanced-8"), tmp_path / "run")
    with pytest.raises(error, match="used up. the first 7 of 20 samples are kept in"):
        sample_run(work, "direct", 20, tmp_path / "s")
    assert len(Samples.load(tmp_path / "s/000000000000.npz")) == 7
