"""What was measured is kept when a later sampler fails, and the failure is said."""

from __future__ import annotations

import json
import shutil
from dataclasses import fields

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from gantandem.cli import app
from gantandem.errors import BudgetError, IncompleteError, NonFiniteError
from gantandem.reporting.caution import cautions
from gantandem.reporting.evidence import read_evidence
from gantandem.runs import Workspace, compare_run, measuring, pretrained_run
from gantandem.runs.reading import load_recipe

pytestmark = pytest.mark.usefixtures("few_real_data")

ERRORS = (
    NonFiniteError("NaN in rows 3"),
    BudgetError("all attempts used up"),
    RuntimeError("CUDA out of memory"),
    KeyError("of a metric of the user's own"),
)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    recipe = load_recipe("imbalanced-8", ["shape.refine={steps: 5}"])
    return pretrained_run(recipe, tmp_path_factory.mktemp("runs") / "run").run


@pytest.fixture
def work(shipped, tmp_path):
    return Workspace(shutil.copytree(shipped, tmp_path / "run"))


def break_at(monkeypatch, bad: str, error: Exception) -> None:
    whole = measuring.compare

    def broken(gan, samplers, *args, **options):
        if bad in samplers:
            raise error
        return whole(gan, samplers, *args, **options)

    monkeypatch.setattr(measuring, "compare", broken)


@pytest.mark.parametrize(
    "error, bad",
    [*((error, "direct") for error in ERRORS), (ERRORS[0], "refine")],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_the_others_are_measured_kept_and_named(work, monkeypatch, bad, error):
    break_at(monkeypatch, bad, error)
    with pytest.raises(IncompleteError) as stop:
        compare_run(work, ("direct", "refine"), 120)
    (good,) = {"direct", "refine"} - {bad}
    kept = json.loads((work.run / "metrics.json").read_text())
    assert list(kept["samplers"]) == [good] and (work.run / f"samples/{good}.npz").is_file()
    assert list(kept["failed"]) == [bad]
    for text in (str(stop.value), kept["failed"][bad]):
        assert str(error) in text
    assert bad in str(stop.value) and good in str(stop.value)
    assert stop.value.metrics["samplers"].keys() == kept["samplers"].keys()
    assert any(bad in text and str(error) in text for text in cautions(read_evidence(work.run)))


def test_metrics_of_the_users_own_are_numbers_of_any_kind_or_a_failed_row(work, monkeypatch):
    given = iter(
        (
            {"near": object()},
            {"a": torch.tensor(2.0), "b": np.float32(3), "c": np.arange(2), "d": float("nan")},
        )
    )

    class Own(type(work.task)):
        def metrics(self, x, seed=0):
            return next(given)

    work.task = Own(**{f.name: getattr(work.task, f.name) for f in fields(work.task)})
    with pytest.raises(IncompleteError, match=r"direct: .*object.*a metric must return numbers"):
        compare_run(work, ("direct", "refine"), 200)
    kept = json.loads((work.run / "metrics.json").read_text())
    assert list(kept["samplers"]) == ["refine"]
    assert kept["samplers"]["refine"]["metrics"] == {"a": 2, "b": 3, "c": [0, 1], "d": None}


def test_where_nothing_was_measured_the_error_is_the_samplers_own(work, monkeypatch):
    break_at(monkeypatch, "direct", NonFiniteError("NaN in rows 3"))
    with pytest.raises(NonFiniteError, match="NaN in rows 3"):
        compare_run(work, ("direct",), 120)
    assert not (work.run / "metrics.json").exists()


def test_the_command_shows_the_rows_and_ends_with_an_error(work, monkeypatch, tmp_path):
    break_at(monkeypatch, "refine", NonFiniteError("NaN in rows 3"))
    words = ["compare", str(work.run), "--samplers", "refine,direct", "-n", "120"]
    result = CliRunner().invoke(app, [*words, "--json", str(tmp_path / "copy.json")])
    assert result.exit_code == 2 and "Traceback" not in result.output
    assert "direct" in result.stdout and "real data" in result.stdout
    assert "error: not measured: refine: NaN in rows 3" in " ".join(result.stderr.split())
    assert json.loads((tmp_path / "copy.json").read_text())["failed"] == {"refine": "NaN in rows 3"}
