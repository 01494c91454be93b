"""A missing file is answered with the names that lie beside it."""

from __future__ import annotations

import pytest

from gantandem.errors import DataError, WeightsError
from gantandem.files import beside
from gantandem.nets.opening import open_weights
from gantandem.scoring import score
from gantandem.testing import toy_gan


def test_names_like_the_missing_one_are_offered(tmp_path):
    (tmp_path / "netG-12000.pth").touch()
    (tmp_path / "other.txt").touch()
    assert beside(tmp_path / "netG-1200.pth") == f"; did you mean {tmp_path / 'netG-12000.pth'}?"
    assert beside(tmp_path / "zebra") == "" == beside(tmp_path / "nowhere" / "netG.pth")
    with pytest.raises(WeightsError, match=r"no such weight file; did you mean .*netG-12000\.pth"):
        open_weights(tmp_path / "netG-1200.pth")


def test_a_folder_is_offered_for_samples(tmp_path):
    (tmp_path / "pngs").mkdir()
    with pytest.raises(DataError, match=r"no such file or folder; did you mean .*pngs\?"):
        score(toy_gan(), tmp_path / "pngss")
