"""Sampling and comparing on the command line, from a tiny run to its files and report."""

from __future__ import annotations

import errno
import json
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from commands import TINY, fails, run
from gantandem import Direct, Samples, load_run
from gantandem.runs import Workspace

pytestmark = pytest.mark.usefixtures("few_real_data")


@pytest.mark.slow
def test_measuring_writes_no_weights(work):
    weights = {path: path.stat().st_mtime_ns for path in work.rglob("*.safetensors")}
    settings = (work / "run.yaml").read_bytes()
    run("compare", work, "--samplers", "direct", "-n", 50)
    run("sample", work, "--sampler", "direct", "-n", 50)
    run("report", work)
    assert (work / "run.yaml").read_bytes() == settings
    run("diagnose", work, "--sampler", "direct")
    assert {path: path.stat().st_mtime_ns for path in work.rglob("*.safetensors")} == weights


@pytest.mark.slow
@pytest.mark.usefixtures("no_pixels")
def test_what_an_older_guide_made_is_marked_in_the_report(work):
    run("compare", work, "--samplers", "direct,drs,refine,collaborative", "-n", 60)
    run("compare", work, "--sweep", "refine.steps=1", "-n", 20)
    run("report", work)
    assert "(stale)" not in (work / "report.html").read_text()
    run("shape", work, "shape.updates=10")
    run("report", work)
    page = (work / "report.html").read_text()
    stale = {name: f">{name} (stale)<" in page for name in ("direct", "drs", "refine")}
    assert stale == {"direct": False, "drs": False, "refine": True}
    assert "refine, collaborative: measured with a generator, guide or ratio" in page
    assert "collaborative, refitted (of an older guide)" in page
    assert "direct, refitted (of" not in page and "The sweep was measured with a generator" in page
    run("calibrate", work, "--sampler", "direct", "--method", "platt")
    run("report", work)
    assert ">drs (stale)<" in (work / "report.html").read_text()


@pytest.mark.slow
def test_compare_writes_the_schema_that_others_read(work):
    names = ["direct", "refine", "level", "collaborative"]
    out = work / "copy.json"
    result = run("compare", work, "--samplers", ",".join(names), "-n", 300, "--json", out)
    assert all(name in result.stdout for name in ["real data", *names])
    metrics = json.loads((work / "metrics.json").read_text())
    assert json.loads(out.read_text()) == metrics
    assert (metrics["schema"], metrics["task"], metrics["seed"]) == (1, "imbalanced-8", 5)
    assert set(metrics["discriminator"]) == {"brier", "z", "ece", "mce", "auc"}
    assert metrics["floor"]["modes"] == pytest.approx(8, abs=0.2)
    assert list(metrics["samplers"]) == names
    for row in metrics["samplers"].values():
        assert row["n"] == 300
        assert {"passes_per_sample", "seconds", "samples_per_second", "acceptance"} <= set(row)
        assert {"good", "kl", "js", "modes", "within_mode_std", "sliced_w1"} <= set(row["metrics"])
    assert metrics["samplers"]["direct"]["passes_per_sample"] == 1
    samples = Samples.load(work / "samples/refine.npz")
    assert samples.manifest["seed"] == 5
    assert (
        "defensive" not in samples.manifest["sampler"]
        or not samples.manifest["sampler"]["defensive"]
    )
    run("report", work, "--summary", work / "s.png")
    assert (work / "report.html").stat().st_size > 100_000
    assert (work / "s.png").is_file()


def test_a_metric_that_is_undefined_becomes_null_in_json(work):
    run("compare", work, "--samplers", "direct", "-n", 3)
    text = (work / "metrics.json").read_text()
    assert "NaN" not in text
    assert json.loads(text)["samplers"]["direct"]["metrics"]["within_mode_std"] is None


def test_sampling_in_files_equals_sampling_at_once(work, tmp_path):
    run("sample", work, "--sampler", "direct", "-n", 20_500, "-o", tmp_path / "s", "--seed", 4)
    files = sorted((tmp_path / "s").glob("*.npz"))
    assert [file.stem for file in files] == ["000000000000", "000000010000", "000000020000"]
    parts = [Samples.load(file) for file in files]
    from gantandem import sample

    whole = sample(load_run(work)[0], Direct(), 20_500, seed=4)
    assert np.array_equal(np.concatenate([part.x for part in parts]), whole.x)
    assert np.concatenate([part.ids for part in parts]).tolist() == list(range(20_500))
    manifest = json.loads((tmp_path / "s/manifest.json").read_text())
    assert (manifest["returned"], manifest["seed"]) == (20_500, 4)


def test_settings_of_a_sampler_can_be_changed_in_place(work, tmp_path):
    run("sample", work, "expected=3", "proposal.steps=4", "-n", 10, "-o", tmp_path, "--no-strict")
    sampler = json.loads((tmp_path / "manifest.json").read_text())["sampler"]
    assert (sampler["name"], sampler["expected"], sampler["proposal"]["steps"]) == ("obrs", 3, 4)


