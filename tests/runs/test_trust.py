"""What files name: nothing is imported unless the user says so, and only what is of its kind."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys

import pytest
import yaml
from typer.testing import CliRunner

import gantandem as gt
from gantandem.cli import app
from gantandem.errors import ConfigError
from gantandem.nets import build
from gantandem.runs import Workspace, sample_run
from gantandem.runs.formats import find_writer
from gantandem.runs.reading import load_recipe
from gantandem.runs.whole import pretrained_run
from gantandem.samplers import from_config
from gantandem.tasks import get_task
from gantandem.training.losses import get_loss

MODULE = """
from pathlib import Path
from torch import nn
import gantandem.samplers

Path(__file__).with_name("ran").touch()

class Net(nn.Linear):
    class Inner(nn.Linear): ...
    def __init__(self, width=2):
        super().__init__(2, width)

class Mover(gantandem.samplers.Direct): ...

def make(**given):
    Path(__file__).with_name("called").touch()
    return nn.Linear(2, 2)

class NotOne:
    def __init__(self, **given):
        make()

net = Net()
"""
NAMES = ("theirs:Net", "os:system", "subprocess:check_output", "builtins:eval", "a.b.c:d")


@pytest.fixture
def theirs(tmp_path, monkeypatch):
    """A folder with a module that leaves a file when it is imported, and another when called."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "theirs.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    sys.modules.pop("theirs", None)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "run"
    pretrained_run(load_recipe("imbalanced-8"), folder)
    return folder


@pytest.fixture
def run(made, tmp_path):
    return shutil.copytree(made, tmp_path / "run")


