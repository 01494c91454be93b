"""SIGKILL at random moments of every command, then the same command again.

What it leaves must equal what an undisturbed command leaves, to the bit but for seconds: no
duplicate, no file too many, and nothing touched that is not GANtandem's. Commands run in forks of
one process that imported everything, so that a kill meets work and not imports.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from experiments.fault_jobs import FOREIGN, JOBS, THEIRS, Job, empty
from gantandem._version import __version__
from gantandem.errors import ConfigError, near
from gantandem.files import write_bytes
from gantandem.nets.weights import read_tensors
from gantandem.runs import write_json
from gantandem.runs.writers import MANIFEST

KILLS = 20
TIMED = {"seconds", "samples_per_second", "shaping_seconds", "date"}
OF_THE_CALL = {"drawn", "proposals", "passes", "waste", "events", "setup_cached", "expected"}
"""What the manifest of all samples says of the last call, which drew what was left."""


def run_faults(names: Sequence[str] = (), kills: int = KILLS, seed: int = 0) -> dict[str, Any]:
    """Kill commands and do them again.

    Args:
        names: Keys of ``JOBS``; none means all.
        kills: Of each command.
        seed: Of the moments.

    Returns:
        By command how often it was killed, how often all was well afterwards, and what was not.

    Raises:
        ConfigError: If there is no such command.
    """
    for name in names:
        if name not in JOBS:
            raise ConfigError(f"unknown command {name!r}; {near(name, JOBS)}")
    _warm_up()
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        stages = {"": empty(Path(folder) / "empty")}
        for name in names or JOBS:
            found[name] = _kill(name, stages, Path(folder), kills, seed)
            print(f"{name}: {found[name]['survived']} of {kills}", file=sys.stderr, flush=True)
    total = {key: sum(one[key] for one in found.values()) for key in ("kills", "survived")}
    return {"version": __version__, "seed": seed, **total, "commands": found}


def _kill(
    name: str, stages: dict[str, Path], folder: Path, kills: int, seed: int
) -> dict[str, Any]:
    job, wanted = JOBS[name], contents(_stage(name, stages, folder))
    begin = time.perf_counter()
    _undisturbed(job, stages, folder / "timed")
    seconds = time.perf_counter() - begin
    noise, faults, last = random.Random(f"{seed} {name}"), list[str](), seconds
    for number in range(kills):
        run = folder / "killed"
        while True:
            _copy(stages[job.start], run, job.harm)
            moment = noise.uniform(0, last)
            if _run(job.words, run, kill=moment) == -signal.SIGKILL:
                break
            last = 0.9 * last  # it was done before: the machine is less busy now
        code = _run((*job.words, *job.again), run)
        left = contents(run)
        wrong = [one for one in {*wanted, *left} if wanted.get(one) != left.get(one)]
        if code or wrong:
            what = f"exit status {code}" if code else ", ".join(sorted(wrong))
            faults.append(f"killed after {moment:.3f} of {seconds:.3f} s (number {number}): {what}")
    survived = kills - len(faults)
    return {"kills": kills, "survived": survived, "seconds": round(seconds, 2), "faults": faults}


def _stage(name: str, stages: dict[str, Path], folder: Path) -> Path:
    """The folder that a command leaves when nothing disturbs it."""
    if name not in stages:
        if JOBS[name].start:
            _stage(JOBS[name].start, stages, folder)
        stages[name] = _undisturbed(JOBS[name], stages, folder / f"after-{name}")
    return stages[name]


def _undisturbed(job: Job, stages: dict[str, Path], run: Path) -> Path:
    _copy(stages[job.start], run, job.harm)
    code = _run(job.words, run)
    if code:
        raise ConfigError(f"{' '.join(job.words)}: exit status {code}, and nobody killed it")
    return run


def _copy(start: Path, run: Path, harm: str) -> None:
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(start, run)
    for path in run.glob(harm) if harm else ():
        content = path.read_bytes()
        path.write_bytes(content[:-100] + bytes(100))


def _run(words: Sequence[str], run: Path, kill: float | None = None) -> int:
    """Run a command in a fork; its exit status, or minus the signal that ended it."""
    line = [re.sub(r"(^|:)RUN\b", rf"\g<1>{run}", word) for word in words]
    child = os.fork()
    if not child:
        _as_command(line)
    if kill is not None:
        time.sleep(kill)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _as_command(line: Sequence[str]) -> None:
    """Be the command; never returns."""
    code = 1
    try:
        for stream in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
        from gantandem.cli import app

        app(list(line))
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        code = 1
    finally:
        os._exit(code)


def _warm_up() -> None:
    """Import what commands import, and let trees and resampling be few."""
    import matplotlib.figure  # noqa: F401
    import sklearn.ensemble  # noqa: F401

    import gantandem.cli.show
    import gantandem.reporting  # noqa: F401
    from gantandem.discriminator import candidates, diagnostics
    from gantandem.evaluate.metrics import two_sample

    two_sample.TREES, candidates.TREES, diagnostics.RESAMPLES = 4, 8, 10


def contents(folder: Path) -> dict[str, Any]:
    """All files of a folder by path, hidden ones too, as they are but for seconds."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    paths = [path for path in paths if path.name != "commands.json"]  # which holds dates alone
    return {path.relative_to(folder).as_posix(): _content(path, folder) for path in paths}


