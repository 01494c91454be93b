"""Training, shaping and fitting on the command line, on tiny runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from commands import LEVEL, TINY, fails, run
from gantandem import Direct, load_run
from gantandem.errors import ConfigError
from gantandem.files.locking import locked
from gantandem.runs import Workspace, calibrate_run, diagnose_run
from run_files import earlier, everything, one

pytestmark = pytest.mark.usefixtures("few_real_data")


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
    assert "continues from the shaped guide" in " ".join(run("shape", old).stderr.split())


def test_a_step_takes_the_settings_that_it_uses(trained, ready):
    wanted = ["shape does not use train.iterations", "it takes shape, fit_ratio, seed, data"]
    fails("shape", trained, "train.iterations=3", wanted=wanted)
    fails("diagnose", trained, "shape.updates=3", wanted=["diagnose does not use shape.updates"])
    fails("compare", ready, "shape.refine.steps=3", wanted=["does not use shape.refine.steps"])
    fails("compare", trained, "fit_ratio.batch=3", wanted=["compare does not use"])


@pytest.mark.slow
def test_two_writers_of_one_run_do_not_undo_each_other(work):
    first, second = Workspace(work), Workspace(work)
    calibrate_run(first, "direct", "platt")
    with pytest.raises(ConfigError, match="was changed by another command in the meantime"):
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
def test_calibrate_and_diagnose_report_before_and_after(work):
    result = run("calibrate", work, "--sampler", "direct", "--method", "platt")
    assert "direct, platt" in result.stdout
    assert "Brier" in run("diagnose", work, "--sampler", "direct").stdout


# -- what the log says ---------------------------------------------------------------------------


@pytest.mark.slow
def test_fitting_says_which_candidate_was_kept(work):
    shown = run("fit-ratio", work, "--samplers", "direct", "fit_ratio.strength=0.5").stderr
    assert "the ratio is '" in shown and "held-out losses" in shown
    assert "r^0.5" in shown
    state = load_run(work)[0]
    assert state.ratio(Direct()).strength == 0.5


def test_a_damaged_diagnosis_is_named_before_it_is_written_over(work):
    path = work / "evidence/diagnosis.json"
    path.write_text("{")
    fails("diagnose", work, "--sampler", "level", wanted=["diagnosis.json", "damaged"])
    assert path.read_text() == "{"