PLACES = (
    "task: {}",
    "task: imbalanced-8\ntrain: {{loss: '{}'}}",
    "task: imbalanced-8\ngenerator: {{net: '{}'}}",
    "task: imbalanced-8\ngenerator: {{net: before-sigmoid, network: {{net: '{}'}}}}",
    "task: imbalanced-8\ndiscriminator: {{net: sequential, a: {{net: sequential, b: "
    "{{net: '{}'}}}}}}",
    "task: imbalanced-8\nsamplers: {{mine: '{}'}}",
    "task: imbalanced-8\nsamplers: {{mine: {{name: '{}'}}}}",
    "task: imbalanced-8\nsamplers: {{mine: {{name: obrs, proposal: '{}'}}}}",
    "task: imbalanced-8\nsamplers: {{mine: {{name: obrs, proposal: {{name: obrs, proposal: "
    "{{name: '{}'}}}}}}}}",
    "task: imbalanced-8\nshape: {{refine: {{layer: '{}'}}}}",
    "task: imbalanced-8\nshape: {{refine: {{name: '{}'}}}}",
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("place", PLACES)
def test_a_recipe_imports_nothing(place, name, theirs):
    recipe = theirs / "recipe.yaml"
    recipe.write_text(place.format(name))
    with pytest.raises(ConfigError, match=r"(?s)not built in.*trust=True.*--trust") as error:
        load_recipe(str(recipe))
    assert name in str(error.value) and not (theirs / "ran").exists()


def changed(run, change):
    """Change run.yaml."""
    content = yaml.safe_load((run / "run.yaml").read_text())
    change(content)
    (run / "run.yaml").write_text(yaml.safe_dump(content))


def in_ratio(run, name):
    """Change what is noted of a ratio, as whoever made the run could."""
    (old,) = (run / "ratios").glob("*.json")
    notes = json.loads(old.read_text())
    notes["spec"] = {"net": name}
    text = json.dumps(notes).encode()
    digest = hashlib.sha256(text).hexdigest()
    new = old.with_name(f"{old.name.partition('-')[0]}-{digest[:12]}.json")
    old.unlink()
    new.write_bytes(text)

    def change(content):
        content["files"].pop(f"ratios/{old.name}")
        content["files"][f"ratios/{new.name}"] = digest

    changed(run, change)


RUN_PLACES = {
    "generator": lambda c, name: c.update(generator={"net": name}),
    "discriminator": lambda c, name: c.update(discriminator={"net": name}),
    "inner": lambda c, name: c.update(generator={"net": "sequential", "a": {"net": name}}),
    "proposal": lambda c, name: c["state"].update(proposal={"name": name}),
    "text": lambda c, name: c["state"].update(proposal=name),
    "nested": lambda c, name: c["state"].update(proposal={"name": "obrs", "proposal": name}),
    "sampler": lambda c, name: c.update(samplers={"direct": name}),
    "guide": lambda c, name: c["state"].update(guide={"spec": {"net": name}, "output": "logit"}),
}
COMMANDS = ("shape", "fit-ratio", "calibrate", "diagnose", "sample", "compare")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("place", [*RUN_PLACES, "ratio"])
def test_a_run_imports_nothing(place, name, run, theirs):
    if place == "ratio":
        in_ratio(run, name)
    else:
        changed(run, lambda content: RUN_PLACES[place](content, name))
    # A sampler in run.yaml is a mapping: a text there is no run at all.
    told = "state.proposal" if place == "text" else r"not built in.*trust=True.*--trust"
    with pytest.raises(ConfigError, match=told):
        Workspace(run)
    if place != "sampler":  # which belongs to the settings, and not to the GAN
        for load in (gt.load_run, gt.GAN.load):
            with pytest.raises(ConfigError, match=told):
                load(run)
    assert not (theirs / "ran").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_refuses_and_takes_trust(command, run, theirs):
    changed(run, lambda content: content.update(generator={"net": "theirs:make"}))
    refused = CliRunner().invoke(app, [command, str(run)])
    assert refused.exit_code == 2 and "--trust" in refused.stderr
    assert not (theirs / "ran").exists()
    trusted = CliRunner().invoke(app, [command, str(run), "--trust"])
    assert trusted.exit_code == 2 and "which was not called" in trusted.stderr
    assert (theirs / "ran").exists() and not (theirs / "called").exists()


def test_a_recipe_of_another_is_trained_where_it_is_trusted(theirs, tmp_path):
    recipe = theirs / "recipe.yaml"
    recipe.write_text(
        "task: imbalanced-8\ngenerator: {net: 'theirs:Net'}\n"
        "train: {iterations: 2, batch_size: 16}\n"
    )
    words = ["train", str(recipe), "--out", str(tmp_path / "new")]
    assert CliRunner().invoke(app, words).exit_code == 2
    assert not (theirs / "ran").exists() and not (tmp_path / "new").exists()
    for _ in range(2):  # again: there is nothing to do
        result = CliRunner().invoke(app, [*words, "--trust"])
        assert result.exit_code == 0, result.output
    drawn = CliRunner().invoke(
        app, ["sample", str(tmp_path / "new"), "--sampler", "direct", "-n", "8", "--trust"]
    )
    assert drawn.exit_code == 0, drawn.output


def test_what_the_user_types_is_their_own(run, theirs, tmp_path):
    recipe = theirs / "recipe.yaml"
    recipe.write_text("task: imbalanced-8\nsamplers: {mine: 'os:system'}\n")
    typed = load_recipe(
        str(recipe), ["generator.net=theirs:Net", "samplers.mine=theirs:Mover", "generator.width=2"]
    )
    assert typed.generator == {"net": "theirs:Net", "width": 2}
    with pytest.raises(ConfigError, match="samplers.mine 'os:system' is not built in"):
        load_recipe(str(recipe), ["generator.net=theirs:Net"])
    work = Workspace(run)
    assert len(gt.Samples.load(next(iter(drawn(work, tmp_path))))) == 8


def drawn(work, folder):
    sample_run(work, "theirs:Mover", 8, folder / "drawn")
    return (folder / "drawn").glob("*.npz")


WRONG = (
    "os:system", "subprocess:check_output", "subprocess:Popen", "builtins:eval", "os:environ",
    "pathlib:Path", "theirs:make", "theirs:net", "theirs:NotOne", "theirs:Net.Inner", "theirs:",
    ":Net", "theirs:Net:Net", ".theirs:Net", "..theirs:Net", "theirs.:Net", "theirs:__name__",
    "theirs:no", "no_such_module:Net", "theirs;os:Net", "theirs Net:x", "a/b:c", "theirs:N et",
    "1:2", "\0:x", "torch.nn:functional", "torch.nn.functional:relu", "torch:load",
)  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_of_another_kind_is_not_called(name, theirs, tmp_path, monkeypatch):
    import os

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "system", lambda *given: pytest.fail("called"))
    doors = {
        "network": lambda: build({"net": name}),
        "sampler": lambda: from_config(name),
        "nested": lambda: from_config({"name": "obrs", "proposal": name}),
        "format": lambda: find_writer(name),
        "task": lambda: get_task(name),
        "loss": lambda: get_loss(name),
    }
    for door, enter in doors.items():
        with pytest.raises(ConfigError):
            pytest.fail(f"{door} took {enter()!r}")
    assert not (theirs / "called").exists()


@pytest.mark.parametrize("body", ["raise ValueError('no')", "import sys; sys.exit(3)", "x ="])
def test_a_module_that_cannot_be_imported_is_one_message(body, theirs):
    (theirs / "theirs.py").write_text(body)
    with pytest.raises(ConfigError, match="network 'theirs:Net' cannot be imported"):
        build({"net": "theirs:Net"})


def test_a_file_does_not_stand_for_a_task(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "imbalanced-8").write_text("task: mnist\n")
    assert load_recipe("imbalanced-8").task == "imbalanced-8"