def _content(path: Path, folder: Path) -> Any:
    content = path.read_bytes()
    if path.relative_to(folder).as_posix() in FOREIGN or THEIRS in path.parts:
        return content
    text = content.replace(str(folder).encode(), b"RUN")
    if path.suffix == ".csv":
        return text
    if path.suffix in (".json", ".yaml"):
        found = _untimed((json.loads if path.suffix == ".json" else _yaml)(text))
        if path.name == MANIFEST:
            found = {key: value for key, value in found.items() if key not in OF_THE_CALL}
        return json.dumps(found, sort_keys=True)
    if path.suffix == ".npz":
        return dict(_arrays(content))
    if path.name == "checkpoint.safetensors":  # its notes are in no order
        tensors, notes = read_tensors(path)
        return sorted(notes.items()), {name: one.numpy().tobytes() for name, one in tensors.items()}
    if path.suffix == ".html":  # which shows seconds
        return content.rstrip().endswith(b"</html>")
    return content


def _yaml(text: bytes) -> Any:
    return yaml.safe_load(text)


def _arrays(content: bytes) -> Iterator[tuple[str, Any]]:
    with np.load(io.BytesIO(content)) as file:
        for name in sorted(file):
            value = file[name]
            if value.dtype.kind in "US":
                with contextlib.suppress(ValueError):
                    value = np.array(json.dumps(_untimed(json.loads(str(value)))))
            yield name, (str(value.dtype), value.shape, value.tobytes())


def _untimed(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _untimed(v) for k, v in value.items() if k not in TIMED}
    return [_untimed(one) for one in value] if isinstance(value, list) else value


def table(result: dict[str, Any]) -> str:
    """A result as a page."""
    lines = [
        "# Commands killed at random moments",
        "",
        "`python -m experiments faults --json FILE`: each command on a tiny run is killed "
        "(SIGKILL) at random moments of its work and then given again (`sample` with `--resume`, "
        "`init` with `--overwrite`). "
        "All is well where the run folder then equals, to the bit but for seconds, what an "
        "undisturbed command leaves: no duplicate, no file too many, and files of others as they "
        "were.",
        "",
        "| command | undisturbed, s | killed | all is well |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name, one in result["commands"].items():
        lines.append(f"| `{name}` | {one['seconds']} | {one['kills']} | {one['survived']} |")
    lines.append(f"| all | | {result['kills']} | {result['survived']} |")
    faults = [
        f"* `{name}` {fault}" for name, one in result["commands"].items() for fault in one["faults"]
    ]
    if faults:
        lines += ["", "What was not well:", "", *faults]
    return "\n".join([*lines, ""])


def write_faults(path: Path, result: dict[str, Any]) -> None:
    """Write a result as JSON, and the page beside it."""
    write_json(path, result)
    write_bytes(path.with_suffix(".md"), table(result).encode())
