"""Every command runs without a network, and measures with the data that the run was given."""

from __future__ import annotations

import dataclasses
import json
import socket

import numpy as np
import pytest
from typer.testing import CliRunner

from gantandem import tasks
from gantandem.cli import app
from gantandem.runs.reading import load_recipe
from gantandem.runs.workspace import task_of
from small_runs import TINY

pytestmark = pytest.mark.usefixtures("few_real_data")

Image = pytest.importorskip("PIL.Image")


@pytest.fixture(autouse=True)
def no_network(monkeypatch, tmp_path):
    """A socket, or a look at the default data, fails the test."""

    def refuse(*_, **__):
        raise AssertionError("a socket was opened")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)
    (tmp_path / "nothing").mkdir()
    monkeypatch.setenv("GANTANDEM_DATA", str(tmp_path / "nothing"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def run(*words, code=0):
    result = CliRunner().invoke(app, ["-q", *map(str, words)])
    assert result.exit_code == code, result.output
    return result


@pytest.mark.slow
def test_every_command_runs_without_a_network(tmp_path):
    tiny, made, kept = ("train.iterations=30", *TINY), tmp_path / "run", tmp_path / "kept"
    done = [
        ["train", "imbalanced-8", "-o", made, *tiny],
        ["shape", made],
        ["fit-ratio", made],
        ["calibrate", made],
        ["diagnose", made],
        ["recommend", made, "-n", 300, "--samplers", "obrs"],
        ["compare", made, "-n", 64, "--samplers", "direct,refine"],
        ["compare", made, "-n", 64, "--sweep", "refine.steps=1,2"],
        ["report", made],
        ["sample", made, "-n", 64],
        ["verify", made / "drawn" / "recommended-0", "--repair", made],
        ["score", made, made / "drawn" / "recommended-0" / "000000000000.npz"],
        ["select", made, made / "drawn" / "recommended-0" / "000000000000.npz", "-o", kept],
        ["demo", "-o", tmp_path / "demo", "-n", 64, *tiny],
    ]
    for words in done:
        run(*words)
    commands = {command.name or command.callback.__name__ for command in app.registered_commands
                if not command.hidden}  # fmt: skip
    elsewhere = {"import", "init", "layers"}
    assert commands - elsewhere == {words[0] for words in done}


@pytest.fixture
def digits(tmp_path):
    """A folder of 90 pictures, of which the task takes 48 to train on."""
    noise = np.random.default_rng(0)
    for index in range(90):
        place = tmp_path / "digits" / ("test" if index < 30 else "train")
        place.mkdir(parents=True, exist_ok=True)
        pixels = noise.integers(0, 256, (28, 28), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"{index}.png")
    return tmp_path / "digits"


@pytest.fixture
def few(monkeypatch):
    mnist = dataclasses.replace(tasks.TASKS["mnist"], sizes=(32, 8, 8))
    monkeypatch.setitem(tasks.TASKS, "mnist", mnist)


@pytest.mark.slow
def test_images_are_measured_with_the_data_that_the_run_was_given(tmp_path, digits, few):
    pytest.importorskip("torchmetrics")
    made = tmp_path / "run"
    small = ("train.iterations=1", "train.batch_size=8")
    run("train", "mnist", "-o", made, f"data={digits}", *small)
    run("compare", made, "-n", 16, "--samplers", "direct")
    run("compare", made, "-n", 16, "--sweep", "direct.truncation=null")
    rows = json.loads((made / "metrics.json").read_text())
    task = task_of(load_recipe("mnist", [f"data={digits}"]))
    assert len(task.test_images) == 30
    assert rows["floor"] == json.loads(json.dumps(task.floor(16)))
    other = task_of(load_recipe("mnist", ["data=/nowhere"]))
    with pytest.raises(Exception, match="/nowhere: no such folder"):
        other.metrics(task.test_images)
