"""A conditional SNGAN of two weight files and labelled pictures: 100 of one class, and more."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from commands import run
from gantandem.nets import build
from own_gans import QUICK, settled, weights

G = {"net": "sngan-conditional-generator-32", "filters": 8}
D = {"net": "sngan-conditional-discriminator-32", "filters": 8}
SEVEN = ("--condition", "7")


@pytest.mark.slow
def test_a_hundred_of_class_seven(tmp_path):
    noise = np.random.default_rng(0)
    for place in range(200):
        folder = tmp_path / "photos" / f"class-{place % 10}"
        folder.mkdir(parents=True, exist_ok=True)
        pixels = noise.integers(10 * (place % 10), 256, (32, 32, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{place}.png")
    g = weights(tmp_path, settled(build(G)), "netG.pth")
    d = weights(tmp_path, settled(build(D), 1), "netD.pth")
    work, out = tmp_path / "run", tmp_path / "out"
    run(
        "import", work, "--weights-g", g, "--weights-d", d, "--output", "critic", "--latent",
        "normal:128", "--data", tmp_path / "photos", "--condition", "labels",
    )  # fmt: skip
    run("fit-ratio", work, "--samplers", "direct", *QUICK)
    small = ("--sampler", "obrs", "pilot=200")
    run("sample", work, "-n", 100, *SEVEN, *small, "--format", "png", "--out", out)
    assert len(list(out.rglob("*.png"))) == 100
    run("sample", work, "-n", 100, *SEVEN, *small, "--format", "npz", "--out", tmp_path / "npz")
    with np.load(next((tmp_path / "npz").rglob("*.npz"))) as held:
        assert held["condition"].tolist() == [7] * 100
        assert held["accepted"].all()
    other = ("--condition", "2", *small, "--format", "npz", "--out", tmp_path / "two")
    run("sample", work, "-n", 100, *other)
    with np.load(next((tmp_path / "two").rglob("*.npz"))) as two:
        assert not np.array_equal(two["x"], held_x(tmp_path / "npz"))
    scored = json.loads(run("score", work, out, *SEVEN, "--json").stdout)
    assert scored["n"] == 100
    kept = json.loads(run("select", work, out, *SEVEN, "expected=3", "--json").stdout)["kept"]
    assert 0 < kept < 100


def held_x(folder):
    with np.load(next(folder.rglob("*.npz"))) as held:
        return held["x"]
