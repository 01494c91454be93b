"""Cells of the page's tables; on a phone, where rows become blocks, each shows its column."""

from __future__ import annotations

from html import escape

from gantandem.display.table import Column


def heading(column: Column) -> str:
    """The head of a column, with the way that is better."""
    arrow = {"high": " ↑", "low": " ↓", "one": " → 1", "half": " → .5", None: ""}[column.better]
    return f'<th scope="col" title="{escape(column.help)}">{escape(column.label)}{arrow}</th>'


def cell(column: Column, content: str, marked: bool = False) -> str:
    """A cell of HTML."""
    kind = ' class="best"' if marked else ""
    return f'<td{kind} data-of="{escape(column.label)}">{content}</td>'
