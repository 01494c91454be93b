"""Sweeps: what is varied, what is measured of it, and that no ratio judges another law."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import shutil
from pathlib import Path

import pytest
import torch
from matplotlib.text import Annotation
from torch import nn
from typer.testing import CliRunner

import gantandem
from gantandem import (
    GAN,
    MALA,
    OBRS,
    SAMPLERS,
    Direct,
    Metropolis,
    Refine,
    Rejection,
    Sweep,
    compare,
    from_config,
    to_config,
)
from gantandem.cli import app
from gantandem.errors import ConfigError, DataError, InputError
from gantandem.knobs import SWEEPS, default_sweeps, parse_sweep, plan
from gantandem.metrics.pareto import Axis, Pareto
from gantandem.report.pareto import pareto_figure, pareto_section, write_pareto
from gantandem.samplers.base import Selector
from gantandem.score import Ratio, Score
from gantandem.sweeping import sweep
from targets import gaussian

N = 64
PARETO = Pareto(Axis("mean", "high"), Axis("std", "one"), Axis("mean", "low"))


def numbers(x):
    return {"mean": float(x.mean()), "std": float(x.std())}


def run_sweep(gan, samplers, n=N, **options):
    return sweep(gan, samplers, numbers, n, width=32, **options)


# -- what is varied ------------------------------------------------------------------------------


def test_a_line_of_settings_keeps_the_order_given():
    planned = plan({"o": OBRS(), "d": Direct()}, {"o": [Sweep("expected", (8, 2.5))]})
    assert [one.label for one in planned] == ["o expected=8", "o expected=2.5", "d"]
    assert [one.sampler for one in planned] == [OBRS(expected=8), OBRS(expected=2.5), Direct()]


def test_two_knobs_are_varied_one_at_a_time():
    lines = [Sweep("expected", (2,)), Sweep("proposal.steps", (3, 4))]
    base = OBRS(proposal=Refine(steps=9), expected=5)
    found = [one.sampler for one in plan({"o": base}, {"o": lines})]
    assert found == [
        OBRS(proposal=Refine(steps=9), expected=2),
        OBRS(proposal=Refine(steps=3), expected=5),
        OBRS(proposal=Refine(steps=4), expected=5),
    ]


@pytest.mark.parametrize(
    ("text", "name", "knob", "values"),
    [
        ("obrs.expected=2,4.5", "obrs", "expected", (2, 4.5)),
        ("collaborative.proposal.stop=random,last", "collaborative", "proposal.stop",
         ("random", "last")),
        ("my.module:Own.rate=1e-3", "my.module:Own", "rate", (0.001,)),
        ("refine.clamp=[0,1],null", "refine", "clamp", ((0, 1), None)),
    ],
)  # fmt: skip
def test_a_sweep_is_read_from_text(text, name, knob, values):
    assert parse_sweep(text) == (name, Sweep(knob, values))


MISTAKES = {
    "obrs=2,4": "wanted is SAMPLER.KNOB",
    "obrs.expected": "wanted is SAMPLER.KNOB",
    ".expected=2": "wanted is SAMPLER.KNOB",
    "obrs.=2": "wanted is SAMPLER.KNOB",
    "obrs.expected=": "no value given",
    "obrs.expected=[2": "not a list of values",
    "obrs.expected=2,4,2": "2 is given twice",
    "obrs.expected=2,2.0": "2 is given twice",
    "obrs.expcted=2": "did you mean 'expected'",
    "obrs.expected=two": "value 'two' is of type str; allowed is float",
    "obrs.expected=true": "type bool; allowed is float",
    "obrs.expected=.inf": "finite",
    "obrs.expected=0.5": "obrs expected: got 0.5, allowed is 1 or more",
    "obrs.expected.more=2": "has no knobs inside",
    "obrs.proposal=2": "proposal is a sampler",
    "obrs.proposal.steps=2": "direct has no knob 'steps'",
    "refine.steps=2.5": "value 2.5 is of type float; allowed is int",
    "refine.stop=lst": "allowed is Literal['random'",
    "refine.steps=0": "refine steps: got 0",
    "obr.expected=2": "unknown sampler 'obr'; did you mean 'obrs'",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistaken_sweep_is_refused_with_what_is_allowed(text):
    with pytest.raises(InputError, match=re.escape(MISTAKES[text])):
        name, line = parse_sweep(text)
        plan({"obrs": OBRS(), "refine": Refine()}, {name: [line]})


def test_a_knob_given_twice_is_refused():
    with pytest.raises(ConfigError, match=r"obrs\.expected is given twice"):
        plan({"obrs": OBRS()}, {"obrs": [Sweep("expected", (2,)), Sweep("expected", (4,))]})


WITHOUT_A_KNOB = {"latent_reweight"}


def test_every_built_in_sampler_is_in_the_table():
    assert set(SWEEPS) | WITHOUT_A_KNOB == set(SAMPLERS)
    for name in SWEEPS:
        planned = plan({name: from_config(name)}, default_sweeps({name: from_config(name)}))
        assert len(planned) >= 4
        assert len({json.dumps(to_config(one.sampler)) for one in planned}) == len(planned)


def test_knobs_of_selectors_in_the_table_leave_the_law_alone():
    for name, kind in SAMPLERS.items():
        if isinstance(kind(), Selector):
            assert not SWEEPS[name].knob.startswith("proposal.")


def test_the_table_goes_by_the_kind_of_sampler_not_by_its_name():
    assert default_sweeps({"mine": OBRS(proposal=Refine())}) == {"mine": [SWEEPS["obrs"]]}


# -- what is measured ----------------------------------------------------------------------------


def test_a_row_is_what_compare_says_of_that_sampler():
    gan = gaussian().gan
    lines = {"obrs": [Sweep("expected", (1.5, 3.0))]}
    found = run_sweep(gan, {"obrs": OBRS(pilot=256)}, sweeps=lines)
    assert not found.skipped
    for row, expected in zip(found.points, (1.5, 3.0), strict=True):
        alone = compare(gan, {"o": OBRS(expected=expected, pilot=256)}, numbers, N, width=32)[
            "o"
        ].row
        for key in ("metrics", "passes_per_sample", "setup_passes", "acceptance", "n", "events"):
            assert row[key] == alone[key], key
        assert row["settings"] == alone["sampler"]
        assert (row["sampler"], row["knob"], row["value"]) == ("obrs", "expected", expected)
        assert row["fitted"] is False
    passes = [row["passes_per_sample"] for row in found.points]
    assert passes == sorted(passes)


def test_fronts_are_marked_by_the_axes_given():
    gan = gaussian().gan
    found = run_sweep(
        gan,
        {"obrs": OBRS(pilot=256), "direct": Direct()},
        sweeps={"obrs": [Sweep("expected", (1.5, 2, 3))]},
        pareto=PARETO,
    )
    marks = {row["label"]: row["on_front"] for row in found.points}
    assert set(marks["direct"]) == {
        "quality_diversity", "quality_passes", "diversity_passes", "distance_passes",
    }  # fmt: skip
    assert all(marks["direct"][f"{role}_passes"] for role in ("quality", "diversity", "distance"))
    best = max(found.points, key=lambda row: row["metrics"]["mean"])
    assert best["on_front"]["quality_diversity"] and best["on_front"]["quality_passes"]
    assert not all(row["on_front"]["quality_passes"] for row in found.points)


class Line(nn.Module):
    """A ratio network that can be told apart by its weight."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope))

    def forward(self, x):
        return self.slope * x[:, 0]


