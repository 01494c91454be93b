"""Grids of image samples as PNG, one pixel a pixel; the page scales them up."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gantandem.data.ranges import Range, to_levels

Array = NDArray[np.floating]
Pixels = NDArray[np.uint8]


def to_pixels(x: Array, bounds: Range) -> Pixels:
    """Map images (N, C, H, W) of a range to uint8 (N, H, W, 3); values outside are clipped.

    Raises:
        InputError: If a value is not finite.
    """
    return np.broadcast_to(to_levels(x, bounds).transpose(0, 2, 3, 1), (len(x), *x.shape[2:], 3))


def difference_pixels(before: Array, after: Array, bounds: Range) -> Pixels:
    """What changed, (N, H, W, 3): blue where values rose, red where they fell, white where not.

    The full colour is a change by the whole width of the range, or more.
    """
    change = (np.asarray(after, np.float64) - np.asarray(before, np.float64)).mean(1)
    change = np.clip(change / (bounds[1] - bounds[0]), -1, 1)
    rose, fell = np.maximum(change, 0), np.maximum(-change, 0)
    channels = [1 - rose, 1 - rose - fell, 1 - fell]
    return (255 * np.clip(np.stack(channels, axis=-1), 0, 1)).round().astype(np.uint8)


def grid(pixels: Pixels, columns: int, gap: int = 1, gray: int = 128) -> Pixels:
    """Lay images (N, H, W, 3) out in rows, shape (rows * H, columns * W, 3) with gaps between."""
    count, height, width, _ = pixels.shape
    rows = -(-count // columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), gray, np.uint8)
    for index, image in enumerate(pixels):
        top, left = index // columns * (height + gap), index % columns * (width + gap)
        sheet[top : top + height, left : left + width] = image
    return sheet


def encode(pixels: Pixels) -> bytes:
    """Encode (H, W, 3) pixels as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="png", optimize=True)
    return buffer.getvalue()


def sample_grid(x: Array, bounds: Range, columns: int = 10, rows: int = 10) -> bytes:
    """The first samples as a PNG grid."""
    return encode(grid(to_pixels(x[: columns * rows], bounds), columns))


def pair_grids(
    before: Array, after: Array, bounds: Range, columns: int = 16, rows: int = 4
) -> dict[str, bytes]:
    """The same samples before and after, and their difference, as PNG grids."""
    n = columns * rows
    return {
        "before": encode(grid(to_pixels(before[:n], bounds), columns)),
        "after": encode(grid(to_pixels(after[:n], bounds), columns)),
        "difference": encode(
            grid(difference_pixels(before[:n], after[:n], bounds), columns, gray=225)
        ),
    }
