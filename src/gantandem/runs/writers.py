"""Files of samples, written block by block, so that memory does not depend on their number."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import tarfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gantandem.data.ranges import Range, check_range, count_clipped, find_range, to_levels
from gantandem.errors import ConfigError, InputError, NonFiniteError, OutputError, look_up, need
from gantandem.files import write_atomic, write_bytes
from gantandem.progress import uninterrupted
from gantandem.samples import Samples

SHARD = 10_000
"""Samples in one .npz file, and in one row group of a Parquet file."""
MANIFEST = "manifest.json"
KNOWN = ("ids", "log_ratio", "steps", "attempts", "accepted")
"""Numbers of a sample that go beside it into a shard."""
NAMED = 5
"""Ids a message names."""


class Writer(ABC):
    """Takes blocks of samples in id order and writes them into a folder.

    Subclass it for a format of your own and define ``write``.

    Args:
        folder: Made if needed.
        old: Files of earlier samples, removed when the first new ones are there to be written.
        bounds: The values of black and of white in files of images; None finds them by the values
            of the first block.

    Attributes:
        kept: Samples that are completely on disk.
        bounds: As given or found; None as long as no image has been written.
        clipped: Values of images outside of ``bounds``, which files of images cannot hold ...
        values: ... among so many.
    """

    pictures = False
    """Whether images are held as pictures, which need ``bounds``."""

    def __init__(self, folder: Path, old: Sequence[Path] = (), bounds: Range | None = None) -> None:
        self.folder = folder
        self.kept = 0
        self.bounds = bounds
        self.clipped = 0
        self.values = 0
        self._old = old
        self._waiting: list[Samples] = []

    def add(self, block: Samples) -> None:
        """Write a block, or keep it until a file is full.

        Raises:
            NonFiniteError: If a sample is not finite; those before it are taken, none after it.
        """
        with uninterrupted():
            self._add(block.writable())

    def _add(self, block: Samples) -> None:
        broken = (~block.x.flatten(1).isfinite()).any(1).nonzero().flatten()
        if len(broken):
            if first := int(broken[0]):
                self._add(_rows(block, 0, first))
            ids = ", ".join(str(int(block.ids[row])) for row in broken[:NAMED])
            raise NonFiniteError(
                f"samples {ids}{', ...' if len(broken) > NAMED else ''} are not finite and are not "
                "written: take a smaller step_size or check the networks, or draw the ids after "
                "them by themselves"
            )
        if self.pictures and self.bounds is None and _are_images(block):
            self.bounds = _range_of(block)
        self._take(block)

    def _take(self, block: Samples) -> None:
        self._waiting.append(block)
        while sum(map(len, self._waiting)) >= SHARD:
            everything = Samples.join(self._waiting, block.manifest)
            self._waiting = []  # should the write fail, nothing after a gap is written
            self._write_counted(_rows(everything, 0, SHARD))
            self._waiting = [_rows(everything, SHARD, None)] if len(everything) > SHARD else []

    def close(self) -> None:
        """Write what is left."""
        with uninterrupted():
            self._finish()

    def _finish(self) -> None:
        blocks, self._waiting = self._waiting, []
        if blocks:
            self._write_counted(Samples.join(blocks, blocks[-1].manifest))

    def _write_counted(self, samples: Samples) -> None:
        for path in self._old:
            path.unlink(missing_ok=True)
        self._old = ()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{self.folder}: the folder cannot be made ({error})") from error
        self.write(samples)
        self.kept += len(samples)

    @abstractmethod
    def write(self, samples: Samples) -> None:
        """Write a file's worth of samples into ``self.folder``, named by their ids."""

    def _png_files(self, samples: Samples) -> Iterator[bytes]:
        """Each image as the content of a PNG file."""
        from PIL import Image

        assert self.bounds is not None
        x = samples.x.cpu().numpy()
        self.clipped += count_clipped(x, self.bounds)
        self.values += x.size
        for image in to_levels(x, self.bounds).transpose(0, 2, 3, 1):
            buffer = io.BytesIO()
            Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(buffer, "png")
            yield buffer.getvalue()


class NpzWriter(Writer):
    """``000000000000.npz``, ...: 10,000 samples a file, named by its first id."""

    def write(self, samples: Samples) -> None:
        """See :meth:`Writer.write`."""
        samples.save(self.folder / f"{int(samples.ids[0]):012d}.npz")


class PngWriter(Writer):
    """``000000000000.png``, ...: one image a file, named by its id."""

    pictures = True

    def _take(self, block: Samples) -> None:
        self._write_counted(block)

    def write(self, samples: Samples) -> None:
        """See :meth:`Writer.write`."""
        if not _are_images(samples):
            raise InputError(
                f"format png: samples of shape {tuple(samples.x.shape[1:])} are no images (1 or 3, "
                "H, W); take npz"
            )
        for index, content in zip(samples.ids, self._png_files(samples), strict=True):
            write_bytes(self.folder / f"{int(index):012d}.png", content)


