"""A GAN of one's own on the command line, from weight files to a report."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from commands import fails, run
from gantandem.progress import be_quiet
from local_data import data_folder
from own_gans import (
    QUICK,
    SHAPED,
    Discriminator,
    Generator,
    Judge,
    Labelled,
    pictures,
    settled,
    weights,
)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    yield
    be_quiet(False)


def files(folder: Path, generator, discriminator) -> list:
    return [
        *("--generator", f"own_gans:{type(generator).__name__}"),
        *("--weights-g", weights(folder, settled(generator), "g.pth")),
        *("--discriminator", f"own_gans:{type(discriminator).__name__}"),
        *("--weights-d", weights(folder, settled(discriminator), "d.pth")),
        *("--latent", "normal:6x1x1"),
        *("--data", pictures(folder / "own")),
    ]


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    result = run("import", folder / "run", *files(folder, Generator(), Discriminator()))
    assert f"next: gantandem fit-ratio {folder / 'run'} --trust" in result.stdout
    return folder / "run"


@pytest.mark.slow
def test_every_command_takes_what_was_imported(imported, tmp_path):
    words = (imported, "--trust")
    assert "Trust it to" in run("fit-ratio", *words, *QUICK).stdout
    run("calibrate", *words, "--sampler", "direct")
    run("diagnose", *words, "--sampler", "direct")
    table = run("compare", *words, "-n", 40, "--report").stdout
    assert "How this was made" in (imported / "report.html").read_text()
    assert "sliced W1" in table and "metropolis" in table and "collaborative" not in table
    run("shape", *words, *SHAPED)
    run("fit-ratio", *words)
    assert "collaborative" in run("compare", *words, "-n", 20).stdout
    run("report", imported)
    page = (imported / "report.html").read_text()
    assert "Samples beside the data" in page and "Can the ratio be trusted?" in page
    assert "<h1>run <span>data own, seed 0</span></h1>" in page
    assert "<title>run · GANtandem report</title>" in page
    for wanted in ("gantandem import", "gantandem compare", "Measured on 2"):
        assert wanted in page
    run("sample", *words, "-n", 5, "--out", tmp_path / "s", "--format", "png")
    assert len(list((tmp_path / "s").glob("*.png"))) == 5


@pytest.mark.slow
def test_images_are_measured_through_a_backbone(imported, tmp_path):
    work = shutil.copytree(imported, tmp_path / "run")
    run("fit-ratio", work, "--trust", *QUICK, "fit_ratio.backbone=own_gans:Eyes")
    plain, seen = ("compare", work, "--trust", "-n", 40), ("--backbone", "own_gans:Eyes")
    samplers = ("--samplers", "direct,obrs")
    run(*plain, *samplers)
    rows = json.loads((work / "metrics.json").read_text())["samplers"]
    assert rows["obrs"]["eyes"] == {"judge": "Eyes", "measure": None}
    told = run(*plain, "--samplers", "obrs", *seen)
    assert "Fréchet" in told.stdout
    metrics = json.loads((work / "metrics.json").read_text())
    assert list(metrics["samplers"]) == ["obrs"]  # what was measured otherwise is no row beside it
    assert "frechet_distance" in metrics["floor"]
    eyes = metrics["samplers"]["obrs"]["eyes"]
    assert eyes == {"judge": "Eyes", "shared": ["judge"], "measure": "own_gans:Eyes"}
    assert "kept from an earlier call" in run(*plain, *samplers, *seen).stderr
    run("report", work)
    page = (work / "report.html").read_text()
    assert "<dd>judged through Eyes, measured through own_gans:Eyes</dd>" in page
    assert "obrs: its judge looked through the backbone that measures" in page
    assert "between pixels" not in page
    fails(*plain, "--sweep", *seen, wanted=["leave --sweep out"])
    fails(*plain, "--backbone", "eficientnet-lite0", wanted=["did you mean 'efficientnet-lite0'"])


def test_layers_and_their_json(imported, tmp_path):
    shown = run("layers", imported, "--trust", "--json", tmp_path / "l.json").stdout
    assert "main.2" in shown and "8 x 4 x 4" in shown and "memory a lane" in shown
    (row,) = [
        one for one in json.loads((tmp_path / "l.json").read_text())["layers"]
        if one["name"] == "main.2"
    ]  # fmt: skip
    assert row["shape"] == [8, 4, 4] and 0 < row["tail"] < 1


@pytest.mark.slow
def test_of_a_conditional_gan_some_classes(tmp_path):
    words = files(tmp_path, Labelled(), Judge())
    run("import", tmp_path / "run", *words, "--condition", "labels")
    run("fit-ratio", tmp_path / "run", "--trust", *QUICK)
    (tmp_path / "labels.csv").write_text("1\n0\n0\n")
    common = ("sample", tmp_path / "run", "--trust", "-n", 6)
    run(*common, "--condition", 1)
    run(*common, "--condition", tmp_path / "labels.csv", "--out", tmp_path / "rows")
    (one,) = (tmp_path / "run/drawn/drs-0-1").glob("*.npz")
    assert np.load(one)["condition"].tolist() == [1] * 6
    (rows,) = (tmp_path / "rows").glob("*.npz")
    assert np.load(rows)["condition"].tolist() == [1, 0, 0, 1, 0, 0]
    fails(*common, "--condition", 5, "--out", tmp_path / "n", wanted=["label 5"])
    fails(*common, "--condition", "x", "--out", tmp_path / "n", wanted=["a label such as 7"])


@pytest.mark.slow
def test_samples_of_some_classes_are_repaired_as_they_were_asked_for(tmp_path):
    work, out = tmp_path / "run", tmp_path / "s"
    words = files(tmp_path, Labelled(), Judge())
    said = run("import", work, *words, "--condition", "labels").stderr
    assert "looking for the layer to refine" in said
    drawn = run("sample", work, "--trust", "--sampler", "direct", "--condition", 1, "-n", 6,
                "--out", out).stdout  # fmt: skip
    assert "6 samples of direct in" in drawn
    (file,) = out.glob("*.npz")
    file.write_bytes(b"broken")
    repair = ("verify", out, "--repair", work, "--trust")
    fails(*repair, wanted=[str(out), "Give the same conditions (--condition), or"])
    assert "6 samples are whole" in run(*repair, "--condition", 1).stdout
    fails("verify", out, "--condition", 1, wanted=["only used with --repair RUN"])


def test_a_label_of_a_gan_without_conditions(imported):
    words = ("sample", imported, "--trust", "--condition", 1)
    fails(*words, wanted=["has no condition"])


@pytest.mark.slow
def test_a_generator_alone(tmp_path):
    words = files(tmp_path, Generator(), Discriminator())
    run("import", tmp_path / "run", *words[:4], *words[8:])
    run("fit-ratio", tmp_path / "run", "--trust", *QUICK)
    run("shape", tmp_path / "run", "--trust", *SHAPED)
    run("shape", tmp_path / "run", "--trust")
    run("sample", tmp_path / "run", "--trust", "-n", 5, "--sampler", "refine")


def test_messages_are_in_the_words_of_the_command_line(tmp_path):
    words = files(tmp_path, Generator(), Discriminator())
    wrong = ["normal:6" if word == "normal:6x1x1" else word for word in words]
    text = fails("import", tmp_path / "run", *wrong, wanted=["--latent normal:6x1x1"])
    assert "latent=(" not in text
    text = fails("import", tmp_path / "run", *words[:2], wanted=["--weights-g"])
    assert "weights_g" not in text
    run("import", tmp_path / "run", *words)
    text = fails("compare", tmp_path / "run", wanted=["--trust"])
    assert "trust=True" not in text and "GAN.load" not in text


def test_quiet_says_results_and_warnings_alone(imported, tmp_path):
    drawn = run("sample", imported, "--trust", "--sampler", "direct", "-n", 3, "--quiet",
                "--out", tmp_path / "s")  # fmt: skip
    assert drawn.stderr == "" and "3 samples" in drawn.stdout
    assert "the run refines" in run("layers", imported, "--trust").stdout
    assert "the run refines" not in run("layers", imported, "--trust", "-q").stdout


def test_init_writes_a_recipe(tmp_path):
    run("init", tmp_path / "mine.yaml")
    assert yaml.safe_load((tmp_path / "mine.yaml").read_text())["task"] == "own"
    fails("init", tmp_path / "mine.yaml", wanted=["exists already"])


def test_modules_of_the_current_folder_are_found(tmp_path, monkeypatch):
    name = f"nets_{tmp_path.name}"
    text = (Path(__file__).parents[1] / "helpers/own_gans.py").read_text()
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    words = files(tmp_path, Generator(), Discriminator())
    words[1], words[5] = f"{name}:Generator", f"{name}:Discriminator"
    monkeypatch.setattr("sys.path", list(__import__("sys").path))
    fails("import", tmp_path / "r", "--generator", "nowhere_:G", *words[2:4],
          wanted=["neither on Python's path nor in"])  # fmt: skip
    run("import", tmp_path / "run", *words)


GANS = ("netG-12000.pth", "netD-12000.pth")


@pytest.mark.slow
@pytest.mark.data
def test_from_two_weight_files_and_a_folder_to_a_report(tmp_path):
    gans, data = data_folder("gans") / "cifar10-dcgan", data_folder("cifar10-jpeg")
    run(
        "import", tmp_path / "run", "--generator", "dcgan-generator-32",
        "--weights-g", gans / GANS[0], "--discriminator", "dcgan-discriminator-32",
        "--weights-d", gans / GANS[1], "--latent", "normal:100x1x1", "--data", data,
    )  # fmt: skip
    run("fit-ratio", tmp_path / "run", *QUICK)
    run("compare", tmp_path / "run", "-n", 50)
    run("report", tmp_path / "run")
    assert "Samples beside the data" in (tmp_path / "run/report.html").read_text()
    assert "main.5" in run("layers", tmp_path / "run").stdout
    run("sample", tmp_path / "run", "-n", 5)


@pytest.mark.parametrize(
    ("option", "given", "wanted"),
    [
        ("--data", "no/such/folder", "data: .*no/such/folder: no such folder"),
        ("--data", "damaged.npy", r"data: .*damaged\.npy cannot be read as an .npy file"),
        ("--weights-g", "none.pth", "none.pth: no such file"),
        ("--weights-d", "none.pth", "none.pth: no such file"),
        ("--latent", "normal:x", "latent"),
    ],
)
def test_what_can_be_known_is_said_before_networks_are_loaded(
    tmp_path, monkeypatch, option, given, wanted
):
    monkeypatch.setattr("gantandem.runs.importing.network_of", None)  # which nobody may call
    (tmp_path / "damaged.npy").write_bytes(b"no array")
    words = files(tmp_path, Generator(), Discriminator())
    words[words.index(option) + 1] = tmp_path / given if given == "damaged.npy" else given
    assert re.search(wanted, fails("import", tmp_path / "run", *words, wanted=[]))
