"""The command ``compare --sweep``: its files, its fits and its mistakes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gantandem.cli import app
from gantandem.errors import DataError
from gantandem.evaluate.knobs import SWEEPS
from gantandem.reporting.pareto import write_pareto

pytestmark = pytest.mark.usefixtures("few_real_data")

TINY = ["train.iterations=30", "train.batch_size=64", "fit_ratio.n=600", "fit_ratio.batch=64",
        "fit_ratio.schedule=[[20, 1e-3]]", "shape.refine={steps: 3}"]  # fmt: skip
NESTED = [
    "samplers.level={name: obrs, pilot: 500, expected: 2}",
    "samplers.nested={name: obrs, pilot: 500, expected: 2, "
    "proposal: {name: refine, steps: 2, step_size: 0.1}}",
]


def command(*words, code: int = 0):
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "trained"
    command("-q", "train", "imbalanced-8", "-o", folder, *TINY, *NESTED)
    return folder


@pytest.fixture
def work(trained, tmp_path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


@pytest.mark.slow
def test_a_plain_sweep_varies_the_usual_knobs_and_draws_them(work):
    result = command("compare", "--sweep", work, "--samplers", "refine,level", "-n", 100)
    content = json.loads((work / "sweep.json").read_text())
    assert (content["schema"], content["task"], content["n"]) == (1, "imbalanced-8", 100)
    labels = [row["label"] for row in content["points"]]
    assert labels == [
        *(f"refine steps={v}" for v in SWEEPS["refine"].values),
        *(f"level expected={v:g}" for v in SWEEPS["obrs"].values),
    ]
    for row in content["points"]:
        assert {"good", "js", "precision", "coverage", "sliced_w1"} <= set(row["metrics"])
        assert row["settings"]["name"] in ("refine", "obrs")
    assert content["pareto"]["quality"] == {"key": "good", "better": "high", "label": "good"}
    assert {"good", "coverage", "js"} <= set(content["floor"])
    assert result.stdout.count("●") >= 2
    assert (work / "sweep.png").read_bytes().startswith(b"\x89PNG")
    assert not (work / "metrics.json").exists()


@pytest.mark.slow
def test_spelled_out_sweeps_replace_the_table_and_the_report_shows_them(work):
    (work / "copy").mkdir()
    command(
        "compare", work, "--sweep", "level.expected=1.5,3", "--sweep", "refine.steps=1",
        "--samplers", "direct", "-n", 60, "--json", work / "copy/sweep.json",
    )  # fmt: skip
    content = json.loads((work / "sweep.json").read_text())
    labels = ["direct", "level expected=1.5", "level expected=3", "refine steps=1"]
    assert [row["label"] for row in content["points"]] == labels
    assert json.loads((work / "copy/sweep.json").read_text()) == content
    command("compare", work, "--samplers", "direct", "-n", 60)
    command("report", work)
    assert "Quality against diversity" in (work / "report.html").read_text()


@pytest.mark.slow
def test_default_and_spelled_out_sweeps_go_together(work):
    command("compare", work, "--samplers", "refine,level", "-n", 60,
            "--sweep", "default", "--sweep", "level.expected=1.5")  # fmt: skip
    rows = json.loads((work / "sweep.json").read_text())["points"]
    assert [row["value"] for row in rows] == [*SWEEPS["refine"].values, 1.5]


@pytest.mark.slow
def test_laws_without_a_ratio_are_skipped_or_fitted_and_kept(work):
    words = ("compare", work, "-n", 60, "--sweep", "nested.proposal.steps=1,2")
    result = command(*words, code=2)
    assert "no setting could be measured" in result.output and "--fit" in result.output
    result = command(*words, "--samplers", "direct")
    assert "skipped: nested proposal.steps=1, 2" in " ".join(result.stdout.split())
    content = json.loads((work / "sweep.json").read_text())
    assert [row["label"] for row in content["skipped"]] == [
        "nested proposal.steps=1", "nested proposal.steps=2",
    ]  # fmt: skip
    result = command(*words, "--fit")
    rows = json.loads((work / "sweep.json").read_text())["points"]
    assert [row["fitted"] for row in rows] == [True, True]
    assert all(row["setup_passes"] > 600 for row in rows)
    assert "fit " in result.stdout
    assert {row["law"] for row in rows} <= {path.name[:16] for path in (work / "ratios").iterdir()}
    command(*words, "--again")  # the ratios were kept: no need to fit again
    rows = json.loads((work / "sweep.json").read_text())["points"]
    assert [row["fitted"] for row in rows] == [False, False]


@pytest.mark.slow
def test_other_weights_make_a_sweep_obsolete(work):
    command("compare", work, "--sweep", "refine.steps=1", "-n", 20)
    changes = [change for change in TINY if "iterations" not in change]
    command("train", "imbalanced-8", "-o", work, "train.iterations=31", *changes, "--overwrite")
    assert not (work / "sweep.json").exists() and not (work / "sweep.png").exists()


WRONG = {
    ("--sweep", "obr.expected=2"): ["unknown sampler 'obr'", "'obrs'"],
    ("--sweep", "obrs.expcted=2"): ["obrs has no knob 'expcted'", "'expected'"],
    ("--sweep", "obrs.expected=two"): ["got 'two'", "a number of 1 or more"],
    ("--sweep", "obrs.expected=2,2"): ["2 is given twice"],
    ("--sweep", "obrs.expected=2", "--sweep", "obrs.expected=4"): ["obrs.expected", "twice"],
    ("--sweep", "obrs.expected"): ["allowed is SAMPLER.KNOB"],
    ("--sweep", "obrs.expected=0"): ["obrs.expected: got 0"],
    ("--sweep", "refine.steps=2", "-n", "5"): ["n: got 5", "6 or more"],
    ("--fit",): ["--fit is only used with --sweep"],
    ("--sweep", "--samplers", "refin"): ["unknown sampler 'refin'", "'refine'"],
}


@pytest.mark.parametrize("words", WRONG)
def test_mistakes_end_with_one_message_before_anything_is_drawn(trained, words):
    result = command("compare", trained, *words, code=2)
    text = " ".join(result.stderr.split())
    assert text.count("error:") == 1
    for part in WRONG[words]:
        assert part in text
    assert not (trained / "sweep.json").exists()


def test_a_damaged_or_missing_sweep_is_said(work):
    with pytest.raises(DataError, match="compare .* --sweep"):
        write_pareto(work)
    (work / "sweep.json").write_text('{"schema": 2}')
    with pytest.raises(DataError, match="schema is 2"):
        write_pareto(work)
