"""Strategies: odd values, plain values with one change, and broken bytes."""

from __future__ import annotations

import copy
import datetime
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

ODD = [
    None, True, False, 0, -1, 1, 2, 63, 2**31, 2**63, 2**64, -(2**63), 10**40, 0.5, -0.0, 1e-300,
    1e308, float("nan"), float("inf"), -float("inf"), "", " ", "0", "1e400", "nan", "null", "auto",
    "x" * 300, "\x00", "\x1b[31m", "[red]", "$x_{1$", "../../x", "/etc/passwd", "CON", "-n",
    ".hidden", "é\u202e", "\ud800", "module:Name", "os:system", "builtins:eval", "obrs", "refine",
    [], {}, [[]], [None], {"": 1}, {"name": "obrs"}, {"net": "os:system"}, [1, 2, 3], [0.1] * 3,
    ["a"], {"a": {"b": {"c": []}}}, datetime.date(2020, 1, 1), datetime.datetime(2020, 1, 1),
    b"bytes", {1: 2}, {(1, 2): 3}, {"x"},
]  # fmt: skip
"""Values of every kind that a setting may be given by mistake."""

odd = st.one_of(
    st.sampled_from(ODD),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.recursive(
        st.one_of(st.none(), st.integers(-3, 3), st.text(max_size=3)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)
        ),
        max_leaves=5,
    ),
).map(copy.deepcopy)

plain_odd = odd.filter(lambda value: _is_json(value))
"""Those of them that JSON holds."""


def _is_json(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_json(inner) for key, inner in value.items())
    if isinstance(value, list):
        return all(map(_is_json, value))
    return value is None or isinstance(value, (bool, int, float, str))


@st.composite
def changed(draw: st.DrawFn, value: Any, with_values: Any = odd, times: int = 2) -> Any:
    """A nested plain value with one or two places replaced, dropped, added or moved."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, times))):
        places = list(_places(value))
        if not places:
            return draw(with_values)
        path = draw(st.sampled_from(places))
        where, key = _walk(value, path[:-1]), path[-1]
        kind = draw(st.sampled_from(("replace", "replace", "drop", "add", "move")))
        if kind == "replace":
            where[key] = draw(with_values)
        elif kind == "drop":
            del where[key]
        elif kind == "add" and isinstance(where, dict):
            where[draw(st.text(max_size=6))] = draw(with_values)
        elif kind == "add":
            where.insert(0, draw(with_values))
        else:
            other = draw(st.sampled_from(places))
            where[key] = copy.deepcopy(_walk(value, other))
    return value


def _places(value: Any, path: tuple[Any, ...] = ()) -> Any:
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in pairs:
        yield (*path, key)
        if isinstance(inner, (dict, list)):
            yield from _places(inner, (*path, key))


def _walk(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


@st.composite
def broken(draw: st.DrawFn, content: bytes) -> bytes:
    """Bytes that were cut, flipped, filled with zeros or spliced."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        kind = draw(st.sampled_from(("cut", "flip", "zeros", "splice", "swap", "early")))
        if kind == "cut":
            del data[at:]
        elif kind == "flip" and data:
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "early" and data:  # headers are where meaning is
            data[at % min(len(data), 400)] ^= 1 << draw(st.integers(0, 7))
        elif kind == "zeros":
            data[at : at + 16] = bytes(16)
        elif kind == "splice":
            data[at:at] = draw(st.binary(max_size=24))
        else:
            data[at:] = data[at:][::-1]
    return bytes(data)
