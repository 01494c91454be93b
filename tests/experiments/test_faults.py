"""Commands killed at a random moment and given again: a few; experiments/faults.py does more."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from experiments.faults import JOBS, KILLS, contents
from small_runs import committed

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_killed_commands_end_like_undisturbed_ones(tmp_path):
    names = ["shape", "calibrate", "compare", "sample", "report"]
    line = [sys.executable, "-m", "experiments", "faults", *names, "--kills", "2"]
    subprocess.run([*line, "--json", tmp_path / "faults.json"], cwd=ROOT, check=False, timeout=600)
    found = json.loads((tmp_path / "faults.json").read_text())
    assert {name: one["faults"] for name, one in found["commands"].items()} == {
        n: [] for n in names
    }
    assert found["survived"] == found["kills"] == 10


def test_only_seconds_make_no_difference(tmp_path):
    def write(seconds, n, x):
        (tmp_path / "metrics.json").write_text(json.dumps([{"seconds": seconds, "n": n}]))
        manifest = json.dumps({"seconds": seconds, "n": n})
        np.savez(tmp_path / "x.npz", x=np.array([x]), manifest=np.array(manifest))
        return contents(tmp_path)

    first = write(1.5, 2, 3.0)
    assert write(2.5, 2, 3.0) == first
    assert [name for name in first if write(1.5, 3, 3.0)[name] != first[name]] == [*first]
    assert [name for name in first if write(1.5, 2, -3.0)[name] != first[name]] == ["x.npz"]
    (tmp_path / ".lock").touch()
    assert contents(tmp_path).keys() - first.keys() == {".lock"}


def test_every_command_survived_in_the_committed_result():
    found = committed("faults")
    assert found["commands"].keys() == JOBS.keys()
    assert {one["kills"] for one in found["commands"].values()} == {KILLS}
    assert found["survived"] == found["kills"] == KILLS * len(JOBS)
    assert not [fault for one in found["commands"].values() for fault in one["faults"]]
