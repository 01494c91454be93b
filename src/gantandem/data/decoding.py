"""Pictures as they are: what 8 bits of grey or RGB cannot hold is refused and named."""

from __future__ import annotations

import io
import itertools
import re
import warnings
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from gantandem.errors import DataError, need
from gantandem.files.limits import check_size

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP")
"""What the content of a file may be; Pillow opens others by running programs."""
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".gif")
TOLD = 5
"""So many reasons are told why pictures are not read."""
LARGEST = 1 << 26
"""Pixels of one picture."""
ORIENTATION = 0x0112
"""The tag of EXIF that says how a camera was held."""
ROTATIONS = {
    2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE",
    6: "ROTATE_270", 7: "TRANSVERSE", 8: "ROTATE_90",
}  # fmt: skip
KEPT = {"1": "L", "L": "L", "LA": "L", "La": "L", "P": "RGB", "PA": "RGB", "RGB": "RGB",
        "RGBA": "RGB", "RGBa": "RGB"}  # fmt: skip
"""What is read of a mode of Pillow, where the alpha is opaque throughout."""


class RefusedError(Exception):
    """A picture is not read; the text goes on after the file's name."""


def decode_all(rows: Iterable[tuple[str, bytes, int]], where: str) -> tuple[Tensor, Tensor]:
    """Decode pictures, which must be alike.

    Args:
        rows: Of each its name, the content of its file, and its label.
        where: For messages.

    Returns:
        uint8 (N, C, H, W) and the labels int64 (N,).

    Raises:
        DataError: If there are none, they differ in size, or some are refused: each reason is told
            once, with the first file and how many more there are.
    """
    raw, labels, refused = bytearray(), list[int](), dict[str, list[str]]()
    shape: tuple[int, int, int] | None = None
    for name, encoded, label in rows:
        try:
            pixels, this = decode(encoded)
        except RefusedError as error:
            refused.setdefault(str(error), []).append(name)
            continue
        shape = shape or this
        if this != shape:
            raise DataError(
                f"{where}: {name} is {this} but the first image is {shape} (height, width, "
                "channels): all images must have one shape"
            )
        if not refused:
            check_size(2 * (len(raw) + len(pixels)), where)
            raw += pixels
        labels.append(label)
    if refused:
        told = (
            f"{names[0]} {reason}" + f" (and {len(names) - 1:,} more)" * (len(names) > 1)
            for reason, names in refused.items()
        )
        raise DataError(f"{where}: {'; '.join(itertools.islice(told, TOLD))}")
    if shape is None:
        raise DataError(f"{where} holds no images")
    pixels = torch.frombuffer(raw, dtype=torch.uint8).view(-1, *shape)
    return pixels.permute(0, 3, 1, 2).contiguous(), torch.tensor(labels)


def decode(encoded: bytes) -> tuple[bytes, tuple[int, int, int]]:
    """Read a picture as a viewer shows it: turned as its EXIF says, an opaque alpha left out.

    Returns:
        The pixels, uint8, row by row, and their shape (H, W, C) with C 1 or 3.

    Raises:
        RefusedError: If it is damaged or not to be held so: more bits, transparent pixels, several
            frames, other colours, or too many pixels.
        MissingExtraError: If the ``images`` extra is not installed.
    """
    module: Any = need("PIL.Image", "images")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with module.open(io.BytesIO(encoded), formats=FORMATS) as image:
                return _pixels(image, module)
    except (RefusedError, MemoryError):
        raise
    except module.UnidentifiedImageError:
        error: Any = f"none of {', '.join(FORMATS)}"
    except Exception as damage:  # of a damaged file Pillow raises many unrelated kinds
        error = damage
    raise RefusedError(f"cannot be read as an image ({error}): repair or remove it")


def _pixels(image: Any, module: Any) -> tuple[bytes, tuple[int, int, int]]:
    if image.width * image.height > LARGEST:
        raise RefusedError(
            f"has {image.width:,} x {image.height:,} pixels, and at most {LARGEST:,} are allowed. "
            "Check that the file is not a decompression bomb, and make the image smaller"
        )
    frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    if frames > 1:  # the others of an MPO are previews and depths
        raise RefusedError(
            f"holds {frames} images (frames or pages): save each image that you need as its own "
            "file"
        )
    packed = " ".join(str(tile[3]) for tile in image.tile)
    if re.match(r"[IF]\b", image.mode) or re.search(r"(?<!BGR);16", packed):
        raise RefusedError(
            "has more than 8 bits a channel: scale its values to 8 bits and save it again"
        )
    unscaled = image.mode == "1" or "L;2" in packed or "L;4" in packed
    mode = KEPT.get(image.mode)
    if mode is None:
        raise RefusedError(
            f"is of mode {image.mode}; allowed are grey and RGB of 8 bits: convert the image and "
            "save it again"
        )
    image.load()
    rotation = ROTATIONS.get(image.getexif().get(ORIENTATION, 1))
    if rotation is not None:
        image = image.transpose(module.Transpose[rotation])
    if _has_alpha(image):
        shown = image.convert("RGBA")
        if unscaled or shown.getchannel("A").getextrema()[0] < 255:  # unscaled: as is the colour
            raise RefusedError(
                "has transparent pixels: put the image on a background and save it without alpha"
            )
        image = shown if mode == "RGB" else image
    return image.convert(mode).tobytes(), (image.height, image.width, len(mode))


def _has_alpha(image: Any) -> bool:
    palette = image.palette if image.mode == "P" else None
    alpha_mode = image.mode in ("LA", "La", "PA", "RGBA", "RGBa")
    in_palette = palette is not None and palette.mode.endswith("A")
    return alpha_mode or in_palette or "transparency" in image.info
