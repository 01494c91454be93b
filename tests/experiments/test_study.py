"""What every study does: rows that are kept, pages, pictures, and the command line."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest
from typer.testing import CliRunner

from experiments import STUDIES, tables
from experiments import __main__ as command_line
from experiments.bench import BENCHMARKS
from experiments.study import Given, Study
from gantandem import __version__
from gantandem.cli import app
from gantandem.errors import ConfigError
from small_runs import RESULTS, TINY, committed

# -- what is kept ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"n": 5, "version": "%s"}', "n 5, asked for 10"),
        ('{"n": 10, "version": "0"}', "version '0', asked for '%s'"),
        ("[]", "not a result of an experiment"),
        ("{", "not a result of an experiment"),
    ],
)
def test_rows_of_other_settings_are_not_mixed(tmp_path, content, message):
    given = Given(STUDIES["fig4"], tmp_path, (), (), (), 10, ())
    assert given.kept({"n": 10}) == {}
    given.path.write_text(content.replace("%s", __version__))
    with pytest.raises(ConfigError, match=message.replace("%s", __version__)):
        given.kept({"n": 10})


@pytest.mark.parametrize("name", ["fig3", "fig4", "table1", "budget", "small", "mnist"])
def test_a_study_whose_rows_are_all_kept_gives_the_committed_result_again(name, tmp_path):
    """Nothing runs; floors, medians, correlations and the command are computed from the rows."""
    result = {**committed(name), "version": __version__}
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps(result))
    STUDIES[name].result(tmp_path, seeds=[0], n=result["n"])
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    again = json.loads(path.read_text())
    if name == "table1":  # another release of scipy may round otherwise
        assert again.pop("correlations").keys() == result.pop("correlations").keys()
    assert again == result


# -- what is shown --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STUDIES)
def test_the_committed_page_and_picture_are_those_of_the_numbers(name):
    study, result = STUDIES[name], committed(name)
    assert study.document(result) == (RESULTS / f"{name}.md").read_text(encoding="utf-8")
    assert study.draw(result).axes
    assert f"({name}.md)" in (RESULTS / "README.md").read_text(encoding="utf-8")
    assert 1_000 < (RESULTS / f"{name}.png").stat().st_size < 300_000


def test_a_page_says_which_seeds_every_stage_has():
    seeds = {"0": {"1000": 1, "3000": 1}, "1": {"1000": 1, "3000": 1}}
    assert tables.over_stages(seeds) == "median over seeds 0, 1"
    del seeds["1"]["3000"]
    every = "median over the seeds of each stage (1,000: 0, 1; 3,000: 0)"
    assert tables.over_stages(seeds) == every


def test_an_undefined_metric_does_not_spoil_a_median():
    row = {"metrics": dict.fromkeys([*tables.COLUMNS][:-1], 1.0), "passes_per_sample": 1.0}
    undefined = {
        **row,
        "metrics": {**row["metrics"], "kl": None, "within_mode_std_main": [1, None]},
    }
    found = tables.median([{"samplers": {"a": row}}, {"samplers": {"a": undefined}}])
    assert found["a"]["kl"] == 1 and found["a"]["within_mode_std_main"] == 1
    assert math.isnan(tables.median([{"samplers": {"a": undefined}}])["a"]["kl"])


# -- command line ---------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{"seeds": []}, {"stages": []}, {"stages": [0, 20]}])
def test_no_seed_or_stage_is_refused(tmp_path, settings):
    with pytest.raises(ConfigError, match=f"{next(iter(settings))}: got"):
        STUDIES["fig4"].result(tmp_path, **settings)


def test_the_command_line_passes_seeds_and_stages_on(tmp_path, monkeypatch):
    calls = []
    study = dataclasses.replace(STUDIES["fig4"], run=lambda given: calls.append(given) or {})
    monkeypatch.setitem(STUDIES, "fig4", study)
    monkeypatch.setattr(Study, "write", Study.result)
    arguments = ["fig4", "--out", str(tmp_path), "--stages"]
    assert command_line.main([*arguments, "all"]) == 0
    assert command_line.main([*arguments, "40,20", "--seeds", "1,2", "-n", "7"]) == 0
    nine, two = calls
    assert nine.stages == tuple(range(1_000, 9_001, 1_000)) and nine.seeds == study.seeds
    assert two.stages == (20, 40) and two.seeds == (1, 2) and two.n == 7
    assert two.path == tmp_path / "fig4.json"


@pytest.mark.slow
def test_the_budget_takes_few_long_steps(tmp_path):
    overrides = [*TINY, "train.iterations=20"]
    result = STUDIES["budget"].result(tmp_path, seeds=[0], n=64, overrides=overrides)
    judged = result["seeds"]["0"]["samplers"]["collaborative"]["sampler"]["proposal"]
    assert judged["step_size"] == 0.35 and judged["defensive"] == 0.25
    assert result["command"] == "python -m experiments budget --seeds 0 --n 64"


def test_a_study_writes_its_three_files(tmp_path):
    study = dataclasses.replace(STUDIES["budget"], run=lambda given: committed("budget"))
    page = study.write(tmp_path)
    assert page.read_text() == (RESULTS / "budget.md").read_text()
    assert {file.name for file in tmp_path.iterdir()} == {
        "budget.json", "budget.md", "budget.png",
    }  # fmt: skip


def test_without_a_name_the_command_line_says_what_there_is(capsys):
    assert command_line.main([]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in [*STUDIES, *BENCHMARKS])


@pytest.mark.parametrize("words", [["tabel1"], ["bench", "engine-overhed"]])
def test_an_unknown_name_ends_in_one_message(words, capsys):
    assert command_line.main(words) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: unknown") and "did you mean" in said


@pytest.mark.parametrize("words", ["reproduce fig4 --seeds 0", "bench --json x"])
def test_the_commands_that_moved_say_where_they_are(words):
    result = CliRunner().invoke(app, words.split())
    assert result.exit_code == 2 and "`python -m experiments" in result.stderr
    assert "reproduce" not in CliRunner().invoke(app, ["--help"]).output
