"""Tiny runs, made once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from commands import LEVEL, TINY, run
from quick import few_real_data, quick_measures


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "trained"
    with few_real_data(), quick_measures():
        run("-q", "train", "imbalanced-8", "-o", folder, "seed=5", *TINY, *LEVEL)
    return folder


@pytest.fixture(scope="session")
def ready(trained, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "ready"
    shutil.copytree(trained, folder)
    with few_real_data(), quick_measures():
        run("-q", "shape", folder, "shape.recipe=paper")  # keeps the last guide in any case
        run("-q", "fit-ratio", folder)
    return folder


@pytest.fixture
def work(ready, tmp_path) -> Path:
    return Path(shutil.copytree(ready, tmp_path / "run"))
