"""The report: what it shows and refuses, from run folders with made-up numbers."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from gantandem.cli.show import history_table
from gantandem.display.table import markdown_table
from gantandem.errors import DataError
from gantandem.reporting import summary_figure, write_report
from gantandem.reporting.curves import shaping_figure
from gantandem.reporting.evidence import read_evidence
from gantandem.reporting.keep import note_command
from synthetic_run import changed, image_run, planar_run

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
        ("metrics.json", b'{"schema": 1, "samplers": {"direct": 3}}', "damaged: samplers.direct: "),
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


def test_a_shaping_history_too_short_for_a_curve_draws_none():
    assert shaping_figure([{"update": 0, "distance": 1.0}]) is None
    assert shaping_figure([{"update": 0, "distance": None}, {"update": 1, "distance": 2.0}]) is None


@pytest.mark.parametrize(
    ("kept", "marked", "label"),
    [
        (3, (3, 1.05), "guide kept"),
        (0, (0, 4.0), "guide kept"),
        (None, (2, 1.0), "does not say which guide"),
    ],
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
