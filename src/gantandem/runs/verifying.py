"""Are the files of samples in a folder what their manifests say; and damaged ones drawn again."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from gantandem.engine.sampling import sample_iter
from gantandem.errors import InputError, OutputError, trusted
from gantandem.files import PREFIX, SUFFIX, parse_json
from gantandem.files.locking import locked
from gantandem.progress import terminable
from gantandem.runs.drawing import about, asked_before, refuse_others
from gantandem.runs.formats import make_writer
from gantandem.runs.naming import names_of
from gantandem.runs.recipe import RUN_FILE
from gantandem.runs.shards import Shard, Stretch, joined, read_shards, say_ids, without
from gantandem.runs.specs import check_texts
from gantandem.runs.workspace import Workspace
from gantandem.runs.writers import MANIFEST
from gantandem.samplers import from_config


class Found(NamedTuple):
    """What :func:`verify_folder` found.

    Args:
        faults: A line for each: a file that is missing, damaged or of no manifest, ids that are
            missing or there twice.
        damaged: Samples whose files are missing or damaged.
        whole: How many samples are whole.
    """

    faults: list[str]
    damaged: list[Shard]
    whole: int


def verify_folder(folder: str | Path) -> Found:
    """Check every file of samples in a folder against its manifest.

    Raises:
        InputError: If no manifest is there.
    """
    folder = Path(folder)
    shards, faults = read_shards(folder)
    if not shards and not faults:
        raise InputError(f"{folder} holds no manifests of samples; `gantandem sample` writes them")
    wrong = [(shard, shard.faults()) for shard in shards]
    for _, lines in wrong:
        faults += lines
    named = {MANIFEST, *(name for shard in shards for name in shard.files)}
    told = {line.partition(":")[0] for line in faults}
    for path in sorted(folder.iterdir()):
        manifest = any(path == shard.path for shard in shards)
        if not manifest and path.name not in {*named, *told} and not path.name.startswith("."):
            faults.append(f"{path.name}: extra, no manifest names it")
    faults += _ids(folder, [(shard.first, shard.count) for shard in shards])
    damaged = [shard for shard, lines in wrong if lines]
    return Found(faults, damaged, sum(shard.count for shard, lines in wrong if not lines))


def _ids(folder: Path, have: list[Stretch]) -> Iterable[str]:
    """Lines on ids that are missing, or there twice."""
    at = 0
    for first, count in sorted(have):
        if first < at:
            yield f"ids {say_ids([(first, min(at, first + count) - first)])}: twice"
        at = max(at, first + count)
    asked = asked_before(folder)
    if not asked:
        yield (
            f"{MANIFEST}: missing or damaged. If sampling was killed: gantandem sample ... --resume"
        )
        low = min((first for first, _ in have), default=0)
        asked = [(low, at - low)] if have else []
    if gaps := without(asked, joined(have)):
        yield f"ids {say_ids(gaps)}: missing; draw them with gantandem sample ... --resume"


def repairing(folder: Path, damaged: Iterable[Shard]) -> str | None:
    """The command that draws damaged samples again, to paste; None where none are damaged.

    The run is named where the folder knows it, and is still there.
    """
    damaged = list(damaged)
    if not damaged:
        return None
    run = "RUN"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        total = parse_json((folder / MANIFEST).read_text(encoding="utf-8"))
        place = os.path.normpath(folder / total["run"])
        if os.path.isfile(os.path.join(place, RUN_FILE)):
            run = place
    command = shlex.join(["gantandem", "verify", str(folder), "--repair", run])
    asked = any("condition" in shard.settings for shard in damaged)
    return command + " (and the --condition that was asked for, if one was)" * asked


def repair_folder(folder: str | Path, work: Workspace, *, trust: bool = False) -> Found:
    """Draw damaged samples again, from the run that they are of.

    A file is replaced if what was drawn again has the SHA-256 of its manifest.

    Args:
        folder: With samples.
        work: Their run.
        trust: Import a sampler or a format by the names in the manifests, which runs code.

    Returns:
        What is wrong afterwards.

    Raises:
        InputError: If the run is not the one that they are of: what differs is said.
        ConfigError: If the manifests name a sampler or a format that is not built in.
        OutputError: If a file cannot be written, or what is drawn again is another file.
    """
    folder = Path(folder)
    with terminable(), locked(folder, "repair"):
        for shard in verify_folder(folder).damaged:
            _repair(folder, shard, work, trust)
        return verify_folder(folder)


def _repair(folder: Path, shard: Shard, work: Workspace, trust: bool) -> None:
    settings: dict[str, Any] = dict(shard.settings)
    if lacks := {"format", "sampler", "seed", "width"} - settings.keys():
        raise InputError(
            f"{shard.path}: it does not say with which {', '.join(sorted(lacks))} its samples "
            "were drawn, so they cannot be drawn again"
        )
    kind, sampler = settings["format"], settings["sampler"]
    trusted("format", kind, trust)
    check_texts(sampler, trust, "sampler")
    call = {"seed": settings["seed"], "width": settings["width"], "start": shard.first}
    place = Path(tempfile.mkdtemp(dir=folder, prefix=PREFIX, suffix=SUFFIX))
    try:
        names = names_of(work.gan.latent, folder)
        writer = make_writer(kind, place, range=settings.get("range"), names=names)
        writer.about |= about(work)
        for block in sample_iter(work.gan, from_config(sampler), shard.count, strict=False, **call):
            refuse_others(settings, writer.settings(block), str(folder))
            writer.add(block)
        writer.close()
        (again,), _ = read_shards(place)
        if again.files != shard.files:
            names = ", ".join(n for n in shard.files if again.files.get(n) != shard.files[n])
            raise OutputError(
                f"{folder}: {names} drawn again differs from the file that its manifest names, so "
                "it was not replaced: other versions or another machine may round differently. "
                "To replace it: gantandem sample ... --resume"
            )
        for name in shard.files:
            os.replace(place / name, folder / name)
    finally:
        shutil.rmtree(place, ignore_errors=True)
