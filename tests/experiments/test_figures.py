"""Figures 3 and 4: what they keep, compute and show."""

from __future__ import annotations

import copy
import json

import pytest

from experiments import STUDIES, fig3, fig4, paper, tables
from gantandem.errors import ConfigError
from small_runs import TINY, committed, rows_of

FIG3, FIG4 = STUDIES["fig3"], STUDIES["fig4"]


@pytest.fixture(autouse=True)
def no_report(monkeypatch):
    """Reports have tests of their own, and take longer than all else at this scale."""
    for figure in (fig3, fig4):
        monkeypatch.setattr(figure, "write_report", lambda run: None)


@pytest.mark.slow
def test_a_resumed_figure_4_has_the_rows_of_one_made_in_one_go(tmp_path):
    settings = {"seeds": [3], "n": 64, "overrides": TINY}
    FIG4.result(tmp_path / "a", stages=[20], **settings)
    text = (tmp_path / "a/fig4.json").read_text()
    kept = json.loads(text)
    kept["seeds"]["3"]["20"]["samplers"]["refine"]["metrics"]["good"] = 0.125  # not run again
    (tmp_path / "a/fig4.json").write_text(json.dumps(kept))
    resumed = FIG4.result(tmp_path / "a", stages=[20, 40], **settings)
    assert resumed["seeds"]["3"]["20"]["samplers"]["refine"]["metrics"]["good"] == 0.125
    assert resumed["command"] == "python -m experiments fig4 --seeds 3 --stages 20,40 --n 64"
    alone = FIG4.result(tmp_path / "b", stages=[40], **settings)
    for kind in ("seeds", "whole"):
        assert rows_of(resumed[kind]["3"]["40"]) == rows_of(alone[kind]["3"]["40"])
    assert rows_of(json.loads(text)["seeds"]["3"]["20"]) != rows_of(alone["seeds"]["3"]["40"])


@pytest.mark.slow
def test_the_published_methods_are_added_to_the_rows_that_are_there(tmp_path, monkeypatch):
    monkeypatch.setattr(paper, "UPDATES", 2)
    monkeypatch.setattr(paper, "JUDGED", 3)
    settings = {"seeds": [0], "n": 64, "overrides": TINY}
    before = FIG4.result(tmp_path, stages=[20], **settings)
    assert "--paper" not in before["command"] and before["as_published"] == {}
    assert "as published" not in FIG4.document(before)
    after = FIG4.result(tmp_path, stages=[20], paper=[0], **settings)
    assert rows_of(after["seeds"]["0"]["20"]) == rows_of(before["seeds"]["0"]["20"])
    assert after["command"] == "python -m experiments fig4 --stages 20 --paper 0 --n 64"
    page = " ".join(FIG4.document(after).split())
    assert "2 updates (published: 5,000)" in page and "after 3 further updates" in page
    found = after["as_published"]["0"]["20"]["samplers"]
    assert set(found) == set(tables.SAMPLERS)
    # Shaped on uniformly random steps; what is sampled is the best one.
    assert found["refine"]["sampler"]["stop"] == "best" and paper.REFINE.stop == "random"
    assert found["drs"]["sampler"]["gamma"] == 1.0
    assert found["collaborative"]["sampler"]["proposals"] == 20

    # Figure 3 shares the rows, and refuses to stand them beside those of another generator.
    shared = after["as_published"]["0"]["20"]
    monkeypatch.setattr(fig3, "published_rows", lambda out, seed, stage, **_: shared)
    settings["overrides"] = (*TINY, "train.iterations=20")
    figure = FIG3.result(tmp_path, paper=[0], **settings)
    assert figure["iterations"] == 20 and figure["as_published"]["0"] == shared
    assert figure["command"] == "python -m experiments fig3 --seeds 0 --paper 0 --n 64"
    assert "| drs, as published |" in FIG3.document(figure)
    kept = json.loads((tmp_path / "fig3.json").read_text())
    kept["seeds"]["0"]["samplers"]["direct"]["metrics"]["js"] += 1e-6
    (tmp_path / "fig3.json").write_text(json.dumps(kept))
    with pytest.raises(ConfigError, match="of another generator than the default rows"):
        FIG3.result(tmp_path, paper=[0], **settings)


@pytest.fixture(scope="module")
def stages():
    """A figure 4 made of the committed rows, with a stage for which nothing was published."""
    result = committed("fig4")
    values = copy.deepcopy(result["median"]["1000"])
    again = {"updates": 1, "judged": 1, "threads": 1, **result["seeds"]["0"]["1000"]}
    return {
        **result,
        "median": {s: values for s in ("1000", "2500", "9000")},
        "whole_median": {s: result["whole_median"][s] for s in ("1000", "9000")},
        "as_published": {"0": {"1000": again}},
        "as_published_median": {s: values for s in ("1000", "3000")},
    }


def test_figure_4_shows_the_published_values_where_they_are_known(stages):
    table = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in FIG4.document(stages).splitlines()
        if line.startswith("| ")
    ]
    good = [row for row in table if row[1:2] == ["good"]]
    rows, again = {row[0]: row for row in good[:3]}, good[3:]
    assert rows["1,000"][2].endswith(" (0.2)") and rows["1,000"][6].endswith(" (0.96)")
    assert rows["9,000"][4].endswith(" (0.97)")
    assert not any("(" in cell for cell in rows["2,500"])
    whole, again = again[:-2], again[-2:]
    assert [row[0] for row in again] == ["1,000", "3,000"] and again[1][5].endswith(" (0.96)")
    kinds = stages["median"]["1000"]["drs"], stages["whole_median"]["1000"]["drs"]
    assert whole[0][2:4] == [f"{one['good']:.4f}" for one in kinds] and whole[0][6] == "0.86"


def test_the_picture_of_figure_4_marks_the_published_values(stages):
    axes = FIG4.draw(stages).axes
    assert len(axes) == 6  # ours above, the published methods run here below
    for panel in (axes[0], axes[3]):
        rings = [
            (float(line.get_xdata()[0]), float(line.get_ydata()[0]))
            for line in panel.lines
            if line.get_fillstyle() == "none"
        ]
        marked = {(round(stage, -3), good) for stage, good in rings}
        assert {(1_000, 0.2), (1_000, 0.96), (5_000, 0.955), (9_000, 0.99)} <= marked
        assert len(rings) == 5 * len(tables.SAMPLERS)


def test_the_committed_medians_are_those_of_the_seeds():
    result = committed("fig3")
    assert result["median"] == tables.median(result["seeds"].values())
    result = committed("fig4")
    for kind, medians in {"seeds": "median", "whole": "whole_median"}.items():
        for stage, values in result[medians].items():
            of_stage = [found[stage] for found in result[kind].values() if stage in found]
            assert values == tables.median(of_stage)


def test_both_committed_figures_have_the_same_rows_where_they_meet():
    """Those of the published methods always, ours where they were made with the same defaults."""
    figure_3, figure_4 = (committed(name) for name in ("fig3", "fig4"))
    for kind in ("seeds", "as_published"):
        for seed in set(figure_3[kind]) & set(figure_4[kind]):
            one, other = figure_3[kind][seed]["samplers"], figure_4[kind][seed]["1000"]["samplers"]
            assert one["direct"]["metrics"]["js"] == other["direct"]["metrics"]["js"]
            budgets = [rows["collaborative"]["sampler"].get("expected") for rows in (one, other)]
            if budgets[0] == budgets[1]:
                for name, row in other.items():
                    assert row["metrics"] == one[name]["metrics"]
