"""Figures and tables of the papers at the smallest scale: what they keep, compute and show."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from typer.testing import CliRunner

import experiments
from experiments import __main__ as command_line
from experiments import common, fig3, fig4, paper, published, table1
from gantandem import diagnose
from gantandem.cli import app
from gantandem.errors import ConfigError
from gantandem.runs import train_run
from gantandem.runs.recipe import load_recipe
from gantandem.samplers import Direct

FIGURES = ("fig3", "fig4")
RESULTS = Path(__file__).parents[2] / "docs" / "results"
TINY = (
    "train.batch_size=64",
    "shape.updates=4",
    "shape.check_every=2",
    "shape.check_samples=32",
    "shape.batch=32",
    "shape.width=64",
    "shape.refine.steps=2",
    "fit_ratio.pool=200",
    "fit_ratio.schedule=[[4, 1e-3]]",
)


@pytest.fixture(autouse=True)
def no_report(monkeypatch):
    """Reports have tests of their own, and take longer than all else at this scale."""
    for figure in (fig3, fig4):
        monkeypatch.setattr(figure, "write_report", lambda run: None)


def rows_of(found):
    """A row's measured content, without what differs from run to run."""
    timed = {"seconds", "samples_per_second", "shaping_seconds"}
    return json.loads(
        json.dumps(
            {
                name: {key: value for key, value in row.items() if key not in timed}
                for name, row in found["samplers"].items()
            }
        ).replace("NaN", "null")
    )


# -- what is kept ---------------------------------------------------------------------------------


def test_a_resumed_figure_4_has_the_rows_of_one_made_in_one_go(tmp_path):
    settings = {"seeds": [3], "n": 64, "overrides": TINY}
    experiments.fig4_result(tmp_path / "a", stages=[20], **settings)
    text = (tmp_path / "a/fig4.json").read_text()
    kept = json.loads(text)
    kept["seeds"]["3"]["20"]["samplers"]["direct"]["metrics"]["good"] = 0.125  # not run again
    (tmp_path / "a/fig4.json").write_text(json.dumps(kept))
    resumed = experiments.fig4_result(tmp_path / "a", stages=[20, 40], **settings)
    assert resumed["seeds"]["3"]["20"]["samplers"]["direct"]["metrics"]["good"] == 0.125
    assert resumed["command"] == "python -m experiments fig4 --seeds 3 --stages 20,40"
    alone = experiments.fig4_result(tmp_path / "b", stages=[40], **settings)
    assert rows_of(resumed["seeds"]["3"]["40"]) == rows_of(alone["seeds"]["3"]["40"])
    assert rows_of(json.loads(text)["seeds"]["3"]["20"]) != rows_of(alone["seeds"]["3"]["40"])


def test_the_published_methods_are_added_to_the_rows_that_are_there(tmp_path, monkeypatch):
    monkeypatch.setattr(paper, "UPDATES", 2)
    monkeypatch.setattr(paper, "JUDGED", 3)
    settings = {"seeds": [0], "n": 64, "overrides": TINY}
    before = experiments.fig4_result(tmp_path, stages=[20], **settings)
    assert "--paper" not in before["command"] and before["as_published"] == {}
    assert "as published" not in experiments.fig4_page(before)
    after = experiments.fig4_result(tmp_path, stages=[20], paper_seeds=[0], **settings)
    assert rows_of(after["seeds"]["0"]["20"]) == rows_of(before["seeds"]["0"]["20"])
    assert after["command"] == "python -m experiments fig4 --stages 20 --paper 0"
    page = " ".join(experiments.fig4_page(after).split())
    assert "2 updates (published: 5,000)" in page and "after 3 further updates" in page
    found = after["as_published"]["0"]["20"]["samplers"]
    assert set(found) == set(common.SAMPLERS)
    # Shaped on uniformly random steps; what is sampled is the best one.
    assert found["refine"]["sampler"]["stop"] == "best" and paper.REFINE.stop == "random"
    assert found["drs"]["sampler"]["gamma"] == 1.0
    assert found["collaborative"]["sampler"]["proposals"] == 20

    # Figure 3 shares the rows, and refuses to stand them beside those of another generator.
    shared = after["as_published"]["0"]["20"]
    monkeypatch.setattr(fig3, "published_rows", lambda out, seed, stage, **_: shared)
    settings["overrides"] = (*TINY, "train.iterations=20")
    figure = experiments.fig3_result(tmp_path, paper_seeds=[0], **settings)
    assert figure["iterations"] == 20 and figure["as_published"]["0"] == shared
    assert figure["command"] == "python -m experiments fig3 --seeds 0 --paper 0"
    assert "| drs, as published |" in experiments.fig3_page(figure)
    kept = json.loads((tmp_path / "fig3.json").read_text())
    kept["seeds"]["0"]["samplers"]["direct"]["metrics"]["js"] += 1e-6
    (tmp_path / "fig3.json").write_text(json.dumps(kept))
    with pytest.raises(ConfigError, match="of another generator than the default rows"):
        experiments.fig3_result(tmp_path, paper_seeds=[0], **settings)


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
    version = common.__version__
    (tmp_path / "fig4.json").write_text(content.replace("%s", version))
    with pytest.raises(ConfigError, match=message.replace("%s", version)):
        common.read_kept(tmp_path / "fig4.json", {"n": 10})
    assert common.read_kept(tmp_path / "none.json", {"n": 10}) == {}


