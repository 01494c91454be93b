"""What all commands share: errors as one message, Ctrl-C, the log, common options."""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperCommand, TyperGroup

from gantandem.cli.words import as_command
from gantandem.display.text import visible
from gantandem.errors import ConfigError, GANtandemError
from gantandem.progress import be_quiet, is_quiet, terminable

INPUT_ERROR = 2
INTERRUPTED = 130
SHARED = ("-q", "--quiet", "-v", "--verbose")
"""Options of all commands, which may stand behind the command as well."""
_typed: list[str] = []


class Terminal(Console):
    """A console on which control characters in names and messages do nothing."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print texts and tables."""
        super().print(
            *(visible(one) if isinstance(one, str) else one for one in objects), **options
        )


err = Terminal(stderr=True, highlight=False, soft_wrap=True, emoji=False)
# A file or a pipe has no width, and rich's 80 columns cut the widest tables.
out = Terminal(
    highlight=False, soft_wrap=True, emoji=False, width=None if sys.stdout.isatty() else 120
)


def note(run: Path, *, first: bool = False) -> None:
    """Keep what was typed beside a run, for its report; ``first`` where it begins the run."""
    from gantandem.files.locking import locked
    from gantandem.reporting.keep import note_command

    with locked(run, "note"):
        note_command(run, shlex.join(["gantandem", *_typed]), first=first)


@contextlib.contextmanager
def noting(run: Path, *, first: bool = False) -> Iterator[None]:
    """Keep what was typed, as :func:`note` does, if the block changes the run."""
    file = run / "run.yaml"
    before = file.read_bytes() if file.is_file() else None
    yield
    if file.is_file() and file.read_bytes() != before:
        note(run, first=first)


def hint(text: str) -> None:
    """Say what may come next; not where only warnings are asked for."""
    if not is_quiet():
        needed = "--trust" in _typed and text.startswith("next: ") and "--trust" not in text
        out.print(text + " --trust" * needed, style="dim", markup=False)


Run = Annotated[Path, typer.Argument(help="Run folder.", show_default=False)]
Seed = Annotated[int, typer.Option("--seed", "-s", min=0, help="Random seed.")]
Count = Annotated[int, typer.Option("-n", "--n", help="Number of samples.")]
Device = Annotated[
    str | None,
    typer.Option("--device", help="Where networks run, for example cuda.", show_default="cpu"),
]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust", help="Import the classes that the files of the run name; this runs their code."
    ),
]
Budget = Annotated[
    str | None,
    typer.Option(
        "--budget",
        help="About how long the step may take: 90s, 10m, 1h. It chooses the sizes that you do "
        "not set.",
        show_default=False,
    ),
]
Backbone = Annotated[
    str | None,
    typer.Option(
        "--backbone",
        help="Measure images by the features of this network: efficientnet-lite0, timm:NAME or "
        "module:Class. Do not name the network that guides or judges.",
        show_default=False,
    ),
]
BackboneWeights = Annotated[
    Path | None,
    typer.Option("--backbone-weights", help="A weight file for it.", show_default=False),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(help="Settings as key=value, nested keys dotted.", show_default=False),
]


class Group(TyperGroup):
    """Turns the library's errors into one message and an exit code."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take --quiet and --verbose wherever they stand."""
        global _typed
        _typed = list(args)
        shared = [word for word in args if word in SHARED]
        return super().parse_args(ctx, [*shared, *(word for word in args if word not in SHARED)])

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            if "" in _typed:
                raise ConfigError("an argument is empty. Is a shell variable not set?")
            with terminable():
                return super().invoke(ctx)
        except GANtandemError as error:
            err.print("error:", style="bold red", end=" ")
            err.print(as_command(str(error), imports="import" in _typed), markup=False)
            raise typer.Exit(INPUT_ERROR) from None
        except (OSError, MemoryError, RuntimeError) as error:
            told = _of_the_machine(error)
            if told is None:
                raise
            err.print("error:", style="bold red", end=" ")
            err.print(told, markup=False)
            raise typer.Exit(INPUT_ERROR) from None
        except KeyboardInterrupt as stop:
            err.print(f"interrupted: {str(stop) or 'the same command begins anew'}", markup=False)
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


class SweepCommand(TyperCommand):
    """Lets ``--sweep`` stand without a value, wherever it stands: then it means the default."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Complete a bare ``--sweep`` before click reads the words."""
        words: list[str] = []
        for word, after in zip(args, [*args[1:], ""], strict=True):
            words.append(word)
            path = bool(after) and ("/" in after.partition("=")[0] or Path(after).is_dir())
            if word == "--sweep" and (path or not after or after.startswith("-")):
                words.append("default")
        return super().parse_args(ctx, words)


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
    be_quiet(quiet)
    if quiet:  # of the datasets library
        os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
    package = logging.getLogger("gantandem")
    package.handlers = [h for h in package.handlers if not isinstance(h, LogHandler)]
    package.addHandler(LogHandler())
    package.setLevel(logging.INFO if verbose else logging.WARNING)
    for name in ("gantandem.runs", "gantandem.progress"):
        logging.getLogger(name).setLevel(logging.WARNING if quiet else logging.INFO)
