"""The range of images: found, stated, written down, the same in files and in the report."""

from __future__ import annotations

import io
import json
import math
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from typer.testing import CliRunner

from gantandem import Samples
from gantandem.cli import app
from gantandem.data.ranges import check_range, count_clipped, find_range, to_levels
from gantandem.errors import InputError, NonFiniteError
from gantandem.reporting import write_report
from gantandem.runs import Workspace, pretrained_run, sample_run
from gantandem.runs.formats import make_writer
from gantandem.runs.reading import load_recipe

TANH, SIGMOID, BYTES = (-1.0, 1.0), (0.0, 1.0), (0.0, 255.0)


def images(low: float, high: float, *shape: int) -> np.ndarray:
    return np.linspace(low, high, math.prod(shape), dtype="f4").reshape(shape)


def samples(x: torch.Tensor, start: int = 0) -> Samples:
    ids = torch.arange(start, start + len(x))
    zero = torch.zeros_like(ids)
    return Samples(
        x, ids.float()[:, None], ids.double(), zero, zero + 1, ids >= 0, ids, {"seed": 0}
    )


@pytest.mark.parametrize(
    ("x", "wanted"),
    [
        (images(-1, 1, 9, 1, 4, 4), TANH),
        (images(0, 1, 9, 1, 4, 4), SIGMOID),
        (images(0.2, 0.7, 9, 3, 4, 4), SIGMOID),
        (images(-0.3, 0.2, 9, 1, 4, 4), TANH),  # untrained, with a tanh
        (images(0, 255, 9, 1, 4, 4), BYTES),
        (images(3, 40, 9, 1, 4, 4), BYTES),
        (images(0, 9, 9, 1, 4, 4).astype("u1"), BYTES),
        (images(-1.15, 1.15, 9, 1, 4, 4), TANH),  # refined pixels overshoot
        (images(-0.05, 1.05, 9, 1, 4, 4), SIGMOID),
        (images(-2.1, 2.6, 9, 3, 4, 4), None),  # standardised
        (images(-200, 200, 9, 1, 4, 4), None),
        (images(-20, 20, 9, 1, 4, 4), None),
        (images(0, 65_535, 9, 1, 4, 4), None),
        (np.full((2, 1, 2, 2), np.nan), None),
    ],
)
def test_the_range_is_found_by_the_values(x, wanted):
    assert find_range(x) == wanted


def test_a_bright_image_of_a_tanh_is_no_sigmoids():
    x = np.full((10, 1, 10, 10), 0.9)
    x[0, 0, 0, 0] = -1  # one value in a thousand
    assert find_range(x) == TANH


@pytest.mark.parametrize("bounds", [TANH, SIGMOID, BYTES, (-2.5, 2.5)])
def test_all_levels_are_used_and_values_outside_are_counted(bounds):
    low, high = bounds
    x = images(low, high, 256)
    assert to_levels(x, bounds).tolist() == list(range(256))
    level = (high - low) / 255
    outside = np.array([low - 0.6 * level, low - 0.4 * level, high + 0.4 * level, high + 9])
    assert count_clipped(outside, bounds) == 2
    assert to_levels(outside, bounds).tolist() == [0, 0, 255, 255]


@pytest.mark.parametrize("value", [(1, 0), (0, 0), (0,), (0, 1, 2), "ab", 3, (0, math.inf), None])
def test_a_range_that_is_none_is_refused(value, tmp_path):
    with pytest.raises(InputError, match=r"two numbers.*\(-1, 1\)"):
        check_range(value)
    if value is not None:
        with pytest.raises(InputError, match="two numbers"):
            make_writer("png", tmp_path, range=value)


def first_picture(folder, kind: str) -> np.ndarray:
    if kind == "png":
        with Image.open(folder / "000000000000.png") as image:
            return np.asarray(image)
    with tarfile.open(folder / "000000000000.tar") as tar:
        content = tar.extractfile("000000000000.png").read()  # type: ignore[union-attr]
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image)


