"""What long work shows, and how Ctrl-C ends it.

A progress bar for anything longer than two seconds. Where there is no terminal, a line in the log
says now and then how much is done (the level is INFO, which commands show). Ctrl-C waits for
the end of what must be whole (a turn of the engine, an update of a training, a file). A request to
terminate (SIGTERM, as batch systems send it) does the same within :func:`terminable`.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

logger = logging.getLogger(__name__)

PATIENCE = 2.0
RARELY = 300.0
"""Seconds between two lines of a log, at most; the first ones come sooner."""
FEW_PARTS, LONG = 4, 30.0
"""How long work takes is told of so many parts, or after so many seconds."""
_quiet = False


def be_quiet(silent: bool) -> None:
    """Show no bars from now on, unless a call asks for one; False shows them again."""
    global _quiet
    _quiet = silent


def is_quiet() -> bool:
    """Whether :func:`be_quiet` was said."""
    return _quiet


@contextlib.contextmanager
def track(total: int, label: str, show: bool | None = None) -> Iterator[Callable[[int], None]]:
    """Yield a function to call with the amount of work just done.

    Args:
        total: All the work there is.
        label: Shown before the bar.
        show: True or False to force it; None shows it on a terminal, after two seconds, and logs
            lines elsewhere.
    """
    if show is False or (show is None and _quiet):
        yield lambda amount: None
        return
    if show is None and not sys.stderr.isatty():
        yield _Lines(total, label)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:,.0f}/s" if task.speed else "")

    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
        Rate(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    task, begin = bar.add_task(label, total=total), time.monotonic()

    def advance(amount: int) -> None:
        bar.advance(task, amount)
        if not bar.live.is_started and (show or time.monotonic() - begin > PATIENCE):
            bar.start()

    try:
        yield advance
    finally:
        bar.stop()


class _Lines:
    """Logs how much of the work is done, ever more rarely.

    The first part takes longer than the others, so that what is left is told of some.
    """

    def __init__(self, total: int, label: str) -> None:
        self._total, self._label, self._done = total, label, 0
        self._begin = time.monotonic()
        self._due = self._begin + PATIENCE
        self._calls, self._warm = 0, (self._begin, 0)

    def __call__(self, amount: int) -> None:
        self._done, self._calls = self._done + amount, self._calls + 1
        now = time.monotonic()
        spent = now - self._begin
        if self._calls == 1:
            self._warm = (now, self._done)
        if now < self._due or not 0 < self._done < self._total:
            return
        if self._calls < FEW_PARTS and spent < LONG:
            return
        since, before = self._warm if self._calls >= FEW_PARTS else (self._begin, 0)
        self._due = now + min(RARELY, max(10.0, spent))
        left = in_words((now - since) * (self._total - self._done) / (self._done - before))
        logger.info("%s: %d of %d, about %s left", self._label, self._done, self._total, left)


def in_words(seconds: float) -> str:
    """A time that is only roughly known: ``"40 seconds"``, ``"3 minutes"``, ``"2.5 hours"``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} second{'s' if round(seconds) > 1 else ''}"
    return f"{round(seconds / 60)} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


class Interrupted(KeyboardInterrupt):
    """Ctrl-C that waited: everything that had to be whole is whole."""


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does; a handler of the user's own stays."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _terminate(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


class _Holding:
    """Takes the place of the handlers of Ctrl-C, and notes that it was pressed."""

    def __init__(self, before: Mapping[int, Callable[[int, Any], Any]]) -> None:
        self._before, self._pressed, self._due = before, False, 0

    def __call__(self, number: int, frame: Any) -> None:
        if self._pressed:  # for the second time: at once
            self._before[number](number, frame)
        self._pressed, self._due = True, number

    def check(self) -> None:
        """Do now what Ctrl-C does, if it was pressed.

        Raises:
            Interrupted: Then, mostly: unless Ctrl-C has another handler than Python's own.
        """
        due = self._due
        if not due:
            return
        self._pressed, self._due = False, 0
        try:
            self._before[due](due, None)
        except KeyboardInterrupt:
            raise Interrupted from None


@contextlib.contextmanager
def uninterrupted() -> Iterator[Callable[[], None]]:
    """Let Ctrl-C wait for the end of the block; a second one does not wait.

    Within another such block this one does nothing, and neither outside of the main thread nor
    where Ctrl-C is not Python's to handle.

    Yields:
        A function for long blocks to call where all is whole.

    Raises:
        Interrupted: Where that is called, or at the end of the block.
    """
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        handler = signal.getsignal(signal.SIGINT)
        if callable(handler) and not isinstance(handler, (_Holding, signal.Handlers)):
            before[signal.SIGINT] = handler
        if signal.getsignal(signal.SIGTERM) is _terminate:
            before[signal.SIGTERM] = _terminate
    if not before:
        yield lambda: None
        return
    holding = _Holding(before)
    for number in before:
        signal.signal(number, holding)
    try:
        yield holding.check
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        holding.check()


@contextlib.contextmanager
def keeping(what: Callable[[], str] | None = None, finished: Any = None) -> Iterator[None]:
    """Let a Ctrl-C in the block say what is kept.

    Args:
        what: Says it; None leaves the message as it is.
        finished: Becomes the attribute ``finished`` of the KeyboardInterrupt.
    """
    try:
        yield
    except KeyboardInterrupt as stop:
        stop.args = stop.args if what is None else (what(),)
        stop.finished = finished  # pyright: ignore
        raise


@contextlib.contextmanager
def collected() -> Iterator[list[str]]:
    """Collect what is warned of in the block, each text once."""
    texts: dict[str, None] = {}

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            texts[record.getMessage()] = None
            found[:] = texts

    found: list[str] = []
    package, collector = logging.getLogger("gantandem"), Collector(logging.WARNING)
    package.addHandler(collector)
    try:
        yield found
    finally:
        package.removeHandler(collector)
