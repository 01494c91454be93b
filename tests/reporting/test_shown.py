"""What a page says is what was measured: pairs, floors, counts, headline."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from test_ranges import Critic, Painter

from gantandem import GAN, MALA, Direct, Normal, Refine, sample
from gantandem.cli.show import diagnosis_text
from gantandem.discriminator.diagnostics import diagnose_probs
from gantandem.display import plane
from gantandem.reporting import write_report
from gantandem.reporting.keep import _write_pairs
from gantandem.runs import pretrained_run, steps
from gantandem.runs.reading import load_recipe
from synthetic_run import image_run, planar_run


@pytest.fixture
def work(tmp_path):
    torch.manual_seed(0)
    gan = GAN(Painter(), Critic(), Normal(16))
    return SimpleNamespace(run=tmp_path, gan=gan)


def pairs(work, name, sampler):
    _write_pairs(work.run, work.gan, name, sample(work.gan, sampler, 16))
    path = work.run / "evidence/pairs.npz"
    return np.load(path) if path.is_file() else None


REFINE = Refine(layer="data", steps=4, step_size=0.2)


@pytest.mark.parametrize(
    ("name", "sampler"),
    [
        ("direct", Direct()),
        ("mala", MALA(steps=3, step_size=0.1)),  # its z is where it ended: nothing would differ
        ("wide", Refine(layer="data", steps=4, step_size=0.2, defensive=0.5)),
    ],
)
def test_no_pairs_are_kept_of_samples_that_do_not_come_from_their_latent(work, name, sampler):
    assert pairs(work, name, sampler) is None


def test_pairs_are_of_one_sampler_which_is_named(work):
    kept = pairs(work, "refine", REFINE)
    assert str(kept["sampler"]) == "refine"
    assert np.abs(kept["after"] - kept["before"]).max() > 0.01
    with work.gan.networks.frozen():
        z = sample(work.gan, REFINE, 16).z
        assert np.allclose(kept["before"], work.gan.decode(z).numpy(), atol=1e-6)
    later = pairs(work, "other", Refine(layer="data", steps=1, step_size=0.1))
    assert str(later["sampler"]) == "refine"


@pytest.mark.usefixtures("no_pixels")
def test_the_page_names_the_sampler_of_the_pairs(tmp_path):
    run = image_run(tmp_path / "run")
    assert "with refinement" in write_report(run).read_text()
    with np.load(run / "evidence/pairs.npz") as file:
        np.savez(run / "evidence/pairs.npz", **file, sampler=np.array("a<b"))
    assert "with <b>a&lt;b</b>" in write_report(run).read_text()


@pytest.mark.usefixtures("no_pixels")
def test_a_floor_of_fewer_images_says_so_and_counts_are_all_there(tmp_path):
    run = image_run(tmp_path / "run")
    path = run / "metrics.json"
    metrics = json.loads(path.read_text())
    assert "as many real data" in write_report(run).read_text()
    metrics["floor"]["n"] = 64
    metrics["samplers"]["refine"]["events"] = {"moves": 12_800, "moves_accepted": 9_000, "stuck": 0}
    path.write_text(json.dumps(metrics))
    text = write_report(run).read_text()
    assert "the floor: 64 real data" in text
    assert "<dt>refine</dt><dd>moves 12,800, moves_accepted 9,000</dd>" in text


@pytest.mark.usefixtures("no_pixels")
def test_the_headline_gives_the_floor_for_what_it_is(tmp_path):
    text = write_report(planar_run(tmp_path / "run")).read_text()
    assert "Real data score 0.0001." in text and "Two sets" not in text


@pytest.mark.usefixtures("no_pixels")
def test_the_headline_says_of_how_few_real_data_the_floor_is(tmp_path):
    run = image_run(tmp_path / "run")
    path = run / "metrics.json"
    metrics = json.loads(path.read_text())
    assert "which alone makes it larger" not in write_report(run).read_text()
    metrics["floor"]["n"] = 64
    path.write_text(json.dumps(metrics))
    said = ", measured on 64 real data (there are no more), which alone makes it larger."
    assert said in write_report(run).read_text()


def test_a_point_that_is_not_finite_is_outside_every_window():
    points = np.array([[0, 0], [np.nan, 0], [0, np.inf], [1, 1]])
    assert plane.View(0.0, 0.0, 10.0).outside(points) == 0.5


@pytest.mark.usefixtures("no_pixels")
def test_a_diagnosis_made_again_is_the_newest(tmp_path, monkeypatch):
    work = pretrained_run(load_recipe("imbalanced-8"), tmp_path / "run")
    prob, label = np.tile([0.9, 0.1], 500), np.tile([0, 1], 500)  # the wrong way round
    found = replace(diagnose_probs(prob, label), law=work.gan.law(Direct()))
    monkeypatch.setattr(steps, "diagnose", lambda *_, **__: found)
    for label in ("first", "second", "first"):
        steps.diagnose_run(work, "direct", label)
    kept = json.loads((work.run / "evidence/diagnosis.json").read_text())
    assert list(kept) == ["second", "first"]
    assert any(
        "ranks generated samples above real ones" in one for one in kept["first"]["warnings"]
    )
    content = {"schema": 1, "samplers": {"direct": {"n": 2, "metrics": {}}}}
    (work.run / "metrics.json").write_text(json.dumps(content))
    text = write_report(work.run).read_text()
    assert "<b>No</b>: it ranks generated samples above real ones" in text
    assert "* it ranks generated samples above real ones" in diagnosis_text({"direct": found})