@pytest.mark.parametrize("kind", ["png", "webdataset"])
@pytest.mark.parametrize(
    ("low", "high", "given"),
    [(-1, 1, None), (0, 1, None), (0, 255, None), (-2.5, 2.5, (-2.5, 2.5)), (0, 1, (0, 1))],
)
def test_pictures_are_as_bright_as_the_images(tmp_path, kind, low, high, given):
    x = torch.from_numpy(images(low, high, 1, 1, 16, 16))
    writer = make_writer(kind, tmp_path, range=given)
    writer.add(samples(x))
    writer.close()
    assert first_picture(tmp_path, kind).ravel().tolist() == list(range(256))
    assert writer.bounds == (low, high) and writer.clipped == 0


@pytest.mark.parametrize("kind", ["png", "webdataset"])
def test_bytes_are_written_as_they_are(tmp_path, kind):
    x = torch.arange(60, 60 + 48, dtype=torch.uint8).view(1, 3, 4, 4)
    writer = make_writer(kind, tmp_path)
    writer.add(samples(x))
    writer.close()
    assert np.array_equal(first_picture(tmp_path, kind), x[0].permute(1, 2, 0).numpy())


@pytest.mark.parametrize("kind", ["png", "webdataset"])
def test_the_first_block_settles_it_and_what_is_clipped_is_counted(tmp_path, kind):
    writer = make_writer(kind, tmp_path)
    writer.add(samples(torch.from_numpy(images(0, 1, 1, 1, 4, 4))))
    writer.add(samples(torch.tensor([[[[-1.0, 0.5], [1.0, 3.0]]]]).repeat(1, 1, 2, 2), 1))
    writer.close()
    assert writer.bounds == SIGMOID and (writer.clipped, writer.values) == (8, 32)


@pytest.mark.parametrize("kind", ["png", "webdataset"])
def test_images_of_no_usual_range_are_refused_with_the_way_out(tmp_path, kind):
    writer = make_writer(kind, tmp_path)
    with pytest.raises(InputError, match=r"from -2.1 to 2.6.*--range=-1,1.*range=\(-1, 1\)"):
        writer.add(samples(torch.from_numpy(images(-2.1, 2.6, 4, 1, 4, 4))))
    assert writer.kept == 0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("kind", ["npz", "png", "parquet", "webdataset"])
def test_what_is_not_finite_is_never_written(tmp_path, kind, value):
    x = torch.rand(12, 1, 4, 4)
    x[6, 0, 2, 1] = x[9] = value
    writer = make_writer(kind, tmp_path)
    with pytest.raises(NonFiniteError, match="samples 46, 49 are not finite"):
        writer.add(samples(x, 40))
    writer.close()
    assert writer.kept == 6
    if kind == "npz":
        assert torch.equal(Samples.load(tmp_path / "000000000040.npz").x, x[:6])
    if kind == "png":
        found = sorted(p.stem for p in tmp_path.glob("*.png"))
        assert found == [f"{i:012d}" for i in range(40, 46)]


# -- runs ----------------------------------------------------------------------------------------


class Painter(nn.Module):
    """Latents (N, 16) to grey images (N, 1, 4, 4), by a sigmoid or a tanh."""

    def __init__(self, end: str = "sigmoid") -> None:
        super().__init__()
        self.linear, self.end = nn.Linear(16, 16), getattr(torch, end)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.end(3 * self.linear(z)).view(-1, 1, 4, 4)


