"""Folders that are not there, go away or take nothing, and empty words: one message each."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import types

import pytest
from typer.testing import CliRunner

import gantandem as gt
from gantandem.cli import app
from gantandem.engine import sampling
from gantandem.errors import InputError
from gantandem.files.locking import locked
from gantandem.runs import compare_run, fit_run, pretrained_run
from gantandem.runs.formats import NpzWriter
from gantandem.runs.reading import load_recipe
from gantandem.testing import toy_gan
from small_runs import TINY

pytestmark = pytest.mark.usefixtures("few_real_data")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("places") / "run"
    work = pretrained_run(load_recipe("imbalanced-8", TINY), folder)
    fit_run(work, ("direct",))
    compare_run(work, ("direct",), 64)
    return folder


@pytest.fixture
def run(made, tmp_path):
    return shutil.copytree(made, tmp_path / "run")


def call(*words):
    return CliRunner().invoke(app, ["-q", *map(str, words)])


def fails(*words):
    """The one message of a command that ends with 2."""
    result = call(*words)
    assert result.exit_code == 2, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert result.stderr.count("error:") == 1 and "Traceback" not in result.output
    return " ".join(result.stderr.split())


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


WRITING = {
    "shape": lambda run: ["shape", run],
    "fit-ratio": lambda run: ["fit-ratio", run, "--samplers", "direct"],
    "calibrate": lambda run: ["calibrate", run, "--sampler", "direct", "--method", "isotonic"],
    "diagnose": lambda run: ["diagnose", run, "--sampler", "direct"],
    "compare": lambda run: ["compare", run, "-n", 64, "--samplers", "direct", "--again"],
    "sweep": lambda run: ["compare", run, "-n", 64, "--sweep", "direct.truncation=1.0"],
    "report": lambda run: ["report", run],
    "sample": lambda run: ["sample", run, "-n", 64, "--sampler", "direct"],
    "train": lambda run: ["train", "imbalanced-8", "-o", run / "new", "train.iterations=2"],
    "demo": lambda run: ["demo", "-o", run / "new", "-n", 64, "--pretrained", *TINY],
}


@pytest.mark.parametrize("command", WRITING)
def test_a_folder_that_takes_nothing_is_told_and_stays_as_it_was(run, command, monkeypatch):
    before, whole, make = files(run), os.open, os.mkdir

    def read_only(path, flags, *rest, **named):
        if flags & (os.O_CREAT | os.O_WRONLY | os.O_RDWR) and str(run) in str(path):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return whole(path, flags, *rest, **named)

    def no_folder(path, *rest, **named):
        if str(run) in str(path):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return make(path, *rest, **named)

    monkeypatch.setattr(os, "open", read_only)
    monkeypatch.setattr(os, "mkdir", no_folder)
    text = fails(*WRITING[command](run))
    assert "Read-only file system" in text and str(run) in text
    assert files(run) == before


@pytest.mark.parametrize("command", WRITING)
def test_a_folder_that_went_away_is_told(run, command):
    shutil.rmtree(run)
    if command not in ("train", "demo"):
        text = fails(*WRITING[command](run))
        assert str(run) in text
        assert not run.exists()


def test_a_folder_that_goes_away_in_the_middle_is_told(run, monkeypatch):
    from gantandem.runs import measuring

    whole = measuring.compare

    def vanish(*args, **named):
        found = whole(*args, **named)
        shutil.rmtree(run)
        return found

    monkeypatch.setattr(measuring, "compare", vanish)
    text = fails("compare", run, "-n", 64, "--samplers", "direct", "--again")
    assert str(run) in text
    assert not (run / "metrics.json").exists()


@pytest.mark.parametrize("words", [("report", ""), ("sample", "RUN", "--out", "")])
def test_an_empty_argument_is_told(words, run):
    words = [str(run) if word == "RUN" else word for word in words]
    assert "an argument is empty" in fails(*words)


def test_a_report_of_no_folder_is_told(tmp_path):
    assert "nope: no such folder" in fails("report", tmp_path / "nope")
    assert not (tmp_path / "nope").exists()


def test_where_numbers_cannot_go_is_found_before_measuring(run, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr("gantandem.runs.compare_run", lambda *_, **__: pytest.fail("measured"))
    words = ["compare", run, "-n", 64, "--samplers", "direct", "--json"]
    assert "cannot be written" in fails(*words, tmp_path / "file" / "a.json")
    assert "is a folder: give the path of a file" in fails(*words, tmp_path)


def test_more_samples_than_the_memory_holds_are_refused_early(monkeypatch):
    monkeypatch.setattr(sampling, "sample_iter", lambda *_, **__: pytest.fail("sampled"))
    monkeypatch.setattr(sampling, "memory", lambda: 1 << 30)
    with pytest.raises(InputError, match=r"2,147,483,648 samples take \d+ GB.*sample_iter"):
        gt.sample(toy_gan(), "direct", n=2**31)


def test_repairing_with_a_format_of_the_user_s_own_asks_for_trust(run, tmp_path, monkeypatch):
    class Mine(NpzWriter):
        pass

    module = types.ModuleType("writers_of_mine")
    module.Mine = Mine
    monkeypatch.setitem(sys.modules, "writers_of_mine", module)
    out = tmp_path / "out"
    words = ["sample", run, "--sampler", "direct", "-n", 64, "-o", out]
    assert call(*words, "--format", "writers_of_mine:Mine").exit_code == 0
    (file,) = out.glob("0*.npz")
    whole = file.read_bytes()
    file.write_bytes(b"damaged")
    assert "--trust" in fails("verify", out, "--repair", run)
    result = call("verify", out, "--repair", run, "--trust")
    assert result.exit_code == 0, result.output
    assert file.read_bytes() == whole


def test_what_a_killed_repair_left_is_removed(tmp_path):
    (tmp_path / ".gantandem-abc.part").mkdir()
    (tmp_path / ".gantandem-abc.part" / "0.npz").touch()
    (tmp_path / ".lock").write_text("{}")
    with locked(tmp_path, "repair"):
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_control_characters_do_not_reach_the_page(run):
    path = run / "metrics.json"
    path.write_text(path.read_text().replace('"direct"', '"\\u001b[31mred\\u0007\\u202e"'))
    assert call("report", run).exit_code == 0
    page = (run / "report.html").read_text(encoding="utf-8")
    assert r"\x1b[31mred\x07\u202e" in page
    assert not {"\x1b", "\x07", "\u202e"} & set(page)
