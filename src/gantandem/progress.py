"""A progress bar for anything longer than two seconds; quiet when not on a terminal."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

PATIENCE = 2.0


@contextlib.contextmanager
def track(total: int, label: str, show: bool | None = None) -> Iterator[Callable[[int], None]]:
    """Yield a function to call with the amount of work just done.

    Args:
        total: All the work there is.
        label: Shown before the bar.
        show: True or False to force it; None shows it on a terminal, after two seconds.
    """
    if show is False or (show is None and not sys.stderr.isatty()):
        yield lambda amount: None
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
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
        Rate(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    task, begin = bar.add_task(label, total=total), time.monotonic()

    def update(amount: int) -> None:
        bar.advance(task, amount)
        if not bar.live.is_started and (show or time.monotonic() - begin > PATIENCE):
            bar.start()

    try:
        yield update
    finally:
        bar.stop()
