"""Every error a user can meet: each says what, where, what is allowed and how to fix it."""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
import os
import re
import sys
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from gantandem.evaluate.comparison import Compared
    from gantandem.samples import Samples


F = TypeVar("F", bound=Callable[..., Any])


class GANtandemError(Exception):
    """Base of all errors raised on purpose; the command line prints its text and exits with 2."""


class InputError(GANtandemError, ValueError):
    """An argument, option or file is not usable as given."""


class ConfigError(InputError):
    """A configuration names something unknown or holds a value that is not allowed."""


class DataError(InputError):
    """A dataset, image file or sample file cannot be read."""


class WeightsError(InputError):
    """A weight file is truncated, pickled, or does not fit its network."""


class CutError(InputError):
    """A generator cannot be cut at the named layer."""


SplitError = CutError
"""The old name of :class:`CutError`; it goes with the next version."""


class LawMismatchError(InputError):
    """A ratio was fitted on another law than the proposals it is asked to judge."""


class NotARatioError(InputError):
    """A raw critic was given where a log ratio is needed."""


class StoppedError(GANtandemError):
    """Sampling could not go on.

    Attributes:
        samples: The contiguous prefix of finished samples, from ``sample``; None if there is none.
    """

    samples: Samples | None = None


class NonFiniteError(StoppedError):
    """A network gave NaN or infinity, or what is not finite was to be measured or written."""


class BudgetError(StoppedError):
    """Too many ids used up their attempts without an acceptance, or it is plain that they will."""


class ContractError(GANtandemError, AssertionError):
    """A sampler breaks the contract that ``gantandem.testing.check_sampler`` checks."""


class IncompleteError(GANtandemError):
    """Some samplers could not be measured; the rows of the others are kept.

    Args:
        message: What failed and why, and where the rest is.
        metrics: The content of ``metrics.json``, with the reasons under ``failed``.
        finished: From ``compare``: what it would have returned, of the samplers that were measured.
    """

    def __init__(
        self,
        message: str,
        metrics: dict[str, Any],
        finished: dict[str, Compared] | None = None,
    ) -> None:
        super().__init__(message)
        self.metrics, self.finished = metrics, finished or {}


class OutputError(GANtandemError):
    """Results could not be written; what was kept is said in the message."""


class MissingExtraError(GANtandemError, ImportError):
    """An optional dependency is missing; the message holds the command that installs it."""


def need(module: str, extra: str) -> ModuleType:
    """Import an optional module.

    Args:
        module: Dotted name, for example ``"torchmetrics"``.
        extra: The extra of this package that installs it.

    Raises:
        MissingExtraError: If it is not installed, naming the install command.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"{module} is needed here and is not installed: pip install 'gantandem[{extra}]'"
        ) from error


def imports(name: object) -> bool:
    """Whether it is written ``module:Name``, which :func:`look_up` imports; nothing else is."""
    return (
        isinstance(name, str) and re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*:\w+", name) is not None
    )


def look_up(
    what: str, name: str, known: Mapping[str, Any], *kinds: type, made: bool = False
) -> Any:
    """Find a built-in thing by its name, or anybody's own as ``module:Name``; nothing is called.

    Args:
        what: Its kind, for messages: ``"sampler"``.
        name: What to find.
        known: The built-in ones.
        kinds: What is not built in must be a subclass of one of these ...
        made: ... or, if True, an object of one of these.

    Raises:
        ConfigError: If there is none of that name, it cannot be imported, or is of another kind.
    """
    if name in known:
        return known[name]
    if ":" not in name:
        raise ConfigError(f"unknown {what} {name!r}; {near(name, known)}, or 'module:Name'")
    if not imports(name):
        raise ConfigError(f"{what} {name!r} cannot be imported: allowed is 'package.module:Name'")
    module, _, attribute = name.partition(":")
    try:
        found = getattr(_module(module), attribute)
    except (Exception, SystemExit) as error:  # whatever the module does
        raise ConfigError(f"{what} {name!r} cannot be imported: {error}") from error
    if not (isinstance(found, kinds) if made else _is_subclass(found, kinds)):
        allowed = " or ".join(kind.__name__ for kind in kinds)
        raise ConfigError(
            f"{what} {name!r}: got a {type(found).__name__}, which was not called; allowed is "
            f"{'a' if made else 'a subclass of'} {allowed}"
        )
    return found


def _module(name: str) -> ModuleType:
    """Import a module; what is nowhere on Python's path is looked for in the current folder."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        here = os.getcwd()
        if error.name != name.partition(".")[0] or here in sys.path:
            raise
    sys.path.append(here)  # at the end, so that nothing installed is taken from there
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        sys.path.remove(here)
        where = f"{error}, neither on Python's path nor in {here}"
        raise ModuleNotFoundError(where, name=error.name) from None