def pair(output="logit"):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return GAN(nn.Linear(2, 2), Line(0.5), 2, output=output)


class Fitter:
    """Fits nothing, but gives a ratio of its own to each law and says what it was asked for."""

    def __init__(self) -> None:
        self.asked = []

    def __call__(self, gan, mover):
        self.asked.append(mover)
        ready, _ = gantandem.prepare(gan, mover)
        fitted = gan.with_ratio(gan.law(ready), Ratio(Score(Line(len(gan.ratios) + 1.0))))
        fitted.setup_passes += 1000
        return fitted


REFINE = Refine(steps=2, step_size=0.1)


def test_a_law_without_a_ratio_is_skipped_and_never_judged(caplog):
    """The pair's own discriminator is a ratio of p_G and must not judge refined proposals."""
    samplers = {"accept": OBRS(proposal=REFINE, pilot=64), "plain": OBRS(pilot=64)}
    lines = {"accept": [Sweep("expected", (2, 4))], "plain": [Sweep("expected", (2,))]}
    found = run_sweep(pair(), samplers, sweeps=lines)
    assert [row["label"] for row in found.points] == ["plain expected=2"]
    assert [row["label"] for row in found.skipped] == ["accept expected=2", "accept expected=4"]
    for row in found.skipped:
        assert "no ratio was fitted on the law of its refine proposals" in row["reason"]
    lines_told = [r for r in caplog.records if r.levelname == "WARNING" and "skipped" in r.message]
    assert len(lines_told) == 1  # one line for a reason that both settings share


