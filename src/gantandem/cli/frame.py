"""What all commands share: errors as one message, Ctrl-C, the log, common options."""

from __future__ import annotations

import logging
import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from gantandem.display.text import visible
from gantandem.errors import GANtandemError
from gantandem.progress import terminable

INPUT_ERROR = 2
INTERRUPTED = 130


class Terminal(Console):
    """A console on which control characters in names and messages do nothing."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print texts and tables."""
        super().print(
            *(visible(one) if isinstance(one, str) else one for one in objects), **options
        )


err = Terminal(stderr=True, highlight=False, soft_wrap=True)
# A file or a pipe has no width, and rich's 80 columns cut the widest tables.
out = Terminal(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 120)

Run = Annotated[Path, typer.Argument(help="Run folder.", show_default=False)]
Seed = Annotated[int, typer.Option("--seed", "-s", min=0, help="Random seed.")]
Count = Annotated[int, typer.Option("-n", "--n", help="Number of samples.")]
Device = Annotated[
    str | None,
    typer.Option("--device", help="Where networks run, for example cuda.", show_default="cpu"),
]
Trust = Annotated[
    bool,
    typer.Option("--trust", help="Import the classes that its files name: this runs their code."),
]
Budget = Annotated[
    str | None,
    typer.Option(
        "--budget",
        help="How long it may take, about: 90s, 10m, 1h. Sizes that are not set follow it.",
        show_default=False,
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(help="Settings as key=value, nested keys dotted.", show_default=False),
]


class Group(TyperGroup):
    """Turns the library's errors into one message and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            with terminable():
                return super().invoke(ctx)
        except GANtandemError as error:
            err.print("error:", style="bold red", end=" ")
            err.print(as_command(str(error)), markup=False)
            raise typer.Exit(INPUT_ERROR) from None
        except (OSError, MemoryError, RuntimeError) as error:
            told = _of_the_machine(error)
            if told is None:
                raise
            err.print("error:", style="bold red", end=" ")
            err.print(told, markup=False)
            raise typer.Exit(INPUT_ERROR) from None
        except KeyboardInterrupt as stop:
            err.print(f"interrupted{': ' if str(stop) else ''}{stop}", markup=False)
            raise typer.Exit(INTERRUPTED) from None


def _of_the_machine(error: Exception) -> str | None:
    """What the machine refused, in a line; None if the error is another."""
    if isinstance(error, OSError):
        path = f"{error.filename}: " if error.filename else ""
        return f"{path}{error.strerror or error}"
    text = str(error)
    if isinstance(error, MemoryError) or "out of memory" in text or "allocate memory" in text:
        return "out of memory: take fewer samples (-n), smaller images, or a machine that has more"
    return None


COMMANDS = {"fit_ratio": "fit-ratio", "calibrate": "calibrate", "diagnose": "diagnose"}
"""Functions that messages of the library name, and the command that does the same for a run."""


def as_command(text: str) -> str:
    """Add to a message that names a function the command that a user of runs would type."""
    named = [name for name in COMMANDS if re.search(rf"(?<![\w:]){name}\(", text)]
    if not named:
        return text
    commands = " or ".join(f"gantandem {COMMANDS[name]} RUN" for name in named)
    return f"{text} (for a run folder: {commands})"


class LogHandler(logging.Handler):
    """Writes records to the terminal's error stream, each warning once."""

    def __init__(self) -> None:
        super().__init__()
        self._said: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        warn, text = record.levelno >= logging.WARNING, record.getMessage()
        if warn:
            if text in self._said:
                return
            self._said.add(text)
            text = f"warning: {as_command(text)}"
        err.print(text, style="yellow" if warn else "dim", markup=False)


def set_up_log(*, verbose: bool, quiet: bool) -> None:
    """Show the steps of a run and all warnings; everything with ``verbose``."""
    package = logging.getLogger("gantandem")
    package.handlers = [h for h in package.handlers if not isinstance(h, LogHandler)]
    package.addHandler(LogHandler())
    package.setLevel(logging.INFO if verbose else logging.WARNING)
    for name in ("gantandem.runs", "gantandem.progress"):
        logging.getLogger(name).setLevel(logging.WARNING if quiet else logging.INFO)
