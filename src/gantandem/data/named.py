"""Samples in files, each with its name: pictures, arrays, tables, and folders of these."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gantandem.data.decoding import SUFFIXES, RefusedError, decode
from gantandem.data.folders import list_files
from gantandem.data.images import to_range
from gantandem.data.incoming import LABELS, SAMPLES
from gantandem.data.ranges import Range
from gantandem.errors import DataError, GANtandemError, need
from gantandem.files import beside
from gantandem.files.limits import read_npz
from gantandem.nets.weights import read_tensors

ARRAYS = (".npy", ".npz", ".safetensors", ".parquet")
WANTED = f"pictures ({', '.join(SUFFIXES)}) or arrays ({', '.join(ARRAYS)})"
SHOWN = 8
"""A message names at most so many arrays."""
Paths = str | Path | Sequence[str | Path]


@dataclass(frozen=True)
class Named:
    """Samples and where each is from.

    Args:
        x: (N, *x_shape) samples; a memory-mapped array where one ``.npy`` file holds all.
        names: Of each: its file as it was given, with the row where the file holds many.
        files: The picture that each one is, or None: a row of an array.
        inside: The path that each picture has within the folder that was given.
        cond: (N, ...) conditions or labels that stand beside the samples in every file, or None.
    """

    x: Any
    names: tuple[str, ...]
    files: tuple[Path | None, ...]
    inside: tuple[Path, ...]
    cond: np.ndarray | None = None


def are_paths(data: Any) -> bool:
    """Whether data are named by their files: a path, or a list of paths."""
    if isinstance(data, (list, tuple)) and data:
        return all(isinstance(one, (str, Path)) for one in data)
    return isinstance(data, (str, Path))


def read_named(
    paths: Paths,
    where: str = "samples",
    *,
    shape: tuple[int, ...] | None = None,
    range: Range | None = None,
) -> Named:
    """Read samples from files and folders; names are kept, and folders are read in order of names.

    Pictures are bytes: black becomes the lower end of ``range`` and white the upper one, grey
    becomes RGB where three channels are wanted, and the other way round. Of an ``.npz`` or
    ``.safetensors`` file the array ``x`` is taken, or the only one there is.

    Args:
        paths: One or more files and folders.
        where: For messages.
        shape: ``x_shape`` that is wanted, where it is known.
        range: The values of black and white; None takes (-1, 1).

    Raises:
        DataError: If there are no samples, a file cannot be read, or they are not all alike.
    """
    given = [paths] if isinstance(paths, (str, Path)) else list(paths)
    found = [one for path in given for one in _files(Path(path), where)]
    if not found:
        raise DataError(f"{where}: no file was given; give {WANTED}, or folders of these")
    channels = shape[0] if shape is not None and len(shape) == 3 and shape[0] in (1, 3) else None
    parts = [part for file in found for part in _read_file(file, where, channels)]
    _check_alike(parts, where)
    values = [part.x for part in parts]
    x: Any = values[0] if len(values) == 1 else np.concatenate(values)
    if x.dtype == np.uint8 and x.ndim == 4:
        x = _pixels(x, shape, (-1.0, 1.0) if range is None else range)
    names = [name for part in parts for name in part.names]
    files = [part.file.path if part.picture else None for part in parts for _ in part.names]
    inside = [part.file.inside for part in parts for _ in part.names]
    labels = [part.cond for part in parts if part.cond is not None]
    cond = np.concatenate(labels) if len(labels) == len(parts) else None
    return Named(x, tuple(names), tuple(files), tuple(inside), cond)


_Read = tuple[np.ndarray, np.ndarray | None]


@dataclass(frozen=True)
class _File:
    path: Path
    inside: Path


@dataclass(frozen=True)
class _Part:
    """Some samples of one file."""

    x: np.ndarray
    names: list[str]
    file: _File
    picture: bool = False
    cond: np.ndarray | None = None


def _files(path: Path, where: str) -> Iterator[_File]:
    if path.is_dir():
        inner = [p for p in list_files(path)[0] if p.suffix.lower() in (*SUFFIXES, *ARRAYS)]
        if not inner:
            raise DataError(f"{where}: the folder {path} holds no samples; allowed are {WANTED}")
        yield from (_File(one, one.relative_to(path)) for one in inner)
    elif not path.exists():
        raise DataError(f"{where}: {path}: no such file or folder{beside(Path(path))}")
    elif path.suffix.lower() not in (*SUFFIXES, *ARRAYS):
        raise DataError(f"{where}: {path} is of another kind; allowed are {WANTED}")
    else:
        yield _File(path, Path(path.name))


def _read_file(file: _File, where: str, channels: int | None) -> Iterator[_Part]:
    path = file.path
    kind = path.suffix.lower()
    if kind in SUFFIXES:
        picture = _picture(path.read_bytes(), str(path), where, channels)
        yield _Part(picture[None], [str(path)], file, picture=True)
        return
    try:
        x, cond = _READERS[kind](path, where, channels)
    except GANtandemError:
        raise
    except Exception as error:  # of damaged files the libraries raise many unrelated kinds
        raise DataError(f"{where}: {path} cannot be read ({error}); make the file again") from error
    if x.ndim == 0 or x.dtype.kind not in "fiub":
        raise DataError(f"{where}: {path} holds no array of numbers with one row for each sample")
    yield _Part(x, [f"{path}[{row}]" for row in range(len(x))], file, cond=cond)


def _picture(content: bytes, name: str, where: str, channels: int | None) -> np.ndarray:
    """A picture as (C, H, W) bytes."""
    try:
        pixels, shape = decode(content)
    except RefusedError as error:
        raise DataError(f"{where}: {name} {error}") from None
    x = np.frombuffer(pixels, np.uint8).reshape(shape).transpose(2, 0, 1)
    if channels == 1 and len(x) == 3:  # as Pillow makes grey of colours
        red, green, blue = x.astype(np.int64)
        return ((red * 19595 + green * 38470 + blue * 7471 + 32768) >> 16).astype(np.uint8)[None]
    return np.repeat(x, 3, 0) if channels == 3 and len(x) == 1 else x


def _npy(path: Path, where: str, channels: int | None) -> _Read:
    return np.load(path, mmap_mode="r", allow_pickle=False), None


def _npz(path: Path, where: str, channels: int | None) -> _Read:
    with zipfile.ZipFile(path) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist()]
    arrays = read_npz(path, names)
    return _held({name: value for name, value in arrays.items() if value.ndim}, path, where)


def _safetensors(path: Path, where: str, channels: int | None) -> _Read:
    tensors, _ = read_tensors(path)
    half = torch.bfloat16
    arrays = {n: (t.float() if t.dtype is half else t).numpy() for n, t in tensors.items()}
    return _held(arrays, path, where)


def _held(arrays: Mapping[str, np.ndarray], path: Path, where: str) -> _Read:
    """The samples among named arrays, and the conditions beside them."""
    beside = next((name for name in LABELS if name in arrays), None)
    names = [name for name in arrays if name != beside]
    found = [name for name in SAMPLES if name in names] or names
    if len(found) != 1:
        raise DataError(
            f"{where}: {path} holds {len(names)} arrays ({', '.join(sorted(names)[:SHOWN])}"
            f"{', ...' if len(names) > SHOWN else ''}); call the array of samples "
            f"{' or '.join(SAMPLES)}, or save no other array"
        )
    x, cond = arrays[found[0]], None if beside is None else arrays[beside]
    return x, cond if cond is not None and len(cond) == len(x) else None


def _parquet(path: Path, where: str, channels: int | None) -> _Read:
    """Encoded pictures under ``image``, samples as ``sample`` writes them, or columns of numbers.

    Columns of what is known of a sample are left aside, and so are labels among numbers.
    """
    need("pyarrow", "images")
    table: Any = need("pyarrow.parquet", "images").read_table(path)
    names = table.column_names
    pictures = next((name for name in ("image", "img") if name in names), None)
    if pictures is not None:
        encoded = (row["bytes"] if isinstance(row, dict) else row for row in _rows(table, pictures))
        named = ((f"{path}[{row}]", content) for row, content in enumerate(encoded))
        decoded = [_picture(content, name, where, channels) for name, content in named]
        _same_size([one.shape for one in decoded], [f"{path}[{i}]" for i in range(len(decoded))])
        return np.stack(decoded), _labels(table)
    if "x" in names and not _is_number(table.schema.field("x").type):
        shape = (table.schema.metadata or {}).get(b"x_shape")
        x = np.array(table.column("x").to_pylist())
        cond = _labels(table)
        wanted = [int(one) for one in shape.decode().strip("(),").split(",")] if shape else []
        return (x.reshape(len(x), *wanted) if wanted else x), cond
    known = {"id", "log_ratio", "steps", "attempts", "accepted", *LABELS}
    columns = [
        name for name in names if name not in known and _is_number(table.schema.field(name).type)
    ]
    x = np.column_stack([table.column(name).to_numpy() for name in columns])
    return x, _labels(table)


def _labels(table: Any) -> np.ndarray | None:
    name = next((name for name in LABELS if name in table.column_names), None)
    if name is None or not _is_number(table.schema.field(name).type):
        return None
    return table.column(name).to_numpy()


def _rows(table: Any, name: str) -> Iterable[Any]:
    return (row.as_py() for chunk in table.column(name).chunks for row in chunk)


def _is_number(kind: Any) -> bool:
    types = need("pyarrow", "images").types
    return types.is_integer(kind) or types.is_floating(kind)


_READERS: dict[str, Callable[[Path, str, int | None], _Read]] = {
    ".npy": _npy,
    ".npz": _npz,
    ".safetensors": _safetensors,
    ".parquet": _parquet,
}


def _check_alike(parts: Sequence[_Part], where: str) -> None:
    kinds = {part.x.dtype == np.uint8 and part.x.ndim == 4 for part in parts}
    if len(kinds) > 1:
        pixels = next(p.file.path for p in parts if p.x.dtype == np.uint8 and p.x.ndim == 4)
        values = next(p.file.path for p in parts if p.x.dtype != np.uint8 or p.x.ndim != 4)
        raise DataError(
            f"{where}: {pixels} holds pixels but {values} holds numbers; score them in two calls"
        )
    _same_size([part.x.shape[1:] for part in parts], [str(part.file.path) for part in parts])


def _same_size(shapes: Sequence[tuple[int, ...]], names: Sequence[str]) -> None:
    for shape, name in zip(shapes, names, strict=True):
        if shape != shapes[0]:
            raise DataError(
                f"{name} has shape {shape} and {names[0]} {shapes[0]}; all samples must have one "
                "shape. Resize them, or score each size in its own call"
            )


def _pixels(x: np.ndarray, shape: tuple[int, ...] | None, range: Range) -> Tensor:
    """Bytes (N, C, H, W) as values of a range; (N, H, W, C) is turned where that is plain."""
    pixels = torch.from_numpy(np.array(x))
    last, wanted = x.shape[3] in (1, 3), shape is None or x.shape[1:] != shape
    if last and x.shape[1] not in (1, 3) and wanted:
        pixels = pixels.permute(0, 3, 1, 2)
    if range == (-1.0, 1.0):
        return to_range(pixels)
    low, high = range
    return pixels.float().mul_((high - low) / 255).add_(low)
