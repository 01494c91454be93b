"""A user's own data by the name that stands in a run: a folder, a hub name, or a file of arrays."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from gantandem.data.images import Images, has_test, load_images
from gantandem.data.incoming import LABELS, SAMPLES, read
from gantandem.data.matching import pieces
from gantandem.data.ranges import Range
from gantandem.data.real import Stored
from gantandem.errors import DataError, need
from gantandem.files.limits import check_tables, read_npz

logger = logging.getLogger(__name__)

Source = Tensor | Stored
CHANNELS = (1, 3, 4)


class Pixels(Stored):
    """Images that are held as bytes and read as numbers: a quarter of the memory.

    Args:
        source: (M, C, H, W) uint8.
        bounds: What 0 and 255 are read as.
        places: As for :class:`Stored`.
        dtype: Likewise; float32 by default.
    """

    def __init__(
        self,
        source: np.ndarray | Tensor,
        bounds: Range,
        places: Tensor | None = None,
        dtype: torch.dtype | None = torch.float32,
    ) -> None:
        self.bounds = bounds
        super().__init__(source, places, dtype)

    def _read(self, index: slice | np.ndarray) -> Tensor:
        low, high = self.bounds
        return super()._read(index).float().mul_((high - low) / 255).add_(low)

    def part(self, index: Tensor) -> Pixels:
        """Some of the images, still as bytes."""
        return Pixels(self.source, self.bounds, self.places[index], self.dtype)

    def to(self, kind: torch.dtype | torch.device) -> Stored:
        """Read them as another type from now on."""
        own = isinstance(kind, torch.dtype)
        return Pixels(self.source, self.bounds, self.places, kind) if own else self


class Opened(NamedTuple):
    """What a source holds.

    Args:
        x: (N, *x_shape) samples; bytes where they are images.
        labels: (N, ...) what each is conditioned on, or None.
        test: (M, *x_shape) samples that the source sets apart for tests, or None.
        test_labels: (M, ...) of these.
    """

    x: Source
    labels: Tensor | None = None
    test: Source | None = None
    test_labels: Tensor | None = None


def open_source(source: str) -> Opened:
    """Open a user's own data.

    Args:
        source: A folder of images (labels are its sub-folders; ``train`` and ``test`` may be among
            them), a folder of Parquet files as the ``datasets`` library writes them, ``OWNER/NAME``
            on the hub, a Parquet file of numbers, or an ``.npy`` or ``.npz`` file. An ``.npy`` file
            stays on disk; an ``.npz`` file holds ``x`` and, with labels, ``label``.

    Raises:
        DataError: If there is nothing of that name, or it cannot be read.
        MissingExtraError: If an extra is needed that is not installed.
    """
    path = Path(source)
    kind = path.suffix.lower()
    if kind in (".npy", ".npz", ".parquet") and not path.is_dir():
        if not path.is_file():
            raise DataError(f"data: {source}: no such file")
        return {".npy": _array, ".npz": _arrays, ".parquet": _table}[kind](path)
    train = load_images(source, "train")
    if not has_test(source):
        return Opened(train.pixels, _labels(train))
    try:
        test = load_images(source, "test")
    except DataError:  # tables and hubs that have none
        return Opened(train.pixels, _labels(train))
    return Opened(train.pixels, _labels(train), test.pixels, _labels(test))


def in_range(x: Source, bounds: Range | None, where: str = "data") -> Source:
    """Samples as the generator makes them: bytes become numbers of its range.

    Raises:
        DataError: If they are bytes, and its range is not known.
    """
    if x.dtype != torch.uint8 or len(x.shape) != 4:
        return x
    if bounds is None:
        raise DataError(
            f"{where}: the images are bytes, and the generator's values fit no usual range. State "
            "which values are black and white, for example --range=-1,1"
        )
    return Pixels(x.source if isinstance(x, Stored) else x, bounds)


def fitted(x: Source, shape: tuple[int, ...], where: str) -> Source:
    """Images of bytes as large as a generator's: the middle of each is cut out and scaled down.

    Grey becomes RGB, and RGB grey. What is smaller than the generator's images stays as it is, and
    so do samples that are no images of bytes.

    Args:
        x: (N, C, H, W) images, or other samples.
        shape: ``x_shape`` of the generator.
        where: For the warning, which tells what is done.
    """
    own = tuple(x.shape[1:])
    if x.dtype != torch.uint8 or own == shape or not len(own) == len(shape) == 3:
        return x
    scale = min(own[1] / shape[1], own[2] / shape[2])
    if scale < 1 or not {own[0], shape[0]} <= {1, 3}:
        return x
    size = [min(round(side * scale), most) for side, most in zip(shape[1:], own[1:], strict=True)]
    top, left = ((most - side) // 2 for side, most in zip(size, own[1:], strict=True))
    middle = slice(top, top + size[0]), slice(left, left + size[1])
    weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    made = []
    for part in pieces(x):
        part = part[(slice(None), slice(None), *middle)].float()
        if own[0] != shape[0]:
            part = part.expand(-1, 3, -1, -1) if own[0] == 1 else (part * weights).sum(1, True)
        if tuple(size) != shape[1:]:
            part = F.interpolate(part, shape[1:], mode="bilinear", antialias=True)
        made.append(part.round().clamp(0, 255).byte())
    logger.warning(
        "%s: the images have shape %s but the generator makes %s: the middle %d x %d of each "
        "image is scaled to this size",
        *(where, own, shape, *size),
    )
    return torch.cat(made)


def _labels(images: Images) -> Tensor | None:
    return images.labels if bool((images.labels >= 0).all()) else None


def _array(path: Path) -> Opened:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"data: {path} cannot be read as an .npy file ({error})") from error
    x = read(_channels_first(array), f"data {path}").x
    small = isinstance(x, Stored) and array.nbytes < 2**24
    return Opened(x[:] if small else x)


def _arrays(path: Path) -> Opened:
    found = read_npz(path, None)
    known = {name: array for name, array in found.items() if name in (*SAMPLES, *LABELS)}
    rows = {name: _channels_first(array) for name, array in (known or found).items()}
    x, cond, _ = read(rows, f"data {path}")
    return Opened(x, cond)


def _table(path: Path) -> Opened:
    """A Parquet file of numbers: each column is one, but for the labels."""
    parquet: Any = need("pyarrow.parquet", "images")
    check_tables([path], f"data: {path}")
    try:
        table = parquet.read_table(path)
    except Exception as error:  # as of the datasets library
        raise DataError(f"data: {path} cannot be read as a Parquet file ({error})") from error
    names = [name for name in table.column_names if name not in LABELS]
    labels = [name for name in table.column_names if name in LABELS]
    try:
        columns = [np.asarray(table[name].to_numpy(), dtype=np.float32) for name in names]
    except (TypeError, ValueError) as error:
        raise DataError(
            f"data: {path}: some columns do not hold numbers ({error}). If these are images, pass "
            "the folder of the Parquet files"
        ) from error
    if not columns:
        raise DataError(f"data: {path}: there are no columns of numbers")
    x = np.stack(columns, 1)
    return Opened(*read((x, table[labels[0]].to_numpy()) if labels else x, f"data {path}")[:2])


def _channels_first(array: np.ndarray) -> np.ndarray:
    """Bytes (N, H, W, C), as image files give them, as (N, C, H, W)."""
    last = array.ndim == 4 and array.dtype == np.uint8 and array.shape[3] in CHANNELS
    return np.moveaxis(array, 3, 1) if last and array.shape[1] not in CHANNELS else array
