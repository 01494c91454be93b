"""The formats of files of samples, by name."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gantandem.data.ranges import Range, check_range
from gantandem.errors import InputError, look_up, need
from gantandem.files import write_atomic, write_bytes
from gantandem.runs.naming import Names
from gantandem.runs.shards import read_shards
from gantandem.runs.writers import MANIFEST, Writer, are_images
from gantandem.samples import Samples

KNOWN = ("ids", "log_ratio", "steps", "attempts", "accepted")
"""Numbers of a sample that go beside it into a shard."""


class NpzWriter(Writer):
    """``000000000000.npz``, ...: 10,000 samples a file, named by its first id."""

    packed = False

    def write(self, samples: Samples) -> Iterator[Path]:
        """See :meth:`Writer.write`."""
        yield samples.save(self.folder / f"{int(samples.ids[0]):012d}.npz")


class PngWriter(Writer):
    """``000000000000.png``, ...: one image a file, named by its id; a manifest of each 1,000.

    Images of a translator bear the names of its inputs, see :class:`gantandem.runs.naming.Names`.
    """

    pictures = True
    size = 1_000

    def _take(self, block: Samples) -> None:
        if not are_images(block):  # before a thousand of them are drawn
            raise InputError(
                f"format png: samples of shape {tuple(block.x.shape[1:])} are not images (1 or 3, "
                "H, W); choose --format npz"
            )
        super()._take(block)

    def write(self, samples: Samples) -> Iterator[Path]:
        """See :meth:`Writer.write`."""
        for index, content in zip(samples.ids, self.png_files(samples), strict=True):
            name = f"{int(index):012d}" if self.names is None else self.names(int(index))
            path = self.folder / f"{name}.png"
            write_bytes(path, content)
            yield path


class TarWriter(Writer):
    """``000000000000.tar``, ...: WebDataset shards of 10,000 samples, named by their first id.

    A sample is ``ID.png`` (images) or ``ID.npy`` (anything else), and ``ID.json`` with what is
    known of it; a label is in ``ID.cls``.
    """

    pictures = True

    def write(self, samples: Samples) -> Iterator[Path]:
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

        path = self.folder / f"{int(samples.ids[0]):012d}.tar"
        write_atomic(path, fill)
        yield path


class ParquetWriter(Writer):
    """``samples-000000000000.parquet``, ...: 10,000 rows a file, named by its first id.

    x, z and condition are flat, their shapes in the metadata.
    """

    def __init__(self, folder: Path, old: Sequence[Path] = (), bounds: Range | None = None) -> None:
        super().__init__(folder, old, bounds)
        self._arrow: Any = need("pyarrow", "images")
        self._parquet: Any = need("pyarrow.parquet", "images")

    def write(self, samples: Samples) -> Iterator[Path]:
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
        path = self.folder / f"samples-{int(samples.ids[0]):012d}.parquet"
        write_atomic(path, lambda file: self._parquet.write_table(table, file))
        yield path


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
    resume: bool = False,
    range: Sequence[float] | None = None,
    names: Names | None = None,
) -> Writer:
    """Make a writer into a folder.

    Args:
        kind: ``"npz"``, ``"png"``, ``"parquet"``, ``"webdataset"``, or a :class:`Writer` of your
            own as ``"module:Name"``.
        folder: Made if needed.
        overwrite: Replace samples that are there already, once new ones have been drawn.
        resume: Leave them there.
        range: The values of black and of white in files of images, ``(-1, 1)`` for a generator that
            ends in tanh; None finds them by the values of the first block.
        names: Of files that hold one sample each; None names them by ids.

    Raises:
        ConfigError: If the kind is unknown.
        InputError: If the folder holds samples and ``overwrite`` is False, or ``range`` is none.
        MissingExtraError: If Parquet needs a package that is not installed.
    """
    make = find_writer(kind)
    folder = Path(folder)
    writer = make(folder, bounds=None if range is None else check_range(range))
    writer.names = names
    old = [] if resume else _there(folder, writer)
    if old and not overwrite:
        raise InputError(
            f"{folder} already holds samples ({old[0].name}, ...): continue them (--resume), "
            "choose another --out, or --overwrite them"
        )
    writer.old = [*old, folder / MANIFEST] if old else []
    writer.about["format"] = kind
    return writer


def _there(folder: Path, writer: Writer) -> list[Path]:
    """Files of samples in a folder: those that the writer owns, and what manifests name."""
    named = {folder / name for shard in read_shards(folder)[0] for name in shard.files}
    return [path for path in sorted(folder.glob("*")) if writer.owns(path) or path in named]


def _npy_files(samples: Samples) -> Iterator[bytes]:
    """Each sample as the content of an .npy file."""
    for value in samples.x.cpu().numpy():
        buffer = io.BytesIO()
        np.save(buffer, value, allow_pickle=False)
        yield buffer.getvalue()
