"""The command line, end to end on tiny runs, and what it says of mistakes."""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from torch import nn
from typer.testing import CliRunner

from gantandem import Direct, Samples, adapt, load_run
from gantandem.cli import app
from gantandem.cli.frame import as_command, set_up_log
from gantandem.errors import ConfigError
from gantandem.files.locking import locked
from gantandem.runs import Workspace, calibrate_run, diagnose_run
from run_files import earlier, everything, one

pytestmark = pytest.mark.usefixtures("few_real_data")

TINY = [
    "train.iterations=30",
    "train.batch_size=64",
    "shape.updates=20",
    "shape.refine={steps: 5}",
    "shape.batch=64",
    "shape.check_every=10",
    "shape.check_samples=200",
    "fit_ratio.n=600",
    "fit_ratio.batch=64",
    "fit_ratio.schedule=[[20, 1e-3]]",
]
LEVEL = ["samplers.level={name: obrs, proposal: {name: direct}, expected: 2, pilot: 500}"]


def run(*words, code: int = 0):
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result


def fails(*words, wanted: tuple[str, ...] | list[str]) -> str:
    """The command ends with 2 and one message, without a traceback."""
    result = run(*words, code=2)
    assert "Traceback" not in result.output
    assert result.stderr.count("error:") == 1
    text = " ".join(result.stderr.split())
    for part in wanted:
        assert part in text
    return text


def command(*words, **options) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "gantandem", *map(str, words)]
    return subprocess.run(line, capture_output=True, text=True, timeout=120, **options)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "trained"
    run("-q", "train", "imbalanced-8", "-o", folder, "seed=5", *TINY, *LEVEL)
    return folder


