"""Tries inputs at the doors and counts what came out."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import seed as seeded

import gantandem as gt
from experiments.fuzz.doors import DOORS
from experiments.fuzz.foreign import make_files
from gantandem import runs
from gantandem.errors import GANtandemError
from gantandem.runs.reading import load_recipe

TOTAL = 100_000
TINY = (
    "train.iterations=3", "train.batch_size=64", "shape.updates=4", "shape.check_every=2",
    "shape.check_samples=32", "shape.batch=32", "shape.width=64", "shape.refine.steps=2",
    "fit_ratio.n=200", "fit_ratio.schedule=[[4, 1e-3]]",
    "samplers={mine: {name: obrs, expected: 4}}",
)  # fmt: skip


class Fault(NamedTuple):
    """What is no error of ours."""

    where: str
    times: int
    example: str


class Home(NamedTuple):
    """A folder with a RUN, samples and images that are as they should be."""

    folder: Path


def make_home(folder: Path) -> Home:
    """Make it: a tiny RUN with everything that the commands leave, samples, an image, a table."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    work = runs.train_run(load_recipe("imbalanced-8", TINY), folder / "run")
    runs.shape_run(work)
    runs.fit_run(work, ("direct", "collaborative"))
    runs.calibrate_run(work, "direct")
    runs.compare_run(work, ("direct", "obrs"), 64)
    runs.sweep_run(work, ("direct.truncation=1.0",), n=16)
    gt.sample(work.gan, "direct", 8, progress=False).save(folder / "samples.npz")
    pixels = np.random.default_rng(0).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "image.png")
    _table(folder)
    make_files(folder, work)
    return Home(folder)


def _table(folder: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    image = {"bytes": (folder / "image.png").read_bytes(), "path": "a.png"}
    table = pyarrow.table({"image": [image] * 2, "label": [0, 1]})
    pyarrow.parquet.write_table(table, folder / "images.parquet")


def try_door(name: str, home: Home, count: int, seed: int = 0) -> tuple[int, list[Fault]]:
    """Try inputs at one door.

    Args:
        name: Of the door.
        home: What is as it should be; inputs meet a copy.
        count: Inputs.
        seed: Of the inputs.

    Returns:
        How many were tried, and the faults by the place that they come from.
    """
    door, faults, tried = DOORS[name], {}, 0

    @seeded(seed)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        suppress_health_check=[*HealthCheck],  # pyright: ignore
    )
    @given(door.inputs(home.folder))
    def one(value: Any) -> None:
        nonlocal tried
        tried += 1
        shown = repr(value)[:300]
        try:
            door.enter(value, folder)
        except GANtandemError:
            pass
        except Exception as error:  # what is looked for
            last = traceback.extract_tb(error.__traceback__)
            ours = [frame for frame in last if "gantandem/" in frame.filename] or list(last)
            place = f"{type(error).__name__} at {Path(ours[-1].filename).name}:{ours[-1].lineno}"
            before = faults.get(place, Fault(place, 0, f"{shown} -> {str(error)[:200]}"))
            faults[place] = before._replace(times=before.times + 1)

    with _copy(home) as folder, _quiet():
        one()
    return tried, sorted(faults.values())


@contextlib.contextmanager
def _copy(home: Home) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        folder = Path(name) / "home"
        shutil.copytree(home.folder, folder)
        cache, os.environ["XDG_CACHE_HOME"] = os.environ.get("XDG_CACHE_HOME"), name
        try:
            yield folder
        finally:
            del os.environ["XDG_CACHE_HOME"]
            if cache is not None:
                os.environ["XDG_CACHE_HOME"] = cache


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    logger = logging.getLogger("gantandem")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logger.setLevel(level)


def run_fuzz(
    total: int = TOTAL, names: Sequence[str] = tuple(DOORS), seed: int = 0
) -> dict[str, Any]:
    """Try inputs at all doors; the cheap ones get more of them.

    Returns:
        For each door the number of inputs, the seconds and the faults.
    """
    shares = {name: 1 / DOORS[name].cost for name in names}
    whole = sum(shares.values())
    rows: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        home = make_home(Path(folder) / "home")
        for name in names:
            begin = time.perf_counter()
            wanted = max(1, -int(-total * shares[name] // whole))
            tried, faults = try_door(name, home, wanted, seed)
            rows[name] = {
                "inputs": tried,
                "seconds": round(time.perf_counter() - begin, 1),
                "faults": [fault._asdict() for fault in faults],
            }
            print(f"{name}: {tried:,} inputs, {len(faults)} faults", flush=True)
            for fault in faults:
                print(f"    {fault.where} ({fault.times}): {fault.example}", flush=True)
    return {
        "inputs": sum(row["inputs"] for row in rows.values()),
        "faults": sum(len(row["faults"]) for row in rows.values()),
        "seed": seed,
        "torch": str(torch.__version__),
        "doors": rows,
    }
