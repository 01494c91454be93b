"""A translator of a built-in architecture: its weights and a folder in, refined images out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from typer.testing import CliRunner

from gantandem import GAN, Direct, Inputs, Key, Refine, adapt, sample, shape
from gantandem.cli import app
from gantandem.errors import ConfigError, DataError, InputError
from gantandem.nets import build
from gantandem.networks import layers
from gantandem.runs import Workspace, repair_folder, sample_run, shape_run, verify_folder
from gantandem.runs.importing import import_run
from gantandem.runs.naming import Names
from gantandem.runs.weights import read_latent
from own_gans import SHAPED, pictures, weights

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
    with pytest.raises(DataError, match="is not a folder of images"):
        read_latent("images:nowhere")
    with pytest.raises(ConfigError, match="images:FOLDER"):
        read_latent("image:horses")


@pytest.fixture
def work(tmp_path):
    """A RUN of a translator whose targets, 48 zebras, belong to none of its six horses."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        paths = {name: weights(tmp_path, build(spec), f"latest_net_{name}.pth") for name, spec in
                 (("G", G), ("D", D))}  # fmt: skip
    return import_run(
        tmp_path / "run", weights_g=paths["G"],
        weights_d=paths["D"],
        latent=f"images:{pictures(tmp_path / 'horses', 6, 16)}", output="critic",
        data=str(pictures(tmp_path / "zebras", 120, 16)),
    )  # fmt: skip


