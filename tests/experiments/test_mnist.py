"""The study of MNIST, on a few made-up digits."""

from __future__ import annotations

import copy
import dataclasses
from functools import partial

import numpy as np
import pytest
from PIL import Image

from experiments import STUDIES, mnist
from gantandem import compare
from gantandem.tasks import TASKS
from small_runs import committed

MNIST = STUDIES["mnist"]
LITTLE = (
    "fit_ratio.n=64",
    "fit_ratio.schedule=[[2, 1e-3]]",
    "shape.updates=1",
    "shape.check_every=1",
    "shape.check_samples=64",
    "shape.batch=32",
    "shape.width=32",
)


@pytest.fixture
def few_digits(tmp_path, monkeypatch):
    """A folder of 28x28 images in the place of MNIST: strokes at random places."""
    random = np.random.default_rng(0)
    for split, count in (("train", 300), ("test", 80)):
        folder = tmp_path / "data" / "mnist" / split / "1"
        folder.mkdir(parents=True)
        for number in range(count):
            image = np.zeros((28, 28), np.uint8)
            left = random.integers(4, 20)
            image[6:22, left : left + 3] = random.integers(150, 256)
            Image.fromarray(image).save(folder / f"{number}.png")
    monkeypatch.setenv("GANTANDEM_DATA", str(tmp_path / "data"))
    task = dataclasses.replace(TASKS["mnist"], sizes=(200, 50, 50))
    monkeypatch.setitem(TASKS, "mnist", task)
    monkeypatch.setattr(mnist, "PIXEL_SCHEDULE", ((2, 1e-3),))
    makers = mnist._makers

    def with_short_pilots(work, plain):
        def shorten(make):
            gan, sampler = make()
            return gan, dataclasses.replace(sampler, pilot=64) if pilots(sampler) else sampler

        return {name: partial(shorten, make) for name, make in makers(work, plain).items()}

    monkeypatch.setattr(mnist, "_makers", with_short_pilots)
    return tmp_path / "out"


def pilots(sampler):
    return hasattr(sampler, "pilot")


@pytest.mark.slow
def test_mnist_runs_to_its_report_and_only_what_is_missing_runs_again(few_digits, monkeypatch):
    def run():
        return MNIST.result(few_digits, stages=(2,), n=32, overrides=LITTLE)

    drawn = []

    def stops_at_refine(gan, samplers, *arguments, **options):
        drawn.extend(samplers)
        if "refine" in samplers:
            raise KeyboardInterrupt
        return compare(gan, samplers, *arguments, **options)

    monkeypatch.setattr(mnist, "compare", stops_at_refine)
    with pytest.raises(KeyboardInterrupt):
        run()
    finished, drawn[:] = drawn[:-1], []
    monkeypatch.setattr(mnist, "compare", lambda *a, **k: drawn.extend(a[1]) or compare(*a, **k))
    rows = run()["seeds"]["0"]["2"]["samplers"]
    assert list(rows) == [*finished, *drawn] and set(rows) == set(mnist.NOTES)
    assert all(row["n"] == 32 for row in rows.values())
    page = (few_digits / "mnist" / "seed-0" / "2" / "report.html").read_text()
    assert all(name in page for name in mnist.NOTES)
    assert (few_digits / "mnist-2-after.png").is_file()
    drawn.clear()
    run()
    assert not drawn


def test_the_page_of_mnist_shows_every_row_and_says_what_is_missing():
    result = committed("mnist")
    result["seeds"] = {"0": result["seeds"]["0"]}
    page = MNIST.document(result)
    assert "Not finished" not in page
    for stage, found in result["seeds"]["0"].items():
        assert f"](mnist-{stage}-after.png)" in page
        for row in found["samplers"].values():
            assert f"| {row['metrics']['frechet_distance']:.3f} |" in page
    partial = copy.deepcopy(result)
    stage = next(iter(result["seeds"]["0"]))
    partial["seeds"]["7"] = {stage: copy.deepcopy(result["seeds"]["0"][stage])}
    page = MNIST.document(partial)
    assert f"Not finished in this run: seed 7 at {MNIST.stages[1]:,} iterations." in page
    assert page.count("-after.png") == 2, "pictures are of the first seed"
