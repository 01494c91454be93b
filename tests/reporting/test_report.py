"""The report: what it shows, warns of and refuses, from run folders with made-up numbers."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gantandem.cli.show import history_table
from gantandem.display import pictures, plane
from gantandem.display.table import COLUMNS, best, markdown_table, show, show_percent
from gantandem.errors import DataError
from gantandem.reporting import summary_figure, write_report
from gantandem.reporting.caution import cautions
from gantandem.reporting.curves import shaping_figure
from gantandem.reporting.evidence import read_evidence
from gantandem.reporting.keep import note_command
from synthetic_run import MODES, diagnosis, image_run, mixture, planar_run

VOID = {"meta", "img", "link", "br", "hr", "input"}


class Page(HTMLParser):
    """Reads a page: texts of the table's cells, addresses, and whether every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.rows: list[list[tuple[str, bool]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.addresses += [values[k] for k in ("src", "href", "data") if k in values]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th") and self.rows:
            self.rows[-1].append(("", values.get("class") == "best"))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            text, marked = self.rows[-1][-1]
            self.rows[-1][-1] = text + data, marked


@pytest.fixture(scope="module")
def planar(tmp_path_factory) -> Path:
    return planar_run(tmp_path_factory.mktemp("run") / "planar")


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    return image_run(tmp_path_factory.mktemp("run") / "images")


def changed(run: Path, folder: Path, change) -> Path:
    """A copy of a run whose metrics were changed."""
    shutil.copytree(run, folder)
    metrics = json.loads((folder / "metrics.json").read_text())
    change(metrics)
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder


@pytest.mark.parametrize("kind", ["planar", "images"])
def test_the_page_is_whole_and_needs_nothing_from_elsewhere(kind, request):
    path = write_report(request.getfixturevalue(kind))
    text = path.read_text()
    page = Page(text)
    assert page.open == []
    assert len(page.addresses) >= 5
    assert all(address.startswith("data:image/png;base64,") for address in page.addresses)
    assert not re.search(r"https?://|@import|url\(|<script", text)


@pytest.mark.usefixtures("no_pixels")
def test_the_table_has_the_floor_and_marks_the_best_of_each_column(planar):
    rows = {row[0][0]: row[1:] for row in Page(write_report(planar).read_text()).rows if row}
    labels = [cell[0] for cell in rows[""]]
    good, modes = labels.index("good ↑"), labels.index("modes ↑")
    assert rows["real data"][good] == ("0.9996", False)
    assert rows["direct"][good] == ("0.2000", False)
    assert rows["collaborative"][good] == ("0.9995", True)
    assert rows["direct"][modes] == rows["collaborative"][modes] == ("8", False)
    assert rows["collaborative"][labels.index("passes")] == ("79", False)


@pytest.mark.usefixtures("no_pixels")
def test_names_from_files_are_escaped(planar, tmp_path):
    def rename(metrics):
        metrics["task"] = "<script>alert(1)</script>"
        metrics["samplers"]["<i>x</i>"] = metrics["samplers"]["direct"]

    text = write_report(changed(planar, tmp_path / "run", rename)).read_text()
    assert "<script>" not in text and "<i>x</i>" not in text
    assert "&lt;script&gt;" in text and "&lt;i&gt;x&lt;/i&gt;" in text


def test_a_report_needs_nothing_but_metrics(planar, tmp_path):
    (tmp_path / "metrics.json").write_text((planar / "metrics.json").read_text())
    text = write_report(tmp_path).read_text()
    assert "Quality and cost" in text and "Samples beside the data" not in text


@pytest.mark.parametrize(
    ("name", "content", "wanted"),
    [
        ("metrics.json", None, "gantandem compare"),
        ("metrics.json", b"{", "damaged"),
        ("metrics.json", b"[]", "valid dictionary"),
        ("metrics.json", b'{"schema": 2, "samplers": {}}', "schema is 2"),
        ("metrics.json", b'{"schema": 1, "samplers": {}}', "at least 1 item"),
        ("metrics.json", b'{"schema": 1, "samplers": {"direct": 3}}', "samplers.direct: damaged"),
        (
            "metrics.json",
            b'{"schema": 1, "samplers": {"a": {"metrics": [1]}}}',
            "samplers.a.metrics",
        ),
        ("metrics.json", b'{"schema": 1, "samplers": {"a": {"events": 1}}}', "samplers.a.events"),
        ("samples/direct.npz", b"PK\x03\x04 truncated", "direct.npz"),
        ("samples/direct.npz", b"", "direct.npz"),
        ("evidence/landscape.npz", b"nonsense", "landscape.npz"),
        ("evidence/diagnosis.json", b"[1]", "diagnosis.json"),
    ],
)
def test_a_damaged_file_is_named(planar, tmp_path, name, content, wanted):
    run = tmp_path / "run"
    shutil.copytree(planar, run)
    (run / name).unlink()
    if content is not None:
        (run / name).write_bytes(content)
    with pytest.raises(DataError, match=re.escape(wanted)):
        write_report(run)


