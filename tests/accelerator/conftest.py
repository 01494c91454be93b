"""Writes what the tests found on an accelerator, with its name, to ``runs/accelerator.json``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

OUTCOMES: dict[str, str] = {}
MEASURED: dict[str, object] = {}


@pytest.fixture
def measured():
    """Where a test puts numbers that it measured, by name."""
    return MEASURED


def pytest_runtest_logreport(report):
    if "tests/accelerator" in report.nodeid and (
        report.when == "call" or report.outcome != "passed"
    ):
        OUTCOMES[report.nodeid.rpartition("/")[2]] = report.outcome


def pytest_sessionfinish():
    if OUTCOMES and torch.cuda.is_available():
        path = Path("runs/accelerator.json")
        path.parent.mkdir(exist_ok=True)
        found = {"device": torch.cuda.get_device_name(), "torch": str(torch.__version__)}
        path.write_text(
            json.dumps({**found, "measured": MEASURED, "tests": OUTCOMES}, indent=1) + "\n"
        )
