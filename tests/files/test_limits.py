"""A small file that claims much, or unpacks to much, ends in one message before it is unpacked."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib

import numpy as np
import pytest
import torch

import gantandem as gt
from gantandem import Samples
from gantandem.data import decoding
from gantandem.data.images import load_images
from gantandem.data.sources import open_source
from gantandem.errors import DataError, WeightsError
from gantandem.files import limits
from gantandem.nets.opening import open_weights
from gantandem.nets.weights import read_tensors
from gantandem.reporting.evidence import read_evidence
from gantandem.runs import verify_folder
from gantandem.testing import toy_gan

MEGABYTES = 8_000_000


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def little_memory(monkeypatch):
    monkeypatch.setattr(limits, "memory", lambda: MEGABYTES)


def chunk(kind, content):
    crc = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)


@pytest.mark.parametrize(
    ("width", "told"),
    [(20_000, r"cannot be read as an image .*decompression bomb"),
     (9_000, r"has 9,000 x 9,000 pixels.*not a decompression bomb")],
)  # fmt: skip
def test_a_png_that_claims_too_many_pixels_is_refused(width, told, tmp_path, recwarn):
    header = struct.pack(">IIBBBBB", width, width, 8, 0, 0, 0, 0)
    content = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(9)))
    )
    (tmp_path / "huge.png").write_bytes(content + chunk(b"IEND", b""))
    with pytest.raises(DataError, match=rf"huge\.png {told}"):
        load_images(tmp_path)
    assert not recwarn.list


def test_many_pictures_that_together_are_too_large_are_refused(tmp_path, little_memory):
    image = pytest.importorskip("PIL.Image")
    for index in range(9):
        image.new("L", (1000, 1000)).save(tmp_path / f"{index}.png")
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 20_000
    with pytest.raises(DataError, match=r"takes 0\.0 GB of memory"):
        load_images(tmp_path)


def test_a_table_that_unpacks_to_too_much_is_refused(tmp_path, little_memory):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    image = {"bytes": bytes(2 * MEGABYTES), "path": "a.png"}
    table = arrow.table({"image": [image]})
    parquet.write_table(table, tmp_path / "train.parquet", compression="gzip", use_dictionary=False)
    assert (tmp_path / "train.parquet").stat().st_size < 100_000
    with pytest.raises(DataError, match="of memory to read.*decompression bomb"):
        load_images(tmp_path)


def packed(array, **others):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, x=array, **others)
    return buffer.getvalue()


def claiming():
    """An .npz whose array says that it is 8 TB, in a few bytes."""
    array = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": (1 << 40,)}
    np.lib.format.write_array_header_1_0(array, header)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x.npy", array.getvalue() + bytes(80))
    return file.getvalue()


@pytest.mark.parametrize("content", [packed(np.zeros(2 * MEGABYTES, np.uint8)), claiming()])
def test_arrays_that_are_too_large_are_refused(content, tmp_path, little_memory):
    told = "of memory to read|claims to have shape"
    path = tmp_path / "samples.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=told):
        Samples.load(path)
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence" / "real.npz").write_bytes(content)
    (tmp_path / "metrics.json").write_text('{"schema": 1, "samplers": {"a": {"metrics": {}}}}')
    with pytest.raises(DataError, match=told):
        read_evidence(tmp_path)
    with pytest.raises(DataError, match=told):
        open_source(str(path))


def test_a_parquet_file_of_numbers_that_is_too_large_is_refused(tmp_path, little_memory):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "x.parquet"
    parquet.write_table(arrow.table({"a": np.zeros(MEGABYTES // 4, np.float32)}), path)
    assert path.stat().st_size < 10_000
    with pytest.raises(DataError, match="of memory to read.*decompression bomb"):
        open_source(str(path))


class Filled:
    """Is pickled as a call that takes memory, of which no tensor tells."""

    def __reduce__(self):
        return bytearray, (1 << 40,)


@pytest.mark.parametrize("archived", [True, False])
def test_a_weight_file_that_fills_memory_beside_its_tensors_is_refused(archived, tmp_path):
    path = tmp_path / "netG.pth"
    content = {"w": torch.zeros(2), "beside": Filled()}
    torch.save(content, path, _use_new_zipfile_serialization=archived)
    with pytest.raises(WeightsError, match=r"netG\.pth holds a bytearray"):
        open_weights(path)


@pytest.mark.parametrize("archived", [True, False])
def test_a_storage_that_claims_more_numbers_than_there_are_is_refused(
    archived, tmp_path, monkeypatch
):
    path = tmp_path / "netG.pth"
    torch.save({"w": torch.zeros(4, 4)}, path, _use_new_zipfile_serialization=archived)
    few, many = b"K\x10" + b"Nt"[archived:], b"J\xff\xff\xff\x7f" + b"Nt"[archived:]
    if archived:
        with zipfile.ZipFile(path) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(path, "w") as archive:
            for name, part in parts.items():
                archive.writestr(name, part.replace(few, many))
    else:
        path.write_bytes(path.read_bytes().replace(few, many))
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("made something"))
    with pytest.raises(WeightsError, match="claims to unpack to 2,147,483,647"):
        open_weights(path)


def test_weights_that_the_memory_cannot_hold_are_refused(tmp_path, little_memory):
    torch.save({"w": torch.zeros(MEGABYTES // 4)}, tmp_path / "netG.pth")
    with pytest.raises(WeightsError, match="of memory to read"):
        open_weights(tmp_path / "netG.pth")


@pytest.mark.parametrize("length", [1 << 20, 1 << 40, (1 << 64) - 1])
def test_a_weight_file_with_a_huge_header_is_refused(length, tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(struct.pack("<Q", length) + b"{}" + bytes(100))
    with pytest.raises(WeightsError, match="truncated or not a safetensors file"):
        read_tensors(path)


def test_a_weight_file_whose_tensor_claims_more_than_there_is_is_refused(tmp_path):
    entry = {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}
    header = json.dumps({"w": entry}).encode()
    path = tmp_path / "w.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(100))
    with pytest.raises(WeightsError, match="truncated or not a safetensors file"):
        read_tensors(path)


DEEP = "[" * 100_000 + "]" * 100_000


def test_json_that_nests_too_deep_is_damaged(tmp_path):
    (tmp_path / "000000000000.json").write_text(DEEP)
    assert "000000000000.json: damaged" in verify_folder(tmp_path).faults[0]
    (tmp_path / "metrics.json").write_text(f'{{"schema": 1, "samplers": {DEEP}}}')
    with pytest.raises(DataError, match="damaged"):
        read_evidence(tmp_path)
    made = gt.sample(toy_gan(), "direct", 4, progress=False)
    arrays = {name: getattr(made, name).numpy() for name in made.fields}
    np.savez(tmp_path / "s.npz", manifest=np.array(DEEP), **arrays)
    with pytest.raises(DataError, match="nested too deep"):
        Samples.load(tmp_path / "s.npz")


def test_the_limit_is_the_machine_s_memory():
    assert 1 << 26 < limits.memory() < 1 << 50
    assert decoding.LARGEST * 3 < limits.memory()
    limits.check_size(limits.memory(), "all of it")
    with pytest.raises(DataError, match="one more: takes"):
        limits.check_size(limits.memory() + 1, "one more")