# -- Table 1 --------------------------------------------------------------------------------------


def points_of(change, **values):
    """Points with the given diagnostics; those left out are the change itself."""
    columns = {name: values.get(name, change) for name in table1.DIAGNOSTICS}
    return [
        {name: float(column[at]) for name, column in columns.items()}
        | {"change": {"drs": {"js": float(change[at]), "good": -float(change[at])}}}
        for at in range(len(change))
    ]


def test_correlations_have_their_known_values():
    noise = np.random.default_rng(0)
    change = noise.normal(size=200) + 5
    mixed = 0.6 * (change - 5) + 0.8 * noise.normal(size=200)
    signs = np.where(np.arange(200) % 2, -1, 1)
    columns = {
        "z": signs * change,
        "brier": -change,
        "ece": np.ones(200),
        "auc": np.exp(change),
        "resolution": mixed,
    }
    found = table1.correlations(points_of(change, **columns), "drs", "js")
    assert found["z"]["pearson"] == pytest.approx(1)  # of its absolute value
    assert found["brier"]["pearson"] == pytest.approx(-1)
    assert found["brier"]["spearman"] == pytest.approx(-1)
    assert math.isnan(found["ece"]["pearson"]) and math.isnan(found["ece"]["interval"][0])
    assert math.isnan(found["ece"]["spearman_p"])
    assert found["auc"]["spearman"] == pytest.approx(1)
    assert found["auc"]["pearson"] == pytest.approx(stats.pearsonr(np.exp(change), change)[0])
    # The p-value by the t distribution, and Fisher's interval, for normal pairs.
    pearson = np.corrcoef(mixed, change)[0, 1]
    t = pearson * np.sqrt(198 / (1 - pearson**2))
    assert found["resolution"]["pearson"] == pytest.approx(pearson)
    assert found["resolution"]["pearson_p"] == pytest.approx(2 * stats.t.sf(t, 198), rel=1e-6)
    ranked = stats.rankdata(mixed), stats.rankdata(change)
    assert found["resolution"]["spearman"] == pytest.approx(np.corrcoef(*ranked)[0, 1])
    interval = np.tanh(np.arctanh(pearson) + np.array([-1.96, 1.96]) / np.sqrt(197))
    assert found["resolution"]["interval"] == pytest.approx(interval, abs=0.04)
    turned = table1.correlations(points_of(change, **columns), "drs", "good")
    assert turned["resolution"]["pearson"] == pytest.approx(-pearson)


def test_table_1_keeps_its_seeds_and_starts_from_the_shipped_discriminator(tmp_path):
    overrides = (*TINY, "train.iterations=20")
    settings = {"n": 64, "updates": [0, 3], "overrides": overrides}
    result = table1.table1_result(tmp_path, seeds=[0], **settings)
    points = result["seeds"]["0"]["points"]
    assert [(p["start"], p["update"]) for p in points] == [
        (start, update) for start in ("new", "trained") for update in (0, 3)
    ]
    before = result["seeds"]["0"]["direct"]
    for point in points:  # after less before, as published
        for metric in ("good", "js"):
            change = point["after"]["metropolis"][metric] - before[metric]
            assert point["change"]["metropolis"][metric] == change
    work = train_run(load_recipe("imbalanced-8", ["seed=0", *overrides]), tmp_path / "again")
    shipped = diagnose(work.gan, work.real, proposal=Direct(), width=table1.WIDTH)
    assert (points[2]["brier"], points[2]["z"]) == (shipped.brier, shipped.z)
    assert points[3]["brier"] != points[2]["brier"]
    again = table1.table1_result(tmp_path, seeds=[0], **settings)
    assert again["seeds"] == json.loads(json.dumps(result["seeds"]).replace("NaN", "null"))
    assert result["correlations"]["drs"]["all"]["points"] == 4


