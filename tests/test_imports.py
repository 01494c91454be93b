"""Imports point one way: from what a user calls down to what knows nothing of the rest."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import gantandem

ORDER = """
_version errors
settings files progress
rng condition samples
adapt
nets
data
latent
display
networks
ratios
gan
samplers
engine
evaluate.metrics
discriminator
evaluate training scoring
tasks adapt.drop_in testing
reporting
runs
cli
__main__
"""
"""What may import what: a line imports the lines above it. A name here is a module, or a package
with all its modules that are not named apart."""

LINE = {name: i for i, line in enumerate(ORDER.split("\n")) for name in line.split()}
SOURCE = Path(gantandem.__file__).parent
FILES = {
    ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in SOURCE.rglob("*.py")
    if path != SOURCE / "__init__.py"
}


def imported(source: str, known: set[str]) -> set[str]:
    """Modules of the package that a source imports, in functions too; not for a type checker."""
    found: set[str] = set()

    def look(node: ast.AST) -> None:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            return
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            assert not node.level, "imports here are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts.pop(0) == "gantandem":
                # Of gantandem.a.b the file of a runs as well.
                places = [".".join(parts[:i]) for i in range(1, len(parts) + 1)]
                found.update(known.intersection(places))
        for child in ast.iter_child_nodes(node):
            look(child)

    look(ast.parse(source))
    return found


def unit(module: str) -> str:
    """The name under which ``ORDER`` lists a module."""
    return next((name for name in _prefixes(module) if name in LINE), "")


def _prefixes(module: str) -> Iterator[str]:
    while module:
        yield module
        module = module.rpartition(".")[0]


@functools.cache
def edges() -> dict[str, set[str]]:
    found = {}
    for name, path in FILES.items():
        own = set(_prefixes(name))  # a package's own file runs before its modules
        found[name] = imported(path.read_text(), set(FILES)) - own
    return found


def circle(graph: dict[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def test_no_circle():
    assert circle(edges()) == []


def test_one_way():
    wrong = [
        f"{name} -> {other}"
        for name, others in edges().items()
        for other in others
        if LINE[unit(other)] >= LINE[unit(name)]
        and unit(name) != unit(other)
        and not any(one.startswith(f"{other}.") for one in others)  # only on the way there
    ]
    assert not wrong, "\n".join(wrong)


def test_every_module_has_its_place():
    assert [name for name in FILES if not unit(name)] == []


@pytest.mark.parametrize(
    "text",
    [
        "from gantandem.a import thing",
        "import gantandem.a.inner",
        "from gantandem import a",
        "def f():\n    from gantandem.a.inner import x",
        "try:\n    import gantandem.a\nexcept ImportError: pass",
    ],
)
def test_what_counts(text):
    assert "a" in imported(text, {"a", "a.inner", "b"})
    assert circle({"b": imported(text, {"a"}), "a": {"b"}})


def test_what_does_not_count():
    checked = "if TYPE_CHECKING:\n    from gantandem.a import b"
    assert imported(checked + "\nfrom torch import nn", {"a"}) == set()