@pytest.fixture(scope="module")
def ready(trained, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "ready"
    shutil.copytree(trained, folder)
    run("-q", "shape", folder, "shape.recipe=paper")  # which keeps the last guide in any case
    run("-q", "fit-ratio", folder)
    return folder


@pytest.fixture
def work(ready, tmp_path) -> Path:
    return Path(shutil.copytree(ready, tmp_path / "run"))


def test_train_writes_a_run_with_its_settings(trained):
    settings = yaml.safe_load((trained / "run.yaml").read_text())
    assert (settings["task"], settings["seed"]) == ("imbalanced-8", 5)
    assert settings["train"]["iterations"] == 30
    assert settings["shape"]["updates"] == 20
    assert one(trained, "generator").is_file() and one(trained, "guide").is_file()
    assert one(trained, "guide").read_bytes() == one(trained, "discriminator").read_bytes()


@pytest.mark.slow
def test_training_again_does_nothing_goes_on_or_asks(trained, ready, tmp_path):
    folder = Path(shutil.copytree(trained, tmp_path / "run"))
    words = ("train", "imbalanced-8", "-o", folder, "seed=5")
    before = everything(folder)
    assert "nothing to do" in run(*words, *TINY, *LEVEL).stderr
    assert everything(folder) == before
    longer = ["train.iterations=31", *(c for c in TINY if "iterations" not in c)]
    run(*words, *longer)
    after = one(folder, "generator").read_bytes()
    assert one(trained, "generator").read_bytes() != after
    gone = "would be lost: its generator and discriminator"
    fails(*words[:-1], "seed=6", *TINY, wanted=[gone, "--overwrite"])
    assert one(folder, "generator").read_bytes() == after


@pytest.mark.slow
def test_what_would_be_lost_is_listed_and_goes_last(ready, tmp_path):
    folder = Path(shutil.copytree(ready, tmp_path / "run"))
    (folder / "mine.txt").write_text("kept")
    (folder / "samples").mkdir()
    (folder / "samples/mine.npz").write_bytes(b"kept")
    words = ("train", "imbalanced-8", "-o", folder, "seed=5", "train.iterations=31", *TINY[1:])
    lost = ["the shaped guide", "fitted ratios (2)", "evidence/shaping.json"]
    before = everything(folder)
    fails(*words, wanted=["would be lost", *lost])
    fails(*words, "train.generator_rate=-1", "--overwrite", wanted=["generator_rate"])
    fails(*words, "data=here", "--overwrite", wanted=["draws its own data"])
    assert everything(folder) == before
    told = run(*words, "--overwrite").stderr
    assert all(one in told for one in lost)
    names = set(everything(folder))
    assert {"mine.txt", "samples/mine.npz", "checkpoint.safetensors"} < names
    assert {name for name in names if name.startswith("evidence")} == {"evidence/commands.json"}
    (typed,) = json.loads((folder / "evidence/commands.json").read_text())
    assert "--overwrite" in typed["command"]
    assert not load_run(folder).gan.shaped
    assert len(list(folder.rglob("*-*"))) == 5


@pytest.mark.slow
def test_shaping_can_be_repeated(ready, tmp_path):
    folder = Path(shutil.copytree(ready, tmp_path / "run"))
    settings = yaml.safe_load((folder / "run.yaml").read_text())
    passes = settings["state"]["setup_passes"]
    plain = [law for law, one in load_run(folder).gan.ratios.items() if len(law.traces) == 2]
    run("shape", folder, "shape.updates=10")
    other = one(folder, "guide").name
    assert other != one(ready, "guide").name
    assert list(load_run(folder).gan.ratios) == plain
    run("shape", folder, "shape.updates=20")
    assert one(folder, "guide").read_bytes() == one(ready, "guide").read_bytes()
    assert one(folder, "discriminator").read_bytes() == one(ready, "discriminator").read_bytes()
    run("fit-ratio", folder)
    now = yaml.safe_load((folder / "run.yaml").read_text())
    assert now["state"]["setup_passes"] == passes
    assert now["files"] == settings["files"]


@pytest.mark.slow
def test_a_run_of_version_0_1_keeps_its_discriminator_from_now_on(trained, ready, tmp_path):
    folder = earlier(Path(shutil.copytree(trained, tmp_path / "run")))
    assert not list(folder.glob("*-*"))
    for _ in range(2):
        run("shape", folder, "shape.recipe=paper")
        assert one(folder, "guide").read_bytes() == one(ready, "guide").read_bytes()
        assert one(folder, "discriminator").read_bytes() == one(trained, "guide").read_bytes()
    old = earlier(Path(shutil.copytree(ready, tmp_path / "shaped")))
    assert "goes on from the shaped guide" in " ".join(run("shape", old).stderr.split())


def test_a_step_takes_the_settings_that_it_uses(trained, ready):
    wanted = ["shape does not use train.iterations", "it takes shape, fit_ratio, seed, data"]
    fails("shape", trained, "train.iterations=3", wanted=wanted)
    fails("diagnose", trained, "shape.updates=3", wanted=["diagnose does not use shape.updates"])
    fails("compare", ready, "shape.refine.steps=3", wanted=["does not use shape.refine.steps"])
    fails("compare", trained, "fit_ratio.batch=3", wanted=["compare does not use"])


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
    assert "direct, refitted (of" not in page and "The sweep is of a generator" in page
    run("calibrate", work, "--sampler", "direct", "--method", "platt")
    run("report", work)
    assert ">drs (stale)<" in (work / "report.html").read_text()


@pytest.mark.slow
def test_two_writers_of_one_run_do_not_undo_each_other(work):
    first, second = Workspace(work), Workspace(work)
    calibrate_run(first, "direct", "platt")
    with pytest.raises(ConfigError, match="was changed by another command meanwhile"):
        diagnose_run(second, "direct")
    diagnose_run(first, "direct")
    with locked(work, "shape"):
        words = [sys.executable, "-m", "gantandem", "diagnose", str(work), "--sampler", "direct"]
        shown = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert shown.returncode == 2 and f"'shape' (process {os.getpid()}" in shown.stderr


def test_shaping_leaves_the_generator_as_it_was(trained, tmp_path):
    """BatchNorm in train mode would follow the batches, and every law would change its name."""
    from safetensors.numpy import load_file

    folder = Path(shutil.copytree(trained, tmp_path / "run"))
    run("shape", folder)
    before, after = (load_file(one(place, "generator")) for place in (trained, folder))
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_shaping_and_fitting_leave_their_evidence(ready):
    history = json.loads((ready / "evidence/shaping.json").read_text())
    assert [entry["update"] for entry in history] == [0, 10, 20]
    with np.load(ready / "evidence/landscape.npz") as landscape:
        assert landscape["after"].shape == (161, 161)
        assert not np.array_equal(landscape["before"], landscape["after"])
    laws = json.loads((ready / "evidence/diagnosis.json").read_text())
    assert set(laws) == {"direct, refitted", "collaborative, refitted"}
    assert len({found["law"] for found in laws.values()}) == 2


def test_the_landscape_is_the_guide_at_the_points_of_its_axes(ready):
    import torch

    from gantandem import load_run

    gan, _ = load_run(ready)
    with np.load(ready / "evidence/landscape.npz") as file:
        x, y, after = file["axis_x"], file["axis_y"], file["after"]
    point = torch.tensor([[x[40], y[7]]], dtype=torch.float32)
    with gan.networks.frozen():
        assert float(gan.networks.need_guide("test")(point)) == pytest.approx(
            after[7, 40], abs=1e-4
        )


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
    from gantandem import Direct, load_run, sample

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
def test_calibrate_and_diagnose_report_before_and_after(work):
    result = run("calibrate", work, "--sampler", "direct", "--method", "platt")
    assert "direct, platt" in result.stdout
    assert "Brier" in run("diagnose", work, "--sampler", "direct").stdout


@pytest.mark.slow
def test_demo_goes_from_nothing_to_a_report(tmp_path):
    result = run("demo", "-o", tmp_path / "demo", "-n", 200, "--seed", 1, *TINY)
    assert f"report: {tmp_path / 'demo/report.html'}" in result.stdout
    page = (tmp_path / "demo/report.html").read_text()
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


MISTAKES = {
    "unknown sampler": (["sample", "RUN", "--sampler", "metropols"], ["metropols", "'metropolis'"]),
    "own sampler that is not there": (
        ["sample", "RUN", "--sampler", "no.such:Thing"],
        ["no.such:Thing", "cannot be imported"],
    ),
    "unknown setting": (
        ["sample", "RUN", "--sampler", "refine", "stepz=3"],
        ["refine", "stepz", "'steps'"],
    ),
    "wrong value": (
        ["sample", "RUN", "--sampler", "refine", "steps=0"],
        ["refine steps", "got 0", "1 or more"],
    ),
    "unknown layer": (
        ["sample", "RUN", "--sampler", "refine", "layer=main.99"],
        ["main.99", "main.9"],
    ),
    "a device that is not there": (
        ["sample", "RUN", "--sampler", "direct", "--device", "cuda:99"],
        ["device: got 'cuda:99'", "there are cpu"],
    ),
    "no device at all": (["train", "imbalanced-8", "--device", "gpu"], ["got 'gpu'", "cpu"]),
    "unshaped": (["sample", "RUN"], ["not shaped", "gantandem shape"]),
    "no run": (["sample", "NONE"], ["does not exist", "gantandem train"]),
    "unknown task": (["train", "imbalanced8"], ["imbalanced8", "imbalanced-8"]),
    "unknown key": (["train", "imbalanced-8", "sead=3"], ["sead=3", "did you mean 'seed'"]),
    "no samplers": (["compare", "RUN", "--samplers", ","], ["separated by commas"]),
    "sampler twice": (["compare", "RUN", "--samplers", "direct,direct"], ["direct", "twice"]),
    "nothing measured": (["report", "RUN"], ["metrics.json", "gantandem compare"]),
    "images wanted": (
        ["sample", "RUN", "--sampler", "direct", "--format", "png"],
        ["png", "(2,)", "npz"],
    ),
    "module without a name": (["sample", "RUN", "--sampler", ":"], ["':'", "cannot be imported"]),
    "range": (
        ["sample", "RUN", "--sampler", "direct", "--range", "1,0"],
        ["--range: got '1,0'", "two numbers"],
    ),
    "task of another shape": (
        ["compare", "RUN", "task=mnist", "--samplers", "direct", "-n", "9"],
        ["compare does not use task"],
    ),
    "n too small": (["fit-ratio", "RUN", "fit_ratio.n=1"], ["fit_ratio n", "got 1", "2 or more"]),
    "network of no width": (
        ["train", "imbalanced-8", "generator={net: mlp-generator, width: 0}"],
        ["mlp-generator", "'width': 0"],
    ),
    "data of a task that draws its own": (["shape", "RUN", "data=here"], ["imbalanced-8", "here"]),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_ends_with_one_message(trained, tmp_path, name):
    words, wanted = MISTAKES[name]
    places = {"RUN": str(trained), "NONE": str(tmp_path / "none")}
    words = [places.get(word, word) for word in words]
    if words[0] in ("sample", "train"):
        words += ["-o", str(tmp_path / "out")]
    fails(*words, wanted=wanted)


@pytest.mark.parametrize("damage", ["truncated", "pickled"])
def test_a_damaged_weight_file_is_named(work, damage):
    path = one(work, "generator")
    content = path.read_bytes()
    path.write_bytes(content[:500] if damage == "truncated" else b"\x80\x04" + content)
    fails("sample", work, wanted=[path.name, damage])


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
        re.search(r"first ([\d,]+) of 50,000,000 samples are kept in", stderr)[1].replace(",", "")
    )
    files = sorted((tmp_path / "s").glob("*.npz"))
    ids = np.concatenate([Samples.load(file).ids for file in files])
    assert ids.tolist() == list(range(kept))
    assert kept >= 20_000


def test_help_and_version_are_quick_and_import_no_torch(tmp_path):
    code = (
        "import sys; from gantandem.cli import app\n"
        "try: app(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'matplotlib', 'scipy', 'sklearn', 'pydantic'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    line = [sys.executable, "-c", code]
    assert subprocess.run(line, capture_output=True, text=True, timeout=60).returncode == 0
    shown = command("--version", cwd=tmp_path, env={**os.environ, "PYTHONWARNINGS": "error"})
    assert shown.stdout.startswith("gantandem ") and shown.returncode == 0


def test_every_command_has_help():
    text = run("-h").stdout
    for name in ("demo", "train", "shape", "fit-ratio", "calibrate", "diagnose", "sample"):
        assert name in text
        shown = run(name, "-h").stdout
        assert "Usage" in shown and "--device" in shown


def test_a_wrong_option_is_a_usage_error(tmp_path):
    shown = command("sample", "--smapler", "direct", cwd=tmp_path)
    assert shown.returncode == 2
    assert "--smapler" in shown.stderr and "Traceback" not in shown.stderr


# -- what the log says ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("put it right: gan = gt.calibrate(gan, real)", "gantandem calibrate RUN)"),
        ("fit one: gan = fit_ratio(gan, real)", "(for a run folder: gantandem fit-ratio RUN)"),
        ("calibrate(gan), or fit_ratio(gan)", "gantandem fit-ratio RUN or gantandem calibrate RUN"),
        ("nothing fits", "nothing fits"),
        ("own_diagnose(x) is no function of ours", "no function of ours"),
    ],
)
def test_messages_that_name_a_function_name_the_command(text, wanted):
    assert as_command(text).startswith(text) and as_command(text).rstrip(")").endswith(
        wanted.rstrip(")")
    )


