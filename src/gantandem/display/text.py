"""Tables as plain text, aligned, for ``print``."""

from __future__ import annotations

import re
from collections.abc import Sequence

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""What moves a cursor, colours a terminal or turns the direction of writing; not ends of lines."""


def visible(text: str) -> str:
    r"""The text with its control characters written out, as ``\x1b``, so that they do nothing."""
    return _CONTROL.sub(lambda one: one[0].encode("unicode_escape").decode(), text)


def aligned(rows: Sequence[Sequence[str]], align: str = "", *, indent: int = 0) -> str:
    """Lay out cells in columns, two spaces apart.

    Args:
        rows: As many cells each.
        align: A letter a column, ``"l"`` or ``"r"``; "" has the first column to the left and all
            others to the right.
        indent: Spaces before each line.
    """
    align = align or "l" + "r" * (len(rows[0]) - 1)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if side == "l" else cell.rjust(width)
            for cell, width, side in zip(row, widths, align, strict=True)
        ]
        lines.append((" " * indent + "  ".join(cells)).rstrip())
    return "\n".join(lines)
