"""A RUN is the old one or the new one, whatever happens while it is written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading

import pytest
import torch
import yaml

import gantandem as gt
from gantandem import files
from gantandem.errors import ConfigError, GANtandemError, OutputError, WeightsError
from gantandem.files.locking import LockedError, locked
from gantandem.runs import contents
from gantandem.testing import toy_gan
from run_files import earlier, everything, one

REAL = torch.randn(400, 2, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def pair():
    """A GAN, and what calibration made of it."""
    gan = toy_gan()
    better = gt.calibrate(gan, REAL)
    guide = torch.nn.Linear(2, 1)
    return gan, better.replace(guide=gt.GAN(torch.nn.Linear(2, 2), guide, 2).guide, specs={})


class Stop(BaseException):
    """A kill: nothing of ours may catch it."""


@pytest.mark.parametrize("kind", [Stop, OutputError])
def test_a_save_that_is_stopped_at_any_write_leaves_the_old_run_whole(
    pair, tmp_path, monkeypatch, kind
):
    old, new = pair
    old.save(tmp_path / "old")
    (tmp_path / "old/mine.safetensors").write_bytes(b"not of GANtandem")
    before, write = everything(tmp_path / "old"), files.write_bytes
    new.save(tmp_path / "aim")
    wanted = everything(tmp_path / "aim") | {"mine.safetensors": b"not of GANtandem"}
    for stop in range(100):
        folder = shutil.copytree(tmp_path / "old", tmp_path / f"{stop}")
        writes = []

        def writing(path, content, stop=stop, writes=writes):
            writes.append(path)
            if len(writes) > stop:
                raise kind("stopped")
            write(path, content)

        with monkeypatch.context() as patch:
            patch.setattr(contents, "write_bytes", writing)
            if kind is Stop:  # which leaves no time to tidy up
                patch.setattr(contents, "tidy", lambda folder: None)
            try:
                new.save(folder)
            except kind:
                left = everything(folder)
                assert all(left[name] == content for name, content in before.items())
                assert kind is Stop or left == before
            else:
                break
        gt.GAN.load(folder)
        new.save(folder)
        assert everything(folder) == wanted
    assert stop == len(writes) >= 6 and everything(folder).keys() >= wanted.keys()


def test_what_is_there_already_is_not_written_again(pair, tmp_path, monkeypatch):
    gan, _ = pair
    gan.save(tmp_path)
    (law,) = gan.ratios
    better = gan.with_diagnosis(gt.diagnose(gan, REAL))
    weights = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    better.save(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")} == weights
    assert gt.GAN.load(tmp_path).ratios[law].diagnosis is not None
    assert len(list((tmp_path / "ratios").glob("*.json"))) == 1


@pytest.mark.parametrize("role", ["generator", "guide", "ratios/*"])
def test_a_flipped_bit_in_weights_is_seen(pair, tmp_path, role):
    pair[0].save(tmp_path)
    path = one(tmp_path, role)
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=rf"{path.name} is damaged.*repeat the step"):
        gt.GAN.load(tmp_path)
    pair[0].save(tmp_path)  # which writes the file anew
    gt.GAN.load(tmp_path)


def test_folders_of_version_0_1_load_and_become_new_ones(pair, tmp_path):
    for gan in pair:
        folder = tmp_path / f"{id(gan)}"
        gan.save(folder)
        wanted = everything(folder)
        gan.save(folder / "copy")
        old = earlier(folder / "copy")
        assert (old / "guide.safetensors").exists() and not list(old.glob("*-*"))
        back = gt.GAN.load(old)
        assert torch.equal(gt.sample(back, "obrs", 8).x, gt.sample(gan, "obrs", 8).x)
        back.save(old)
        assert everything(old) == wanted


def test_a_run_file_of_something_else_is_not_replaced(pair, tmp_path):
    (tmp_path / "run.yaml").write_text("steps: [build, test]\n")
    before = everything(tmp_path)
    with pytest.raises(
        ConfigError, match="not belong to a RUN, so it is not replaced: choose another folder"
    ):
        pair[0].save(tmp_path)
    assert everything(tmp_path) == before


@pytest.mark.parametrize(
    "named",
    [{"../x-0123456789ab.safetensors": "0123456789ab"}, {"guide.safetensors": "0"}, ["a"], 3]
    + [{"guide-0123456789ab.safetensors": "1123456789ab"}, {7: 8}],
    ids=str,
)
def test_files_are_those_of_a_run(pair, tmp_path, named):
    pair[0].save(tmp_path)
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "files": named}))
    with pytest.raises(ConfigError, match=r"run\.yaml: files: .* does not name a file of a RUN"):
        gt.GAN.load(tmp_path)


def test_a_journal_removes_nothing_outside_of_its_folder(pair, tmp_path):
    mine, folder = tmp_path / "mine", tmp_path / "run"
    mine.write_text("kept")
    pair[0].save(folder)
    (folder / contents.JOURNAL).write_text(json.dumps(["../mine", str(mine), "run.yaml", 3]))
    pair[0].save(folder)
    assert mine.read_text() == "kept" and not (folder / contents.JOURNAL).exists()
    gt.GAN.load(folder)


# -- two writers --------------------------------------------------------------------------------


def test_the_second_writer_is_told_who_writes_and_since_when(pair, tmp_path):
    code = (
        "import sys, time; from gantandem.files.locking import locked\n"
        "with locked(sys.argv[1], 'shape'): print('held', flush=True); time.sleep(60)"
    )
    line = [sys.executable, "-c", code, str(tmp_path)]
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    job = subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env=paths)
    try:
        assert job.stdout.readline() == "held\n"
        with pytest.raises(LockedError, match=rf"'shape' \(process {job.pid}, since 20"):
            pair[0].save(tmp_path)
    finally:
        job.kill()
        job.wait()
    assert (tmp_path / ".lock").exists()
    pair[0].save(tmp_path)  # the lock of a dead process holds nobody
    assert not (tmp_path / ".lock").exists()


def test_what_a_killed_writer_was_writing_is_removed(pair, tmp_path):
    pair[0].save(tmp_path)
    mine, left = tmp_path / "mine.part", tmp_path / f"ratios/{files.PREFIX}x1{files.SUFFIX}"
    for path in (mine, left):
        path.write_bytes(b"half")
    pair[0].save(tmp_path)
    assert left.exists()  # nobody died, so nothing is looked for
    code = (
        "import os, sys; from gantandem.files.locking import locked\n"
        "with locked(sys.argv[1], 'shape'): os._exit(1)"
    )
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code, tmp_path], env=paths, check=False)
    pair[0].save(tmp_path)
    assert mine.exists() and not left.exists()


def test_threads_write_one_after_the_other(pair, tmp_path):
    found = []

    def other():
        try:
            pair[0].save(tmp_path)
        except GANtandemError as error:
            found.append(error)

    with locked(tmp_path, "one"), locked(tmp_path, "two"):
        writer = threading.Thread(target=other)
        writer.start()
        writer.join(60)
    assert isinstance(found[0], LockedError) and not os.listdir(tmp_path)
    pair[0].save(tmp_path)


def test_a_journal_of_a_stranger_reaches_nothing_through_a_link(tmp_path):
    run, outside = tmp_path / "run", tmp_path / "outside"
    run.mkdir()
    outside.mkdir()
    (outside / "mine.txt").write_text("mine")
    (run / "evidence").symlink_to(outside)
    (run / ".journal").write_text(json.dumps(["evidence/mine.txt", "../outside/mine.txt"]))
    contents.tidy(run)
    assert (outside / "mine.txt").read_text() == "mine"
    assert not (run / ".journal").exists()
