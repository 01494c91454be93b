"""A translator of a built-in architecture: its weights and a folder in, refined images out."""

from __future__ import annotations

import pytest
import torch

from gantandem import GAN, Direct, Key, Refine, sample
from gantandem.errors import ConfigError, DataError
from gantandem.nets import build
from gantandem.runs.weights import read_latent
from own_gans import pictures, weights

G = {"net": "cyclegan-generator", "filters": 2, "blocks": 1}
D = {"net": "patchgan-discriminator", "filters": 2, "layers": 1}


@pytest.fixture
def gan(tmp_path):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        paths = {name: weights(tmp_path, build(spec), f"{name}.pth") for name, spec in
                 (("g", G), ("d", D))}  # fmt: skip
    horses = pictures(tmp_path / "horses", 6, 16)
    return GAN.from_files(
        generator=G, weights_g=paths["g"], discriminator=D, weights_d=paths["d"],
        latent=f"images:{horses}", output="lsgan",
    )  # fmt: skip


def test_a_folder_goes_in_and_its_images_come_out_refined(gan, tmp_path):
    plain = sample(gan, Direct(), 6, width=16)
    assert plain.x.shape == (6, 3, 16, 16)
    assert gan.latent.names[0] == "dark/0000.png" and len(gan.latent) == 6
    layer = next(name for name, m in gan.generator.named_modules() if name.endswith("conv_block"))
    moved = sample(gan, Refine(layer=layer, steps=2, step_size=0.1), 6, width=16)
    assert torch.equal(moved.z, plain.z) and not torch.equal(moved.x, plain.x)
    gan.save(tmp_path / "gan")
    again = sample(GAN.load(tmp_path / "gan"), Direct(), 6, width=16)
    assert torch.equal(again.x, plain.x)


def test_images_as_text(gan, tmp_path):
    latent = read_latent(f"images:8x12:{tmp_path / 'horses'}")
    assert latent.draw(Key(0), torch.arange(2)).shape == (2, 3, 8, 12)
    with pytest.raises(DataError, match="is no folder of images"):
        read_latent("images:nowhere")
    with pytest.raises(ConfigError, match="images:FOLDER"):
        read_latent("image:horses")
