"""The package shows its names before they are used, and loads them on first use."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import gantandem as gt

TOP = Path(__file__).parents[1]
NOT_TESTED = {"mkdocs-material", "mkdocstrings", "pre-commit", "pyright", "ruff", "gantandem"}
"""Tools that a user of the package does not meet."""


def test_every_name_is_shown_and_there():
    assert dir(gt) == sorted(gt.__all__)
    for name in dir(gt):
        assert getattr(gt, name) is not None


def test_names_load_nothing_before_they_are_used():
    code = (
        "import sys, gantandem; dir(gantandem); "
        "print([m for m in ('torch', 'numpy', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_lowest_versions_that_are_tested_are_those_that_are_allowed():
    project = (TOP / "pyproject.toml").read_text(encoding="utf-8")
    allowed = dict(
        re.findall(r'"([A-Za-z0-9_.-]+)(?:\[\w+\])?>=([\d.]+)"', project.split("[tool")[0])
    )
    pins = (TOP / "constraints-lowest.txt").read_text(encoding="utf-8")
    tested = dict(re.findall(r"^([\w-]+)==([\d.]+)$", pins, re.MULTILINE))
    del tested["click"], allowed["hatchling"]  # what typer brings; what builds
    for tool in NOT_TESTED:
        allowed.pop(tool, None)
    assert tested.keys() == allowed.keys()
    for name, version in tested.items():
        assert f"{version}.".startswith(f"{allowed[name]}."), name