class TarWriter(Writer):
    """``000000000000.tar``, ...: WebDataset shards of 10,000 samples, named by their first id.

    A sample is ``ID.png`` (images) or ``ID.npy`` (anything else), and ``ID.json`` with what is
    known of it; a label is in ``ID.cls``.
    """

    pictures = True

    def write(self, samples: Samples) -> None:
        """See :meth:`Writer.write`."""
        kind, contents = ("png", self._png_files) if _are_images(samples) else ("npy", _npy_files)
        labels = getattr(samples, "condition", None)

        def fill(file: Any) -> None:
            with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
                for row, content in enumerate(contents(samples)):
                    known = {f: getattr(samples, f)[row].item() for f in KNOWN}
                    members = {kind: content, "json": json.dumps(known).encode()}
                    if labels is not None and labels.dim() == 1:
                        members["cls"] = str(labels[row].item()).encode()
                    for ending, data in members.items():
                        info = tarfile.TarInfo(f"{known['ids']:012d}.{ending}")
                        info.size = len(data)
                        tar.addfile(info, io.BytesIO(data))

        write_atomic(self.folder / f"{int(samples.ids[0]):012d}.tar", fill)


def _range_of(samples: Samples) -> Range:
    x = samples.x.cpu().numpy()
    bounds = find_range(x)
    if bounds is None:
        raise InputError(
            f"images with values from {x.min():.3g} to {x.max():.3g} are of none of the usual "
            "ranges: say which value is black and which is white, for example --range=-1,1 "
            "(in Python make_writer(..., range=(-1, 1)))"
        )
    return bounds


def _are_images(samples: Samples) -> bool:
    return samples.x.dim() == 4 and samples.x.shape[1] in (1, 3)


def _npy_files(samples: Samples) -> Iterator[bytes]:
    """Each sample as the content of an .npy file."""
    for value in samples.x.cpu().numpy():
        buffer = io.BytesIO()
        np.save(buffer, value, allow_pickle=False)
        yield buffer.getvalue()


class ParquetWriter(Writer):
    """``samples.parquet``: a row for each sample; x, z and condition flat, shapes in metadata."""

    def __init__(self, folder: Path, old: Sequence[Path] = (), bounds: Range | None = None) -> None:
        super().__init__(folder, old, bounds)
        self._arrow: Any = need("pyarrow", "images")
        self._parquet: Any = need("pyarrow.parquet", "images")
        self._part = folder / ".samples.parquet.part"
        self._file: Any = None

    def write(self, samples: Samples) -> None:
        """See :meth:`Writer.write`."""
        arrow = self._arrow
        columns = {"id": samples.ids.cpu().numpy()}
        for name in ("log_ratio", "steps", "attempts", "accepted"):
            columns[name] = getattr(samples, name).cpu().numpy()
        arrays = {f: getattr(samples, f) for f in samples.fields if f in ("x", "z", "condition")}
        for name, value in arrays.items():
            if value.dim() == 1:  # labels
                columns[name] = value.cpu().numpy()
                continue
            flat = np.ascontiguousarray(value.flatten(1).cpu().numpy())
            columns[name] = arrow.FixedSizeListArray.from_arrays(flat.reshape(-1), flat.shape[1])
        shapes = {f"{name}_shape": str(tuple(value.shape[1:])) for name, value in arrays.items()}
        table = arrow.table(columns).replace_schema_metadata(shapes)
        try:
            if self._file is None:
                self.folder.mkdir(parents=True, exist_ok=True)
                self._file = self._parquet.ParquetWriter(self._part, table.schema)
            self._file.write_table(table)
        except OSError as error:
            raise OutputError(f"{self._part} could not be written ({error})") from error

    def _finish(self) -> None:
        """Write what is left and give the file its name."""
        super()._finish()
        if self._file is not None:
            try:
                self._file.close()
                os.replace(self._part, self.folder / "samples.parquet")
            except OSError as error:
                self.kept = 0
                raise OutputError(f"{self._part} could not be finished ({error})") from error
            finally:
                self._file = None


WRITERS: dict[str, type[Writer]] = {
    "npz": NpzWriter,
    "png": PngWriter,
    "parquet": ParquetWriter,
    "webdataset": TarWriter,
}


def find_writer(kind: str) -> type[Writer]:
    """The writer of a format, see :func:`make_writer`.

    Raises:
        ConfigError: If there is none.
    """
    make = look_up("format", kind, WRITERS)
    if not (isinstance(make, type) and issubclass(make, Writer)):
        raise ConfigError(f"format {kind!r}: got {make!r}, allowed is a subclass of Writer")
    return make


def make_writer(
    kind: str,
    folder: str | Path,
    *,
    overwrite: bool = False,
    range: Sequence[float] | None = None,
) -> Writer:
    """Make a writer into a folder.

    Args:
        kind: ``"npz"``, ``"png"``, ``"parquet"``, ``"webdataset"``, or a :class:`Writer` of your
            own as ``"module:Name"``.
        folder: Made if needed.
        overwrite: Replace samples that are there already, once new ones have been drawn.
        range: The values of black and of white in files of images, ``(-1, 1)`` for a generator that
            ends in tanh; None finds them by the values of the first block.

    Raises:
        ConfigError: If the kind is unknown.
        InputError: If the folder holds samples and ``overwrite`` is False, or ``range`` is none.
        MissingExtraError: If Parquet needs a package that is not installed.
    """
    make = find_writer(kind)
    folder = Path(folder)
    old = [*folder.glob("[0-9]" * 12 + ".*"), *folder.glob("samples.parquet")]
    if old and not overwrite:
        raise InputError(
            f"{folder} already holds samples ({old[0].name}, ...): choose another --out, or "
            "--overwrite them"
        )
    return make(folder, old, None if range is None else check_range(range))


def _rows(samples: Samples, start: int, stop: int | None) -> Samples:
    parts = {name: getattr(samples, name)[start:stop] for name in samples.fields}
    return dataclasses.replace(samples, **parts)