def test_stages_of_a_discriminator_do_not_depend_on_which_are_looked_at(tmp_path):
    overrides = ["seed=0", "train.batch_size=64", "train.iterations=5"]
    work = train_run(load_recipe("imbalanced-8", overrides), tmp_path)
    weights = {
        updates: dict(table1.stages(work, "new", updates))[6].state_dict()
        for updates in [(0, 6), (2, 4, 6)]
    }
    one, other = weights.values()
    assert all(torch.equal(one[name], other[name]) for name in one)


# -- what is shown --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stages():
    """A figure 4 made of the committed rows, with a stage for which nothing was published."""
    result = json.loads((RESULTS / "fig4.json").read_text())
    values = copy.deepcopy(result["median"]["1000"])
    again = {"updates": 1, "judged": 1, "threads": 1, **result["seeds"]["0"]["1000"]}
    return {
        **result,
        "median": {s: values for s in ("1000", "2500", "9000")},
        "as_published": {"0": {"1000": again}},
        "as_published_median": {s: values for s in ("1000", "3000")},
    }


def test_figure_4_shows_the_published_values_where_they_are_known(stages):
    table = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in experiments.fig4_page(stages).splitlines()
        if line.startswith("| ")
    ]
    good = [row for row in table if row[1:2] == ["good"]]
    rows, again = {row[0]: row for row in good[:3]}, good[3:]
    assert rows["1,000"][2].endswith(" (0.2)") and rows["1,000"][6].endswith(" (0.96)")
    assert rows["9,000"][4].endswith(" (0.97)")
    assert not any("(" in cell for cell in rows["2,500"])
    assert [row[0] for row in again] == ["1,000", "3,000"] and again[1][5].endswith(" (0.96)")


def test_the_picture_of_figure_4_marks_the_published_values(stages):
    axes = experiments.fig4_picture(stages).axes
    assert len(axes) == 6  # ours above, the published methods run here below
    for panel in (axes[0], axes[3]):
        rings = [
            (float(line.get_xdata()[0]), float(line.get_ydata()[0]))
            for line in panel.lines
            if line.get_fillstyle() == "none"
        ]
        marked = {(round(stage, -3), good) for stage, good in rings}
        assert {(1_000, 0.2), (1_000, 0.96), (5_000, 0.955), (9_000, 0.99)} <= marked
        assert len(rings) == 5 * len(common.SAMPLERS)


def test_a_page_says_which_seeds_every_stage_has():
    seeds = {"0": {"1000": 1, "3000": 1}, "1": {"1000": 1, "3000": 1}}
    assert common.over_stages(seeds) == "median over seeds 0, 1"
    del seeds["1"]["3000"]
    every = "median over the seeds of each stage (1,000: 0, 1; 3,000: 0)"
    assert common.over_stages(seeds) == every


def test_table_1_shows_the_published_correlations_with_their_signs():
    result = json.loads((RESULTS / "table1.json").read_text())
    page = experiments.table1_page(result)
    assert "| abs(Z) | JS | +0.07 (0.41) | -0.06 (0.35) |" in page
    assert "| Brier | good | -0.68 (0.01) | -0.72 (0.01) |" in page
    assert "| Brier | KL | +0.51 (0.04) | +0.46 (0.12) |" in page
    titles = [axes.get_title() for axes in experiments.table1_picture(result).axes]
    assert titles[2].startswith("Brier") and titles[2].endswith("published -0.68")
    assert titles[8].startswith("Brier") and titles[8].endswith("published +0.77")


def test_a_better_score_going_with_a_larger_gain_has_the_published_signs():
    """The convention: good rises by more and KL falls by more where the Brier score is low."""
    brier = np.linspace(0.05, 0.25, 9)
    points = [
        dict.fromkeys(table1.DIAGNOSTICS, value)
        | {"change": {"drs": {"good": 0.5 - value, "kl": value - 0.3, "js": value - 0.3}}}
        for value in brier
    ]
    for metric, values in published.TABLE_1["brier"].items():
        found = table1.correlations(points, "drs", metric)["brier"]["pearson"]
        assert np.sign(found) == np.sign(values["pearson"])