def test_a_pickle_in_a_sample_file_is_not_opened(planar, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(planar, run)
    np.savez(run / "samples/direct.npz", x=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match=r"direct\.npz"):
        write_report(run)


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


@pytest.mark.parametrize(
    ("share", "text"),
    [(1, "100%"), (0.9996, ">99.9%"), (0.125, "12.5%"), (128, "12,800%"), (1e-7, "<0.001%"),
     (0, "0%"), (None, "–")],
)  # fmt: skip
def test_shares_are_shown_for_people(share, text):
    assert show_percent(share) == text


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
    assert "Its ratio picks the wrong ones" in said and "step size" not in said


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


def test_the_best_is_judged_by_the_way_each_metric_goes():
    column = {column.key: column for column in COLUMNS}

    def winner(key, **values):
        rows = {name: {"metrics": {key: value}} for name, value in values.items()}
        return best({"samplers": rows}, column[key])

    assert winner("good", a=0.5, b=0.9) == {"b"}
    assert winner("kl", a=0.5, b=0.9) == {"a"}
    assert winner("within_mode_std", a=0.8, b=1.1, c=2.0) == {"b"}
    assert winner("within_mode_std_main", a=[1.0, 0.5], b=[0.9, 0.8]) == {"b"}
    assert winner("kl", a=0.00001, b=0.00002, c=0.1) == {"a", "b"}  # shown alike
    assert winner("kl", a=0.1, b=0.1) == set()
    assert winner("kl", a=None, b=0.2, c=0.3) == {"b"}
    assert winner("c2st", a=0.44, b=0.53, c=0.6) == {"b"}
    assert winner("mean_distance", a=0.1, b=0.2) == set()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (8, "8"),
        (8.0, "8"),
        (0, "0"),
        (12345.6, "12,346"),
        (0.00012, "0.00012"),
        (1.234e-9, "1e-09"),
        (0.4198, "0.42"),
        (0.9997, "0.9997"),
        (None, "–"),
        (float("nan"), "–"),
        (True, "–"),
    ],
)
def test_numbers_are_shown_for_people(value, text):
    assert show(value) == text


def test_the_density_has_y_first_and_keeps_its_mass():
    view = plane.View(0.0, 0.0, 10.0)
    grid = plane.density(np.array([[5.0, -5.0]] * 10), view)
    row, column = np.unravel_index(grid.argmax(), grid.shape)
    assert (row, column) == pytest.approx((100, 300), abs=1)
    assert grid.sum() == pytest.approx(1, abs=1e-3)
    assert view.outside(np.array([[0, 11], [0, 9], [-12, 0], [1, 1]])) == 0.5


def test_the_close_up_is_of_the_heaviest_mode():
    weights = np.array([0.1, 0.1, 0.1, 0.4, 0.1, 0.1, 0.05, 0.05])
    points = mixture(5000, np.random.default_rng(1), weights=weights)
    view = plane.whole_view(points)
    assert view.outside(points) == 0
    close = plane.close_view(points, view)
    assert (close.x, close.y) == pytest.approx(tuple(MODES[3]), abs=0.02)
    assert close.half == pytest.approx(5 * 0.141, rel=0.1)


def test_pixels_difference_and_grid_are_exact():
    x = np.array([-1.0, 0.0, 1.0, 3.0]).reshape(4, 1, 1, 1)
    tanh = (-1.0, 1.0)
    assert pictures.to_pixels(x, tanh)[:, 0, 0, 0].tolist() == [0, 128, 255, 255]
    change = pictures.difference_pixels(
        np.zeros((3, 1, 1, 1)), np.array([0, 2, -2.0])[:, None, None, None], tanh
    )
    assert change[:, 0, 0].tolist() == [[255, 255, 255], [0, 0, 255], [255, 0, 0]]
    sheet = pictures.grid(pictures.to_pixels(x[:3], tanh), columns=2)
    assert sheet[:, :, 0].tolist() == [[0, 128, 128], [128, 128, 128], [255, 128, 128]]
    colours = np.arange(3.0).reshape(1, 3, 1, 1) / 2
    assert pictures.to_pixels(colours, tanh)[0, 0, 0].tolist() == [128, 191, 255]


