"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from gantandem.errors import OutputError

PREFIX, SUFFIX = ".gantandem-", ".part"
"""Of files that are being written; their names are else at random."""
LOCK_FILE = ".lock"
"""Is in a folder while somebody writes there, see :mod:`gantandem.locking`."""


def write_atomic(path: str | Path, write: Callable[[Any], object]) -> None:
    """Write through a temporary file beside the target, renamed when complete.

    Args:
        path: Where the file goes; its folder is made.
        write: Called with an open binary file.

    Raises:
        OutputError: If writing fails (a full disk, say); nothing half-written is left behind,
            and an older file of that name stays as it was.
    """
    path, name = Path(path), ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        options: Any = {"prefix": PREFIX, "suffix": SUFFIX, "delete": False}
        with tempfile.NamedTemporaryFile(dir=path.parent, **options) as file:
            name = file.name
            write(file)
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)
        os.replace(name, path)
    except OSError as error:
        raise OutputError(
            f"{path}: could not be written ({error.strerror or error}). Nothing half-written was "
            "left and files already complete are kept; free some space or choose another folder"
        ) from error
    finally:
        if name and os.path.exists(name):
            os.unlink(name)


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write bytes as :func:`write_atomic` does.

    Raises:
        OutputError: If the file cannot be written.
    """
    write_atomic(path, lambda file: file.write(content))


def sweep(folder: str | Path) -> None:
    """Remove what killed writers left in a folder that is locked, and in unlocked ones in it."""
    folder = Path(folder)
    for place in (folder, *(one for one in folder.glob("*/") if not (one / LOCK_FILE).exists())):
        for path in place.glob(f"{PREFIX}*{SUFFIX}"):
            with contextlib.suppress(OSError):
                path.unlink()


class Loader(yaml.SafeLoader):
    """YAML's safe loader, which also reads ``1e-3`` as a number and refuses a key given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a dictionary, refusing duplicate keys."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"key {key!r} is given twice", problem_mark=key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)
