"""The study of small GANs, at small scale."""

from __future__ import annotations

import json
from functools import partial

import pytest
import torch

from experiments import STUDIES, small, small_gans
from gantandem.errors import ConfigError

SMALL = STUDIES["small"]
FIT = {"n": 1500, "schedule": [(20, 1e-3)], "batch": 100, "progress": False}
SHAPING = {"updates": 10, "batch": 64, "check_every": 10, "check_samples": 200, "progress": False}


@pytest.mark.parametrize("name", small.DATA)
def test_data_are_drawn_by_their_generator_alone(name):
    draw = small.DATA[name]
    x, again = (draw(500, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(x, again) and x.isfinite().all()
    assert not torch.equal(x, draw(500, torch.Generator().manual_seed(4)))
    assert 0.2 < float(x.std()) < 5


@pytest.mark.slow
def test_the_study_measures_every_sampler_and_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(small, "OF_P_G", ("obrs", "drs"))
    monkeypatch.setattr(small, "OF_D", ("dot",))
    monkeypatch.setattr(small, "DATA", {"moons": small.DATA["moons"]})
    for module in (small, small_gans):
        monkeypatch.setattr(module, "ITERATIONS", 3)
    small_fits = {"fit_ratio": FIT, "fit_latent_reweight": FIT, "shape_discriminator": SHAPING}
    for call, settings in small_fits.items():
        monkeypatch.setattr(small, call, partial(getattr(small, call), **settings))
    result = SMALL.result(tmp_path, seeds=[0], n=400)
    (found,) = result["gans"].values()
    names = {"direct", "obrs", "drs", "latent_reweight", "dot", "refine", "refine, shaped"}
    assert set(found["samplers"]) == {*names, "collaborative"}
    assert found["samplers"]["direct"]["sliced_w1"] > found["floor"]["sliced_w1"]
    assert found["farther"] == [n for n, row in found["samplers"].items() if row.get("farther")]
    assert {"log_loss", "mean_ratio", "effective_share", "warnings"} <= set(
        found["ratios"]["plain"]
    )

    monkeypatch.setattr(small, "_measured", None)  # would fail if it were called again
    weights = list((tmp_path / "small").iterdir())
    assert SMALL.result(tmp_path, seeds=[0], n=400)["gans"] == result["gans"]
    assert json.loads((tmp_path / "small.json").read_text())["gans"] == result["gans"]
    assert [path.name for path in weights] == ["moons-0-3.safetensors"]
    with pytest.raises(ConfigError, match="other settings"):
        SMALL.result(tmp_path, seeds=[0], n=401)


def row(distance: float, *, n: int = 100, farther: bool = False) -> dict[str, float | bool]:
    return {"n": n, "sliced_w1": distance, "c2st": 0.6, "farther": farther}


def test_the_page_and_the_picture_say_what_was_farther():
    ratio = {
        "name": "trees", "strength": 0.5, "mean_ratio": 1.0, "effective_share": 0.3,
        "warnings": ["acceptance uses r^0.5"],
    }  # fmt: skip
    found = {
        "plain": {"100": [0.1, 0.01], "25": [0.12, 0.02]},
        "floor": {"sliced_w1": 0.02, "c2st": 0.5},
        "ratios": {"plain": ratio},
        "samplers": {
            "direct": row(0.1), "obrs": row(0.05), "dot": row(0.2, farther=True),
            "mala": {"error": "no ratio was fitted"},
        },
        "farther": ["dot"],
    }  # fmt: skip
    result = {"command": "c", "n": 100, "iterations": 3, "gans": {"moons-0": found}}
    page = SMALL.document(result)
    assert "**1 of 3 rows are farther" in page
    assert "| dot | **2.00** |" in page and "| obrs | 0.50 |" in page
    assert "| mala | refused |" in page and "moons-0, mala: no ratio was fitted" in page
    dots = [line for line in SMALL.draw(result).axes[0].lines if line.get_marker() == "o"]
    assert sorted(float(dot.get_xdata()[0]) for dot in dots) == pytest.approx([0.5, 1.0, 2.0])
