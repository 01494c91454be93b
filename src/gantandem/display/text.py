"""Tables as plain text, aligned, for ``print``."""

from __future__ import annotations

from collections.abc import Sequence


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
