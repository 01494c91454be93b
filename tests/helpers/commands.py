"""The command line, called in this process or in one of its own."""

from __future__ import annotations

import subprocess
import sys

from typer.testing import CliRunner

from gantandem.cli import app

TINY = [
    "train.iterations=30",
    "train.batch_size=64",
    "shape.updates=20",
    "shape.refine={steps: 5}",
    "shape.batch=64",
    "shape.check_every=10",
    "shape.check_samples=200",
    "fit_ratio.n=600",
    "fit_ratio.batch=64",
    "fit_ratio.schedule=[[20, 1e-3]]",
]


LEVEL = ["samplers.level={name: obrs, proposal: {name: direct}, expected: 2, pilot: 500}"]


def run(*words, code: int = 0):
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result


def fails(*words, wanted: tuple[str, ...] | list[str]) -> str:
    """The command ends with 2 and one message, without a traceback."""
    result = run(*words, code=2)
    assert "Traceback" not in result.output
    assert result.stderr.count("error:") == 1
    text = " ".join(result.stderr.split())
    for part in wanted:
        assert part in text
    return text


def command(*words, **options) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "gantandem", *map(str, words)]
    return subprocess.run(line, capture_output=True, text=True, timeout=120, **options)
