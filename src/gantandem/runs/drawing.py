"""Samples of a run, streamed into files."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from gantandem.data.matching import probe
from gantandem.data.ranges import say_range
from gantandem.display.table import show_percent
from gantandem.engine.sampling import sample_iter, start_run
from gantandem.errors import GANtandemError, InputError, OutputError
from gantandem.files import parse_json
from gantandem.files.locking import locked
from gantandem.progress import keeping, terminable
from gantandem.reporting.keep import write_json
from gantandem.runs.formats import find_writer, make_writer
from gantandem.runs.naming import count_of, names_of
from gantandem.runs.shards import (
    SETTINGS,
    Shard,
    Stretch,
    differences,
    joined,
    read_ids,
    read_shards,
    say_ids,
    without,
)
from gantandem.runs.workspace import Workspace
from gantandem.runs.writers import MANIFEST, Writer

logger = logging.getLogger(__name__)

TOTALS = ("proposals", "passes", "seconds")
SHOWN = 5
"""A message names so many differences of settings."""


def sample_run(
    work: Workspace,
    name: str,
    n: int | None,
    folder: str | Path,
    *,
    seed: int = 0,
    start: int = 0,
    ids: str | Sequence[int] | None = None,
    kind: str = "npz",
    strict: bool = True,
    overwrite: bool = False,
    resume: bool = False,
    overrides: Sequence[str] = (),
    range: Sequence[float] | None = None,
) -> dict[str, Any]:
    """Stream samples of a run into files; returns the manifest of all, which is written too.

    Beside every file its own manifest is written as soon as it is whole, see
    :mod:`gantandem.runs.shards`; what is kept is what these say, however the call ends. Files of
    images map ``range``, by default :meth:`Workspace.range`, to black and white.

    Args:
        work: The run.
        name: Of the sampler, see :meth:`Workspace.sampler`.
        n: How many samples; None for each input of a translator, or else 1,000.
        folder: Made if needed; that it can be written to is tried before anything is drawn.
        seed: Of the samples.
        start: First id.
        ids: Draw these ids instead of n: ``"3,17,100-120"``, or numbers. A sample depends on its
            seed and id alone, so each is the one that a longer call gives.
        kind: Format, see :func:`~gantandem.runs.formats.make_writer`.
        strict: False turns a law mismatch into a warning.
        overwrite: Replace samples that are there already.
        resume: Draw what is missing there, or damaged; the samples are those of a call that was
            never stopped.
        overrides: ``key=value`` texts on the sampler's settings.
        range: The values of black and white.

    Returns:
        What a call of ``sample`` notes, with ``asked`` (ids), ``drawn`` (samples of this call),
        ``returned`` (samples in the folder), and of images ``range`` and how many values were
        ``clipped``.

    Raises:
        InputError: If ``n`` or ``ids`` are not allowed, the folder holds samples already, or those
            to resume have other settings, which are said; or the range of images is neither stated
            nor found.
        NonFiniteError: As :func:`~gantandem.sample`, or if a sample is not finite.
        BudgetError: As :func:`~gantandem.sample`. Of both it is said how many samples were kept.
        OutputError: If the folder cannot be written to, too little space is free, another command
            writes there, or writing fails; what was kept is said.
        KeyboardInterrupt: On Ctrl-C, or SIGTERM; what was kept is said.
    """
    asked = read_ids(ids, count_of(work.gan.latent, start) if n is None else n, start)
    if resume and overwrite:
        raise InputError("resume and overwrite: give one of them")
    sampler = work.sampler(name, overrides)
    if range is None and find_writer(kind).pictures:
        range = work.range()
    folder = Path(folder)
    options = {"range": range, "names": names_of(work.gan.latent, folder)}
    with terminable(), _output(folder):
        writer = make_writer(kind, folder, overwrite=overwrite, resume=resume, **options)
        writer.about |= about(work)
        writer.opening["run"] = os.path.relpath(work.run, folder)
        done: list[Shard] = []
        if resume:
            _, now = start_run(work.gan, sampler, asked[0][1], seed, None, asked[0][0], strict)
            done = _going_on(writer, now)
            writer.opening["setup_passes"] = now["setup_passes"]
        left = without(asked, [(one.first, one.count) for one in done])
        _check_space(work, writer, sum(count for _, count in left))

        def draw() -> Iterator[Any]:
            for first, count in left:
                yield from sample_iter(
                    work.gan, sampler, count, seed=seed, start=first, strict=strict
                )

        earlier = asked_before(folder) if resume else []
        return _write(writer, draw(), asked, joined([*earlier, *asked]))


def _write(
    writer: Writer, blocks: Iterator[Any], asked: Sequence[Stretch], all_ids: Sequence[Stretch]
) -> dict[str, Any]:
    """Write blocks, and at the end, whatever that is, the manifest of everything."""
    parts: dict[int, dict[str, Any]] = {}
    run = dict(writer.opening)
    writer.opening |= {"asked": say_ids(all_ids), "interrupted": True}
    wanted, total = sum(count for _, count in asked), {}
    stopped = True

    def said() -> str:
        kept = sum(shard.count for shard in read_shards(writer.folder)[0])
        which = "the first " if kept == writer.kept and len(asked) == 1 else ""
        return f"{which}{kept:,} of {wanted:,} samples are kept in {writer.folder}"

    try:
        rest = "; --resume draws the rest"
        with keeping(lambda: said() + rest if writer.kept else "nothing kept"):
            try:
                for block in blocks:
                    parts[block.manifest.get("start", 0)] = block.manifest
                    writer.add(block)
            finally:
                writer.close()
        stopped = False
    except GANtandemError as error:
        if not writer.kept and not isinstance(error, OutputError):
            raise
        end = "" if str(error).endswith(("?", ".")) else "."
        raise type(error)(f"{error}{end} {said() if writer.kept else 'nothing kept'}") from error
    finally:
        shards, _ = read_shards(writer.folder)
        if shards:
            total = {**shards[0].settings, **run, **_sum(list(parts.values()))}
            total |= _seen(writer, shards)
            kept = sum(shard.count for shard in shards)
            left = without(all_ids, [(shard.first, shard.count) for shard in shards])
            total |= {"n": wanted, "start": asked[0][0], "asked": say_ids(all_ids)}
            total |= {"drawn": writer.kept, "returned": kept, "interrupted": bool(left)}
            with contextlib.suppress(*[OutputError] * stopped):  # a full disk was told already
                write_json(writer.folder / MANIFEST, total)
        elif asked_before(writer.folder) == list(all_ids):  # nothing came of what was opened
            with contextlib.suppress(OSError):
                (writer.folder / MANIFEST).unlink()
    return total


def asked_before(folder: Path) -> list[Stretch]:
    """The ids that calls before asked for; none if that was not noted, as after a kill."""
    try:
        total = parse_json((folder / MANIFEST).read_text(encoding="utf-8"))
        return read_ids(total["asked"], 1, 0)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


def _sum(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The manifests of some calls as one: what they took is added."""
    if not parts:
        return {}
    totals = {key: sum(part.get(key, 0) for part in parts) for key in TOTALS}
    events: dict[str, int] = {}
    for part in parts:
        for name, times in part.get("events", {}).items():
            events[name] = events.get(name, 0) + times
    return {**parts[-1], **totals, "events": events}


