"""A small file that claims a huge picture ends in one message."""

from __future__ import annotations

import struct
import zlib

import pytest

from gantandem.data.images import load_images
from gantandem.errors import DataError


def chunk(kind, content):
    crc = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)


def test_a_png_that_claims_400_million_pixels_is_refused(tmp_path):
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)
    content = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(9)))
    )
    (tmp_path / "huge.png").write_bytes(content + chunk(b"IEND", b""))
    with pytest.raises(DataError, match=r"huge\.png is not a readable image .*decompression bomb"):
        load_images(tmp_path)
