"""A user's own data as a task."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gantandem import GAN, Normal
from gantandem.data.sources import Pixels
from gantandem.errors import ConfigError, DataError
from gantandem.tasks import OWN, get_task
from gantandem.testing import toy_gan
from own_gans import Discriminator, Generator, Judge, Labelled, pictures, settled


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def gan():
    return GAN(settled(Generator()), settled(Discriminator()), Normal((6, 1, 1)))


def test_pictures_are_read_in_the_range_of_the_generator(gan, tmp_path):
    task = get_task("own").of_run(gan, str(pictures(tmp_path / "cats")))
    assert (task.name, task.x_shape, task.range) == ("cats", (3, 8, 8), (-1.0, 1.0))
    real = task.real()
    assert isinstance(real.fit, Pixels) and -1 <= float(real.fit[:].min()) < -0.9
    sizes = [len(part) for part in (real.fit, real.select, real.calibrate, real.test)]
    assert sizes == [84, 12, 12, 12] and real.conditions is None


def test_what_a_folder_sets_apart_is_the_test_part(gan, tmp_path):
    pictures(tmp_path / "own/train", 60)
    pictures(tmp_path / "own/test", 30)
    assert len(OWN.of_run(gan, str(tmp_path / "own")).real().test) == 30


def test_labels_come_along_where_the_gan_has_conditions(tmp_path):
    labelled = GAN(
        settled(Labelled()), settled(Judge()), Normal((6, 1, 1)), condition=torch.tensor([0, 1])
    )
    real = OWN.of_run(labelled, str(pictures(tmp_path / "own"))).real()
    assert real.conditions is not None
    light = real.test[:].mean((1, 2, 3)) > 0
    assert torch.equal(light.long(), real.conditions.test)
    np.save(tmp_path / "x.npy", np.zeros((60, 3, 8, 8), np.float32))
    with pytest.raises(DataError, match="have no labels"):
        OWN.of_run(labelled, str(tmp_path / "x.npy")).real()


def test_points_are_measured_against_held_out_ones(tmp_path):
    x = np.random.default_rng(0).normal(size=(600, 2)).astype("f4")
    np.save(tmp_path / "points.npy", x)
    task = OWN.of_run(toy_gan(), str(tmp_path / "points.npy"))
    assert (task.layer, task.range) == ("data", None)
    far = task.metrics(torch.tensor(x[:60]) + 5)
    floor = task.floor(60)
    assert far["sliced_w1"] > 3 > 1 > floor["sliced_w1"] and far["coverage"] < floor["coverage"]
    assert task.manifold(torch.tensor(x[:60]))["coverage"] > task.manifold(far_points())["coverage"]
    assert task.distance(torch.zeros(5, 2), torch.zeros(5, 2)) == 0


def far_points():
    return torch.full((60, 2), 50.0)


def test_without_data_it_says_how_to_give_some():
    with pytest.raises(ConfigError, match="give data=FOLDER"):
        OWN.of_run(toy_gan(), None).real()
