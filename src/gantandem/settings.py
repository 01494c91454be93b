"""One check for all settings: their kind, their range, and their names.

The annotation of a setting says what is allowed: ``steps: Count``, ``stop: Literal["last"]``,
``clamp: Interval | None``. A sampler is checked by subclassing :class:`Settings`; an argument of a
function by :func:`check`. NumPy's numbers and lists become Python's numbers and tuples; nothing
else is converted: ``"4"`` is no number, ``True`` no integer, NaN and infinity are no settings.
"""

from __future__ import annotations

import builtins
import dataclasses
import functools
import inspect
import sys
import types
import typing
from abc import ABC
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple, get_args, get_origin

import numpy as np

from gantandem.errors import ConfigError, near

if TYPE_CHECKING:
    from typing_extensions import Self


class Rule(NamedTuple):
    """What an annotated setting must keep besides its type: in words, and as a test."""

    says: str
    holds: Callable[[Any], bool]


def at_least(low: int) -> Rule:
    """Integers from ``low`` on; every counter of a run stays below 2^32."""
    return Rule(f"an integer of {low} or more (below 2^32)", lambda value: low <= value < 2**32)


Count = Annotated[int, at_least(1)]
NotNegativeInt = Annotated[int, at_least(0)]
WIDTH = "1, 2, 4, 8 or a multiple of 16 such as 256"
Width = Annotated[int, Rule(WIDTH, lambda w: w in (1, 2, 4, 8) or (w >= 16 and not w % 16))]
Seed = Annotated[int, Rule("an integer from 0 to 2^64 - 1", lambda value: 0 <= value < 2**64)]
Positive = Annotated[float, Rule("a number above 0", lambda value: value > 0)]
NotNegative = Annotated[float, Rule("a number of 0 or more", lambda value: value >= 0)]
Share = Annotated[float, Rule("a share from 0 to 1", lambda value: 0 <= value <= 1)]
Between = Annotated[float, Rule("a number between 0 and 1", lambda value: 0 < value < 1)]
INCREASING = Rule("two numbers (low, high), low below high", lambda pair: pair[0] < pair[1])
Interval = Annotated[tuple[float, float], INCREASING]
Decays = Annotated[
    tuple[float, float],
    Rule("two shares of 0 or more, below 1", lambda v: all(0 <= beta < 1 for beta in v)),
]
Schedule = Annotated[
    tuple[tuple[Count, Positive], ...], Rule("one or more pairs (updates, learning rate)", bool)
]
Layer = Annotated[
    str, Rule("the name of a layer as a quoted text, such as 'latent', 'data' or '3'", bool)
]

_PLAIN = {
    int: "an integer",
    float: "a finite number",
    bool: "True or False",
    str: "a text",
    types.NoneType: "None",
}


class Settings:
    """Base of a frozen dataclass whose fields are checked when it is made.

    Subclass it to have the same for your own sampler; a ``__post_init__`` of your own calls
    ``super().__post_init__()`` first.

    Raises:
        ConfigError: If a setting is unknown (near matches are named), of the wrong type, or out of
            range.

    Example:
        >>> @dataclasses.dataclass(frozen=True, kw_only=True)
        ... class Mine(Settings):
        ...     name: typing.ClassVar[str] = "mine"
        ...     steps: Count = 10
        >>> Mine(steps=np.int64(3))
        Mine(steps=3)
    """

    name: ClassVar[str] = ""
    """What messages call it; by default the name of the class."""

    def __init_subclass__(cls, **options: Any) -> None:
        """Call a class without a name by its own, unless it is a base of others."""
        super().__init_subclass__(**options)
        if ABC not in cls.__bases__:
            cls.name = cls.name or cls.__name__

    def __new__(cls, *args: Any, **settings: Any) -> Self:
        """Refuse unknown names before the dataclass does."""
        if not dataclasses.is_dataclass(cls):
            raise ConfigError(
                f"{cls.name}: settings are the fields of a dataclass; write "
                f"@dataclass(frozen=True, kw_only=True) above class {cls.__name__}"
            )
        check_names(cls.name, cls, settings)
        if args:
            raise ConfigError(
                f"{cls.name}: got {show(args[0])} without a name; settings are given by name, "
                f"{cls.name} takes {', '.join(_names(cls)) or 'none'}"
            )
        return super().__new__(cls)

    def __post_init__(self) -> None:
        """Check every field; what was given as NumPy's number or a list becomes Python's own."""
        for name, kind in kinds(type(self)).items():
            value = check(f"{self.name} {name}", kind, getattr(self, name))
            object.__setattr__(self, name, value)


def check(where: str, kind: Any, value: Any) -> Any:
    """Give a value as Python's own, or refuse it.

    Args:
        where: What it belongs to and its name, for the message.
        kind: An annotation, such as ``Count`` or ``float | None``; one that is none of int, float,
            bool, str, None, Literal, tuple, a class or a union of these allows everything.
        value: What was given.

    Raises:
        ConfigError: If it is not of that kind.
    """
    try:
        return _fit(kind, plain(value))
    except _MisfitError:
        raise ConfigError(f"{where}: got {show(value)}, allowed is {describe(kind)}") from None


