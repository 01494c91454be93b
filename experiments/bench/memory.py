"""Peak memory of streaming samples to disk."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from experiments.bench.common import RUNS, STEP_SIZE, STEPS, pair
from gantandem.engine.sampling import prepare, sample_iter
from gantandem.runs.formats import make_writer
from gantandem.samplers import Refine


def _stream(n: int) -> None:
    gan = pair()
    mover, _ = prepare(gan, Refine(layer="data", steps=STEPS, step_size=STEP_SIZE))
    with tempfile.TemporaryDirectory() as folder:
        writer = make_writer("npz", folder, overwrite=False)
        for block in sample_iter(gan, mover, n, progress=False):
            writer.add(block)
        writer.close()
        if writer.kept != n:
            raise RuntimeError(f"{writer.kept} of {n} samples were written")
    sys.stdout.write(f"{_peak_bytes()}\n")


def _peak_bytes() -> int:
    """This program's own peak: on Linux ``ru_maxrss`` still holds that of its parent."""
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024)


def streaming_memory(runs: int = RUNS, few: int = 10_000, many: int = 1_000_000) -> dict[str, Any]:
    """Peak resident memory of streaming refined 2D samples to disk, each in its own process."""
    peaks: dict[str, int] = {}
    for n in (few, many):
        done = subprocess.run(
            [sys.executable, "-m", __name__, str(n)],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parents[2],
        )
        peaks[str(n)] = int(done.stdout.split()[-1])
    return {"peak_bytes": peaks, "ratio": peaks[str(many)] / peaks[str(few)]}


if __name__ == "__main__":
    _stream(int(sys.argv[1]))
