"""The package shows its names before they are used, and loads them on first use."""

from __future__ import annotations

import subprocess
import sys

import gantandem as gt


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
