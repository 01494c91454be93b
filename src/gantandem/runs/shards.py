"""Manifests: beside the files of some samples stands what they are, and their SHA-256.

A manifest, ``000000010000.json``, is written when the files are whole. What no manifest names does
not count: ``--resume`` draws it again.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter
from typing_extensions import Required, TypedDict

from gantandem.errors import DataError, InputError, WeightsError
from gantandem.reporting.keep import write_json
from gantandem.reporting.schema import read_json
from gantandem.runs.contents import digest_of
from gantandem.settings import Count, NotNegativeInt, check

SETTINGS = ("seed", "width", "rng_version", "versions", "device", "sampler", "law", "weights")
"""What makes a sample the one it is, of the manifest of a call."""
OWN = re.compile(r"(samples-)?\d{12}\.(npz|png|tar|parquet|json)|samples\.parquet")
"""Names of files of samples, and of their manifests."""
Name = Annotated[str, Field(pattern=r"^[^/\\\x00.][^/\\\x00]*$")]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Manifest(TypedDict, total=False):
    """A manifest; what else it holds is told of the samples."""

    __pydantic_config__ = ConfigDict(extra="allow")  # pyright: ignore
    first: Required[Annotated[int, Field(ge=0)]]
    count: Required[Annotated[int, Field(gt=0)]]
    files: Required[dict[Name, Digest]]
    seed: int
    width: int
    sampler: dict[str, Any]
    versions: dict[str, str]
    format: str
    clipped: Annotated[int, Field(ge=0)]


MANIFEST_OF_SHARD: TypeAdapter[Any] = TypeAdapter(Manifest)
Stretch = tuple[int, int]
"""First id, and how many."""


@dataclass(frozen=True)
class Shard:
    """Samples whose files are whole.

    Args:
        path: The manifest.
        first: First id.
        count: How many ids.
        files: SHA-256 by the name of the file.
        settings: What they were drawn with.
        clipped: Values that files of images could not hold; None of other files.
    """

    path: Path
    first: int
    count: int
    files: Mapping[str, str]
    settings: Mapping[str, Any]
    clipped: int | None = None

    def write(self) -> None:
        """Write the manifest, whole or not at all."""
        ids = {"first": self.first, "count": self.count}
        seen = {} if self.clipped is None else {"clipped": self.clipped}
        files = {"files": dict(self.files)}
        write_json(self.path, {"schema": 1, **ids, **files, **seen, **self.settings})

    def faults(self) -> list[str]:
        """What is wrong with the files, a line each."""
        found = []
        for name, digest in self.files.items():
            path = self.path.parent / name
            if not path.is_file():
                found.append(f"{name}: missing")
                continue
            try:
                same = digest_of(path) == digest
            except WeightsError as error:
                found.append(str(error))
                continue
            if not same:
                found.append(
                    f"{name}: damaged, its SHA-256 differs from the one in {self.path.name}"
                )
        return found

    def remove(self) -> None:
        """Remove the files and their manifest."""
        for path in (self.path, *(self.path.parent / name for name in self.files)):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()


def manifest_name(first: int) -> str:
    """The name of the manifest of samples from an id on."""
    return f"{first:012d}.json"


def read_shards(folder: Path) -> tuple[list[Shard], list[str]]:
    """The samples that a folder's manifests name, by id, and a line for each damaged manifest."""
    shards, faults = [], []
    for path in sorted(folder.glob("[0-9]" * 12 + ".json")):
        try:
            shards.append(_read(path))
        except DataError as error:
            faults.append(str(error).removeprefix(f"{folder}{os.sep}"))
    return shards, faults


def _read(path: Path) -> Shard:
    content = read_json(path, MANIFEST_OF_SHARD)
    first, count, files = (content.pop(key) for key in ("first", "count", "files"))
    content.pop("schema", None)
    return Shard(path, first, count, files, content, content.pop("clipped", None))


def read_ids(ids: str | Sequence[int] | None, n: int, start: int) -> list[Stretch]:
    """The ids that are asked for, as stretches in order.

    Args:
        ids: ``"3,17,100-120"``, or numbers; None for n of them from ``start`` on.
        n: How many.
        start: First id.

    Raises:
        InputError: If a text is none of ids, or a number is not allowed.
    """
    if ids is None:
        return [(check("start", NotNegativeInt, start), check("n", Count, n))]
    if start:
        raise InputError("start and ids: give only one of them")
    pairs = []
    for one in ids.split(",") if isinstance(ids, str) else map(str, ids):
        found = re.fullmatch(r"\s*(\d{1,10})\s*(?:-\s*(\d{1,10})\s*)?", one)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if last < first:
            raise InputError(
                f"ids: got {one.strip()!r}; allowed are numbers and ranges such as 3,17,100-120"
            )
        pairs.append((first, last - first + 1))
    if not pairs:
        raise InputError("ids: there are none; allowed are numbers and ranges such as 3,17,100-120")
    return joined(pairs)


def joined(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Stretches in order, those that touch or overlap as one."""
    out: list[Stretch] = []
    for first, count in sorted(stretches):
        if out and first <= sum(out[-1]):
            begin = out[-1][0]
            out[-1] = begin, max(sum(out[-1]), first + count) - begin
        else:
            out.append((first, count))
    return out


def without(asked: Iterable[Stretch], done: Iterable[Stretch]) -> list[Stretch]:
    """What of the asked ids is not done."""
    left, done = [], joined(done)
    for first, count in asked:
        at, stop = first, first + count
        for begin, size in done:
            if begin > at and begin < stop:
                left.append((at, begin - at))
            if begin < stop:
                at = max(at, begin + size)
        if at < stop:
            left.append((at, stop - at))
    return left


def say_ids(stretches: Iterable[Stretch]) -> str:
    """Stretches as :func:`read_ids` reads them."""
    return ",".join(str(a) if n == 1 else f"{a}-{a + n - 1}" for a, n in stretches)


def differences(before: Mapping[str, Any], now: Mapping[str, Any], path: str = "") -> list[str]:
    """What differs between two settings: ``sampler.expected: 3, now 4``."""
    found = []
    for key in dict.fromkeys((*before, *now)):
        a, b = before.get(key), now.get(key)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found += differences(a, b, f"{path}{key}.")
        elif a != b:
            found.append(f"{path}{key}: {a!r}, now {b!r}")
    return found
