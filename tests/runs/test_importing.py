"""GANs and RUNs of weight files that others left."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from torch import nn

import gantandem as gt
from gantandem import GAN, Key, Normal, Uniform
from gantandem.data.images import load_images
from gantandem.errors import ConfigError, DataError, InputError, WeightsError
from gantandem.nets import build
from gantandem.networks.statistics import unfilled
from gantandem.runs import Workspace, fit_run
from gantandem.runs.importing import _names, import_run
from gantandem.runs.weights import read_latent, spec_of
from local_data import data_folder
from own_gans import QUICK, Discriminator, Generator, Judge, Labelled, pictures, settled, weights
from run_files import everything


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def own(tmp_path):
    """What a user has: two weight files and a folder."""
    return {
        "generator": "own_gans:Generator",
        "weights_g": weights(tmp_path, settled(Generator()), "netG.pth"),
        "discriminator": "own_gans:Discriminator",
        "weights_d": weights(tmp_path, settled(Discriminator()), "netD.pth"),
        "latent": "normal:6x1x1",
        "data": str(pictures(tmp_path / "own")),
    }


@pytest.mark.parametrize(
    ("text", "latent"),
    [
        ("normal:100x1x1", Normal((100, 1, 1))),
        ("normal:128", Normal(128)),
        ("uniform:62", Uniform(62, -1, 1)),
        ("uniform:62:0,1", Uniform(62, 0, 1)),
    ],
)
def test_priors_as_text(text, latent):
    assert read_latent(text) == latent


@pytest.mark.parametrize("text", ["normal", "gauss:3", "normal:0", "uniform:2:1,0", "normal:2:0,1"])
def test_texts_that_are_no_prior(text):
    with pytest.raises(ConfigError, match="latent"):
        read_latent(text)


@pytest.mark.slow
def test_a_run_of_weight_files_and_a_folder(own, tmp_path):
    work = import_run(tmp_path / "run", **own)
    settings = yaml.safe_load((tmp_path / "run/run.yaml").read_text())
    assert settings["task"] == "own" and settings["range"] == [-1, 1]
    assert settings["data"] == own["data"] and "train" not in settings
    assert settings["generator"] == {"net": "own_gans:Generator"}
    assert settings["shape"]["refine"]["layer"] == "main.2"
    z = work.gan.latent.draw(Key(0), torch.arange(3))
    assert torch.equal(work.gan.decode(z), settled(Generator()).eval()(z))
    with pytest.raises(ConfigError, match="--trust"):  # later the name is a file's
        Workspace(tmp_path / "run")
    assert len(Workspace(tmp_path / "run", trust=True).real.test) == 12


@pytest.mark.slow
def test_again_does_nothing_and_another_asks(own, tmp_path):
    import_run(tmp_path / "run", **own)
    before = everything(tmp_path / "run")
    import_run(tmp_path / "run", **own, trust=True)  # the names are those of a file now
    assert everything(tmp_path / "run") == before
    own["weights_g"] = weights(tmp_path, settled(Generator(), 1), "other.pth")
    with pytest.raises(ConfigError, match="would be lost"):
        import_run(tmp_path / "run", **own, trust=True)  # the names are those of a file now
    assert everything(tmp_path / "run") == before
    import_run(tmp_path / "run", **own, overwrite=True)
    assert everything(tmp_path / "run") != before


@pytest.mark.parametrize(
    ("change", "error", "wanted"),
    [
        ({"generator": "own_gans:None_"}, ConfigError, "None_"),
        ({"weights_g": "none.pth"}, WeightsError, "none.pth"),
        ({"weights_g": None}, ConfigError, "weights_g"),
        ({"latent": "normal:7x1x1"}, InputError, "does not take latents"),
        ({"data": "no/such/folder"}, DataError, "no such folder"),
        ({"output": "odd"}, ConfigError, "output"),
        ({"overrides": ["generator.width=4"]}, WeightsError, "main"),
        ({"condition": "7"}, InputError, "generator"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(own, tmp_path, change, error, wanted):
    with pytest.raises(error, match=wanted):
        import_run(tmp_path / "run", **{**own, **change})
    assert not (tmp_path / "run").exists()


def test_smaller_pictures_than_the_generator_s_are_refused(own, tmp_path):
    own["data"] = str(pictures(tmp_path / "small", size=6))
    with pytest.raises(DataError, match="resize"):
        import_run(tmp_path / "run", **own)


def test_the_latent_is_read_off_the_generator(own):
    del own["latent"], own["data"]
    assert GAN.from_files(**own).latent == Normal((6, 1, 1))


@pytest.mark.parametrize("file", ["netG.pth", Path("netG.pth"), "a/g.safetensors"])
@pytest.mark.parametrize("role", ["generator", "discriminator"])
def test_a_weight_file_in_the_place_of_a_network_is_told(file, role):
    with pytest.raises(ConfigError, match=rf"{role}: .* pass it as weights_{role[0]}"):
        gt.GAN.from_files(**{role: file})


def test_an_argument_of_a_network(own, tmp_path):
    own["weights_g"] = weights(tmp_path, settled(Generator(4)), "narrow.pth")
    work = import_run(tmp_path / "run", **own, overrides=["generator.width=4", "seed=3"])
    assert work.gan.generator.width == 4 and work.recipe.seed == 3


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("dcgan-generator-32", {"filters": 8, "latent_dim": 5}),
        ("sngan-conditional-generator-32", {"filters": 16, "classes": 3, "latent_dim": 4}),
    ],
)
def test_sizes_of_a_named_architecture_are_read_off_its_weights(tmp_path, caplog, name, sizes):
    network = build({"net": name, **sizes})
    file = weights(tmp_path, settled(network), "netG.pth")
    caplog.set_level("INFO")
    spec = spec_of("generator", name, file, {"key": None, "strip_prefix": None})
    assert {key: spec[key] for key in sizes} == sizes
    assert f"the weights are those of {name}" in caplog.text


def test_sizes_that_were_asked_for_are_not_read_off_the_weights(tmp_path):
    network = build({"net": "dcgan-generator-32", "filters": 8, "latent_dim": 5})
    file = weights(tmp_path, settled(network), "netG.pth")
    asked = {"net": "dcgan-generator-32", "filters": 16}
    with pytest.raises(WeightsError, match="'dcgan-generator-32', .*filters=8"):
        GAN.from_files(asked, file, latent="normal:5x1x1")


def test_a_generator_alone_and_no_data(own, tmp_path):
    alone = {k: v for k, v in own.items() if k in ("generator", "weights_g", "latent")}
    work = import_run(tmp_path / "run", **alone)
    assert work.gan.guide is None
    with pytest.raises(ConfigError, match="give data=FOLDER"):
        work.real  # noqa: B018
    gan = GAN.from_files(Generator(), alone["weights_g"], latent=(6, 1, 1))
    z = gan.latent.draw(Key(0), torch.arange(3))
    assert torch.equal(gan.decode(z), work.gan.decode(z))


def test_labels_of_the_data(own, tmp_path):
    own |= {"generator": "own_gans:Labelled", "discriminator": "own_gans:Judge"}
    own["weights_g"] = weights(tmp_path, settled(Labelled()), "g.pth")
    own["weights_d"] = weights(tmp_path, settled(Judge()), "d.pth")
    del own["latent"]  # which is read off a generator of labels, too
    work = import_run(tmp_path / "run", **own, condition="labels")
    assert work.gan.latent == Normal((6, 1, 1))
    assert work.gan.condition.tolist() == [0, 1]
    work.ask("1")
    assert work.gan.conditions(torch.arange(3)).tolist() == [1, 1, 1]
    with pytest.raises(InputError, match="label"):
        work.ask("9")


def test_an_adapter_is_kept_with_the_run(own, tmp_path):
    own["generator"] = "own_gans:Tupled"
    with pytest.raises(InputError, match="one tensor"):
        import_run(tmp_path / "run", **own)
    import_run(tmp_path / "run", **own, adapt_g=["item=0"])
    gan = Workspace(tmp_path / "run", trust=True).gan
    z = gan.latent.draw(Key(0), torch.arange(3))
    assert torch.equal(gan.decode(z), settled(Generator()).eval()(z))


def test_of_several_outputs_the_one_that_the_discriminator_takes_is_named(own, tmp_path):
    own["generator"] = "own_gans:Doubled"
    del own["latent"]  # which is read off it, too
    with pytest.raises(InputError, match=r"Write adapt.Item\(G, 1\)$"):
        import_run(tmp_path / "run", **own)
    import_run(tmp_path / "run", **own, adapt_g=["item=1"])


def test_images_of_another_size_are_cut_and_scaled_which_is_said(own, tmp_path, caplog):
    pixels = np.zeros((60, 12, 20), np.uint8)
    pixels[:, :, 4:16] = 255  # the middle square is white
    for i, one in enumerate(pixels):
        one[0, 4] = i  # or they are all the same
        path = tmp_path / "large" / f"{i:02d}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(one).save(path)
    own["data"] = str(tmp_path / "large")
    work = import_run(tmp_path / "run", **own)
    x = work.real.fit[:]
    assert x.shape[1:] == (3, 8, 8) and float(x[:, :, 1:, 1:].min()) > 0.99
    said = "(1, 12, 20) but the generator makes (3, 8, 8): the middle 12 x 12 of each image is"
    assert said in caplog.text and caplog.text.count("the middle") == 1


def test_who_typed_the_classes_imports_again_without_trust(own, tmp_path):
    import_run(tmp_path / "run", **own)
    import_run(tmp_path / "run", **own)
    another = dict(own, weights_g=weights(tmp_path, settled(Generator(), 1), "other.pth"))
    with pytest.raises(ConfigError, match="would be lost") as caught:
        import_run(tmp_path / "run", **another)
    assert "--trust" not in str(caught.value)
    import_run(tmp_path / "run", **another, overwrite=True)


@pytest.mark.parametrize("place", ["run.yaml", "ratios/law.json"])
def test_other_classes_in_its_files_are_not_trusted(own, tmp_path, place):
    import_run(tmp_path / "run", **own)
    path = tmp_path / "run" / place
    path.parent.mkdir(exist_ok=True)
    if place == "run.yaml":
        content = yaml.safe_load(path.read_text())
        content["samplers"] = {"mine": {"name": "nowhere:Sampler"}}
        path.write_text(yaml.safe_dump(content))
    else:
        path.write_text('{"spec": {"net": "nowhere:Net"}}')
    assert _names(tmp_path / "run") - {own["generator"], own["discriminator"]}
    with pytest.raises(ConfigError, match="--trust"):
        import_run(tmp_path / "run", **own)


def test_a_layout_by_its_name(own, tmp_path):
    """A file of two generators: found by itself it is the averaged one, by a key the other."""
    g, other, d = settled(Generator()), settled(Generator(), 1), settled(Discriminator())
    states = {"g": other, "g_ema": g, "d": d}
    path = tmp_path / "both.pt"
    torch.save({name: net.state_dict() for name, net in states.items()}, path)
    named = {**own, "weights_g": path, "weights_d": path, "layout": "rosinality"}
    z = torch.randn(3, 6, 1, 1)
    assert torch.equal(import_run(tmp_path / "a", **named).gan.decode(z), g.eval()(z))
    del named["data"]
    assert torch.equal(GAN.from_files(**named, key=None).decode(z), g(z))
    whole = {f"generator.{n}": v for n, v in other.state_dict().items()}
    whole |= {f"discriminator.{n}": v for n, v in d.state_dict().items()}
    torch.save({"state_dict": whole, "ema": g.state_dict()}, path)
    light = {**named, "layout": "lightning"}
    assert torch.equal(GAN.from_files(**light).decode(z), other.eval()(z))
    with pytest.raises(WeightsError, match="holds no 'model_state_dict'"):
        GAN.from_files(**{**named, "layout": "mimicry"})
    with pytest.raises(ConfigError, match="layout 'mimicri': did you mean 'mimicry'"):
        GAN.from_files(**{**named, "layout": "mimicri"})


def test_statistics_that_were_never_filled(own, tmp_path, caplog):
    fresh = nn.Sequential(nn.Conv2d(3, 4, 4, 2, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 1, 4))
    averaged = settled(Generator())
    averaged.main[1].reset_running_stats()
    own["weights_g"] = weights(tmp_path, averaged, "ema.pth")
    path = weights(tmp_path, fresh, "fresh.pth")
    with caplog.at_level("INFO", "gantandem.runs"):
        gan = GAN.from_files(
            own["generator"],
            own["weights_g"],
            latent=own["latent"],
            discriminator=copy.deepcopy(fresh),
            weights_d=path,
            real=np.random.default_rng(0).uniform(-1, 1, (200, 3, 8, 8)).astype("f4"),
        )
    assert not unfilled(gan.generator) and not unfilled(gan.guide.network)
    said = [record.message for record in caplog.records if "never filled" in record.message]
    assert len(said) == 2 and "latents" in said[0] and "real and generated" in said[1]
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


@pytest.mark.slow
def test_in_python_under_ten_lines_to_a_report(own, tmp_path):
    data = own.pop("data")
    gan = gt.GAN.from_files(**own)
    real = gt.open_data(data, gan)
    gan = gt.fit_ratio(gan, real, n=64, schedule=[(4, 1e-3)], progress=False)
    page = gt.report(gan, real, ["direct", "drs"], tmp_path / "report", n=40)
    assert "Samples beside the data" in page.read_text()


@pytest.mark.slow
@pytest.mark.data
def test_a_real_conditional_gan_and_a_hundred_of_class_seven(tmp_path):
    gans = data_folder("gans") / "cifar10-sngan-conditional"
    some = load_images(data_folder("cifar10-jpeg"), "test")  # all of them would take many minutes
    data = tmp_path / "some.npz"
    np.savez(data, x=some.pixels[:100].numpy(), label=some.labels[:100].numpy())
    work = import_run(
        tmp_path / "run",
        weights_g=gans / "netG-1690.pth",
        weights_d=gans / "netD-1690.pth",
        output="critic",
        condition="labels",
        data=str(data),
        overrides=QUICK,
    )
    assert sorted(set(work.gan.condition.tolist())) == list(range(10))
    fit_run(work, ["direct"])
    work.ask("7")
    out = gt.sample(work.gan, gt.OBRS(expected=2, pilot=64), n=100, strict=True)
    assert out.x.shape == (100, 3, 32, 32) and out.condition.unique().tolist() == [7]
