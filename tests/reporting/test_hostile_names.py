"""Names that somebody else chose are shown as they are: in the terminal, a page, a figure."""

from __future__ import annotations

import io
import json
import shutil
import warnings

import numpy as np
import pytest

from gantandem.cli.frame import Terminal
from gantandem.cli.show import comparison_table, sweep_table
from gantandem.display.panels import panels_figure
from gantandem.display.plane import modes_figure
from gantandem.display.style import literal, png
from gantandem.reporting import write_report
from synthetic_run import planar_run

NAMES = ("[red]x[/red]", "[/]", "$x_{1$", "$x$", "<b>", "\x1b[31m")
SHOWN = (*NAMES[:-1], r"\x1b[31m")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    folder = planar_run(tmp_path_factory.mktemp("run") / "planar")
    metrics = json.loads((folder / "metrics.json").read_text())
    row = metrics["samplers"]["direct"]
    metrics["samplers"].update(dict.fromkeys(NAMES, row))
    row["metrics"].update(dict.fromkeys(NAMES, 0.5))
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder, metrics


def printed(what):
    file = io.StringIO()
    Terminal(file=file, width=400, force_terminal=False, soft_wrap=True).print(what, markup=False)
    return file.getvalue()


def test_a_comparison_in_the_terminal(hostile):
    text = printed(comparison_table(hostile[1]))
    assert all(text.count(name) == 2 for name in SHOWN if name not in ("[/]", "$x$"))
    assert "\x1b" not in text


def test_a_sweep_in_the_terminal():
    role = {"key": "good", "better": "high", "label": NAMES[0]}
    on = dict.fromkeys(("quality_diversity", "quality_passes", "diversity_passes"), True)
    on["distance_passes"] = True
    point = {
        "on_front": on, "metrics": {"good": 0.5}, "passes_per_sample": 1, "setup_passes": 0,
        "samples_per_second": 1.0, "fitted": False,
    }  # fmt: skip
    sweep = {
        "points": [{**point, "label": name} for name in NAMES], "floor": {"good": 1.0},
        "pareto": dict.fromkeys(("quality", "diversity", "distance"), role),
        "skipped": [{"sampler": name, "label": f"{name}=1"} for name in NAMES],
    }  # fmt: skip
    text = printed(sweep_table(sweep))
    assert all(text.count(name) >= 2 for name in SHOWN) and "\x1b" not in text


def test_a_message_in_the_terminal():
    assert printed("a\n" + " ".join(NAMES)) == "a\n" + " ".join(SHOWN) + "\n"


@pytest.mark.usefixtures("no_pixels")
def test_a_report(hostile, tmp_path):
    text = write_report(shutil.copytree(hostile[0], tmp_path / "run")).read_text()
    assert "&lt;b&gt;" in text and "<td><b>" not in text and "[red]x[/red]" in text


@pytest.mark.parametrize(("name", "shown"), list(zip(NAMES, SHOWN, strict=True)))
def test_figures(name, shown):
    points = np.random.default_rng(0).normal(size=(50, 2))
    fig = panels_figure([(name, points, {})], points)
    modes = modes_figure({name: [0.5, 0.5]}, None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert png(fig) and png(modes)
    text = fig.axes[0].title
    assert text._preprocess_math(text.get_text().strip()) == (shown, False)
    assert modes.axes[0].get_legend_handles_labels()[1] == [literal(name)]
