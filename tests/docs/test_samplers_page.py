"""The page on samplers: every sampler is in its tables, and the code that it points to exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import gantandem

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "gantandem"
PAGE = (ROOT / "docs" / "samplers.md").read_text(encoding="utf-8")
TABLE = PAGE.partition("## Where to check a sampler against its paper")[2].partition("\n## ")[0]
ROWS = dict(re.findall(r"^\| `(\w+)` \|.*\| (.+) \|$", TABLE, re.MULTILINE))


def defined(path: Path) -> set[str]:
    """Names of the functions of a file and of the methods of its classes."""
    names: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            methods = [child for child in node.body if isinstance(child, ast.FunctionDef)]
            names |= {f"{node.name}.{method.name}" for method in methods}
    return names


def test_every_sampler_is_in_both_tables():
    assert set(ROWS) == set(gantandem.SAMPLERS)
    before = PAGE.partition("## Where to check")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", before, re.MULTILINE)) == set(gantandem.SAMPLERS)


def test_what_the_table_points_to_exists():
    for sampler, places in ROWS.items():
        found = re.findall(r"`([\w/]+\.py):([\w.]+)`", places)
        assert found, sampler
        for file, name in found:
            assert name in defined(SOURCE / file), f"{sampler}: {file} has no {name}"
