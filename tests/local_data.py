"""Where tests find real data that is not part of the tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from gantandem.data.images import locate


def mnist_folder() -> str:
    """Return the folder of MNIST, or skip the test that asked."""
    place = locate("mnist", "")
    if not Path(place).is_dir() or not place:
        pytest.skip("no MNIST: put it in ../shared/data/mnist or set GANTANDEM_DATA")
    return place
