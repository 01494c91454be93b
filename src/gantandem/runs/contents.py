"""The files of a RUN, named by what they hold, and the one write that commits them.

A file is called ``ROLE-DIGEST.safetensors``, with 12 digits of its SHA-256, and is written where
it is not there yet; then ``run.yaml``, which names all files, is replaced; then the files that it
no longer names are removed. Whatever stops this on the way, the RUN is the old one or the new one.
Folders of earlier versions, whose files are called by their roles alone, are read as well.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from gantandem.errors import ConfigError, InputError, WeightsError
from gantandem.files import dump_yaml, parse_json, write_bytes
from gantandem.files.locking import locked
from gantandem.runs.reading import read_yaml
from gantandem.runs.recipe import RUN_FILE

JOURNAL = ".journal"
"""While a RUN is written: what to remove, as far as ``run.yaml`` does not name it then."""
NAME = re.compile(r"((?:ratios/)?[\w.]{1,64})-([0-9a-f]{12})(\.safetensors|\.json)", re.ASCII)
SHA256 = re.compile("[0-9a-f]{64}", re.ASCII)
EARLIER = ("generator", "guide", "condition", "reweighting")
"""Roles of earlier versions, beside the ratios."""


class Contents:
    """What a RUN folder holds, by role: ``"guide.safetensors"``, ``"ratios/LAW.json"``, ...

    Args:
        folder: The RUN.
        files: SHA-256 by path, as ``run.yaml`` has it under ``files``; None in earlier versions.

    Raises:
        ConfigError: If that names anything but files of this kind.

    Attributes:
        current: Whether the RUN is of this version.
    """

    def __init__(self, folder: Path, files: Any) -> None:
        self.folder, self.files = folder, dict[str, str | None]()
        self.current = files is not None
        if files is None:
            found = [folder / f"{role}.safetensors" for role in EARLIER]
            found += sorted((folder / "ratios").glob("*.safetensors"))
            names = [path.relative_to(folder).as_posix() for path in found if path.is_file()]
            names = [name for name in names if not NAME.fullmatch(name)]  # of an unfinished commit
            self.files, self.roles = dict.fromkeys(names), dict(zip(names, names, strict=True))
            return
        pairs = files.items() if isinstance(files, Mapping) else [(files, None)]
        for path, digest in pairs:
            match = NAME.fullmatch(path) if isinstance(path, str) else None
            if match is None or not isinstance(digest, str) or not SHA256.fullmatch(digest):
                raise ConfigError(
                    f"{folder / RUN_FILE}: files: {path!r}: {digest!r} does not name a file of a "
                    "RUN; allowed is 'ROLE-DIGEST.safetensors: SHA-256'. Copy the RUN again from "
                    "its source"
                )
            self.files[path] = digest
        matches = [NAME.fullmatch(path) for path in self.files]
        self.roles = {m[1] + m[3]: m[0] for m in matches if m is not None}

    def path(self, role: str) -> Path:
        """Where the file of a role is, whether it is there or not."""
        return self.folder / self.roles.get(role, role)

    def check(self, role: str) -> None:
        """Compare a file with its SHA-256.

        Raises:
            WeightsError: If it is another one now.
        """
        path = self.path(role)
        known = self.files.get(self.roles.get(role, ""))
        if known is not None and digest_of(path) != known:
            raise WeightsError(
                f"{path} is damaged: its SHA-256 differs from the one in {RUN_FILE}. Copy the "
                "file again from its source, or repeat the step that made it"
            )


def digest_of(path: Path) -> str:
    """The SHA-256 of a file.

    Raises:
        WeightsError: If it is not there or cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while part := file.read(1 << 20):
                digest.update(part)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror or error})") from error
    return digest.hexdigest()


def present(folder: Path) -> dict[str, Any]:
    """What ``run.yaml`` of a folder holds; empty if there is none.

    Raises:
        ConfigError: If it is no RUN's.
    """
    path = folder / RUN_FILE
    if not path.exists():
        return {}
    content = read_yaml(path)
    if "generator" not in content or "latent" not in content:
        raise ConfigError(
            f"{path} does not belong to a RUN, so it is not replaced: choose another folder, or "
            "move the file away"
        )
    return content


class Commit:
    """What is to become of a RUN; nothing counts before :meth:`finish`."""

    def __init__(self, folder: Path, gone: Iterable[str] = ()) -> None:
        self.folder, self.before = folder, present(folder)
        self.files: dict[str, str] = {}
        held = Contents(folder, self.before.get("files")).files if self.before else ()
        self._listed = [*held, *gone]

    def add(self, role: str, content: bytes, suffix: str = ".safetensors") -> None:
        """Write what a role holds now."""
        digest = hashlib.sha256(content).hexdigest()
        name = f"{role}-{digest[:12]}{suffix}"
        if not NAME.fullmatch(name):
            raise InputError(
                f"save: the law {role[7:]!r} cannot be a file name; allowed are a-z, 0-9, _ ."
            )
        self.files[name] = digest
        self._listed.append(name)
        path = self.folder / name
        if not path.is_file() or digest_of(path) != digest:
            self._note()
            write_bytes(path, content)

    def keep(self, role: str) -> bool:
        """Leave the file of a role as it is; False if there is none."""
        files = self.before.get("files") or {}
        name = Contents(self.folder, files).roles.get(role)
        if name is not None:
            self.files[name] = files[name]
        return name is not None

    def finish(self, content: Mapping[str, Any]) -> None:
        """Replace ``run.yaml``."""
        self._note()
        plain = json.loads(json.dumps({**content, "files": self.files}))
        write_bytes(self.folder / RUN_FILE, dump_yaml(plain))

    def _note(self) -> None:
        write_bytes(self.folder / JOURNAL, json.dumps(self._listed).encode())


@contextlib.contextmanager
def commit(folder: Path, gone: Iterable[str] = ()) -> Iterator[Commit]:
    """Change a RUN, wholly or not at all.

    Args:
        folder: Made if needed.
        gone: Other own files that are removed in the end.

    Raises:
        ConfigError: If its ``run.yaml`` is no RUN's.
        LockedError: If another command writes there.
        OutputError: If a file cannot be written.
    """
    with locked(folder, "save"):
        present(folder)
        tidy(folder)
        try:
            yield Commit(folder, gone)
        finally:
            tidy(folder)


def tidy(folder: Path) -> None:
    """Remove what a commit left, one that was killed too; never what nobody noted."""
    journal = folder / JOURNAL
    try:
        listed = parse_json(journal.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except (OSError, ValueError):
        listed = []
    content = present(folder)
    named = Contents(folder, content.get("files")).files if content else {}
    for name in listed if isinstance(listed, list) else []:
        if isinstance(name, str) and name not in named and _inside(folder, name):
            with contextlib.suppress(OSError):
                (folder / name).unlink()
    with contextlib.suppress(OSError):
        journal.unlink()


def _inside(folder: Path, name: str) -> bool:
    """Whether a journal, which may be a stranger's, names something of this folder itself."""
    path = PurePosixPath(name)
    plain = not path.is_absolute() and ".." not in path.parts and not set(name) & set("\\:")
    if not plain or path.name == RUN_FILE:
        return False
    return (folder / name).parent.resolve().is_relative_to(folder.resolve())  # no link leads out
