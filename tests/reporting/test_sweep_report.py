"""What is shown of a sweep: fronts, values beside the points, the section of the report."""

from __future__ import annotations

import math
import re

import pytest
from matplotlib.text import Annotation

from gantandem.reporting.pareto import pareto_section
from gantandem.reporting.pareto_figure import pareto_figure


def made_up(places, **changes):
    points = [
        {
            "label": f"s{line} knob={value:g}", "sampler": f"s{line}", "knob": "knob",
            "value": value, "fitted": False, "passes_per_sample": passes, "setup_passes": 10,
            "samples_per_second": 5.0, "metrics": {"good": good, "coverage": wide, "js": js},
        }
        for line, value, passes, good, wide, js in places
    ]  # fmt: skip
    from gantandem.evaluate.sweeping import mark_fronts
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


@pytest.mark.slow
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


@pytest.mark.usefixtures("no_pixels")
def test_the_section_lists_the_front_and_what_was_left_out():
    sweep = made_up(CROWD[:8], skipped=[{"label": "b <x>=2", "reason": "no ratio & none fitted"}])
    text = pareto_section(sweep)
    front = [p["label"] for p in sweep["points"] if p["on_front"]["quality_diversity"]]
    rows = re.findall(r'<th scope="row">([^<]*)</th>', text)
    assert rows == front
    assert "b &lt;x&gt;=2: no ratio &amp; none fitted" in text
    assert 'src="data:image/png;base64,' in text and "http" not in text.replace("base64", "")
    assert pareto_section({}) == ""


@pytest.mark.parametrize("made", [{"ratios": "x"}, {"ratios": [1]}, {"ratios": 2.5}])
def test_damaged_notes_of_weights_are_no_proof_of_these_networks(made):
    from gantandem.reporting.stale import older

    now = {"generator": "a", "guide": None, "ratios": {}}
    assert older({"generator": "a", "guide": None, **made}, now)
    assert older({**now, "ratios": {}}, {**now, **made})