@pytest.mark.parametrize(("line", "options"), [
    ("adapt.Item(D, 0)", "--adapt-d item=0"),
    ("adapt.Mean(adapt.Item(D, 'maps'), -1)", "--adapt-d item=maps --adapt-d mean=-1"),
    (
        "adapt.Parts(G, (4, 4), 'list') with latent=8",
        "--adapt-g 'parts=[4, 4],how=list' --latent normal:8",
    ),
    ("adapt.AsDict(G, 'label', 'z')", "--adapt-g as-dict=label,input=z"),
    ("adapt.With(G, {'y': None})", """--adapt-g 'with={"y": null}'"""),
    ("adapt.Keyword(G, 'on')", """--adapt-g 'keyword="on"'"""),
    ("adapt.Packed(D, samples)", "adapt.Packed(D, samples)"),
])  # fmt: skip
def test_adapters_in_messages_are_options_of_an_import(line, options):
    said = f"a reason. Write {line} (or not)"
    assert as_command(said, imports=True) == f"a reason. Write {options} (or not)"
    assert as_command(said).startswith("a reason. Write adapt.")
    if options.startswith("--"):
        words = [w for w in shlex.split(options) if "=" in w]
        g = Everything()
        made = adapt.wrapped(g, words)
        own = eval(line.partition(" with")[0], {"adapt": adapt, "G": g, "D": g})
        plain = lambda n: {k: v for k, v in vars(n).items() if k[0] != "_" and k != "training"}  # noqa: E731
        assert type(made) is type(own) and plain(made) == plain(own)