def _is_subclass(found: object, kinds: tuple[type, ...]) -> bool:
    return isinstance(found, type) and issubclass(found, kinds)


def trusted(
    what: str, name: str, trust: bool, known: Collection[str] = (), instead: str = ""
) -> None:
    """Refuse to import what a file names: that runs the code of whoever wrote it.

    What is built in may be named by any file.

    Args:
        what: Its kind, for messages: ``"sampler"``.
        name: As the file has it.
        trust: Whether the user said that the file is to be trusted.
        known: Names with a colon that are built in all the same.
        instead: What else could be done, for the message.

    Raises:
        ConfigError: Then.
    """
    if ":" in name and name not in known and not trust:
        raise ConfigError(
            f"{what} {name!r} is not built in, and importing a name from a file runs code. If you "
            f"trust the file and that module, pass trust=True (in a command: --trust){instead}"
        )


def needing(**words: str) -> Callable[[F], F]:
    """Let a call that leaves arguments out end in a message that says what they are.

    Args:
        words: Of each argument that is needed, what the message says of it.

    Raises:
        InputError: From the function, naming the first one that is missing.
    """

    def decorate(function: F) -> F:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def call(*args: Any, **options: Any) -> Any:
            given = signature.bind_partial(*args, **options).arguments
            for name in (one for one in words if one not in given):
                where = function.__qualname__.removesuffix(".__init__")
                raise InputError(f"{where}: {name} is missing: {words[name]}")
            return function(*args, **options)

        return call  # type: ignore[return-value]

    return decorate


def renamed(**names: str) -> Callable[[F], F]:
    """Let a function take arguments under their old names as well, with a FutureWarning.

    Args:
        names: The new name of each old one: ``pool="n"``.

    Raises:
        TypeError: From the function, if an argument is given under both names.
    """

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def call(*args: Any, **options: Any) -> Any:
            for old in names.keys() & options.keys():
                new, where = names[old], function.__name__
                if new in options:
                    raise TypeError(f"{where}: {old} is now called {new}; give {new} alone")
                message = f"{where}: {old} is now called {new}; {old} goes with the next version"
                warnings.warn(message, FutureWarning, stacklevel=2)
                options[new] = options.pop(old)
            return function(*args, **options)

        return call  # type: ignore[return-value]

    return decorate


SHOWN = 24
"""A message lists at most so many names."""


def near(name: object, allowed: Iterable[str]) -> str:
    """Say which names are allowed, near matches first: "did you mean 'a'? allowed: a, b"."""
    names = list(dict.fromkeys(allowed))
    matches = difflib.get_close_matches(str(name), names, n=2, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, matches))}? " if matches else ""
    more = f", ... ({len(names)} in all)" if len(names) > SHOWN else ""
    return f"{hint}allowed: {', '.join(names[:SHOWN]) or 'nothing'}{more}"


def old_name(new: str) -> Callable[..., Any]:
    """A method under its old name, with a FutureWarning; it goes with the next version.

    Args:
        new: The name of the method now.
    """

    def call(self: Any, *args: Any, **options: Any) -> Any:
        message = f"{type(self).__name__}: this method is now called {new}"
        warnings.warn(message, FutureWarning, stacklevel=2)
        return getattr(self, new)(*args, **options)

    return call