def check_function(where: str, value: Any, takes: int, says: str) -> Any:
    """Give a function as it is, or refuse what is none or takes other arguments.

    Args:
        where: What it belongs to and its name, for the message.
        value: What was given.
        takes: Arguments that it is called with, by place.
        says: What it must be, in words: ``"a function of samples that returns a number"``.

    Raises:
        ConfigError: Then.
    """
    try:
        fits = callable(value) and inspect.signature(value).bind(*[None] * takes)
    except TypeError as error:
        raise ConfigError(f"{where}: got {show(value)} ({error}), allowed is {says}") from None
    except ValueError:  # a built-in function that does not tell
        fits = True
    if not fits:
        raise ConfigError(f"{where}: got {show(value)}, allowed is {says}")
    return value


class _MisfitError(Exception):
    pass


def plain(value: Any) -> Any:
    """NumPy's numbers as Python's, and lists as tuples, at any depth."""
    if isinstance(value, np.generic):
        return value.item()
    return tuple(map(plain, value)) if isinstance(value, list | tuple) else value


def _fit(kind: Any, value: Any) -> Any:
    parts = get_args(kind)
    match get_origin(kind) or kind:
        case typing.Annotated:
            value = _fit(parts[0], value)
            good = all(rule.holds(value) for rule in parts[1:] if isinstance(rule, Rule))
        case typing.Union | types.UnionType:
            for part in parts:
                try:
                    return _fit(part, value)
                except _MisfitError:
                    pass
            good = False
        case typing.Literal:
            good = any(type(value) is type(one) and value == one for one in parts)
        case builtins.tuple if parts:
            good = isinstance(value, tuple)
            if good and parts[1:] == (...,):
                parts = parts[:1] * len(value)
            good = good and len(value) == len(parts)
            value = tuple(map(_fit, parts, value)) if good else value
        case builtins.int:
            good = isinstance(value, int) and not isinstance(value, bool)
        case builtins.float:
            good = isinstance(value, int | float) and not isinstance(value, bool)
            good = good and abs(value) <= sys.float_info.max  # so not NaN
            value = float(value) if good else value
        case _:
            good = not isinstance(kind, type) or (
                isinstance(value, kind) and not isinstance(value, type)
            )
    if not good:
        raise _MisfitError
    return value


def describe(kind: Any) -> str:
    """A kind in words, as in "an integer of 1 or more or 'auto'"."""
    parts = get_args(kind)
    match get_origin(kind):
        case typing.Annotated:
            return next((r.says for r in parts[1:] if isinstance(r, Rule)), describe(parts[0]))
        case typing.Union | types.UnionType:
            return " or ".join(map(describe, parts))
        case typing.Literal:
            *most, last = map(repr, parts)
            return f"{', '.join(most)} or {last}" if most else last
        case builtins.tuple:
            inside = f"any number of values, each {describe(parts[0])}"
            return inside if parts[1:] == (...,) else f"({', '.join(map(describe, parts))})"
    return _PLAIN.get(kind) or f"a {getattr(kind, '__name__', kind)}"


def show(value: Any) -> str:
    """A value in one short line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:76]} ..."


def check_names(where: str, kind: Any, given: Iterable[str]) -> None:
    """Refuse names that are no settings of a dataclass.

    Raises:
        ConfigError: Naming near matches, and what is allowed.
    """
    allowed = _names(kind)
    for name in given:
        if name not in allowed:
            raise ConfigError(f"{where}: unknown setting {name!r}; {near(name, allowed)}")


def from_values(where: str, kind: Any, values: Any) -> Any:
    """Make a dataclass of what a file holds; every value is checked by its annotation.

    Raises:
        ConfigError: If a value is missing, unknown or of another kind.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where}: got {show(values)}, allowed are settings by name")
    check_names(where, kind, values)
    of = kinds(kind)
    try:
        return kind(**{name: check(f"{where} {name}", of[name], values[name]) for name in values})
    except TypeError as error:
        raise ConfigError(f"{where}: {error}") from None


def to_config(sampler: Any) -> dict[str, Any]:
    """A sampler's settings as JSON-ready values; ``from_config`` is the way back.

    Those of :mod:`gantandem.samplers` go by their name, all others by ``"module:Name"``.
    """
    kind = type(sampler)
    if not dataclasses.is_dataclass(kind):
        raise ConfigError(f"sampler: got {show(sampler)}, which is not a dataclass of settings")
    own = issubclass(kind, Settings) and kind.__module__.startswith("gantandem.samplers.")
    name = kind.name if own else f"{kind.__module__}:{kind.__qualname__}"
    config: dict[str, Any] = {"name": name}
    for item in dataclasses.fields(sampler):
        value = getattr(sampler, item.name)
        nested = dataclasses.is_dataclass(value) and not isinstance(value, type)
        config[item.name] = to_config(value) if nested else value
    return config


@functools.cache
def kinds(kind: Any) -> dict[str, Any]:
    """The annotation of each setting of a dataclass; Any where only a type checker knows it."""
    found: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        scope = vars(sys.modules[base.__module__])
        for name, hint in inspect.get_annotations(base).items():
            if name not in _names(kind):
                continue
            one = types.SimpleNamespace(__annotations__={name: hint})
            try:
                found |= typing.get_type_hints(one, scope, include_extras=True)
            except NameError:
                found[name] = Any
    return found


def _names(kind: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(kind) if field.init]
