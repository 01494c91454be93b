"""Run folders with made-up numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from synthetic_run import image_run, planar_run


@pytest.fixture(scope="module")
def planar(tmp_path_factory) -> Path:
    return planar_run(tmp_path_factory.mktemp("run") / "planar")


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    return image_run(tmp_path_factory.mktemp("run") / "images")
