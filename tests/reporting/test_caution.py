"""What the report warns of, and what it does not."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from gantandem.reporting import write_report
from gantandem.reporting.caution import cautions
from gantandem.reporting.evidence import read_evidence
from synthetic_run import changed, diagnosis


def warnings_after(run: Path, folder: Path, change) -> str:
    return "\n".join(cautions(read_evidence(changed(run, folder, change))))


def test_what_is_well_is_not_warned_of(planar, tmp_path):
    shutil.copytree(planar, tmp_path / "run")
    (tmp_path / "run/evidence/diagnosis.json").write_text(json.dumps({"refine": diagnosis(0.8)}))
    assert cautions(read_evidence(tmp_path / "run")) == []


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"good": 0.1}, "collaborative made samples worse than the plain generator: good 0.2"),
        ({"sliced_w1": 1.5}, "collaborative made samples worse"),
        ({"within_mode_std": 0.4}, "collaborative collapses within the modes"),
        ({"modes": 6}, "collaborative reaches 6 of 8 modes"),
    ],
)
def test_a_bad_number_is_warned_of(planar, tmp_path, changes, wanted):
    text = warnings_after(
        planar,
        tmp_path / "run",
        lambda metrics: metrics["samplers"]["collaborative"]["metrics"].update(changes),
    )
    assert wanted in text


@pytest.mark.parametrize(
    ("metric", "plain", "ours", "n_real", "wanted"),
    [
        ("precision", 0.80, 0.70, 2000, "lowered the precision of the plain generator"),
        ("precision", 0.80, 0.78, 2000, ""),  # chance
        ("precision", 0.80, 0.70, 100, ""),  # which is larger where real data are few
        ("precision", 0.999, 0.99, 2000, ""),  # alike
        ("density", 0.90, 0.60, 2000, "became 0.600"),
        ("density", 0.90, 0.80, 2000, ""),
        ("density", 1.90, 0.94, 2000, ""),  # as dense as real data
        ("recall", 0.80, 0.10, 2000, ""),  # which acceptance may well lower
    ],
)
def test_samples_that_are_less_among_real_ones_are_told(
    planar, tmp_path, metric, plain, ours, n_real, wanted
):
    def change(metrics):
        rows = metrics["samplers"]
        metrics["floor"]["n"] = n_real
        rows["direct"]["metrics"][metric] = plain
        rows["collaborative"]["metrics"][metric] = ours

    said = warnings_after(planar, tmp_path / "run", change)
    told = [line for line in said.splitlines() if line.startswith("collaborative lowered")]
    assert len(told) == bool(wanted) and all(wanted in line and "try" in line for line in told)


def test_few_real_data_are_told(planar, tmp_path):
    for place, n_real in enumerate((50, 1999, 2000, None)):
        said = warnings_after(
            planar, tmp_path / str(place), lambda m, n=n_real: m["floor"].update(n=n)
        )
        few = "2,000 samples were measured by" in said
        assert few == (n_real in (50, 1999))
        assert not few or f"by {n_real:,} held-out real ones" in said


def test_events_are_counted_and_an_undiagnosed_discriminator_is_named(images, tmp_path):
    def change(metrics):
        metrics["samplers"]["refine"]["events"] = {"exhausted": 64, "stuck": 0}

    text = warnings_after(images, tmp_path / "run", change)
    assert "refine: 64 of 128 samples used up their attempts" in text and "(50%)" in text
    assert "never moved" not in text
    assert "never diagnosed" in text
    assert "refine made samples worse than the plain generator: Fréchet distance 126" in text


def test_what_was_done_is_no_fault_and_faults_are_shares_of_what_they_are_part_of(images, tmp_path):
    def change(metrics):
        counters = {"moves": 12_800, "moves_accepted": 9_000, "of_a_users_own": 7}
        faults = {"nonfinite": 1, "excess": 2, "stuck": 3, "divergent": 128}
        metrics["samplers"]["refine"]["events"] = {**counters, **faults}

    said = warnings_after(images, tmp_path / "run", change).splitlines()
    said = [line for line in said if line.startswith("refine: ")]
    assert [line.split(" had ")[0].split(" were ")[0] for line in said][:2] == [
        "refine: 1 of 1,024 proposals",
        "refine: 2 of 1,024 proposals",
    ]
    assert "refine: 3 of 128 chains never moved" in said[2] and "(2.34%)" in said[2]
    assert "refine: 128 of 12,800 moves" in said[3] and "(1%)" in said[3]
    assert len(said) == 4


def test_plain_samples_chosen_badly_are_not_laid_to_refinement(images, tmp_path):
    def change(metrics):
        worse = {**metrics["samplers"]["direct"]["metrics"], "frechet_distance": 1e4}
        chosen = {"name": "obrs", "proposal": {"name": "direct"}}
        metrics["samplers"]["obrs"] = {
            **metrics["samplers"]["direct"],
            "metrics": worse,
            "sampler": chosen,
        }

    text = warnings_after(images, tmp_path / "run", change)
    (said,) = [line for line in text.splitlines() if line.startswith("obrs made samples worse")]
    assert "Its ratio accepts the wrong samples" in said and "step size" not in said


def test_only_the_last_diagnosis_of_a_law_is_warned_of(planar, tmp_path):
    shutil.copytree(planar, tmp_path / "run")
    path = tmp_path / "run/evidence/diagnosis.json"
    path.write_text(json.dumps({"old": diagnosis(-29.0, law="a"), "new": diagnosis(1.0, law="a")}))
    assert cautions(read_evidence(tmp_path / "run")) == []
    path.write_text(json.dumps({"old": diagnosis(1.0, law="a"), "new": diagnosis(-29.0, law="a")}))
    assert "The ratio on new: it is not calibrated: |Z| is 29" in "\n".join(
        cautions(read_evidence(tmp_path / "run"))
    )


@pytest.mark.usefixtures("no_pixels")
def test_whether_a_ratio_can_be_trusted_is_answered_with_every_reason(planar, tmp_path):
    laws = {
        "good": diagnosis(0.1, law="a", warnings=[], mean_ratio=1.01, effective_share=0.31),
        "bad": diagnosis(0.1, law="b", warnings=["its mean is <1.9>", "few count"]),
        "old": diagnosis(0.1, law="c"),
        "older": diagnosis(9.0, law="d"),
        "slight": diagnosis(-8.0, law="e", warnings=[]),  # beyond the noise, if not by much
    }
    laws["good"]["standard_errors"] = {"mean_ratio": 0.02, "auc": 0.004}
    run = Path(shutil.copytree(planar, tmp_path / "run"))
    (run / "evidence/diagnosis.json").write_text(json.dumps(laws))
    text = write_report(run).read_text()
    answers = re.findall(r"<figcaption>(\w+)</figcaption><p class='note'>(.*?)</p>", text)
    said = dict(answers)
    assert said["good"].startswith("<b>Yes</b>")
    assert said["bad"] == "<b>No</b>: its mean is &lt;1.9&gt;; few count."
    assert said["old"].startswith("<b>Not known.</b>") and "Z alone" in said["old"]
    assert said["older"].startswith("<b>No</b>: it is not calibrated: |Z| is 9")
    assert said["slight"].startswith("<b>No</b>: it is not calibrated: |Z| is 8")
    assert "<td>1.010 ± 0.020</td>" in text and "<td>0.5610 ± 0.0040</td>" in text
    assert "<td>0.310</td>" in text
    warned = "\n".join(cautions(read_evidence(run)))
    assert "The ratio on bad: its mean is <1.9>; few count. Samplers" in warned
    assert "ratio on good" not in warned and "ratio on old:" not in warned
