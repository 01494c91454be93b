"""A writer of samples: block by block, so that memory does not depend on their number."""

from __future__ import annotations

import contextlib
import dataclasses
import io
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from gantandem.data.ranges import Range, count_clipped, find_range, to_levels
from gantandem.errors import InputError, NonFiniteError, OutputError
from gantandem.progress import uninterrupted
from gantandem.reporting.keep import write_json
from gantandem.runs.contents import digest_of
from gantandem.runs.naming import Names
from gantandem.runs.shards import OWN, SETTINGS, Shard, manifest_name
from gantandem.samples import Samples

SHARD = 10_000
"""Samples in one file."""
MANIFEST = "manifest.json"
NAMED = 5
"""Ids a message names."""


class Writer(ABC):
    """Takes blocks of samples in id order and writes them into a folder.

    Subclass it for a format of your own and define ``write``. Beside the files of up to ``size``
    samples a manifest is written, see :mod:`gantandem.runs.shards`, when they are whole.

    Args:
        folder: Made if needed.
        old: Files of earlier samples, removed when the first new ones are there to be written.
        bounds: The values of black and of white in files of images; None finds them by the values
            of the first block.

    Attributes:
        kept: Samples that are completely on disk, with their manifest.
        about: What manifests say beyond what a call of ``sample_iter`` notes: the format, ...
        opening: What ``manifest.json`` says while samples are drawn; after a kill it tells what the
            files in the folder are.
        names: The files' names where they are not ids, for formats with one file a sample.
        bounds: As given or found; None as long as no image has been written.
        clipped: Values of images outside of ``bounds``, which files of images cannot hold ...
        values: ... among so many.
    """

    pictures = False
    """Whether images are held as pictures, which need ``bounds``."""
    size = SHARD
    """Samples of one manifest: a file begins at a multiple of it, wherever the first id is."""
    packed = True
    """Whether files may be smaller than the numbers in them."""

    def __init__(self, folder: Path, old: Sequence[Path] = (), bounds: Range | None = None) -> None:
        self.folder = folder
        self.kept = 0
        self.bounds = bounds
        self.clipped = 0
        self.values = 0
        self.about: dict[str, Any] = {}
        self.opening: dict[str, Any] = {}
        self.names: Names | None = None
        self.old = old
        self._last: Path | None = None
        self._waiting: list[Samples] = []

    def owns(self, path: Path) -> bool:
        """Whether a file's name is one of samples, or of their manifests."""
        named = self.names is not None and path.suffix == ".png" and self.names.holds(path.stem)
        return named or OWN.fullmatch(path.name) is not None

    def add(self, block: Samples) -> None:
        """Write a block, or keep it until a file is full.

        Raises:
            NonFiniteError: If a sample is not finite; those before it are taken, none after it.
        """
        with uninterrupted():
            self._add(block.writable())

    def _add(self, block: Samples) -> None:
        broken = (~block.x.flatten(1).isfinite()).any(1).nonzero().flatten()
        if len(broken):
            if first := int(broken[0]):
                self._add(_rows(block, 0, first))
            ids = ", ".join(str(int(block.ids[row])) for row in broken[:NAMED])
            raise NonFiniteError(
                f"samples {ids}{', ...' if len(broken) > NAMED else ''} are not finite and are "
                "not written: take a smaller step_size or check the networks, or draw the ids "
                "after them in a new call"
            )
        if self.pictures and self.bounds is None and are_images(block):
            self.bounds = _range_of(block)
        self._take(block)

    def _take(self, block: Samples) -> None:
        if self._waiting and int(block.ids[0]) != int(self._waiting[-1].ids[-1]) + 1:
            self._finish()
        self._waiting.append(block)
        first = int(self._waiting[0].ids[0])
        while sum(map(len, self._waiting)) >= (room := self.size - first % self.size):
            everything = Samples.join(self._waiting, block.manifest)
            self._waiting = []  # should the write fail, nothing after a gap is written
            self._write_counted(_rows(everything, 0, room))
            if len(everything) == room:
                break
            self._waiting, first = [_rows(everything, room, None)], first + room

    def close(self) -> None:
        """Write what is left."""
        with uninterrupted():
            self._finish()

    def _finish(self) -> None:
        blocks, self._waiting = self._waiting, []
        if blocks:
            self._write_counted(Samples.join(blocks, blocks[-1].manifest))

    def _write_counted(self, samples: Samples) -> None:
        if self._last is not None and not self._last.is_file():
            self.kept = 0
            raise OutputError(
                f"{self.folder}: the files that were written there no longer exist. Was the "
                "folder moved, or was its disk removed?"
            )
        made: list[Path] = []
        clipped, values = self.clipped, self.values
        try:
            for path in self.old:
                path.unlink(missing_ok=True)
            self.old = ()
            self.folder.mkdir(parents=True, exist_ok=True)
            if self.opening and not (self.folder / MANIFEST).exists():
                write_json(self.folder / MANIFEST, self.opening)
            for path in self._written(samples):
                made.append(path)
            self._note(samples, made, self.clipped - clipped if self.values > values else None)
        except BaseException as error:
            for path in made:  # no manifest names them
                with contextlib.suppress(OSError):
                    path.unlink()
            if isinstance(error, OSError):
                reason = error.strerror or error
                raise OutputError(f"{self.folder}: cannot be written to ({reason})") from error
            raise
        self.kept += len(samples)

    def _written(self, samples: Samples) -> Iterator[Path]:
        first = int(samples.ids[0])
        known = {"n": len(samples), "start": first, **self.settings(samples)}
        written: Any = self.write(dataclasses.replace(samples, manifest=known))
        if not isinstance(written, Iterable):
            raise InputError(
                f"{type(self).__name__}.write returned {written!r}; it must return the paths of "
                "the files that it wrote, for the manifest beside them"
            )
        yield from written

    def _note(self, samples: Samples, made: Sequence[Path], clipped: int | None) -> None:
        first = int(samples.ids[0])
        files = {path.name: digest_of(path) for path in made}
        path = self.folder / manifest_name(first)
        Shard(path, first, len(samples), files, self.settings(samples), clipped).write()
        self._last = path

    def settings(self, samples: Samples) -> dict[str, Any]:
        """What the samples were drawn with, as far as it is known."""
        known = {key: samples.manifest[key] for key in SETTINGS if key in samples.manifest}
        bounds = {} if self.bounds is None else {"range": list(self.bounds)}
        return {**known, **self.about, **bounds}

    @abstractmethod
    def write(self, samples: Samples) -> Iterable[Path]:
        """Write a file's worth of samples into ``self.folder``, named by their ids.

        Returns:
            The files it wrote (a generator yields each when it is there). The same samples must
            give the same bytes, so that a damaged file can be drawn again.
        """

    def png_files(self, samples: Samples) -> Iterator[bytes]:
        """Each image as the content of a PNG file."""
        from PIL import Image

        assert self.bounds is not None
        x = samples.x.cpu().numpy()
        self.clipped += count_clipped(x, self.bounds)
        self.values += x.size
        for image in to_levels(x, self.bounds).transpose(0, 2, 3, 1):
            buffer = io.BytesIO()
            Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(buffer, "png")
            yield buffer.getvalue()


def _range_of(samples: Samples) -> Range:
    x = samples.x.cpu().numpy()
    bounds = find_range(x)
    if bounds is None:
        raise InputError(
            f"images with values from {x.min():.3g} to {x.max():.3g} fit no usual range: state "
            "which value is black and which is white, for example --range=-1,1 (in Python "
            "make_writer(..., range=(-1, 1)))"
        )
    return bounds


def are_images(samples: Samples) -> bool:
    """Whether they can be written as PNG files: (N, 1 or 3, H, W)."""
    return samples.x.dim() == 4 and samples.x.shape[1] in (1, 3)


def _rows(samples: Samples, start: int, stop: int | None) -> Samples:
    parts = {name: getattr(samples, name)[start:stop] for name in samples.fields}
    return dataclasses.replace(samples, **parts)
