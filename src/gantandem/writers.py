"""Files of samples, written block by block, so that memory does not depend on their number."""

from __future__ import annotations

import dataclasses
import io
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gantandem.errors import ConfigError, InputError, OutputError, need
from gantandem.files import write_bytes
from gantandem.samples import Samples

SHARD = 10_000
"""Samples in one .npz file, and in one row group of a Parquet file."""
MANIFEST = "manifest.json"


class Writer(ABC):
    """Takes blocks of samples in id order and writes them into a folder.

    Args:
        folder: Made if needed.
        old: Files of earlier samples, removed when the first new ones are there to be written.

    Attributes:
        kept: Samples that are completely on disk.
    """

    def __init__(self, folder: Path, old: Sequence[Path] = ()) -> None:
        self.folder = folder
        self.kept = 0
        self._old = old
        self._waiting: list[Samples] = []

    def add(self, block: Samples) -> None:
        """Write a block, or keep it until a file is full."""
        self._waiting.append(block)
        while sum(map(len, self._waiting)) >= SHARD:
            everything = Samples.join(self._waiting, block.manifest)
            self._waiting = [_rows(everything, SHARD, None)] if len(everything) > SHARD else []
            self._write_counted(_rows(everything, 0, SHARD))

    def close(self) -> None:
        """Write what is left."""
        blocks, self._waiting = self._waiting, []
        if blocks:
            self._write_counted(Samples.join(blocks, blocks[-1].manifest))

    def _write_counted(self, samples: Samples) -> None:
        for path in self._old:
            path.unlink(missing_ok=True)
        self._old = ()
        self._write(samples)
        self.kept += len(samples)

    @abstractmethod
    def _write(self, samples: Samples) -> None: ...


class NpzWriter(Writer):
    """``000000000000.npz``, ...: 10,000 samples a file, named by its first id."""

    def _write(self, samples: Samples) -> None:
        samples.save(self.folder / f"{int(samples.ids[0]):012d}.npz")


class PngWriter(Writer):
    """``000000000000.png``, ...: one image a file, named by its id."""

    def add(self, block: Samples) -> None:
        """Write a block."""
        self._write_counted(block)

    def _write(self, samples: Samples) -> None:
        from PIL import Image

        from gantandem.report.pictures import to_pixels

        shape = tuple(samples.x.shape[1:])
        if len(shape) != 3 or shape[0] not in (1, 3):
            raise InputError(
                f"format png: samples of shape {shape} are no images (1 or 3, H, W); take npz"
            )
        for index, image in zip(samples.ids, to_pixels(samples.x.cpu().numpy()), strict=True):
            shown = Image.fromarray(image if shape[0] == 3 else image[..., 0])
            buffer = io.BytesIO()
            shown.save(buffer, format="png")
            content = buffer.getvalue()
            path = self.folder / f"{int(index):012d}.png"
            write_bytes(path, content)


class ParquetWriter(Writer):
    """``samples.parquet``: a row for each sample; x, z and condition flat, shapes in metadata."""

    def __init__(self, folder: Path, old: Sequence[Path] = ()) -> None:
        super().__init__(folder, old)
        self._arrow: Any = need("pyarrow", "images")
        self._parquet: Any = need("pyarrow.parquet", "images")
        self._part = folder / ".samples.parquet.part"
        self._file: Any = None

    def _write(self, samples: Samples) -> None:
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

    def close(self) -> None:
        """Write what is left and give the file its name."""
        super().close()
        if self._file is not None:
            try:
                self._file.close()
                os.replace(self._part, self.folder / "samples.parquet")
            except OSError as error:
                self.kept = 0
                raise OutputError(f"{self._part} could not be finished ({error})") from error
            finally:
                self._file = None


WRITERS: dict[str, type[Writer]] = {"npz": NpzWriter, "png": PngWriter, "parquet": ParquetWriter}


def make_writer(kind: str, folder: str | Path, *, overwrite: bool = False) -> Writer:
    """Make a writer into a folder.

    Args:
        kind: ``"npz"``, ``"png"`` or ``"parquet"``.
        folder: Made if needed.
        overwrite: Replace samples that are there already, once new ones have been drawn.

    Raises:
        ConfigError: If the kind is unknown.
        InputError: If the folder holds samples and ``overwrite`` is False.
        MissingExtraError: If Parquet needs a package that is not installed.
    """
    if kind not in WRITERS:
        raise ConfigError(f"format: got {kind!r}, allowed are {', '.join(WRITERS)}")
    folder = Path(folder)
    old = [*folder.glob("[0-9]" * 12 + ".*"), *folder.glob("samples.parquet")]
    if old and not overwrite:
        raise InputError(
            f"{folder} already holds samples ({old[0].name}, ...): choose another --out, or "
            "--overwrite them"
        )
    return WRITERS[kind](folder, old)


def _rows(samples: Samples, start: int, stop: int | None) -> Samples:
    parts = {name: getattr(samples, name)[start:stop] for name in samples.fields}
    return dataclasses.replace(samples, **parts)
