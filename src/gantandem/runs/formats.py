"""The formats of files of samples, by name."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gantandem.data.ranges import Range, check_range
from gantandem.errors import InputError, OutputError, look_up, need
from gantandem.files import write_atomic, write_bytes
from gantandem.runs.writers import Writer, are_images
from gantandem.samples import Samples

KNOWN = ("ids", "log_ratio", "steps", "attempts", "accepted")
"""Numbers of a sample that go beside it into a shard."""


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
        if not are_images(samples):
            raise InputError(
                f"format png: samples of shape {tuple(samples.x.shape[1:])} are no images (1 or 3, "
                "H, W); take npz"
            )
        for index, content in zip(samples.ids, self.png_files(samples), strict=True):
            write_bytes(self.folder / f"{int(index):012d}.png", content)


class TarWriter(Writer):
    """``000000000000.tar``, ...: WebDataset shards of 10,000 samples, named by their first id.

    A sample is ``ID.png`` (images) or ``ID.npy`` (anything else), and ``ID.json`` with what is
    known of it; a label is in ``ID.cls``.
    """

    pictures = True

    def write(self, samples: Samples) -> None:
        """See :meth:`Writer.write`."""
        kind, contents = ("png", self.png_files) if are_images(samples) else ("npy", _npy_files)
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
    return look_up("format", kind, WRITERS, Writer)


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


def _npy_files(samples: Samples) -> Iterator[bytes]:
    """Each sample as the content of an .npy file."""
    for value in samples.x.cpu().numpy():
        buffer = io.BytesIO()
        np.save(buffer, value, allow_pickle=False)
        yield buffer.getvalue()