def test_a_knob_inside_the_proposal_changes_the_law():
    gan = Fitter()(pair(), REFINE)
    accept = OBRS(proposal=REFINE, pilot=64)
    found = run_sweep(gan, {"a": accept}, sweeps={"a": [Sweep("proposal.steps", (2, 3))]})
    assert [row["value"] for row in found.points] == [2]
    assert [row["value"] for row in found.skipped] == [3]


def test_a_missing_ratio_is_fitted_once_and_its_passes_are_told_of_every_point_that_needs_it():
    gan, fitter = pair(), Fitter()
    samplers = {"accept": OBRS(proposal=REFINE, pilot=64), "plain": OBRS(pilot=64)}
    lines = {
        "accept": [Sweep("expected", (2, 4)), Sweep("proposal.steps", (3,))],
        "plain": [Sweep("expected", (2,))],
    }
    found = run_sweep(gan, samplers, sweeps=lines, fit=fitter)
    assert fitter.asked == [REFINE, dataclasses.replace(REFINE, steps=3)]
    rows = {row["label"]: row for row in found.points}
    assert [row["fitted"] for row in found.points] == [True, True, True, False]
    assert rows["plain expected=2"]["setup_passes"] == 64
    first, second = rows["accept expected=2"], rows["accept expected=4"]
    assert first["law"] == second["law"] != rows["accept proposal.steps=3"]["law"]
    assert first["setup_passes"] == second["setup_passes"] > 1000
    assert set(found.gan.ratios) - set(gan.ratios) == {
        first["law"], rows["accept proposal.steps=3"]["law"],
    }  # fmt: skip
    # ... and that very ratio judges: the same as a comparison on the GAN that came back
    alone = compare(found.gan, {"o": OBRS(proposal=REFINE, pilot=64, expected=4)}, numbers, N,
                    width=32)["o"].row  # fmt: skip
    assert second["metrics"] == alone["metrics"]


def test_a_fit_that_brings_no_ratio_of_that_law_is_not_taken():
    with pytest.raises(InputError, match="returned no ratio of law"):
        run_sweep(pair(), {"a": OBRS(proposal=REFINE)}, sweeps={}, fit=lambda gan, mover: gan)


def test_chains_in_latent_space_need_the_ratio_of_the_plain_generator():
    """A critic is no ratio: without a fit the chain is skipped, with one it walks on it."""
    gan, fitter = pair(output="critic"), Fitter()
    mala = MALA(steps=2, step_size=0.1)
    samplers = {"mala": mala, "direct": Direct()}
    assert [row["label"] for row in run_sweep(gan, samplers, sweeps={}).points] == ["direct"]
    found = run_sweep(gan, samplers, sweeps={}, fit=fitter)
    assert fitter.asked == [Direct()]
    assert [(row["label"], row["fitted"]) for row in found.points] == [
        ("mala", True), ("direct", False),
    ]  # fmt: skip
    assert found.points[0]["setup_passes"] == 1000