def pngs(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.png"))}


@pytest.mark.slow
def test_files_bear_the_names_of_the_inputs(work, tmp_path):
    ran = CliRunner().invoke(app, ["sample", str(work.run), "--format", "png", "steps=2"])
    assert ran.exit_code == 0, ran.output
    drawn = work.run / "drawn" / "refine-0"
    names = ["dark-0000.png", "dark-0002.png", "dark-0004.png"]
    names += [f"light-000{place}.png" for place in (1, 3, 5)]
    whole = pngs(drawn)
    assert list(whole) == names and verify_folder(drawn).faults == []
    (drawn / names[4]).write_bytes(b"damaged")
    assert verify_folder(drawn).whole == 0
    assert repair_folder(drawn, work).faults == [] and pngs(drawn) == whole
    (drawn / names[1]).unlink()
    (drawn / "mine.png").touch()
    ran = CliRunner().invoke(
        app, ["sample", str(work.run), "--format", "png", "steps=2", "--resume"]
    )
    assert ran.exit_code == 0 and pngs(drawn) == {**whole, "mine.png": b""}


@pytest.mark.slow
def test_some_inputs_have_the_bits_of_all(work, tmp_path):
    every = sample_run(work, "refine", None, tmp_path / "all", kind="png", overrides=["steps=2"])
    assert every["returned"] == 6
    sample_run(work, "refine", None, tmp_path / "two", kind="png", ids="4-5", overrides=["steps=2"])
    some = pngs(tmp_path / "two")
    assert list(some) == ["light-0003.png", "light-0005.png"]
    assert some.items() <= pngs(tmp_path / "all").items()


@pytest.mark.slow
def test_a_run_translates_another_folder(work, tmp_path):
    others = pictures(tmp_path / "ponies", 3, 16)
    (others / "dark" / "0000.png").rename(others / "Zoë.png")
    out = tmp_path / "out"
    ask = ["sample", str(work.run), "--format", "png", "--sampler", "direct", "-o", str(out)]
    ran = CliRunner().invoke(app, [*ask, "--inputs", str(others)])
    assert ran.exit_code == 0, ran.output
    assert len(pngs(out)) == 3 and {"dark-0002.png", "light-0001.png"} < set(pngs(out))
    ran = CliRunner().invoke(app, [*ask, "--resume"])
    assert ran.exit_code == 2 and "other settings" in ran.output
    ran = CliRunner().invoke(app, [*ask, "--overwrite"])
    assert ran.exit_code == 0 and len(pngs(out)) == 6
    assert not [name for name in pngs(out) if "Zo" in name]


@pytest.mark.slow
def test_a_folder_of_64_by_64_goes_in_and_out_one_image_at_a_time(tmp_path, monkeypatch):
    """As images of 256 x 256 do: of those, 64 at once do not fit, and the pool has one lane."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        paths = {name: weights(tmp_path, build(spec), f"latest_net_{name}.pth") for name, spec in
                 (("G", G), ("D", D))}  # fmt: skip
    run, out = str(tmp_path / "run"), tmp_path / "out"
    given = ["--weights-g", paths["G"], "--weights-d", paths["D"], "--output", "critic"]
    horses, zebras = pictures(tmp_path / "horses", 8, 64), pictures(tmp_path / "zebras", 40, 64)
    given += ["--latent", f"images:{horses}", "--data", zebras]
    ran = CliRunner().invoke(app, ["import", run, *map(str, given)])
    assert ran.exit_code == 0, ran.output
    ask = ["sample", run, "--format", "png", "steps=3"]
    for place, held in (("wide", layers.HELD), ("narrow", 1)):
        monkeypatch.setattr(layers, "HELD", held)
        ran = CliRunner().invoke(app, [*ask, "--out", str(out / place)])
        assert ran.exit_code == 0, ran.output
    wide, narrow = (read_pngs(out / place) for place in ("wide", "narrow"))
    assert list(narrow) == [f"{kind}-{i:04}" for kind in ("dark", "light") for i in
                            range(kind == "light", 8, 2)]  # fmt: skip
    assert all(np.abs(narrow[name] - wide[name]).max() <= 1 for name in wide)


def read_pngs(folder):
    found = sorted(folder.glob("*.png"))
    return {path.stem: np.asarray(Image.open(path)).astype(int) for path in found}


def test_inputs_are_never_written_over(work, tmp_path):
    before = pngs(tmp_path / "horses" / "dark")
    for place in ("horses", "horses/dark", "horses/out"):
        with pytest.raises(InputError, match="the folder of the translator's inputs"):
            sample_run(work, "direct", None, tmp_path / place, kind="png", overwrite=True)
    assert pngs(tmp_path / "horses" / "dark") == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "dark-0002.png").touch()
    with pytest.raises(InputError, match="already holds samples"):
        sample_run(work, "direct", None, tmp_path / "mine", kind="png")


@pytest.mark.slow
def test_unpaired_targets_shape_a_translator(work):
    before = work.gan.guide.network.state_dict()
    before = {name: value.clone() for name, value in before.items()}
    last = "shape.recipe=paper"  # which keeps the last guide in any case
    again = Workspace(work.run, [*SHAPED[:6], last], step="shape")
    gan = shape_run(again)
    after = gan.guide.network.state_dict()
    assert gan.shaped and any(not torch.equal(after[k], before[k]) for k in before)
    moved = sample(gan, gan.proposal, 6, width=16)
    assert not torch.equal(moved.x, sample(gan, Direct(), 6, width=16).x)


class Painter(nn.Module):
    """A translator that is told the style to paint in."""

    def __init__(self):
        super().__init__()
        self.tint, self.last = nn.Embedding(2, 3), nn.Conv2d(3, 3, 3, 1, 1)

    def forward(self, x, y):
        return torch.tanh(self.last(x + self.tint(y)[:, :, None, None]))


def test_targets_of_a_conditional_translator_need_no_partners(tmp_path):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network, judge = Painter(), adapt.WithoutCondition(build(D))
        photos, styles = torch.rand(5, 3, 16, 16) * 2 - 1, torch.arange(120) % 2
        targets = torch.rand(120, 3, 16, 16) * 2 - 1
    gan = GAN(network, judge, Inputs(photos), condition=torch.tensor([0, 1]), output="critic")
    shaped = shape(
        gan, (targets, styles), refine=Refine(layer="last", steps=2, step_size=0.1), updates=2,
        check_every=1, check_samples=16, batch=16, width=16,
    )  # fmt: skip
    assert shaped.shaped and torch.equal(sample(shaped, "direct", 5).condition, styles[:5])


@pytest.mark.parametrize(
    ("inputs", "files"),
    [
        (["a.jpg", "b.png"], ["a", "b", "a-000000000002", "b-000000000003"]),
        (["a.jpg", "a.png"], ["a-000000000000", "a-000000000001"]),
        (["A.png", "a.png", "b/c.png", "b-c.png"], ["A-000000000000", "a-000000000001",
         "b-c-000000000002", "b-c-000000000003"]),
        (["a.png", "a-000000000000.png"], ["a", "a-000000000000-000000000001"]),
        (["000000000001.png", "x.tar.gz.png"], ["000000000001-000000000000", "x.tar.gz"]),
    ],
)  # fmt: skip
def test_names_never_collide(inputs, files):
    names = Names(inputs)
    assert [names(index) for index in range(len(files))] == files
    every = [names(index).casefold() for index in range(50)]
    assert len(set(every)) == 50 and all(names.holds(names(index)) for index in range(50))
    assert not names.holds("other") and not names.holds("other-000000000001")


@pytest.mark.slow
def test_a_resumed_call_counts_what_earlier_ones_clipped(work, tmp_path):
    def drawn(folder, **more):
        found = sample_run(work, "direct", None, folder, kind="png", range=(-0.01, 0.01), **more)
        return {key: found[key] for key in ("clipped", "returned", "setup_passes", "range")}

    whole = drawn(tmp_path / "whole")
    assert whole["clipped"] > 0
    some = drawn(tmp_path / "parts", ids="0-3")
    assert 0 < some["clipped"] < whole["clipped"]
    for _ in range(2):  # the second one has nothing left to draw
        assert drawn(tmp_path / "parts", resume=True) == whole
