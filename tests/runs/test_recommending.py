"""A run keeps what was recommended: the sampler under one name, and what was tried."""

from __future__ import annotations

import json
import shutil

import pytest

from commands import run
from gantandem.reporting import write_report
from gantandem.reporting.evidence import RECOMMENDATION_FILE
from gantandem.runs import Workspace, default_sampler, train_run
from gantandem.runs.reading import load_recipe
from small_runs import TINY

SMALL = ["fit_ratio.n=400", "fit_ratio.schedule=[[2,0.001]]", "fit_ratio.batch=50"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    out = tmp_path_factory.mktemp("recommend") / "run"
    train_run(load_recipe("imbalanced-8", [*TINY, "train.iterations=5"]), out)
    return out


@pytest.mark.slow
def test_a_run_keeps_the_recommended_sampler_and_the_report_shows_it(trained):
    shown = run("recommend", trained, "--samplers", "drs,obrs", "-n", 400)
    found = json.loads((trained / RECOMMENDATION_FILE).read_text())
    assert set(found["candidates"]) == {"direct", "drs", "obrs"}
    assert found["verdict"] in " ".join(shown.stdout.split())
    work = Workspace(trained)
    assert default_sampler(work) == "recommended"
    expected = found["candidates"][found["recommended"]]["sampler"]
    assert work.recipe.samplers["recommended"] == expected
    assert "recommended-0" in run("sample", trained, "-n", 5).stdout
    run("compare", trained, "--samplers", "direct,recommended", "-n", 50)
    page = write_report(trained).read_text()
    assert "Which sampler to use" in page and found["verdict"][:20] in page
    section = page[page.index("Which sampler to use") :]
    assert '<td data-of="C2ST"><span>' in section[: section.index("</section>")]
    assert "gantandem recommend" in page  # among the commands


@pytest.mark.slow
def test_what_was_recommended_goes_with_the_older_guide(trained, tmp_path):
    own = shutil.copytree(trained, tmp_path / "own")
    run("recommend", own, "--samplers", "obrs", "-n", 400)
    first = Workspace(own).passes["recommend"]
    run("recommend", own, "--samplers", "obrs", "-n", 400)
    assert Workspace(own).passes["recommend"] >= first  # what was spent before stays
    run("compare", own, "--samplers", "direct", "-n", 50)
    stale = "networks that the run no longer holds"
    assert stale not in write_report(own).read_text()
    run("shape", own, "shape.updates=4", "shape.batch=20", "shape.check_samples=100")
    work = Workspace(own)
    assert "recommended" not in work.recipe.samplers and default_sampler(work) != "recommended"
    run("fit-ratio", own, *SMALL, "--samplers", "direct")
    noted = json.loads((own / RECOMMENDATION_FILE).read_text())
    assert (stale in write_report(own).read_text()) == (noted["recommended"] == "obrs")


def test_a_wrong_metric_is_named_and_nothing_is_kept(trained):
    before = {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()}
    shown = run("recommend", trained, "--by", "beauty", "-n", 400, code=2)
    assert "recommend by: got 'beauty'; " in shown.stderr
    assert {p: p.read_bytes() for p in trained.rglob("*") if p.is_file()} == before


@pytest.mark.slow
def test_the_guide_that_is_recommended_becomes_the_runs(trained, tmp_path, monkeypatch):
    """Whatever is recommended can be drawn with what the run holds afterwards."""
    from gantandem.evaluate import recommendation

    monkeypatch.setattr(
        recommendation.Recommendation, "_choose", lambda self: "collaborative at data"
    )
    shape = ["shape.updates=4", "shape.batch=20", "shape.check_samples=100"]
    run("recommend", trained, *SMALL, *shape, "-n", 400, "--layers", "data")
    work = Workspace(trained)
    assert work.gan.proposal is not None and work.passes["recommend"] > 0
    assert "30 samples" in run("sample", trained, "-n", 30, "--out", tmp_path / "drawn").stdout
    assert (trained / "evidence/shaping.json").is_file()