def test_a_spent_budget_skips_that_setting_alone():
    spent = Rejection(budget=40)
    found = run_sweep(gaussian().gan, {"r": spent}, sweeps={"r": [Sweep("log_max", (60.0, 0.0))]})
    assert [row["value"] for row in found.points] == [0.0]
    assert "used up their attempts" in found.skipped[0]["reason"]


def test_nothing_measured_is_an_error_with_every_reason():
    with pytest.raises(InputError, match=r"no setting could be measured\n.*law of its refine"):
        run_sweep(pair(), {"a": OBRS(proposal=REFINE)}, sweeps={})


@pytest.mark.parametrize("n", [0, 2.5, True])
def test_n_is_checked_before_anything_is_drawn(n):
    with pytest.raises(InputError, match="n: got"):
        run_sweep(pair(), {"d": Direct()}, n=n)


def test_an_interruption_keeps_what_was_finished(monkeypatch):
    seen = []

    def stopping(gan, samplers, *arguments, **options):
        result = compare(gan, samplers, *arguments, **options)
        if "second" in result:
            result["second"].samples.manifest["interrupted"] = True
        return result

    monkeypatch.setattr("gantandem.sweeping.compare", stopping)
    samplers = {"first": Direct(), "second": Metropolis(), "third": Direct()}
    with pytest.raises(KeyboardInterrupt):
        run_sweep(
            gaussian().gan,
            samplers,
            sweeps={},
            on_point=lambda swept: seen.append([row["label"] for row in swept.points]),
        )
    assert seen == [["first"]]


# -- what is shown -------------------------------------------------------------------------------


def made_up(places, **changes):
    points = [
        {
            "label": f"s{line} knob={value:g}", "sampler": f"s{line}", "knob": "knob",
            "value": value, "fitted": False, "passes_per_sample": passes, "setup_passes": 10,
            "samples_per_second": 5.0, "metrics": {"good": good, "coverage": wide, "js": js},
        }
        for line, value, passes, good, wide, js in places
    ]  # fmt: skip
    from gantandem.sweeping import mark_fronts
    from gantandem.tasks import get_task

    axes = get_task("imbalanced-8").pareto
    mark_fronts(points, axes)
    return {
        "schema": 1, "task": "imbalanced-8", "seed": 0, "n": 4000, "points": points,
        "floor": {"good": 0.9997, "coverage": 0.968, "js": 0.0003},
        "pareto": {
            role: {"key": axis.key, "better": axis.better, "label": axis.title}
            for role, axis in axes._asdict().items()
        },
        "skipped": [], **changes,
    }  # fmt: skip


CROWD = [
    (line, float(value), 20.0 * value * (1 + 0.02 * line), 0.99 + 0.0004 * value, 0.96, 1e-3)
    for line in range(6)
    for value in range(1, 9)
]


def test_values_beside_the_points_never_overlap():
    fig = pareto_figure(made_up(CROWD), opaque=True)
    fig.canvas.draw()
    for panel in fig.axes:
        texts = [one for one in panel.texts if isinstance(one, Annotation)]
        boxes = [one.get_window_extent() for one in texts]
        assert len(texts) >= 4
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_the_front_is_a_step_line_through_the_points_on_it():
    places = [
        (0, 1.0, 1.0, 0.2, 0.5, 0.4),
        (0, 2.0, 10.0, 0.6, 0.4, 0.2),
        (1, 1.0, 20.0, 0.5, 1, 1),
    ]
    sweep = made_up(places)
    fig = pareto_figure(sweep)
    panel = fig.axes[1]  # passes against quality: the third point is beaten by the second
    steps = [line for line in panel.lines if line.get_drawstyle() == "steps-post"]
    corners = list(zip(*steps[0].get_data(), strict=True))
    assert [on["on_front"]["quality_passes"] for on in sweep["points"]] == [True, True, False]
    assert (1.0, 0.2) in corners and (10.0, 0.6) in corners and (20.0, 0.5) not in corners