@contextlib.contextmanager
def _output(folder: Path) -> Iterator[None]:
    """Have a folder that can be written to, alone; made in vain, it goes again."""
    try:
        with locked(folder, "sample"):
            yield
    finally:
        with contextlib.suppress(OSError):  # it holds something
            folder.rmdir()


def about(work: Workspace) -> dict[str, Any]:
    """What samples depend on beyond what a call of ``sample`` notes: the conditions of the ids."""
    condition = work.gan.condition
    if not isinstance(condition, Tensor):
        return {}
    rows = condition.detach().cpu().contiguous().numpy()
    return {"condition": hashlib.sha256(rows.tobytes()).hexdigest()[:16]}


def refuse_others(before: Mapping[str, Any], now: Mapping[str, Any], where: str) -> None:
    """Refuse to go on from samples that are not of the same settings.

    Raises:
        InputError: With the differences.
    """
    before, now = dict(before), dict(now)
    versions = differences(before.pop("versions", {}), now.pop("versions", {}))
    if found := differences(before, now):
        same = "conditions (--condition)" if found[0].startswith("condition:") else "settings"
        raise InputError(
            f"{where}: its samples have other settings: {'; '.join(found[:SHOWN])}. Give "
            f"the same {same}, or another folder"
        )
    if versions:
        logger.warning(
            "%s: its samples were drawn with other versions (%s), which may give other bits",
            where, "; ".join(versions),
        )  # fmt: skip


def _going_on(writer: Writer, manifest: Mapping[str, Any]) -> list[Shard]:
    """The samples that are whole there; what is half-written or damaged is removed.

    Raises:
        InputError: If they are of other settings, or have no manifests.
    """
    shards, faults = read_shards(writer.folder)
    there = [path for path in writer.folder.glob("*") if writer.owns(path)]
    if there and not shards and not asked_before(writer.folder):
        raise InputError(
            f"{writer.folder}: no manifest names the samples in it ({there[0].name}, ...), so "
            "they cannot be continued: choose another --out, or --overwrite them"
        )
    bounds = {} if writer.bounds is None else {"range": list(writer.bounds)}
    now = {**{key: manifest[key] for key in SETTINGS}, **writer.about, **bounds}
    for shard in shards:
        refuse_others(shard.settings, now, str(writer.folder))
    whole: list[Shard] = []
    for shard in shards:
        if lines := shard.faults():
            faults += lines
            shard.remove()
        else:
            whole.append(shard)
    for line in faults:
        logger.warning("%s: %s; drawn again", writer.folder, line)
    named = {name for shard in whole for name in (*shard.files, shard.path.name)}
    for path in there:
        if path.name not in named:
            path.unlink(missing_ok=True)
    return whole


def _check_space(work: Workspace, writer: Writer, count: int) -> None:
    """Refuse to begin what cannot end.

    Raises:
        OutputError: If the samples need more space than there is; formats that pack are not known.
    """
    if writer.packed or not count:
        return
    x = probe(work.gan.networks)[0]
    needed = count * x.numel() * max(4, x.element_size())
    free = shutil.disk_usage(writer.folder).free
    if needed > free:
        raise OutputError(
            f"{writer.folder}: {count:,} samples take {needed / 1e9:,.1f} GB or more, but only "
            f"{free / 1e9:,.1f} GB are free there: free some space, or choose another folder"
        )


def _seen(writer: Writer, shards: Sequence[Shard]) -> dict[str, Any]:
    """What the manifest says of all images; a warning where values of new ones were clipped."""
    if writer.clipped and writer.bounds is not None:
        logger.warning(
            "%s of the images' values (%d) lie outside %s and were clipped; npz files hold them",
            show_percent(writer.clipped / writer.values), writer.clipped, say_range(writer.bounds),
        )  # fmt: skip
    known = [shard.clipped for shard in shards if shard.clipped is not None]
    return {"clipped": sum(known)} if known else {}
