"""Where tests find real data that is not part of the tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from gantandem.data.images import locate
from gantandem.errors import DataError


def mnist_folder() -> str:
    """Return the folder of MNIST, or skip the test that asked."""
    place = locate("mnist", "")
    if not Path(place).is_dir() or not place:
        pytest.skip("no MNIST: put it in ../shared/data/mnist or set GANTANDEM_DATA")
    return place


def data_folder(name: str) -> Path:
    """Return a folder of the data beside the tree, or skip the test that asked."""
    try:
        place = locate(name, "")
    except DataError:
        place = ""
    if not place or not Path(place).is_dir():
        pytest.skip(f"no {name}: put it in ../shared/data/{name} or set GANTANDEM_DATA")
    return Path(place)
