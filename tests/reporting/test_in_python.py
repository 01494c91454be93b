"""The report and its cautions from Python: of a GAN, a comparison or a folder."""

from __future__ import annotations

import json

import pytest
import torch
from test_comparing import Breaks
from torch import nn

import gantandem as gt
from gantandem.errors import DataError, IncompleteError, InputError
from gantandem.testing import toy_gan

REAL = torch.randn(600, 2, generator=torch.Generator().manual_seed(0))


def test_of_a_gan():
    ratio, guide = gt.cautions(toy_gan())
    assert ratio.startswith("The ratio on the law of direct was never diagnosed")
    assert guide.startswith("The guide was not shaped")
    known = toy_gan()
    known = known.with_diagnosis(gt.diagnose(known, REAL)).replace(shaped=True)
    (told,) = known.ratios.values()
    assert gt.cautions(known) == [
        f"The ratio on the law of direct: {'; '.join(told.diagnosis.warnings)}."
    ]
    with torch.no_grad():
        next(known.guide.network.parameters()).add_(1)
    assert "is stale" in gt.cautions(known)[0]
    bare = gt.GAN(nn.Linear(2, 2), None, 2)
    assert gt.cautions(bare) == [
        "There is no ratio, so no selector can accept these samples: fit one (fit_ratio)."
    ]


def test_of_a_comparison():
    gan, samplers = toy_gan(), ["direct", gt.Metropolis(proposals=3)]
    unknown = gt.compare(gan, samplers, REAL, 64, progress=False)
    assert any("was never diagnosed" in one for one in gt.cautions(unknown))
    moved = gt.compare(gan, ["direct", gt.Refine(steps=2)], REAL, 64, progress=False)
    assert not any("diagnosed" in one for one in gt.cautions(moved))
    told = gt.diagnose(gan, REAL)
    found = gt.compare(gan.with_diagnosis(told), samplers, REAL, 64, progress=False)
    (said,) = [one for one in gt.cautions(found) if one.startswith("The ratio on direct: ")]
    assert all(one in said for one in told.warnings)
    less = gt.compare(gan, ["direct"], REAL, 32, progress=False)
    assert "few make chance" not in f"{gt.cautions(less)} {less}"
    more = gt.compare(gan, ["direct"], REAL, 200, progress=False)
    (few,) = [one for one in gt.cautions(more) if "few make chance" in one]
    assert few.startswith("200 samples were measured by ") and "few make chance" in str(more)
    worse = gt.compare(gan, samplers, lambda x: {"sliced_w1": len(x[x[:, 0] > -5]) / 64}, 64)
    worse["metropolis"].row["metrics"]["sliced_w1"] = 9.0
    assert gt.cautions(worse)[0].startswith("metropolis made samples worse than the plain")


@pytest.mark.parametrize("of", [None, 3, {"direct": 1}, torch.zeros(2)])
def test_of_nothing_else(of):
    with pytest.raises(InputError, match="cautions: got .* allowed are a GAN, a result of compare"):
        gt.cautions(of)


def test_a_folder_without_a_comparison(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        gt.cautions(tmp_path)


@pytest.mark.usefixtures("no_pixels")
def test_a_report_is_written_and_read_again(tmp_path):
    gan, folder = toy_gan(), tmp_path / "page"
    samplers = {"direct": "direct", "mine/obrs": gt.OBRS(expected=2, pilot=100)}
    path = gt.report(gan, REAL, samplers, folder, 64, progress=False)
    text = path.read_text()
    assert path == folder / "report.html" and "mine/obrs" in text and "Sequential" in text
    metrics = json.loads((folder / "metrics.json").read_text())
    alone = gt.compare(gan, samplers, REAL, 64, progress=False)
    for name, (row, _) in alone.items():
        assert metrics["samplers"][name]["metrics"] == row["metrics"]
    assert metrics["floor"] == alone.floor
    told = json.loads((folder / "evidence/diagnosis.json").read_text())
    assert told["direct"]["auc"] == gt.diagnose(gan, REAL).auc
    found = gt.cautions(folder)
    (warned,) = [one for one in found if one.startswith("compare: ")]
    assert "is above 1 for every one" in warned
    assert [one for one in found if one != warned] == gt.cautions(
        gt.compare(gan.with_diagnosis(gt.diagnose(gan, REAL)), samplers, REAL, 64, progress=False)
    )
    assert text.count("scatter of") == 3  # real data and two samplers


def test_a_report_of_what_did_not_fail(tmp_path):
    samplers = {"direct": "direct", "bad": Breaks()}
    with pytest.raises(IncompleteError, match="not measured: bad"):
        gt.report(toy_gan(), REAL, samplers, tmp_path, 64, title="Mine", progress=False)
    text = (tmp_path / "report.html").read_text()
    assert "bad could not be measured" in text and "<h1>Mine" in text
