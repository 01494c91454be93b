"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from gantandem.errors import DataError, GANtandemError, OutputError

PREFIX, SUFFIX = ".gantandem-", ".part"
"""Of files that are being written; their names are else at random."""
HELD: set[Path] = set()
"""Folders that this process has for itself: one that goes away meanwhile is not made again."""
LOCK_FILE = ".lock"
"""Is in a folder while somebody writes there, see :mod:`gantandem.files.locking`."""


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
    for folder in [held for held in list(HELD) if not held.is_dir()]:
        if path.absolute().is_relative_to(folder):
            raise OutputError(f"{folder} no longer exists. Was it moved, or was its disk removed?")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path)
        options: Any = {"prefix": _prefix(path), "suffix": SUFFIX, "delete": False}
        with tempfile.NamedTemporaryFile(dir=path.parent, **options) as file:
            name = file.name
            _hold(file)
            write(file)
            file.flush()
            os.fsync(file.fileno())
            if os.name != "nt":  # while it is held
                _put(name, path)
        if os.name == "nt":  # which moves no open file
            _put(name, path)
    except OSError as error:
        if path.is_dir():
            raise OutputError(f"{path} is a folder: give the path of a file") from error
        raise OutputError(
            f"{path}: could not be written ({error.strerror or error}). Nothing half-written was "
            "left and files already complete are kept; free some space or choose another folder"
        ) from error
    finally:
        if name and os.path.exists(name):
            os.unlink(name)


def _prefix(path: Path) -> str:
    """What the temporary files of a target begin with."""
    return f"{PREFIX}{hashlib.sha256(path.name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}-"


def _put(name: str, path: Path) -> None:
    mask = os.umask(0)
    os.umask(mask)
    os.chmod(name, 0o666 & ~mask)
    os.replace(name, path)


def _hold(file: Any) -> bool:
    """Lock a temporary file, if nobody else has; False where files cannot be locked."""
    try:
        import fcntl
    except ImportError:
        return False
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _remove_abandoned(path: Path) -> None:
    """Remove the temporary files of a target whose writers were killed."""
    for left in path.parent.glob(f"{_prefix(path)}*{SUFFIX}"):
        with contextlib.suppress(OSError):
            if os.name == "nt":  # where nobody can remove a file that is open
                left.unlink()
            elif left.is_file() and not left.is_symlink():
                with left.open("rb") as file:
                    if _hold(file):
                        left.unlink()


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write bytes as :func:`write_atomic` does.

    Raises:
        OutputError: If the file cannot be written.
    """
    write_atomic(path, lambda file: file.write(content))


def check_place(path: str | Path) -> None:
    """Try whether a file can be written, before the work for it is done; its folder is made.

    Raises:
        OutputError: If it cannot.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path)
        options: Any = {"prefix": _prefix(path), "suffix": SUFFIX}
        with tempfile.NamedTemporaryFile(dir=path.parent, **options) as file:
            _hold(file)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"{path}: cannot be written ({reason}); name another file") from error
    if path.is_dir():
        raise OutputError(f"{path} is a folder: give the path of a file")


def beside(path: Path) -> str:
    """Say which files or folders beside a missing one have a like name: "; did you mean a?"."""
    try:
        names = [one.name for one in path.parent.iterdir()]
    except OSError:
        return ""
    matches = difflib.get_close_matches(path.name, names, n=2, cutoff=0.7)
    return f"; did you mean {' or '.join(str(path.parent / one) for one in matches)}?" * bool(
        matches
    )


def sweep(folder: str | Path) -> None:
    """Remove what killed writers left in a folder that is locked, and in unlocked ones in it."""
    folder = Path(folder)
    for place in (folder, *(one for one in folder.glob("*/") if not (one / LOCK_FILE).exists())):
        for path in place.glob(f"{PREFIX}*{SUFFIX}"):
            with contextlib.suppress(OSError):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def file_name(name: str) -> str:
    """A part of a path for a name: the name itself if it is safe everywhere, else one like it."""
    plain = re.sub(r"[^A-Za-z0-9_.,=+()-]", "_", name)
    safe = re.fullmatch(r"[A-Za-z0-9_](.*[^.])?", plain) and len(plain) <= 100
    if plain == name and safe and not RESERVED.match(name):
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    return f"_{plain[:60]}-{digest[:8]}"


def parse_json(text: str | bytes) -> Any:
    """Read JSON.

    Raises:
        ValueError: If it is none, or nests deeper than Python goes.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deep") from None


def check_content(
    content: Any,
    model: TypeAdapter[Any],
    where: object,
    again: str,
    kind: type[GANtandemError] = DataError,
) -> None:
    """Check what a file holds by the model of its kind.

    Args:
        content: Plain values.
        model: What they must be.
        where: The file, for the message.
        again: What to do about it, for the message.
        kind: What is raised.

    Raises:
        DataError: With the first that is of another kind; or the error of that kind.
    """
    try:
        model.validate_python(content, strict=True)
    except ValidationError as error:
        raise kind(f"{where}: damaged: {first_fault(error)}; {again}") from None


def first_fault(error: ValidationError) -> str:
    """The first that pydantic found, and where."""
    first = error.errors(include_url=False)[0]
    return ": ".join([*[".".join(map(str, first["loc"]))][: len(first["loc"])], first["msg"]])


RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
"""What Windows does not take for a file."""
DEEPEST, MOST_NODES, LONGEST = 50, 50_000, 1 << 23
"""How deep YAML may nest, how many values it may hold, and how many characters."""


class Loader(yaml.SafeLoader):
    """YAML's safe loader with limits; reads ``1e-3`` as a number, refuses a key given twice."""

    def __init__(self, stream: str) -> None:
        if len(stream) > LONGEST:
            raise yaml.YAMLError(f"{len(stream):,} characters are more than {LONGEST:,}")
        super().__init__(stream)
        self._depth = self._nodes = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Read a value, refusing aliases, of which a few lines can become gigabytes."""
        self._depth, self._nodes = self._depth + 1, self._nodes + 1
        problem = None
        if self.check_event(yaml.AliasEvent):
            problem = "an alias (*name) is not read: write the value again"
        elif self._depth > DEEPEST:
            problem = f"nested more than {DEEPEST} deep"
        elif self._nodes > MOST_NODES:
            problem = f"more than {MOST_NODES:,} values"
        if problem is not None:
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=self.peek_event().start_mark)
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

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


class Dumper(yaml.SafeDumper):
    """YAML's safe dumper for what :class:`Loader` reads: it quotes a hash like ``12e3``, a text."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write a value that stands twice in full."""
        return True


for _reader_or_writer in (Loader, Dumper):
    _reader_or_writer.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
        list("-+.0123456789"),
    )


def dump_yaml(content: Any) -> bytes:
    """Plain values as YAML, in their order; :class:`Loader` reads the same values."""
    return yaml.dump(content, Dumper=Dumper, sort_keys=False).encode()
