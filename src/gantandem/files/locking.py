"""One writer at a time for a folder."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gantandem.errors import OutputError
from gantandem.files import HELD, LOCK_FILE, parse_json, sweep

_own: dict[Path, tuple[int, int]] = {}
"""Folders that this process writes to: the thread, and how deep it is in such blocks."""
_guard = threading.Lock()


class LockedError(OutputError):
    """Another command writes to that folder."""


@contextlib.contextmanager
def locked(folder: str | Path, what: str) -> Iterator[None]:
    """Keep other writers out of a folder, which is made, until the block ends.

    The lock is the system's own on ``.lock``: that of a process that died is gone with it, and
    what that process was just writing is removed. Within a thread such blocks may be nested. A
    folder whose file system knows no locks has none.

    Args:
        folder: What is written to.
        what: Says to those who have to wait what is going on, such as ``"shape"``.

    Raises:
        LockedError: If another process or thread writes there; it is said which, and since when.
        OutputError: If the folder cannot be written to.
    """
    place, thread = Path(folder).resolve(), threading.get_ident()
    with _guard:
        owner, depth = _own.get(place, (thread, 0))
        if owner != thread:
            raise LockedError(
                f"{folder}: another thread of this process is writing there; wait for its end"
            )
        handle = None if depth else _take(place, Path(folder), what)
        HELD.update((place, Path(folder).absolute()))
        _own[place] = thread, depth + 1
    try:
        yield
    finally:
        with _guard:
            if depth:
                _own[place] = thread, depth
            else:
                del _own[place]
                HELD.difference_update((place, Path(folder).absolute()))
                _release(place / LOCK_FILE, handle)


def _take(place: Path, folder: Path, what: str) -> int | None:
    path = place / LOCK_FILE
    try:
        place.mkdir(parents=True, exist_ok=True)
        while True:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
            if not _alone(handle):
                held = _read(handle)
                os.close(handle)
                raise LockedError(
                    f"{folder}: {held} is writing there. Wait for its end, or choose another folder"
                )
            if _same(handle, path):
                break
            os.close(handle)  # its holder removed it meanwhile
    except OSError as error:
        if place.is_file():
            raise OutputError(
                f"{folder} is a file, but a folder is needed: give the path of a folder"
            ) from error
        raise OutputError(
            f"{folder}: could not be written to ({error.strerror or error}); choose another folder"
        ) from error
    if os.fstat(handle).st_size:  # of one that did not come to its end
        sweep(place)
    note = {
        "pid": os.getpid(),
        "host": platform.node(),
        "command": what,
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
    }
    with contextlib.suppress(OSError):  # a full disk: the lock holds without a name
        os.ftruncate(handle, 0)
        os.write(handle, json.dumps(note).encode())
    return handle


def _alone(handle: int) -> bool:
    """Lock an open file, if nobody else has; True where files cannot be locked."""
    try:
        import fcntl
    except ImportError:
        return _alone_on_windows(handle)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def _alone_on_windows(handle: int) -> bool:
    import msvcrt

    kit: Any = msvcrt
    try:
        os.lseek(handle, 1 << 20, os.SEEK_SET)  # beyond the note, which others may read
        kit.locking(handle, kit.LK_NBLCK, 1)
        os.lseek(handle, 0, os.SEEK_SET)
    except OSError:
        return False
    return True


def _same(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _read(handle: int) -> str:
    try:
        note: Any = parse_json(os.read(handle, 4096))
        where = "" if note["host"] == platform.node() else f" on {note['host']}"
        return f"{note['command']!r} (process {int(note['pid'])}{where}, since {note['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another command"


def _release(path: Path, handle: int | None) -> None:
    if handle is not None:
        with contextlib.suppress(OSError):  # of Windows, which keeps what is open
            path.unlink()
        os.close(handle)
