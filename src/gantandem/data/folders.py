"""Which files of a folder are images, and which are not of the user's making."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from gantandem.data.decoding import SUFFIXES

logger = logging.getLogger(__name__)

SYSTEM = re.compile(r"\..*|__MACOSX|Thumbs\.db|desktop\.ini|Icon\r", re.IGNORECASE)
"""Names of what systems and editors leave among files of the user's, and of hidden files."""
UNREAD = (".heic", ".heif", ".avif", ".jp2", ".jxl", ".ppm", ".pgm", ".tga", ".psd", ".exr")


def list_files(folder: Path) -> tuple[list[Path], int]:
    """All files in a folder and its folders but hidden ones and those of systems; how many these.

    They are in order.
    """
    every = sorted(path for path in folder.rglob("*") if path.is_file())
    files = [p for p in every if not any(map(SYSTEM.fullmatch, p.relative_to(folder).parts))]
    return files, len(every) - len(files)


def say_left_aside(folder: Path, files: list[Path], hidden: int) -> None:
    """Log what of a folder is not read; warn of pictures among it."""
    others = sum(path.suffix.lower() not in (*SUFFIXES, ".parquet") for path in files)
    if hidden or others:
        logger.info(
            "%s: skipped %d hidden files and files of operating systems, and %d files that are "
            "not images",
            folder, hidden, others,
        )  # fmt: skip
    unread = [path.name for path in files if path.suffix.lower() in UNREAD]
    if unread:
        logger.warning(
            "%s: skipped %d files of other formats (%s, ...). If they are images of your data, "
            "save them as PNG", folder, len(unread), unread[0],
        )  # fmt: skip


def class_of(folder: Path, path: Path) -> tuple[str, ...]:
    """The sub-folders that an image is in, below ``train`` and ``test``."""
    parts = path.relative_to(folder).parts[:-1]
    return parts[1:] if parts[:1] in (("train",), ("test",)) else parts


def classes_of(folder: Path, files: list[Path]) -> dict[tuple[str, ...], int]:
    """Labels of sub-folders, the same for the images to train on and those to test on."""
    found = {class_of(folder, path) for path in files if path.suffix.lower() in SUFFIXES}
    return {name: label for label, name in enumerate(sorted(found - {()}))}
