"""Pictures as users have them: read as they are, or refused by name; never changed in silence."""

from __future__ import annotations

import io
import logging
import struct
import zlib

import numpy as np
import pytest
import torch

from gantandem.data.images import load_images, load_split
from gantandem.errors import DataError

datasets = pytest.importorskip("datasets")
Image = pytest.importorskip("PIL.Image")

GREY = np.arange(30, dtype=np.uint8).reshape(5, 6) * 8
RGB = np.stack([GREY, 255 - GREY, GREY // 2], axis=2)
OPAQUE, SEEN_THROUGH = np.full_like(GREY, 255), np.where(GREY > 99, 255, 254).astype(np.uint8)


@pytest.fixture(autouse=True)
def own_caches(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "tables")


def saved(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def picture(array, mode=None):
    return Image.fromarray(array) if mode is None else Image.fromarray(array).convert(mode)


def with_alpha(array, alpha):
    channels = array if array.ndim == 3 else array[..., None]
    return picture(np.concatenate([channels, alpha[..., None]], axis=2))


def palette(**options):
    """A picture of 30 colours, of which the file may say that some are transparent."""
    image = Image.frombytes("P", (6, 5), bytes(range(30)))
    image.putpalette(RGB.reshape(-1).tolist())
    return saved(image, **options)


def held_as(turn):
    """RGB as a camera stores it that was held otherwise."""
    exif = Image.Exif()
    exif[0x0112] = turn
    return saved(picture(RGB), exif=exif)


def several(kind):
    frames = [picture(RGB), picture(RGB[::-1].copy())]
    return saved(frames[0], kind, save_all=True, append_images=frames[1:])


def deep_rgb():
    """A PNG of one pixel with 16 bits a channel, which Pillow cannot write."""

    def chunk(kind, content):
        end = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + end

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(b"\x00" + bytes(6)))
    return b"\x89PNG\r\n\x1a\n" + head + data + chunk(b"IEND", b"")


READ = {
    "grey": (lambda: saved(picture(GREY)), GREY),
    "RGB": (lambda: saved(picture(RGB)), RGB),
    "1 bit": (lambda: saved(picture(GREY > 99)), np.where(GREY > 99, 255, 0)),
    "TIFF": (lambda: saved(picture(RGB), "TIFF"), RGB),
    "GIF of one frame": (lambda: saved(picture(GREY), "GIF"), np.stack([GREY] * 3, axis=2)),
    "WebP": (lambda: saved(picture(RGB), "WEBP", lossless=True), RGB),
    "palette": (palette, RGB),
    "palette, the transparent colour unused": (lambda: palette(transparency=77), RGB),
    "RGBA, opaque": (lambda: saved(with_alpha(RGB, OPAQUE)), RGB),
    "LA, opaque": (lambda: saved(with_alpha(GREY, OPAQUE)), GREY),
    **{f"EXIF {turn}": (lambda turn=turn: held_as(turn), turned) for turn, turned in {
        1: RGB, 2: RGB[:, ::-1], 3: RGB[::-1, ::-1], 4: RGB[::-1], 5: RGB.transpose(1, 0, 2),
        6: np.rot90(RGB, -1), 7: np.rot90(RGB, 2).transpose(1, 0, 2), 8: np.rot90(RGB),
    }.items()},
}  # fmt: skip

REFUSED = {
    "PNG of 16 bits": (lambda: saved(picture(GREY.astype(np.uint16) * 250)), "more than 8 bits"),
    "RGB PNG of 16 bits": (deep_rgb, "more than 8 bits"),
    "TIFF of 16 bits": (
        lambda: saved(picture(GREY.astype(np.uint16) * 250), "TIFF"), "more than 8 bits"
    ),
    "mode I": (lambda: saved(picture(GREY.astype(np.int32)), "TIFF"), "more than 8 bits"),
    "mode F": (lambda: saved(picture(GREY.astype(np.float32)), "TIFF"), "more than 8 bits"),
    "CMYK JPEG": (lambda: saved(picture(RGB, "CMYK"), "JPEG"), "is of mode CMYK"),
    "LAB": (lambda: saved(picture(RGB, "LAB"), "TIFF"), "is of mode LAB"),
    "RGBA": (lambda: saved(with_alpha(RGB, SEEN_THROUGH)), "has transparent pixels"),
    "LA": (lambda: saved(with_alpha(GREY, SEEN_THROUGH)), "has transparent pixels"),
    "palette with a transparent colour": (
        lambda: palette(transparency=7), "has transparent pixels"
    ),
    "palette with alpha": (
        lambda: palette(transparency=bytes([255] * 9 + [128] * 21)), "has transparent pixels"
    ),
    "grey with a transparent value": (
        lambda: saved(picture(GREY), transparency=80), "has transparent pixels"
    ),
    "RGB with a transparent colour": (
        lambda: saved(picture(RGB), transparency=(80, 175, 40)), "has transparent pixels"
    ),
    "1 bit with a transparent value": (
        lambda: saved(picture(GREY > 99), transparency=0), "has transparent pixels"
    ),
    "WebP with alpha": (
        lambda: saved(with_alpha(RGB, SEEN_THROUGH), "WEBP", lossless=True), "transparent pixels"
    ),
    "animated GIF": (lambda: several("GIF"), "holds 2 images"),
    "animated WebP": (lambda: several("WEBP"), "holds 2 images"),
    "animated PNG": (lambda: several("PNG"), "holds 2 images"),
    "TIFF of two pages": (lambda: several("TIFF"), "holds 2 images"),
    "a program for a printer": (
        lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 6 5\n%%EndComments\n",
        "cannot be read as an image .none of PNG",
    ),
}  # fmt: skip


def as_file(content, folder):
    (folder / "set").mkdir()
    (folder / "set" / "a.png").write_bytes(content)
    return folder / "set", r"a\.png"


def as_table(content, folder):
    features = datasets.Features({"image": datasets.Image()})
    columns = {"image": [{"bytes": content, "path": "a.png"}]}
    (folder / "set").mkdir()
    table = datasets.Dataset.from_dict(columns, features=features)
    table.to_parquet(str(folder / "set" / "train.parquet"))
    return folder / "set", r"row 0 \(a\.png\)"


@pytest.mark.parametrize("place", [as_file, as_table])
@pytest.mark.parametrize("kind", READ)
def test_what_is_read_is_as_it_is(kind, place, tmp_path):
    make, wanted = READ[kind]
    folder, _ = place(make(), tmp_path)
    found = load_images(folder).pixels[0]
    wanted = torch.tensor(np.atleast_3d(wanted).copy(), dtype=torch.uint8).permute(2, 0, 1)
    assert torch.equal(found, wanted)


@pytest.mark.parametrize("place", [as_file, as_table])
@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_refused_is_named(kind, place, tmp_path):
    make, reason = REFUSED[kind]
    folder, name = place(make(), tmp_path)
    with pytest.raises(DataError, match=f"{name} .*{reason}"):
        load_images(folder)


def test_each_reason_is_told_once_with_how_many_there_are(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.png").write_bytes(REFUSED["RGBA"][0]())
    (tmp_path / "d.jpg").write_bytes(REFUSED["CMYK JPEG"][0]())
    with pytest.raises(DataError) as told:
        load_images(tmp_path)
    assert str(told.value).count("transparent") == 1
    assert "a.png has" in str(told.value) and "(and 2 more); " in str(told.value)
    assert "d.jpg is of mode CMYK" in str(told.value)


def test_a_phone_s_picture_with_a_preview_is_read(tmp_path):
    (tmp_path / "a.jpg").write_bytes(
        saved(picture(RGB), "MPO", save_all=True, append_images=[picture(RGB)], quality=95)
    )
    assert load_images(tmp_path).pixels.shape == (1, 3, 5, 6)


def test_files_of_systems_are_skipped_and_counted(tmp_path, caplog):
    whole = saved(picture(GREY))
    for name in ("cat/a.png", "dog/b.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(whole)
    for name in ("cat/._a.png", "__MACOSX/cat/a.png", ".cache/c.png", ".DS_Store", "Thumbs.db",
                 "._x.parquet", "notes.txt"):  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_bytes(b"Mac OS X")
    with caplog.at_level(logging.INFO, "gantandem"):
        found = load_images(tmp_path)
    assert found.labels.tolist() == [0, 1]
    assert (
        "skipped 6 hidden files and files of operating systems, and 1 files that are not"
        in caplog.text
    )
    assert not [one for one in caplog.records if one.levelno > logging.INFO]
    (tmp_path / "c.HEIC").write_bytes(b"")
    load_images(tmp_path)
    assert "skipped 1 files of other formats (c.HEIC" in caplog.text


@pytest.mark.parametrize(
    ("image", "label", "told"),
    [(None, 0, "row 1 has no image"), ({"bytes": None, "path": "/etc/hosts"}, 0, "no image"),
     ({"bytes": saved(picture(GREY)), "path": ""}, None, "row 1 has the label None")],
)  # fmt: skip
def test_empty_cells_of_tables_are_named(image, label, told, tmp_path):
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
    columns = {"image": [{"bytes": saved(picture(GREY)), "path": ""}, image], "label": [1, label]}
    table = datasets.Dataset.from_dict(columns, features=features)
    table.to_parquet(str(tmp_path / "train.parquet"))
    with pytest.raises(DataError, match=told):
        load_images(tmp_path)


def test_a_test_set_of_other_images_is_refused(tmp_path):
    for name, array in {"train/a.png": GREY, "train/b.png": GREY, "test/c.png": RGB}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(saved(picture(array)))
    with pytest.raises(DataError, match=r"images are \(1, 5, 6\), .* test images are \(3, 5, 6\)"):
        load_split(tmp_path, (1, 0, 0))