@pytest.mark.parametrize("name", experiments.FIGURES)
def test_the_committed_pages_say_what_their_numbers_say(name):
    result = json.loads((RESULTS / f"{name}.json").read_text())
    head, text = getattr(experiments, f"{name}_page")(result).split("\n\n", 1)
    page = (RESULTS / f"{name}.md").read_text()
    assert page.startswith(head) and page.endswith(text)
    assert f"({name}.md)" in (RESULTS / "README.md").read_text()
    assert 1_000 < (RESULTS / f"{name}.png").stat().st_size < 300_000


def test_the_committed_medians_are_those_of_the_seeds():
    result = json.loads((RESULTS / "fig3.json").read_text())
    assert result["median"] == common.median(result["seeds"].values())
    result = json.loads((RESULTS / "fig4.json").read_text())
    for stage, values in result["median"].items():
        of_stage = [found[stage] for found in result["seeds"].values() if stage in found]
        assert values == common.median(of_stage)


def test_both_committed_figures_have_the_same_rows_where_they_meet():
    """Those of the published methods always, ours where they were made with the same defaults."""
    figure_3, figure_4 = (json.loads((RESULTS / f"{name}.json").read_text()) for name in FIGURES)
    for kind in ("seeds", "as_published"):
        for seed in set(figure_3[kind]) & set(figure_4[kind]):
            one, other = figure_3[kind][seed]["samplers"], figure_4[kind][seed]["1000"]["samplers"]
            assert one["direct"]["metrics"]["js"] == other["direct"]["metrics"]["js"]
            budgets = [rows["collaborative"]["sampler"].get("expected") for rows in (one, other)]
            if budgets[0] == budgets[1]:
                for name, row in other.items():
                    assert row["metrics"] == one[name]["metrics"]


def test_the_committed_correlations_are_those_of_the_points():
    result = json.loads((RESULTS / "table1.json").read_text())
    points = [point for found in result["seeds"].values() for point in found["points"]]
    for selector, groups in result["correlations"].items():
        for metric in table1.METRICS:
            found = table1.correlations(points, selector, metric)
            for name, values in found.items():
                for key, value in values.items():
                    assert groups["all"][metric][name][key] == pytest.approx(value)


def test_an_undefined_metric_does_not_spoil_a_median():
    row = {"metrics": dict.fromkeys(common.NUMBERS, 1.0), "passes_per_sample": 1.0}
    undefined = {
        **row,
        "metrics": {**row["metrics"], "kl": None, "within_mode_std_main": [1, None]},
    }
    found = common.median([{"samplers": {"a": row}}, {"samplers": {"a": undefined}}])
    assert found["a"]["kl"] == 1 and found["a"]["within_mode_std_main"] == 1
    assert math.isnan(common.median([{"samplers": {"a": undefined}}])["a"]["kl"])


# -- command line ---------------------------------------------------------------------------------


def test_an_unknown_figure_lists_the_near_ones(tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'table1'"):
        experiments.run_figures(["tabel1"], tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("settings", [{"seeds": []}, {"stages": []}, {"stages": [0, 20]}])
def test_no_seed_or_stage_is_refused(tmp_path, settings):
    with pytest.raises(ConfigError, match=f"{next(iter(settings))}: got"):
        experiments.run_figures(["fig4"], tmp_path, **settings)


def test_the_command_line_passes_seeds_and_stages_on(tmp_path, monkeypatch):
    given = {}
    monkeypatch.setattr(
        command_line, "run_figures", lambda names, out, **settings: given.update(settings) or []
    )
    arguments = ["fig4", "--out", str(tmp_path), "--stages"]
    assert command_line.main([*arguments, "all"]) == 0
    assert given["stages"] == tuple(range(1_000, 9_001, 1_000)) and given["seeds"] is None
    assert command_line.main([*arguments, "20,40", "--seeds", "1,2"]) == 0
    assert given["stages"] == [20, 40] and given["seeds"] == [1, 2]


def test_without_a_name_the_command_line_says_what_there_is(capsys):
    assert command_line.main([]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in [*experiments.FIGURES, *experiments.bench.BENCHMARKS])


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
