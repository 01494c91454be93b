"""What a mutation is, and ways to patch one thing or one line of source."""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest

Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class Mutation:
    """What is broken, and the test (module, function, arguments) that notices."""

    mutate: Callable[[Patch], None]
    module: str
    function: str
    arguments: dict[str, Any] = field(default_factory=dict)


def edited(patch: Patch, owner: Any, name: str, old: str, new: str) -> None:
    """Change one line of a function or method, wherever it was imported to."""
    function = getattr(owner, name)
    source = textwrap.dedent(inspect.getsource(inspect.unwrap(function)))
    where = f"{owner.__name__}.{name}"
    assert source.count(old) == 1, f"{where} does not say {old!r} once: adapt this mutation"
    scope: dict[str, Any] = {}
    code = "from __future__ import annotations\n" + source.replace(old, new)
    exec(compile(code, where, "exec"), inspect.unwrap(function).__globals__, scope)
    patch.setattr(owner, name, scope[name])
    if isinstance(owner, ModuleType):
        for module in list(sys.modules.values()):
            if getattr(module, "__dict__", {}).get(name) is function:
                patch.setattr(module, name, scope[name])


def edit(owner: Any, name: str, old: str, new: str) -> Callable[[Patch], None]:
    return lambda patch: edited(patch, owner, name, old, new)


def put(owner: Any, name: str, value: Any) -> Callable[[Patch], None]:
    return lambda patch: patch.setattr(owner, name, value)