@pytest.mark.slow
def test_a_budget_is_kept_as_sizes(trained, tmp_path):
    copy = shutil.copytree(trained, tmp_path / "run")
    file = copy / "run.yaml"
    file.write_text(re.sub(r"\n *check_(samples|every):.*", "", file.read_text()))
    few = ["shape.refine={steps: 2}", "shape.updates=2", "shape.batch=32"]
    run("shape", copy, *few, "--budget", "10s")
    kept = Workspace(copy).recipe.shape.given()
    assert kept["updates"] == 2 and kept["batch"] == 32 and 256 <= kept["check_samples"] <= 2000
    fails("shape", copy, "--budget", "later", wanted=["budget: got 'later'", "'10m'"])
    fails("fit-ratio", copy, "--budget", "0", wanted=["budget: got '0'", "'10m'"])


def test_another_law_than_the_one_fitted_is_refused_with_the_way_out(work, tmp_path):
    fails("sample", work, "proposal.steps=4", "-o", tmp_path, wanted=["law", "fit_ratio"])


def test_parquet_holds_the_same_samples(work, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    common = ("sample", work, "--sampler", "refine", "-n", 50)
    run(*common, "-o", tmp_path / "p", "--format", "parquet")
    run(*common, "-o", tmp_path / "n")
    table = parquet.read_table(tmp_path / "p/samples-000000000000.parquet")
    samples = Samples.load(tmp_path / "n/000000000000.npz")
    assert table.num_rows == 50
    assert np.array_equal(np.stack(table["x"].to_numpy()), samples.x.numpy())
    assert table["steps"].to_pylist() == samples.steps.tolist()
    assert table.schema.metadata[b"x_shape"] == b"(2,)"


def test_samples_are_replaced_only_when_asked(work, tmp_path):
    common = ("sample", work, "--sampler", "direct", "-o", tmp_path)
    run(*common, "-n", 12_000)
    fails(*common, "-n", 5, wanted=["already holds samples", "--overwrite"])
    run(*common, "-n", 5, "--overwrite")
    assert [file.name for file in tmp_path.glob("*.npz")] == ["000000000000.npz"]
    assert len(Samples.load(tmp_path / "000000000000.npz")) == 5


@pytest.mark.slow
def test_demo_goes_from_nothing_to_a_report(tmp_path):
    result = run("demo", "-o", tmp_path / "demo", "-n", 200, "--seed", 1, *TINY)
    assert f"report: {tmp_path / 'demo/report.html'}" in result.stdout
    page = (tmp_path / "demo/report.html").read_text()
    assert "How this was made" in page and "gantandem demo -o" in page
    for text in ("Samples beside the data", "Discriminator landscape", "direct, as trained"):
        assert text in page
    metrics = json.loads((tmp_path / "demo/metrics.json").read_text())
    assert list(metrics["samplers"]) == ["direct", "drs", "metropolis", "refine", "collaborative"]
    assert {"train", "shape", "fit ratios"} <= set(metrics["setup"])


@pytest.mark.slow
def test_shipped_weights_need_no_training(tmp_path, monkeypatch):
    def training(*arguments, **named):
        raise AssertionError("trained")

    monkeypatch.setattr("gantandem.runs.making.train_gan", training)
    changes = [c for c in TINY if not c.startswith("train.")]
    run("demo", "--pretrained", "-o", tmp_path, "-n", 500, *changes)
    rows = json.loads((tmp_path / "metrics.json").read_text())["samplers"]
    assert 0.1 < rows["direct"]["metrics"]["good"] < 0.35  # at 1,000 iterations, .20 in the paper


@pytest.mark.parametrize("name", ["sample", "compare"])
@pytest.mark.parametrize("n", [0, -3])
def test_n_must_be_positive(trained, tmp_path, name, n):
    words = {"sample": ("--sampler", "direct", "-o", tmp_path), "compare": ("--samplers", "direct")}
    fails(name, trained, "-n", n, *words[name], wanted=["n: got", str(n), "1 or more"])
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_told_with_what_was_kept(work, tmp_path, monkeypatch):
    savez, calls = np.savez, []

    def full(*arguments, **named):
        calls.append(1)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return savez(*arguments, **named)

    monkeypatch.setattr(np, "savez", full)
    words = ("sample", work, "--sampler", "direct", "-n", 25_000, "-o", tmp_path / "s")
    text = fails(*words, wanted=["No space left", "the first 10,000 of 25,000 samples are kept"])
    assert str(tmp_path / "s") in text.replace(" ", "")
    assert [file.name for file in (tmp_path / "s").glob("*.npz")] == ["000000000000.npz"]
    assert json.loads((tmp_path / "s/manifest.json").read_text())["returned"] == 10_000


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_finished_and_says_so(work, tmp_path):
    words = ["sample", work, "--sampler", "direct", "-n", 50_000_000, "-o", tmp_path / "s"]
    line = [sys.executable, "-m", "gantandem", *map(str, words)]
    job = subprocess.Popen(line, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 60
        while not (tmp_path / "s/000000010000.npz").exists():
            assert time.monotonic() < deadline and job.poll() is None
            time.sleep(0.05)
        job.send_signal(signal.SIGINT)
        _, stderr = job.communicate(timeout=60)
    finally:
        job.kill()
    assert job.returncode == 130
    assert "Traceback" not in stderr
    kept = int(
        re.search(
            r"first ([\d,]+) of 50,000,000 samples are kept in .*; --resume draws the rest", stderr
        )[1].replace(",", "")
    )
    files = sorted((tmp_path / "s").glob("*.npz"))
    ids = np.concatenate([Samples.load(file).ids for file in files])
    assert ids.tolist() == list(range(kept))
    assert kept >= 20_000