def test_every_axis_says_which_way_is_better():
    fig = pareto_figure(made_up(CROWD))
    labels = [label for panel in fig.axes for label in (panel.get_xlabel(), panel.get_ylabel())]
    assert labels == [
        "good   better →", "coverage   better →",
        "← better   network passes per sample", "good   better →",
        "← better   network passes per sample", "coverage   better →",
        "← better   network passes per sample", "← better   JS",
    ]  # fmt: skip


def test_undefined_numbers_and_other_directions_are_drawn_without_complaint():
    sweep = made_up([(0, 1.0, 1.0, math.nan, 0.9, 0.0), (0, 2.0, 2.0, 0.5, 1.1, None)])
    sweep["pareto"]["diversity"]["better"] = "one"
    sweep["floor"] = {}
    assert len(pareto_figure(sweep).axes) == 4


def test_the_section_lists_the_front_and_what_was_left_out():
    sweep = made_up(CROWD[:8], skipped=[{"label": "b <x>=2", "reason": "no ratio & none fitted"}])
    text = pareto_section(sweep)
    front = [p["label"] for p in sweep["points"] if p["on_front"]["quality_diversity"]]
    rows = re.findall(r'<th scope="row">([^<]*)</th>', text)
    assert rows == front
    assert "b &lt;x&gt;=2: no ratio &amp; none fitted" in text
    assert 'src="data:image/png;base64,' in text and "http" not in text.replace("base64", "")
    assert pareto_section({}) == ""


# -- the command ---------------------------------------------------------------------------------

TINY = ["train.iterations=30", "train.batch_size=64", "fit_ratio.pool=600", "fit_ratio.batch=64",
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


def test_default_and_spelled_out_sweeps_go_together(work):
    command("compare", work, "--samplers", "refine,level", "-n", 60,
            "--sweep", "default", "--sweep", "level.expected=1.5")  # fmt: skip
    rows = json.loads((work / "sweep.json").read_text())["points"]
    assert [row["value"] for row in rows] == [*SWEEPS["refine"].values, 1.5]


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
    assert {row["law"] for row in rows} <= {path.stem for path in (work / "ratios").iterdir()}
    command(*words)  # the ratios were kept: no need to fit again
    rows = json.loads((work / "sweep.json").read_text())["points"]
    assert [row["fitted"] for row in rows] == [False, False]


def test_other_weights_make_a_sweep_obsolete(work):
    command("compare", work, "--sweep", "refine.steps=1", "-n", 20)
    changes = [change for change in TINY if "iterations" not in change]
    command("train", "imbalanced-8", "-o", work, "train.iterations=31", *changes)
    assert not (work / "sweep.json").exists() and not (work / "sweep.png").exists()


WRONG = {
    ("--sweep", "obr.expected=2"): ["unknown sampler 'obr'", "'obrs'"],
    ("--sweep", "obrs.expcted=2"): ["obrs has no knob 'expcted'", "'expected'"],
    ("--sweep", "obrs.expected=two"): ["value 'two' is of type str", "float"],
    ("--sweep", "obrs.expected=2,2"): ["2 is given twice"],
    ("--sweep", "obrs.expected=2", "--sweep", "obrs.expected=4"): ["obrs.expected", "twice"],
    ("--sweep", "obrs.expected"): ["wanted is SAMPLER.KNOB"],
    ("--sweep", "obrs.expected=0"): ["obrs expected: got 0"],
    ("--sweep", "refine.steps=2", "-n", "5"): ["n: got 5", "6 or more"],
    ("--fit",): ["--fit belongs to --sweep"],
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