class Critic(nn.Module):
    """Grey images to a logit."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(16, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x.flatten(1)).squeeze(1)


@pytest.fixture
def painted(tmp_path, monkeypatch):
    """Make a run of images with a task of its own, whose range nobody stated."""
    import dataclasses

    from gantandem import tasks

    def make(end: str = "sigmoid", **settings):
        plane = tasks.TASKS["imbalanced-8"]
        task = dataclasses.replace(plane, name="painted", x_shape=(1, 4, 4))
        monkeypatch.setitem(tasks.TASKS, "painted", task)
        generator = {"net": "test_ranges:Painter", "end": end}
        networks = {"generator": generator, "discriminator": {"net": "test_ranges:Critic"}}
        recipe = {"task": "painted", "latent": {"kind": "normal", "dim": 16}, **networks}
        from gantandem.runs.making import as_gan, begin
        from gantandem.runs.recipe import Recipe
        from gantandem.runs.workspace import task_of
        from gantandem.training.gan import Pair

        made = Recipe(**{**recipe, **settings})
        pair = Pair(Painter(end), Critic())
        return begin(made, tmp_path / "run", {}, lambda: as_gan(pair, made, task_of(made)))

    return make


@pytest.mark.parametrize("kind", ["png", "webdataset"])
@pytest.mark.parametrize(("end", "bounds"), [("sigmoid", SIGMOID), ("tanh", TANH)])
def test_the_range_of_a_run_is_found_and_in_the_manifest(painted, tmp_path, kind, end, bounds):
    work = painted(end)
    manifest = sample_run(work, "direct", 3, tmp_path / "s", kind=kind)
    written = json.loads((tmp_path / "s/manifest.json").read_text())
    assert manifest["range"] == written["range"] == list(bounds)
    assert manifest["clipped"] == written["clipped"] == 0
    sample_run(work, "direct", 3, tmp_path / "plain")
    x = Samples.load(tmp_path / "plain/000000000000.npz").x
    assert np.array_equal(first_picture(tmp_path / "s", kind), to_levels(x[0, 0].numpy(), bounds))


def test_a_stated_range_goes_before_what_is_found(painted, tmp_path, caplog):
    work = painted("tanh", range=(-0.5, 0.5))
    assert Workspace(work.run, trust=True).range() == (-0.5, 0.5)
    manifest = sample_run(work, "direct", 3, tmp_path / "s", kind="png")
    assert manifest["range"] == [-0.5, 0.5] and manifest["clipped"] > 0
    assert "lie outside [-0.5, 0.5] and were clipped" in caplog.text
    words = ["sample", str(work.run), "--sampler", "direct", "-n", "3", "--format", "png"]
    words += ["--trust"]  # of a network of this file
    for given, wanted in (("-1,1", [-1, 1]), ("0, 255", [0, 255])):
        out = tmp_path / f"of {given}"
        result = CliRunner().invoke(app, [*words, "--range", given, "--out", str(out)])
        assert result.exit_code == 0, result.output
        assert json.loads((out / "manifest.json").read_text())["range"] == wanted
    for given in ("1,0", "a,b", "1"):
        result = CliRunner().invoke(app, [*words, "--range", given, "--out", str(tmp_path / "no")])
        assert result.exit_code == 2 and "--range: got" in result.stderr


def test_what_was_drawn_before_a_broken_sample_is_kept(painted, tmp_path, monkeypatch):
    from gantandem.runs import drawing

    whole = drawing.sample_iter

    def broken(*args, **options):
        for block in whole(*args, **options):
            block.x[block.ids == 5] = math.nan
            yield block

    monkeypatch.setattr(drawing, "sample_iter", broken)
    with pytest.raises(
        NonFiniteError, match=r"samples 5 are not finite.*the first 5 of 20 samples"
    ):
        sample_run(painted(), "direct", 20, tmp_path / "s", kind="png")
    assert len(list((tmp_path / "s").glob("*.png"))) == 5
    assert json.loads((tmp_path / "s/manifest.json").read_text())["returned"] == 5


def test_points_have_no_range(tmp_path):
    work = pretrained_run(load_recipe("imbalanced-8"), tmp_path / "run")
    assert work.range() is None
    assert "range" not in sample_run(work, "direct", 3, tmp_path / "s", kind="webdataset")


@pytest.mark.usefixtures("no_pixels")
def test_the_report_shows_images_in_the_range_of_their_run(tmp_path):
    from gantandem.reporting.evidence import read_evidence
    from synthetic_run import image_run

    run = image_run(tmp_path / "run")
    assert read_evidence(run).bounds == TANH
    for path in [*run.glob("samples/*.npz"), run / "evidence/real.npz"]:
        with np.load(path) as file:
            x = (file["x"] + 1) / 2
        x[3] = np.nan if path.stem == "refine" else x[3]
        np.savez(path, x=x)
    assert read_evidence(run).bounds == SIGMOID
    text = write_report(run).read_text()
    assert "Black is 0 and white is 1." in text
    assert text.count("1 of 100 are not finite and are left out.") == 1
    assert "clipped" not in text
    metrics = json.loads((run / "metrics.json").read_text())
    (run / "metrics.json").write_text(json.dumps({**metrics, "range": [0, 0.5]}))
    assert read_evidence(run).bounds == (0, 0.5)
    assert "lie outside [0, 0.5] and are clipped." in write_report(run).read_text()
