"""Every step says after Ctrl-C what is kept, and keeps what it warned of for the report."""

from __future__ import annotations

import json
import logging
import shutil

import pytest

import gantandem as gt
from commands import run as command
from gantandem.reporting.evidence import read_evidence
from gantandem.runs import Workspace, compare_run, pretrained_run, steps
from gantandem.runs.reading import load_recipe
from gantandem.testing import toy_gan

pytestmark = pytest.mark.usefixtures("few_real_data")


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    recipe = load_recipe("imbalanced-8", ["shape.refine={steps: 2}"])
    return pretrained_run(recipe, tmp_path_factory.mktemp("steps") / "run").run


@pytest.fixture
def run(shipped, tmp_path):
    return shutil.copytree(shipped, tmp_path / "run")


def stop(*args, **options):
    raise KeyboardInterrupt


PLACES = {
    "shape": "gantandem.runs.steps.shape_discriminator",
    "fit-ratio": "gantandem.runs.steps.fit_ratio",
    "calibrate": "gantandem.runs.steps.diagnose",
    "diagnose": "gantandem.runs.steps.diagnose",
    "recommend": "gantandem.runs.recommending.recommend",
    "compare": "gantandem.runs.Workspace.sampler",
}


@pytest.mark.parametrize("step", PLACES)
def test_ctrl_c_says_that_nothing_was_kept_and_how_to_go_on(run, monkeypatch, step):
    monkeypatch.setattr(PLACES[step], stop)
    sampler = ["--sampler", "direct"] if step in ("calibrate", "diagnose") else []
    said = command(step, run, *sampler, code=130).stderr
    assert f"interrupted: {run} is as it was before; the same command begins anew" in said


def test_ctrl_c_in_an_import(tmp_path, monkeypatch):
    monkeypatch.setattr("gantandem.runs.importing.place_of", stop)
    said = command("import", tmp_path / "out", "--weights-g", "g.pth", code=130).stderr
    assert f"interrupted: {tmp_path / 'out'}: nothing was written; the same command" in said


def test_ctrl_c_before_a_step_begins(run, monkeypatch):
    monkeypatch.setattr("gantandem.runs.Workspace", stop)
    said = command("compare", run, code=130).stderr
    assert said.strip() == "interrupted: the same command begins anew"


@pytest.mark.slow
def test_ctrl_c_says_which_rows_and_ratios_are_kept(run, monkeypatch):
    """Rows and ratios are kept one by one."""
    calls = []

    def second(function):
        def call(*args, **options):
            calls.append(1)
            return stop() if len(calls) == 2 else function(*args, **options)

        return call

    monkeypatch.setattr("gantandem.runs.measuring.compare", second(gt.compare))
    said = command("compare", run, "--samplers", "direct,refine", "-n", 16, code=130).stderr
    assert f"measured and kept in {run}: direct; the same command goes on" in said
    assert list(json.loads((run / "metrics.json").read_text())["samplers"]) == ["direct"]
    calls.clear()
    monkeypatch.setattr(steps, "fit_ratio", second(steps.fit_ratio))
    quick = ("fit_ratio.n=200", "fit_ratio.batch=50", "fit_ratio.schedule=[[2, 1e-3]]")
    words = ("fit-ratio", run, "--samplers", "direct,refine,ula", *quick)
    said = command(*words, code=130).stderr
    wanted = f"fitted and kept in {run}: direct; --samplers refine,ula fits the rest"
    assert wanted in said


def warn(text):
    logging.getLogger("gantandem.somewhere").warning(text)


@pytest.mark.slow
def test_what_a_step_warns_of_is_in_the_report(run, monkeypatch):
    whole = gt.diagnose

    def diagnose(*args, **options):
        warn("diagnose: a layer 'main.1' (BatchNorm1d) is odd")
        warn("diagnose: a layer 'main.1' (BatchNorm1d) is odd")
        return whole(*args, **options)

    monkeypatch.setattr(steps, "diagnose", diagnose)
    command("diagnose", run, "--sampler", "direct")
    compare_run(Workspace(run), ["direct"], 64)
    (told,) = [one for one in gt.cautions(run) if "is odd" in one]
    assert told == "diagnose: a layer 'main.1' (BatchNorm1d) is odd"
    faults = read_evidence(run).diagnosis["direct"]["warnings"]
    assert all(sum(fault in one for one in gt.cautions(run)) == 1 for fault in faults)
    command("report", run)
    page = (run / "report.html").read_text()
    assert page.count("(BatchNorm1d) is odd") == 1
    monkeypatch.setattr(steps, "diagnose", whole)
    command("diagnose", run, "--sampler", "direct")  # which now has nothing to say of it
    assert not any("is odd" in one for one in gt.cautions(run))


def test_warnings_of_rows_stay_with_the_rows(run, monkeypatch):
    whole = gt.compare

    def compare(gan, samplers, *args, **options):
        warn(f"{' '.join(samplers)} is slow")
        return whole(gan, samplers, *args, **options)

    monkeypatch.setattr("gantandem.runs.measuring.compare", compare)
    compare_run(Workspace(run), ["direct"], 64)
    compare_run(Workspace(run), ["direct", "refine"], 64)
    slow = [one for one in gt.cautions(run) if one.endswith("is slow")]
    assert slow == ["compare: direct is slow", "compare: refine is slow"]
    compare_run(Workspace(run), ["refine"], 32)
    slow = [one for one in gt.cautions(run) if one.endswith("is slow")]
    assert slow == ["compare: refine is slow"]


def test_a_report_from_python_has_them_too(tmp_path):
    real = gt.sample(toy_gan(), "direct", 600).x
    gt.report(toy_gan(), real, ["direct", gt.Refine(steps=2)], tmp_path, 64, progress=False)
    assert "compare: refine follows a discriminator that was not shaped" in " ".join(
        gt.cautions(tmp_path)
    )
