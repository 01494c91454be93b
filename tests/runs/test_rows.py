"""``compare`` keeps what it measured before with equal settings, whatever was asked then."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from gantandem.evaluate import sweeping
from gantandem.runs import Workspace, compare_run, measuring, pretrained_run, sweep_run
from gantandem.runs.reading import load_recipe

pytestmark = pytest.mark.usefixtures("few_real_data")
N = 120


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    recipe = load_recipe("imbalanced-8", ["shape.refine={steps: 2}"])
    return pretrained_run(recipe, tmp_path_factory.mktemp("rows") / "run").run


@pytest.fixture
def run(shipped, tmp_path):
    return shutil.copytree(shipped, tmp_path / "run")


@pytest.fixture
def drawn(monkeypatch):
    """The samplers that are drawn from here on."""
    names, whole = [], measuring.compare

    def noting(gan, samplers, *args, **options):
        names.extend(samplers)
        return whole(gan, samplers, *args, **options)

    monkeypatch.setattr(measuring, "compare", noting)
    return names


def rows(run):
    return json.loads((run / "metrics.json").read_text())["samplers"]


@pytest.mark.slow
def test_other_samplers_are_added_and_none_is_drawn_again(run, drawn):
    compare_run(Workspace(run), ("direct", "refine"), N)
    first = rows(run)
    found = compare_run(Workspace(run), ("refine", "ula"), N)
    assert drawn == ["direct", "refine", "ula"]
    assert list(found["samplers"]) == list(rows(run)) == ["direct", "refine", "ula"]
    assert {name: rows(run)[name] for name in first} == first
    kept = json.dumps(first, sort_keys=True)  # which tells 0 from 0.0
    assert json.dumps({name: rows(run)[name] for name in first}, sort_keys=True) == kept
    compare_run(Workspace(run), ("refine", "direct"), N)
    assert len(drawn) == 3 and list(rows(run)) == ["ula", "refine", "direct"]


@pytest.mark.slow
def test_again_measures_anew(run, drawn):
    compare_run(Workspace(run), ("direct", "refine"), N)
    compare_run(Workspace(run), ("direct",), N, again=True)
    assert drawn == ["direct", "refine", "direct"]
    assert set(rows(run)) == {"direct", "refine"}


@pytest.mark.parametrize("asked", [{"n": N + 1}, {"seed": 7}])
@pytest.mark.slow
def test_a_row_of_another_n_or_seed_is_measured_anew_and_others_go(run, drawn, asked, caplog):
    caplog.set_level("INFO", "gantandem.runs")
    compare_run(Workspace(run), ("direct", "refine"), N)
    compare_run(Workspace(run), ("direct",), asked.get("n", N), seed=asked.get("seed"))
    assert drawn == ["direct", "refine", "direct"]
    assert list(rows(run)) == ["direct"]
    assert (
        "results for another n, seed, data, network or version are removed: refine" in caplog.text
    )


@pytest.mark.slow
def test_a_row_of_other_settings_data_or_samples_is_measured_anew(run, drawn):
    compare_run(Workspace(run), ("direct",), N)
    changed = Workspace(run, ["samplers.direct={name: direct, truncation: 1.0}"])
    compare_run(changed, ("direct",), N)
    assert len(drawn) == 2
    compare_run(Workspace(run), ("direct",), N)
    assert len(drawn) == 3
    other = Workspace(run)
    other.real.test.mul_(1.5)
    compare_run(other, ("direct",), N)
    assert len(drawn) == 4
    (run / "samples" / "direct.npz").unlink()
    compare_run(other, ("direct",), N)
    assert len(drawn) == 5 and (run / "samples" / "direct.npz").is_file()


@pytest.mark.slow
def test_a_row_of_another_guide_is_measured_anew(run, drawn):
    compare_run(Workspace(run), ("direct", "refine"), N)
    work = Workspace(run)
    with torch.no_grad():
        next(work.gan.guide.network.parameters()).mul_(1.01)
    compare_run(work, ("direct", "refine"), N)
    assert drawn == ["direct", "refine", "refine"]
    with torch.no_grad():
        next(work.gan.generator.parameters()).mul_(1.01)
    compare_run(work, ("refine",), N)
    assert drawn[3:] == ["refine"] and list(rows(run)) == ["refine"]


@pytest.mark.slow
def test_what_stops_in_the_middle_loses_nothing(run, monkeypatch):
    compare_run(Workspace(run), ("refine",), N)
    before = rows(run)["refine"]

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(measuring, "compare", stop)
    with pytest.raises(KeyboardInterrupt):
        compare_run(Workspace(run), ("direct", "refine"), N)
    assert rows(run)["refine"] == before


def test_a_damaged_table_is_measured_anew(run, drawn, caplog):
    compare_run(Workspace(run), ("direct",), N)
    (run / "metrics.json").write_text('{"schema": 1, "samplers": 3}')
    compare_run(Workspace(run), ("direct",), N)
    assert drawn == ["direct", "direct"] and "all is measured anew" in caplog.text


@pytest.mark.slow
def test_points_of_a_sweep_are_kept_and_measured_anew_like_rows(run, monkeypatch):
    names, whole = [], sweeping.compare

    def noting(gan, samplers, *args, **options):
        names.extend(samplers)
        return whole(gan, samplers, *args, **options)

    monkeypatch.setattr(sweeping, "compare", noting)

    def swept(values, work=None, **options):
        names.clear()
        work = work or Workspace(run)
        sweep_run(work, [f"direct.truncation={values}"], n=N, **options)
        points = json.loads((run / "sweep.json").read_text())["points"]
        return [point["label"] for point in points], points

    first = swept("1.0,2.0")[1]
    labels, found = swept("2.0,3.0")
    assert labels == ["direct truncation=2", "direct truncation=3"]
    assert names == labels[1:]
    before, kept = first[1], found[0]
    assert {**before, "on_front": 0} == {**kept, "on_front": 0}
    assert swept("2.0,3.0", seed=7)[0] == names, "another seed: nothing is kept"
    assert swept("2.0,3.0", seed=7)[0] and not names
    assert swept("2.0,3.0", seed=7, again=True)[0] == names
    work = Workspace(run)
    with torch.no_grad():
        next(work.gan.generator.parameters()).mul_(1.01)
    assert swept("2.0,3.0", work, seed=7)[0] == names, "other weights: nothing is kept"
