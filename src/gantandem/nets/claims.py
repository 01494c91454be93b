"""What a file of torch.save says that it holds, read before anything of that size is made."""

from __future__ import annotations

import contextlib
import pickle
import zipfile
from pathlib import Path
from typing import Any

from gantandem.errors import WeightsError
from gantandem.files.limits import check_size

_LIMIT = 4
"""How many times its own size a file may claim to unpack to."""


class _Nothing(dict):
    """Stands for whatever a pickle makes; it takes what is put into it and holds nothing."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setitem__(self, *_: Any) -> None:
        pass

    def __setstate__(self, _: Any) -> None:
        pass

    def extend(self, _: Any) -> None:
        """As of a list."""

    append = add = extend
    __hash__ = object.__hash__  # type: ignore[assignment]


class _Claims(pickle._Unpickler):
    """Goes through a pickle, imports and calls nothing, and notes the storages it speaks of."""

    def __init__(self, file: Any) -> None:
        super().__init__(file, encoding="bytes")
        self.storages: dict[Any, int] = {}

    def find_class(self, module: str, name: str) -> Any:
        """What stands for a class; a bytearray is filled with zeros as it is made."""
        if name == "bytearray":
            raise WeightsError(
                "holds a bytearray, which is not a weight and may take any amount of memory"
            )
        return _Nothing

    def persistent_load(self, pid: Any) -> Any:
        """Note one: ('storage', its type, key, place, numbers in it, ...)."""
        self.storages[pid[2]] = max(int(pid[4]), self.storages.get(pid[2], 0))
        return _Nothing()


def check_size_of(path: Path, claimed: int) -> None:
    """Refuse what claims to be far more than its file, or than the memory.

    Args:
        path: The file.
        claimed: Bytes.

    Raises:
        WeightsError: If it claims more than four times its size, or more than there is memory.
    """
    size = path.stat().st_size
    if claimed > _LIMIT * size + 2**20:
        raise WeightsError(f"{path} has {size:,} bytes and claims to unpack to {claimed:,}")
    check_size(max(claimed, size), path, WeightsError)


def check_pickles(path: Path, archived: bool) -> None:
    """Refuse storages that a file is too short for, and objects that take memory on their own.

    Args:
        path: What ``torch.save`` wrote.
        archived: Whether as a ZIP archive, and not in the form from before torch 1.6.

    Raises:
        WeightsError: Likewise.
        Exception: Of many types, if the pickle is damaged.
    """
    storages: dict[Any, int] = {}
    try:
        if archived:
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    if name.rpartition("/")[2] == "data.pkl":
                        with archive.open(name) as file:
                            storages |= _read(file)
        else:
            with path.open("rb") as file:
                with contextlib.suppress(EOFError):  # a pickle that torch did not write
                    for _ in range(4):  # a mark, a version, the system, and then the content
                        storages |= _read(file)
    except WeightsError as error:
        raise WeightsError(f"{path} {error}") from None
    check_size_of(path, sum(storages.values()))  # each number is a byte at least


def _read(file: Any) -> dict[Any, int]:
    claims = _Claims(file)
    claims.load()
    return claims.storages
