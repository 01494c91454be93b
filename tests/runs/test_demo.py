"""A demo that is done is not done again, one that was broken off is, and nothing is lost."""

from __future__ import annotations

import json

import pytest
import yaml

from gantandem.errors import ConfigError
from gantandem.runs import demo, whole
from run_files import everything
from small_runs import TINY

CHANGES = [change for change in TINY if not change.startswith("train.")]


def make(folder, **changes):
    options = {"n": 40, "pretrained": True, "samplers": ("direct", "refine"), "overrides": CHANGES}
    return demo(folder, **{**options, **changes})


@pytest.mark.slow
def test_a_demo_is_done_once_goes_on_and_loses_nothing(tmp_path, monkeypatch, caplog):
    folder = tmp_path / "run"
    caplog.set_level("INFO", "gantandem.runs")

    def stop(work, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(whole, "fit_run", stop)
        with pytest.raises(KeyboardInterrupt):
            make(folder)
    assert yaml.safe_load((folder / "run.yaml").read_text())["state"]["shaped"]
    (folder / "mine.txt").write_text("kept")
    found = make(folder)
    made = everything(folder)
    told = json.loads((folder / "evidence/diagnosis.json").read_text())
    assert list(told) == ["direct, as trained", "direct, refitted", "collaborative, refitted"]
    assert make(folder)["samplers"] == json.loads(made["metrics.json"])["samplers"]
    assert "nothing to do" in caplog.text and everything(folder) == made
    assert list(found["samplers"]) == ["direct", "refine"]
    for changes in ({"n": 41}, {"seed": 1}, {"pretrained": False}):
        with pytest.raises(
            ConfigError, match=r"lost: the shaped guide, fitted ratios \(2\), .*metrics.json"
        ):
            make(folder, **changes)
    assert everything(folder) == made
    with pytest.raises(ConfigError, match="unknown key"):
        make(folder, overrides=["nonsense=1"], overwrite=True)
    assert everything(folder) == made
    make(folder, n=41, overwrite=True)
    assert "overwrites in" in caplog.text and (folder / "mine.txt").read_text() == "kept"
    assert json.loads((folder / "metrics.json").read_text())["samplers"]["direct"]["n"] == 41
