"""What every step on a run folder does: it has the folder for itself, and tells what is kept.

Its warnings are kept in the folder, for the report.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from gantandem.errors import IncompleteError
from gantandem.files.locking import locked
from gantandem.progress import collected, keeping
from gantandem.reporting import evidence as files
from gantandem.reporting.keep import write_json
from gantandem.reporting.schema import WARNED, read_json
from gantandem.runs.workspace import Workspace

P = ParamSpec("P")
R = TypeVar("R")
AGAIN = "the same command begins anew"


def writes(step: Callable[Concatenate[Workspace, P], R]) -> Callable[Concatenate[Workspace, P], R]:
    """Let a step have its run folder for itself, and keep its warnings.

    After Ctrl-C it is said what was kept: ``work.kept``, as the step noted it, or nothing.
    """

    @functools.wraps(step)
    def alone(work: Workspace, *args: P.args, **named: P.kwargs) -> R:
        name = step.__name__.removesuffix("_run").replace("_", "-")
        name = "fit-ratio" if name == "fit" else name
        work.kept, work.adds = "", False

        def said() -> str:
            return work.kept or f"{work.run} is as it was before; {AGAIN}"

        with work.writing(name), keeping(said), collected() as warned:
            done = False
            try:
                result = step(work, *args, **named)
                done = True
            except IncompleteError:
                done = True  # in part
                raise
            finally:
                if done:
                    keep_warnings(work.run, name, [*work.warned, *warned], add=work.adds)
            return result

    return alone


def begins(
    step: Callable[Concatenate[str | Path, P], Workspace],
) -> Callable[Concatenate[str | Path, P], Workspace]:
    """As :func:`writes`, of a step that makes the run folder."""

    @functools.wraps(step)
    def alone(out: str | Path, *args: P.args, **named: P.kwargs) -> Workspace:
        name = step.__name__.removesuffix("_run")
        with keeping(lambda: f"{out}: nothing was written; {AGAIN}"), collected() as warned:
            work = step(out, *args, **named)
        with locked(out, name):
            keep_warnings(work.run, name, warned)
        return work

    return alone


def keep_warnings(run: Path, step: str, texts: Sequence[str], *, add: bool = False) -> None:
    """Keep what a step warned of beside the run, in place of what it did before.

    Args:
        run: The folder.
        step: Its name.
        texts: The warnings.
        add: Keep what it warned of before as well: of results that stay.
    """
    path = run / files.WARNED
    kept = read_json(path, WARNED) or {}
    before = kept.get(step, []) if add else []
    now = {**kept, step: list(dict.fromkeys([*before, *texts]))}
    if now != kept and (now[step] or step in kept):
        write_json(path, now)
