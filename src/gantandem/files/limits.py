"""What a file claims to hold is compared with the machine's memory before it is unpacked."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gantandem.errors import DataError, GANtandemError, need

GROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Where Linux says what a container may take."""


@functools.cache
def memory() -> int:
    """Bytes that the machine, or the container, has; 16 GiB where it does not say."""
    found = [1 << 34] if not hasattr(os, "sysconf") else []
    with contextlib.suppress(AttributeError, OSError, ValueError):
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for path in GROUPS:
        with contextlib.suppress(OSError, ValueError):
            found.append(int(Path(path).read_text()))
    return min(found, default=1 << 34)


def check_size(size: int, where: object, kind: type[GANtandemError] = DataError) -> None:
    """Refuse to unpack what the memory cannot hold.

    Args:
        size: Bytes that are to be held.
        where: For the message.
        kind: What is raised.

    Raises:
        DataError: If there is less memory, or the error of that kind.
    """
    if size > memory():
        raise kind(
            f"{where}: takes {size / 1e9:,.1f} GB of memory to read, but this machine has "
            f"{memory() / 1e9:,.1f}. Check that it is not damaged or a decompression bomb; else "
            "read a part of it"
        )


def read_npz(
    path: str | Path, names: Sequence[str] | None, perhaps: Sequence[str] = ()
) -> dict[str, Any]:
    """Read arrays of an .npz file, which says first how large they are; nothing is unpickled.

    Args:
        path: The file.
        names: Arrays that must be there; None for all that are.
        perhaps: Others that are read if they are there.

    Raises:
        FileNotFoundError: If there is none.
        DataError: If it is damaged, lacks an array, or holds more than the memory can.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            check_size(sum(one.file_size for one in archive.infolist()), path)
            for one in archive.infolist():
                with archive.open(one) as member:
                    _check_claim(member, one.file_size)
        with np.load(path, allow_pickle=False) as file:
            wanted = file.files if names is None else (*names, *perhaps)
            return {
                one: file[one] for one in wanted if names is None or one in file or one in names
            }
    except (FileNotFoundError, DataError):
        raise
    except Exception as error:  # of a damaged file NumPy raises many unrelated kinds
        raise DataError(f"{path}: damaged or not a sample file ({error})") from error


def check_tables(paths: Sequence[Path], where: object) -> None:
    """Refuse Parquet files that say that they unpack to more than the memory holds.

    Args:
        paths: The files.
        where: For the message.

    Raises:
        DataError: If they do, or one is damaged.
        MissingExtraError: If the extra ``images`` is not installed.
    """
    parquet = need("pyarrow.parquet", "images")
    size = 0
    for path in paths:
        try:
            notes = parquet.read_metadata(path)
            size += sum(notes.row_group(i).total_byte_size for i in range(notes.num_row_groups))
            size += (
                8 * notes.num_rows * notes.num_columns
            )  # one value repeated takes next to nothing
        except Exception as error:  # the library raises many unrelated kinds, none of ours
            raise DataError(f"{path}: cannot be loaded as Parquet ({error})") from error
    check_size(size, where)


def _check_claim(member: Any, size: int) -> None:
    """Compare the shape that an array claims with the bytes that there are of it."""
    version = np.lib.format.read_magic(member)
    header = np.lib.format.read_array_header_1_0, np.lib.format.read_array_header_2_0
    shape, _, kind = header[version[0] > 1](member)
    if math.prod(shape) * kind.itemsize > size:
        raise ValueError(f"an array claims to have shape {shape}, but the file is too short for it")
