"""Images from a hub dataset, a folder of Parquet files or a folder of image files."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from gantandem.data.decoding import SUFFIXES, decode_all
from gantandem.data.folders import class_of, classes_of, list_files, say_left_aside
from gantandem.data.real import Real
from gantandem.errors import DataError, OutputError, WeightsError, need
from gantandem.files.limits import check_tables
from gantandem.nets.weights import read_tensors, write_tensors

logger = logging.getLogger(__name__)

FILES = (*SUFFIXES, ".parquet", ".npz", ".npy", ".zip", ".tar", ".gz", ".csv", ".json", ".yaml")
HUB_NAME = re.compile(r"[A-Za-z0-9_][\w.-]*/[A-Za-z0-9_][\w.-]*", re.ASCII)
"""Else a name is a path, for which nobody asks the network."""
READING = 3
"""Counted on when pictures are read otherwise, so that nothing kept before is used."""


@dataclass(frozen=True)
class Images:
    """Images uint8 (N, C, H, W) and their labels int64 (N,); -1 where there are none."""

    pixels: Tensor
    labels: Tensor


def to_range(pixels: Tensor) -> Tensor:
    """Map uint8 pixels to float32 in [-1, 1], any shape."""
    return pixels.float().div_(127.5).sub_(1.0)


def locate(name: str, hub: str, data: str | Path | None = None) -> str:
    """Return where a dataset is: a local folder if one is found, else its hub name.

    Looked at in this order: ``data`` (the dataset itself or a folder holding ``name``),
    ``$GANTANDEM_DATA/name``, ``../shared/data/name`` beside the current folder and beside the
    checkout, and at last the hub.

    Args:
        name: Folder name of the dataset, for example ``"mnist"``.
        hub: Its name on the hub, for example ``"ylecun/mnist"``.
        data: An explicit folder or hub name.

    Raises:
        DataError: If ``$GANTANDEM_DATA`` is set but does not hold the dataset.
    """
    if data is not None:
        inner = Path(data) / name
        return str(inner if inner.is_dir() else data)
    given = os.environ.get("GANTANDEM_DATA")
    if given:
        if (Path(given) / name).is_dir():
            return str(Path(given) / name)
        raise DataError(f"$GANTANDEM_DATA is {given}, and this folder holds no folder {name}")
    for root in (Path.cwd(), Path(__file__).resolve().parents[3]):
        folder = root.parent / "shared" / "data" / name
        if folder.is_dir():
            return str(folder)
    return hub


def load_images(source: str | Path, split: str = "train") -> Images:
    """Load and decode all images of one split; decoded images are cached on disk.

    Args:
        source: A folder of Parquet files as the ``datasets`` library writes them, a folder of
            image files (labels are the sub-folders; ``source/split`` is used where it exists),
            or a hub name such as ``"ylecun/mnist"``. Of image files without a folder ``test``,
            a seventh is the test set; ``load_split`` leaves it out of the other parts.
        split: ``"train"`` or ``"test"``. Default ``"train"``.

    Raises:
        DataError: If nothing is found, an image cannot be decoded (it is named), or sizes differ.
        MissingExtraError: If the ``images`` extra is not installed.
    """
    folder = Path(source)
    if not folder.is_dir():
        hub = HUB_NAME.fullmatch(str(source)) and folder.suffix.lower() not in FILES
        if not hub or folder.parent.is_dir():
            raise DataError(
                f"data: {source}: no such folder or file. Give a folder of images, an .npy, .npz "
                "or .parquet file, or OWNER/NAME of the hub (if there is a folder OWNER here, "
                "the name is taken for a path)"
            )
        return _decode(_table_rows(str(source), split), str(source))
    files, hidden = list_files(folder)
    say_left_aside(folder, files, hidden)
    tables = [path for path in files if path.suffix == ".parquet"]
    if tables:
        check_tables(tables, folder)
        return _cached(tables, split, lambda: _decode(_table_rows(str(folder), split), str(folder)))
    inner = folder / split if (folder / split).is_dir() else folder
    paths = [p for p in files if p.suffix.lower() in SUFFIXES and p.is_relative_to(inner)]
    if inner == folder and (folder / "test").is_dir():
        paths = [path for path in paths if path.relative_to(folder).parts[0] != "test"]
    if not paths:
        raise DataError(
            f"{inner} holds no images; allowed are Parquet files and {', '.join(SUFFIXES)} files"
        )
    if split == "test" and not has_test(source):
        whole = load_images(source, "train")
        _, held = _held_out(len(whole.pixels))
        return Images(whole.pixels[held], whole.labels[held])
    classes = classes_of(folder, files)
    return _cached(paths, split, lambda: _decode(_file_rows(classes, folder, paths), str(inner)))


def has_test(source: str | Path) -> bool:
    """Whether it has test images of its own; tables and hubs refuse where there are none."""
    folder = Path(source)
    tables = folder.is_dir() and any(path.suffix == ".parquet" for path in list_files(folder)[0])
    return not folder.is_dir() or (folder / "test").is_dir() or tables


def _held_out(count: int) -> tuple[Tensor, Tensor]:
    """Which of so many images are for training, and which seventh is held out for tests."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(1))
    return order[max(1, count // 7) :].sort().values, order[: max(1, count // 7)].sort().values


@dataclass(frozen=True)
class Split:
    """Labelled images in the four parts of ``Real``."""

    fit: Images
    select: Images
    calibrate: Images
    test: Images


def load_split(source: str | Path, sizes: tuple[int, int, int]) -> Split:
    """Load a dataset and split its training set once, the same way for every seed.

    Args:
        source: As for ``load_images``.
        sizes: Images in the fit, select and calibrate parts of the training set.

    Raises:
        DataError: If the dataset cannot be found or read, or has too few training images.
    """
    train, test = load_images(source, "train"), load_images(source, "test")
    if not has_test(source):
        kept, held = _held_out(len(train.pixels))
        train = Images(train.pixels[kept], train.labels[kept])
        logger.warning(
            "%s has no folder test: %d of its images are held out as the test set, and %d are left "
            "for training", source, len(held), len(kept)
        )  # fmt: skip
    if train.pixels.shape[1:] != test.pixels.shape[1:]:
        shapes = (tuple(part.pixels.shape[1:]) for part in (train, test))
        raise DataError(
            "{}: training images are {}, but test images are {}; all must have one shape".format(
                source, *shapes
            )
        )
    if len(train.pixels) < sum(sizes):
        raise DataError(
            f"{source} has {len(train.pixels)} training images, but needs at least {sum(sizes)}"
        )
    order = torch.randperm(len(train.pixels), generator=torch.Generator().manual_seed(0))
    fit, select, calibrate = (
        Images(train.pixels[rows], train.labels[rows])
        for rows in order[: sum(sizes)].split(list(sizes))
    )
    return Split(fit, select, calibrate, test)


def load_real(source: str | Path, sizes: tuple[int, int, int]) -> Real:
    """Load images as ``load_split`` does, as float32 (N, C, H, W) in [-1, 1]."""
    parts = load_split(source, sizes)
    return Real(
        fit=to_range(parts.fit.pixels),
        select=to_range(parts.select.pixels),
        calibrate=to_range(parts.calibrate.pixels),
        test=to_range(parts.test.pixels),
    )


def _table_rows(source: str, split: str) -> Iterable[tuple[str, bytes, int]]:
    """Yield (what it is called, encoded bytes, label) of a hub or Parquet dataset."""
    datasets = need("datasets", "images")
    try:
        table = datasets.load_dataset(source, split=split)
    except Exception as error:  # the library raises many unrelated kinds, none of ours
        raise DataError(
            f"dataset {source!r}, split {split!r}, cannot be loaded ({error}). Pass its folder as "
            "data=, set $GANTANDEM_DATA to the folder that holds it, put it into ../shared/data, "
            "or check the hub name and the network connection"
        ) from error
    column = next((c for c in ("image", "img") if c in table.column_names), None)
    if column is None:
        raise DataError(f"{source}: no column 'image' or 'img' among {table.column_names}")
    try:
        table = table.cast_column(column, datasets.Image(decode=False))
        labels = table["label"] if "label" in table.column_names else [-1] * len(table)
        for row, (image, label) in enumerate(zip(table[column], labels, strict=True)):
            if image is None or image["bytes"] is None:
                raise DataError(f"{source}: row {row} has no image: remove this row")
            if not isinstance(label, int):
                raise DataError(
                    f"{source}: row {row} has the label {label!r}, which is not a number"
                )
            yield f"row {row} ({image['path']})", image["bytes"], label
    except (DataError, MemoryError):
        raise
    except Exception as error:  # as above, of what is no image column and of damaged files
        raise DataError(f"{source}: column {column!r} holds no images ({error})") from error


def _file_rows(
    classes: Mapping[tuple[str, ...], int], folder: Path, paths: list[Path]
) -> Iterable[tuple[str, bytes, int]]:
    for path in paths:
        label = classes.get(class_of(folder, path), -1)
        try:
            encoded = path.read_bytes()
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
        yield str(path), encoded, label


def _decode(rows: Iterable[tuple[str, bytes, int]], where: str) -> Images:
    return Images(*decode_all(rows, where))


def _cached(files: list[Path], split: str, decode: Callable[[], Images]) -> Images:
    """Return decoded images from the user's cache, which is keyed by paths, sizes and times."""
    stamp = hashlib.sha256(f"{READING} {split}".encode())
    for file in files:
        status = file.stat()
        stamp.update(f"{file.resolve()} {status.st_size} {status.st_mtime_ns}\n".encode())
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    path = home / "gantandem" / f"{stamp.hexdigest()[:32]}.safetensors"
    if path.exists():
        try:
            tensors, _ = read_tensors(path)
            return Images(tensors["pixels"], tensors["labels"])
        except (WeightsError, KeyError):
            logger.warning("%s is damaged and is made again", path)
    images = decode()
    try:
        write_tensors(path, {"pixels": images.pixels, "labels": images.labels})
    except OutputError as error:
        logger.warning("decoded images are not cached: %s", error)
    return images
