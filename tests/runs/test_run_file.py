"""A value of another kind in run.yaml is named, whichever it is."""

from __future__ import annotations

import shutil

import pytest
import yaml

from gantandem.errors import ConfigError
from gantandem.runs import Workspace, pretrained_run, shape_run
from gantandem.runs.folder import load_run
from gantandem.runs.reading import load_recipe
from small_runs import TINY

pytestmark = pytest.mark.usefixtures("few_real_data")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files") / "run"
    shape_run(pretrained_run(load_recipe("imbalanced-8", TINY), folder))
    return folder


PLACES = (
    "state", "state.guide", "state.guide.spec", "state.guide.output", "state.shaped",
    "state.spread", "state.real_logits", "state.setup_passes", "state.proposal", "state.history",
    "state.weights", "record", "record.passes", "record.origin", "generator", "discriminator",
    "latent", "output",
)  # fmt: skip


@pytest.mark.parametrize("value", [2.5, "x", [3]], ids=str)
@pytest.mark.parametrize("place", PLACES)
def test_a_value_of_another_kind_is_named(made, tmp_path, place, value):
    run = shutil.copytree(made, tmp_path / "run")
    content = yaml.safe_load((run / "run.yaml").read_text())
    *outer, last = place.split(".")
    inner = content
    for key in outer:
        inner = inner[key]
    if value == 2.5 and last == "spread" or value == "x" and last == "output":
        pytest.skip("of its kind")
    inner[last] = value
    (run / "run.yaml").write_text(yaml.safe_dump(content))
    for read in (load_run, Workspace):
        with pytest.raises(ConfigError, match=r"run\.yaml"):
            read(run)


def test_a_run_as_it_is_written_is_read(made):
    assert Workspace(made).gan.shaped == load_run(made).gan.shaped