class Everything(nn.Module):
    def forward(self, *places, **names):
        return places, names


def test_a_warning_is_shown_once(capsys):
    log = logging.getLogger("gantandem.shown_once")
    set_up_log(verbose=False, quiet=False)
    for _ in range(2):
        log.warning("twice")
    log.warning("another")
    shown = capsys.readouterr().err
    assert shown.count("twice") == 1 and "another" in shown


@pytest.mark.slow
def test_fitting_says_which_candidate_was_kept(work):
    shown = run("fit-ratio", work, "--samplers", "direct", "fit_ratio.strength=0.5").stderr
    assert "the ratio is '" in shown and "held-out losses" in shown
    assert "r^0.5" in shown
    state = load_run(work)[0]
    assert state.ratio(Direct()).strength == 0.5


@pytest.mark.slow
def test_an_ascii_terminal_gets_what_it_can_show(work):
    env = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    words = ("--samplers", "direct", "--sweep", "direct.truncation=0.5,1")
    done = command("compare", work, "-n", 16, *words, env=env)
    assert done.returncode == 0, done.stderr
    assert "?" in done.stdout and "truncation" in done.stdout


def test_what_the_machine_refuses_is_one_message(work, monkeypatch):
    fails("report", "x" * 300, wanted=["File name too long"])

    def fill(*args, **given):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr("gantandem.runs.sample_run", fill)
    fails("sample", work, "-n", 8, wanted=["out of memory"])


def test_a_damaged_diagnosis_is_named_before_it_is_written_over(work):
    path = work / "evidence/diagnosis.json"
    path.write_text("{")
    fails("diagnose", work, "--sampler", "level", wanted=["diagnosis.json", "damaged"])
    assert path.read_text() == "{"


def test_a_file_where_a_folder_is_wanted_and_the_other_way_round(work, tmp_path):
    fails("sample", work / "run.yaml", wanted=["not a run folder (is a file)"])
    (tmp_path / "file").write_text("mine")
    words = ("sample", work, "--sampler", "direct", "-n", 4, "--out")
    fails(*words, tmp_path / "file", wanted=["is a file, and a folder is wanted"])
    words = ("compare", work, "--samplers", "direct", "-n", 16, "--json")
    fails(*words, tmp_path, wanted=["is a folder, and a file is wanted"])
    assert (tmp_path / "file").read_text() == "mine"


def test_a_run_to_repair_from_is_looked_at_although_nothing_is_damaged(work, tmp_path):
    run("sample", work, "--sampler", "direct", "-n", 4, "--out", tmp_path / "s")
    run("verify", tmp_path / "s", "--repair", work)
    fails("verify", tmp_path / "s", "--repair", tmp_path / "no", wanted=["not a run folder"])