def test_a_shaping_history_too_short_for_a_curve_draws_none():
    assert shaping_figure([{"update": 0, "distance": 1.0}]) is None
    assert shaping_figure([{"update": 0, "distance": None}, {"update": 1, "distance": 2.0}]) is None


@pytest.mark.parametrize(
    ("kept", "marked", "label"),
    [(3, (3, 1.05), "guide kept"), (0, (0, 4.0), "guide kept"), (None, (2, 1.0), "not on record")],
)
def test_the_guide_that_was_kept_is_marked_and_not_the_nearest(kept, marked, label):
    distances = (4.0, 2.0, 1.0, 1.05, 3.0)
    history = [{"update": step, "distance": far} for step, far in enumerate(distances)]
    if kept is not None:
        history[kept]["kept"] = True
    (axes,) = shaping_figure(history).axes
    mark = axes.lines[-1]
    assert (*mark.get_xdata(), *mark.get_ydata()) == marked and label in str(mark.get_label())
    rows = history_table(history).columns[0].cells
    assert [step for step, cell in enumerate(rows) if "●" in cell] == [kept][: kept is not None]


def test_the_summary_is_a_small_picture_and_needs_the_samples(planar, images, tmp_path):
    path = summary_figure(planar, tmp_path / "a/summary.png")
    with Image.open(path) as picture:
        assert picture.size == (960, 375)
    assert summary_figure(images, tmp_path / "b.png", samplers=("refine",)).stat().st_size > 1000
    with pytest.raises(DataError, match="no samples of collaborative"):
        summary_figure(images)


def test_the_markdown_table_has_the_floor_and_the_best_in_bold(planar):
    lines = markdown_table(read_evidence(planar).metrics).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert len({len(line) for line in cells}) == 1
    good = cells[0].index("good")
    assert [line[0] for line in cells[2:]] == ["*real data*", "direct", "collaborative"]
    assert [line[good] for line in cells[2:]] == ["0.9996", "0.2000", "**0.9995**"]


@pytest.mark.slow
@pytest.mark.usefixtures("no_pixels")
def test_the_page_tells_when_and_by_what_it_was_made(tmp_path):
    run = planar_run(tmp_path / "run")
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["date"] = "2026-11-27T03:04:05+00:00"
    (run / "metrics.json").write_text(json.dumps(metrics))
    note_command(run, "gantandem train x <b>", first=True)
    note_command(run, "gantandem compare run")
    note_command(run, "gantandem train x <b>")
    page = write_report(run).read_text()
    assert "Measured on 2026-11-27 03:04 UTC" in page
    made = page.partition("How this was made")[2]
    assert made.index("compare run") < made.index("train x &lt;b&gt;")
    assert made.count("train x") == 1  # of the same command the last time counts


@pytest.mark.usefixtures("no_pixels")
def test_on_a_phone_every_number_has_its_heading_beside_it(tmp_path):
    page = write_report(planar_run(tmp_path / "run")).read_text()
    rows = page.partition('<table class="rows">')[2].partition("</table>")[0]
    numbers = re.findall(r"<td[^>]*>", rows)
    assert numbers and all("data-of=" in one or 'class="none"' in one for one in numbers)
    assert 'data-of="sliced W1"' in rows and "attr(data-of)" in page


@pytest.mark.usefixtures("no_pixels")
def test_of_pictures_that_no_network_looked_at_the_page_says_so(tmp_path):
    run = image_run(tmp_path / "run")
    assert "between pixels" not in write_report(run).read_text()
    metrics = json.loads((run / "metrics.json").read_text())
    for row in metrics["samplers"].values():
        row["metrics"] = {"sliced_w1": 0.1}
    (run / "metrics.json").write_text(json.dumps({**metrics, "floor": {}}))
    page = write_report(run).read_text()
    assert "between pixels" in page and "Sliced Wasserstein-1 distance to the data" in page
