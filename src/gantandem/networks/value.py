"""A value that never changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, NoReturn

from gantandem.errors import InputError, near


def read_only(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """A copy that nobody can write to."""
    return MappingProxyType(dict(values))


class Value:
    """Base of a class whose attributes are noted once; nothing writes to them afterwards.

    The annotations of the class say which attributes there are.
    """

    _READ: ClassVar[Mapping[str, Callable[[Any], Any]]] = {}
    """How an attribute is read, where it may be given in several ways."""
    _MADE: ClassVar[tuple[str, ...]] = ()
    """Cached attributes that a copy makes for itself."""

    def _note(self, **facts: Any) -> None:
        for name, value in facts.items():
            vars(self)[name] = self._READ[name](value) if name in self._READ else value

    @classmethod
    def _names(cls) -> list[str]:
        return [name for name in cls.__annotations__ if not name.startswith("_")]

    def __getstate__(self) -> dict[str, Any]:
        """What a copy takes over."""
        state = {name: value for name, value in vars(self).items() if name not in self._MADE}
        return {n: dict(v) if isinstance(v, MappingProxyType) else v for n, v in state.items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over what a copy is made of."""
        self._note(**state)

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        """Refuse, and say how to have another value."""
        kind, allowed = type(self).__name__, self._names()
        own = kind.lower()
        instead = f"{own} = {own}.replace({name}=...)" if name in allowed else near(name, allowed)
        raise InputError(
            f"{kind}.{name}: a {kind} cannot be changed; replace makes a new one: {instead}"
        )

    def __delattr__(self, name: str) -> NoReturn:
        """Refuse."""
        self.__setattr__(name, None)
