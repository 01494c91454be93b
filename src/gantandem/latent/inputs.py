"""Given rows in place of a random latent: images for a translator, the items of a dataset."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from gantandem.data.decoding import SUFFIXES, RefusedError, decode
from gantandem.data.folders import list_files
from gantandem.data.images import to_range
from gantandem.data.incoming import read
from gantandem.errors import DataError, InputError
from gantandem.latent.base import Latent
from gantandem.rng import Key


class ImageFiles:
    """The image files of a folder, read one by one when they are asked for.

    Args:
        folder: Sub-folders are looked into.
        size: Height and width to which every image is scaled; None takes them as they are.

    Attributes:
        paths: In order.
        names: The same, seen from the folder.
    """

    def __init__(self, folder: str | Path, size: tuple[int, int] | None = None) -> None:
        self.folder, self.size = Path(folder), size
        files, _ = list_files(self.folder)
        self.paths = [path for path in files if path.suffix.lower() in SUFFIXES]
        self.names = tuple(path.relative_to(self.folder).as_posix() for path in self.paths)
        if not self.paths:
            raise DataError(f"latent: {folder} holds no images ({', '.join(SUFFIXES)})")
        self._first: tuple[int, ...] | None = None

    def __len__(self) -> int:
        """How many there are."""
        return len(self.paths)

    def __getitem__(self, place: int) -> Tensor:
        """One image, (3 or 1, H, W) in [-1, 1]; DataError if it is not like the first one."""
        x = self._read(place)
        if self._first is None:
            self._first = tuple(x.shape if place == 0 else self._read(0).shape)
        if tuple(x.shape) != self._first:
            height, width = self._first[1:]
            scale = (
                f"Scale them: Inputs({str(self.folder)!r}, size=({height}, {width})), in a command "
                f"--latent images:{height}x{width}:{self.folder}"
            )
            colours = "Save it with as many colours (grey is one channel)"
            raise DataError(
                f"latent: {self.paths[place]} is an image of shape {tuple(x.shape)}, but the "
                f"first image, {self.names[0]}, has shape {self._first}; all must have one shape. "
                f"{colours if len(x) != self._first[0] else scale}"
            )
        return x

    def _read(self, place: int) -> Tensor:
        path = self.paths[place]
        try:
            raw, shape = decode(path.read_bytes())
        except (RefusedError, OSError) as error:
            raise DataError(f"latent: {path} {error}") from error
        pixels = torch.frombuffer(bytearray(raw), dtype=torch.uint8).view(shape)
        x = to_range(pixels.permute(2, 0, 1))
        if self.size is None or tuple(self.size) == shape[:2]:
            return x
        options: Any = {"mode": "bicubic", "antialias": True}
        return nn.functional.interpolate(x[None], tuple(self.size), **options)[0].clamp(-1, 1)


@dataclass(frozen=True, eq=False)
class Inputs(Latent):
    """What the generator is given, one row for each id: a translator's images, say.

    Args:
        source: A folder of images (read when they are drawn, in [-1, 1]), a tensor or array
            (M, *shape), a ``Dataset`` or a list of rows. Of pairs and dicts the sample counts, as
            for ``real=``. Bytes are taken for pixels and mapped to [-1, 1].
        order: ``"each"`` gives id i row i mod M, in every attempt: to translate each image once.
            A warning says if more than M samples are drawn, so that inputs repeat.
            ``"random"`` draws a row for each attempt, so that acceptance chooses among them.
        size: Height and width to which images of a folder are scaled; None leaves them.

    Raises:
        DataError: If there are no rows, or one cannot be read.

    Example:
        >>> latent = Inputs(torch.zeros(5, 3, 8, 8))
        >>> latent.draw(Key(0), torch.arange(7)).shape
        torch.Size([7, 3, 8, 8])
    """

    source: Any
    order: Literal["each", "random"] = "each"
    size: tuple[int, int] | None = None
    _rows: Any = field(init=False, repr=False)
    _shape: tuple[int, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Open the source and look at its first row."""
        if self.order not in ("each", "random"):
            raise InputError(f"latent order: got {self.order!r}, allowed are 'each' and 'random'")
        rows: Any = self.source
        if isinstance(rows, str | Path):
            if not Path(rows).is_dir():
                raise DataError(f"latent: {rows} is not a folder of images")
            rows = ImageFiles(rows, self.size)
        elif isinstance(rows, Tensor) or not (hasattr(rows, "__getitem__") and len(rows)):
            rows = read(rows, "latent").x
        object.__setattr__(self, "_rows", rows)
        if len(rows) == 0:
            raise DataError("latent: there are no inputs")
        object.__setattr__(self, "_shape", tuple(self._at([0]).shape[1:]))

    def _at(self, places: list[int]) -> Tensor:
        if isinstance(self._rows, Tensor):
            x = self._rows[torch.tensor(places)]
        else:
            x = read([self._rows[place] for place in places], "latent").x[:]
        return to_range(x) if x.dtype == torch.uint8 else x.float()

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self._rows)

    @property
    def names(self) -> tuple[str, ...] | None:
        """Of the files of a folder, in the order of the rows; else None."""
        return self._rows.names if isinstance(self._rows, ImageFiles) else None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one row."""
        return self._shape

    def draw(self, key: Key, ids: Tensor, attempts: Tensor | int = 0) -> Tensor:
        """One row for each id, (N, *shape)."""
        places = ids % len(self)
        if self.order == "random":
            places = key.integers(len(self), ids, attempts)
        return self._at(places.tolist()).to(ids.device)

    def log_prob(self, z: Tensor) -> Tensor:
        """Log of 1 / M, (N,): it is not looked whether z is one of the rows."""
        return z.new_full((len(z),), -math.log(len(self)), dtype=torch.float32)

    @property
    def discrete(self) -> bool:
        """No given row moves along a gradient; layers of the generator behind it may."""
        return True

    def config(self) -> dict[str, Any]:
        """How many rows of which shape, and a hash of the first ones and of the files' names."""
        digest = hashlib.blake2b(str(self.names).encode(), digest_size=8)
        first = self._at(list(range(min(len(self), 8)))).contiguous()
        digest.update(first.view(torch.uint8).numpy().tobytes())
        own = {"count": len(self), "shape": list(self.shape), "digest": digest.hexdigest()}
        return {"kind": "inputs", "order": self.order, **own}

    def to_file(self) -> dict[str, Any]:
        """The same, with the folder, which laws do not depend on."""
        if not isinstance(self._rows, ImageFiles):
            return self.config()
        return {**self.config(), "folder": str(self._rows.folder.resolve()), "size": self.size}

    def __str__(self) -> str:
        """What messages call it."""
        return f"Inputs of {len(self)} rows {self.shape}"
