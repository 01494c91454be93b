"""Samples of a run, streamed into files."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gantandem.data.ranges import say_range
from gantandem.display.table import show_percent
from gantandem.engine.sampling import sample_iter
from gantandem.errors import GANtandemError, OutputError
from gantandem.progress import keeping
from gantandem.reporting.keep import write_json
from gantandem.runs.formats import find_writer, make_writer
from gantandem.runs.workspace import Workspace
from gantandem.runs.writers import MANIFEST, Writer

logger = logging.getLogger(__name__)


def sample_run(
    work: Workspace,
    name: str,
    n: int,
    folder: str | Path,
    *,
    seed: int = 0,
    kind: str = "npz",
    strict: bool = True,
    overwrite: bool = False,
    overrides: Sequence[str] = (),
    range: Sequence[float] | None = None,
) -> dict[str, Any]:
    """Stream n samples of a run into files; returns the manifest, which is written too.

    Files of images map ``range``, by default :meth:`Workspace.range`, to black and white. The
    manifest says which it was, and how many values were clipped.

    Raises:
        InputError: If ``n`` is not positive, the folder holds samples already, or the range of
            images is neither stated nor found.
        NonFiniteError: As :func:`~gantandem.sample`, or if a sample is not finite.
        BudgetError: As :func:`~gantandem.sample`. Of both it is said how many samples were kept.
        OutputError: If a file cannot be written; what was kept is said.
        KeyboardInterrupt: On Ctrl-C; what was kept is said.
    """
    sampler = work.sampler(name, overrides)
    if range is None and find_writer(kind).pictures:
        range = work.range()
    writer = make_writer(kind, folder, overwrite=overwrite, range=range)
    blocks = sample_iter(work.gan, sampler, n, seed=seed, strict=strict)
    manifest: dict[str, Any] = {}
    try:
        with keeping(lambda: _kept(writer.kept, n, writer.folder)):
            try:
                for block in blocks:
                    manifest = block.manifest
                    writer.add(block)
            finally:
                writer.close()
    except GANtandemError as error:
        if not writer.kept and not isinstance(error, OutputError):
            raise
        raise type(error)(f"{error}. {_kept(writer.kept, n, writer.folder)}") from error
    finally:
        if writer.kept:
            manifest = {**manifest, **_seen(writer), "returned": writer.kept}
            write_json(writer.folder / MANIFEST, manifest)
    return manifest


def _seen(writer: Writer) -> dict[str, Any]:
    """What the manifest says of images that were written, and a warning if they were clipped."""
    if writer.bounds is None or not writer.values:
        return {}
    if writer.clipped:
        logger.warning(
            "%s of the images' values (%d) lie outside %s and were clipped; npz files hold them",
            show_percent(writer.clipped / writer.values), writer.clipped, say_range(writer.bounds),
        )  # fmt: skip
    return {"range": list(writer.bounds), "clipped": writer.clipped}


def _kept(count: int, n: int, folder: Path) -> str:
    return f"the first {count:,} of {n:,} samples are kept in {folder}" if count else "nothing kept"
